"""Run campaigns: ``python -m tests.campaigns [NAME …] [--seed N] [--count N] [--short]``.

Each prints its seed. A finding is printed with the arguments that repeat it: the seed, and the
number of its case. ``--only 'create in hdf5'`` leaves out what is called otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from tests.campaigns.helpers.reporting import Campaign, say

NAMES = ("mutated_files", "mutated_layouts", "kills", "full_disks", "appenders", "streams")


def main() -> int:
    """Run what the arguments say; 1 if anything was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns",
        description="Put many random misfortunes to datasets, and check what must hold in all.",
    )
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", default=[])
    parser.add_argument("--seed", type=int, help="what everything random follows from")
    parser.add_argument("--count", type=int, help="how many cases of each campaign")
    parser.add_argument("--case", type=int, help="the one case to run again")
    parser.add_argument("--only", default="", help="a part of the names of what to try")
    parser.add_argument("--short", action="store_true", help="a few cases of each")
    parser.add_argument("--keep", type=Path, help="where to copy what findings are about")
    given = parser.parse_args()
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    # Who ends it wants the folders and the small disk to be gone, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    is_sound = True
    for name in given.names or NAMES:
        module = importlib.import_module(f"tests.campaigns.{name}")
        count = given.count or (module.SHORT_COUNT if given.short else module.COUNT)
        say(f"{name}: {count} cases, --seed {seed}")
        with tempfile.TemporaryDirectory(prefix="minari-campaign-") as folder:
            # Not the user's own.
            os.environ["MINARI_CACHE_PATH"] = f"{folder}/cache"
            campaign = Campaign(name, seed, count, Path(folder), given.case, given.keep, given.only)
            module.run(campaign)
            is_sound &= campaign.conclude()
    return 0 if is_sound else 1


if __name__ == "__main__":
    # Before numpy is loaded: threads do not go well with forks.
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "tests.campaigns", *sys.argv[1:]])
    sys.exit(main())
