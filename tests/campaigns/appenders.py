"""Eight processes that append to one dataset, among readers and one that compacts it.

What holds: every episode that was committed is there, once and whole; a reader sees whole
episodes, and never fewer than before; nothing is left behind. Some appenders are killed at any
moment, and others take their place.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

import minari
from minari_core.errors import DatasetBusyError
from tests.campaigns.helpers.driven import FORMATS, at_root, state_of
from tests.campaigns.helpers.forked import Child, Tell, ask, run_forked
from tests.campaigns.helpers.reporting import Campaign
from tests.campaigns.helpers.trials import last_line

NAME = "appenders"
COUNT, SHORT_COUNT = 40, 2
_APPENDERS, _READERS, _APPENDS = 8, 3, 6
_ID = "tt/shared-v0"


def run(campaign: Campaign) -> None:
    """Each case is a dataset in one of the formats."""
    for case in campaign.cases():
        # Only the first of the formats can be compacted.
        public = [each for each in FORMATS[1:] if campaign.only in each] or FORMATS[1:]
        chosen = FORMATS[0] if case % 2 == 0 else campaign.random(case).choice(public)
        folder = campaign.root / f"case{case}"
        with at_root(folder):
            _share(campaign, case, chosen, folder)


def _share(campaign: Campaign, case: int, data_format: str, folder: Path) -> None:
    random = campaign.random(case)
    ask(partial(_create, data_format))
    appenders = [
        Child(partial(_append, number, random.randrange(2**31))) for number in range(_APPENDERS)
    ]
    is_columnar = data_format == "columnar"
    others = [Child(partial(_read, random.randrange(2**31), is_columnar)) for _ in range(_READERS)]
    if is_columnar:
        others.append(Child(_compact))
    # Those that are killed, and those that take their place.
    for number in random.sample(range(_APPENDERS), 2):
        time.sleep(random.uniform(0, 0.5))
        appenders[number].kill()
        appenders.append(Child(partial(_append, len(appenders), random.randrange(2**31))))
    endings = [child.wait(400) for child in appenders]
    (folder / "over").touch()
    endings_of_others = [child.wait(400) for child in others]

    def find(kind: str, details: str) -> None:
        campaign.find(case, f"{data_format}: {kind}", details, folder)

    committed: set[int] = set()
    maybe: set[int] = set()
    for ending in endings:
        begun = [value for what, value in ending.told if what == "begun"]
        done = {value for what, value in ending.told if what == "done"}
        committed |= done
        if ending.code == -9 and not ending.is_late:
            maybe |= set(begun) - done
        elif ending.fate:
            find(f"an appender {last_line(ending)}", ending.errors)
            maybe |= set(begun) - done
        campaign.outcomes["appended"] += len(done)
        campaign.outcomes["refused as busy"] += sum(what == "busy" for what, _ in ending.told)
    for ending in endings_of_others:
        if ending.fate:
            find(f"a reader or compactor {last_line(ending)}", ending.errors)
        for what, value in ending.told:
            if what == "wrong":
                find(f"a reader sees {value.split(':')[0]}", value)
            else:
                campaign.outcomes[what] += value
    last = run_forked(lambda tell: tell(_contents()))
    if last.fate:
        find(f"in the end reading {last_line(last)}", last.errors)
        return
    seeds, problems, state = last.told[-1]
    if problems:
        find("in the end there is damage", str(problems))
    if "the list" in state:
        find("it is not listed", state["the list"])
    if len(seeds) != len(set(seeds)):
        find("episodes come twice", str(sorted(seed for seed in seeds if seeds.count(seed) > 1)))
    if committed - set(seeds):
        find("committed episodes are gone", str(sorted(committed - set(seeds))))
    if set(seeds) - committed - maybe - {0}:
        find("episodes come from nowhere", str(sorted(set(seeds) - committed - maybe)))


def _episode(seed: int) -> minari.EpisodeBuffer:
    """Every value follows from the seed."""
    steps = 1 + seed % 7
    return minari.EpisodeBuffer(
        seed=seed,
        observations=np.arange(steps + 1.0)[:, None] + [seed, -seed],
        actions=np.arange(steps) + seed % 100,
        rewards=np.full(steps, float(seed)),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        infos={"word": [f"{seed}/{row}" for row in range(steps + 1)]},
    )


def _is_whole(episode: Any) -> bool:
    wanted: Any = _episode(int(episode.seed))
    return (
        np.array_equal(episode.observations, wanted.observations)
        and np.array_equal(episode.actions, wanted.actions)
        and np.array_equal(episode.rewards, wanted.rewards)
        and bool(episode.terminations[-1])
        and list(episode.infos["word"]) == wanted.infos["word"]
    )


def _create(data_format: str) -> None:
    minari.create_dataset_from_buffers(
        _ID,
        [_episode(0)],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(1000),
        data_format=data_format,
    )


def _append(number: int, seed: int, tell: Tell) -> None:
    random = np.random.default_rng(seed)
    dataset = minari.load_dataset(_ID)
    for turn in range(_APPENDS):
        if random.random() < 0.5:
            dataset = minari.load_dataset(_ID)
        seeds = [1 + number * 1000 + turn * 10 + index for index in range(random.integers(1, 4))]
        for each in seeds:
            tell(["begun", each])
        try:
            dataset.update_dataset_from_buffer([_episode(each) for each in seeds])
        except DatasetBusyError:
            tell(["busy", 1])
            continue
        for each in seeds:
            tell(["done", each])
        time.sleep(random.uniform(0, 0.02))


def _read(seed: int, samples: bool, tell: Tell) -> None:
    """Read old objects and new ones until all is over."""
    random = np.random.default_rng(seed)
    over = Path(minari.load_dataset(_ID).spec.data_path or "").parents[2] / "over"
    old = minari.load_dataset(_ID)
    count, before = len(old), 1
    reads = 0
    while not over.exists():
        dataset = minari.load_dataset(_ID)
        if len(dataset) < before:
            tell(["wrong", f"fewer episodes than before: {len(dataset)}, {before} before"])
        before = len(dataset)
        for each in (dataset, old):
            for index in random.integers(0, len(each), 5):
                episode = each[int(index)]
                if not _is_whole(episode):
                    tell(["wrong", f"an episode that is not whole: {index}: {episode}"])
                reads += 1
        if len(old) != count:
            tell(["wrong", f"that an old object grows by itself: {count}, {len(old)}"])
        # The formats of the public Minari are read an episode at a time.
        batch = dataset.sample_transitions(8) if samples else None
        if batch and not np.array_equal(batch.observations + 1, batch.next_observations):
            tell(["wrong", f"transitions across episodes: {batch}"])
        if random.random() < 0.2:
            old = dataset
            count = len(old)
    tell(["episodes read", reads])


def _compact(tell: Tell) -> None:
    done = 0
    over = Path(minari.load_dataset(_ID).spec.data_path or "").parents[2] / "over"
    while not over.exists():
        minari.load_dataset(_ID).compact()
        done += 1
        time.sleep(0.05)
    tell(["compactions", done])


def _contents() -> list[Any]:
    dataset = minari.load_dataset(_ID)
    # One more change, which sweeps what the killed ones left.
    dataset.storage.update_metadata({"description": "over"})
    dataset = minari.load_dataset(_ID)
    problems = [str(problem) for problem in minari.verify_dataset(_ID).problems]
    problems += [str(remark) for remark in minari.verify_dataset(_ID).remarks]
    problems += [f"episode {each.id} is not whole" for each in dataset if not _is_whole(each)]
    root = Path(dataset.spec.data_path or "").parents[2]
    return [[int(each.seed or 0) for each in dataset], problems, state_of(root)]
