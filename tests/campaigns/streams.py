"""Processes that share the cache of streams and are killed at any moment.

What holds: nobody who shares the cache reads a wrong byte, then or later, whether it has room for
all of the dataset, for half of it, or for next to nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

from tests.campaigns.helpers.reporting import Campaign
from tests.campaigns.helpers.stream_reader import Rows, check_batches, read_for_ever
from tests.core.helpers.streams import write_numbered

NAME = "streams"
COUNT, SHORT_COUNT = 50, 10
_READERS = 3
_ROOMS = (10, 0.5, 0.1)
_ALL = 10_000


def run(campaign: Campaign) -> None:
    """Kill readers while they fill a cache; each case is one cache, and one kill."""
    data = campaign.root / "data"
    rows = write_numbered(data, 240_000)
    nbytes = sum(path.stat().st_size for path in data.glob("*.h5"))
    for case in campaign.cases():
        random = campaign.random(case)
        room = random.choice(_ROOMS)
        cache = campaign.root / "cache"
        os.environ["MINARI_CACHE_PATH"] = str(cache)
        crowd = _Crowd(campaign, data, rows, int(nbytes * room))
        crowd.start(_READERS, case)
        time.sleep(random.uniform(0.0, 0.2))
        crowd.end(case, random.randrange(_READERS))
        crowd.start(1, random.randrange(1000))
        time.sleep(random.uniform(0.0, 0.2))
        while crowd.readers:
            crowd.end(case, 0)
        campaign.outcomes[f"with room for {room} of the data"] += 1
        try:
            check_batches(data, rows, crowd.limit, case, _ALL)
        except Exception as error:
            campaign.find(case, "what is left in the cache is wrong", str(error), cache)
        shutil.rmtree(cache)


class _Crowd:
    """Processes that read the same stream."""

    def __init__(self, campaign: Campaign, data: Path, rows: Rows, limit: int) -> None:
        self.campaign, self.data, self.rows, self.limit = campaign, data, rows, limit
        self.readers: list[ForkProcess] = []
        self._errors = campaign.root / "errors"

    def start(self, count: int, seed: int) -> None:
        for number in range(count):
            given = self.data, self.rows, self.limit, seed + number, self._errors
            reader = multiprocessing.get_context("fork").Process(target=read_for_ever, args=given)
            reader.start()
            self.readers.append(reader)

    def end(self, case: int, number: int) -> None:
        """Kill a reader, and note if it had ended before."""
        reader = self.readers.pop(number)
        reader.kill()
        reader.join()
        if reader.exitcode != -signal.SIGKILL:
            self.campaign.find(
                case, "a reader fails beside those that are killed", self._errors.read_text()
            )
