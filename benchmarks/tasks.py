"""How many tasks a number of steps is collected in, and how much is too much; played through."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from measure import MINARI
from report import Figure
from setting import Setting

if TYPE_CHECKING:
    from tests.collect.helpers.schedules import Played

_MEAN = 200
_MOST_TASKS = 1.3
_MOST_EXCESS = 0.01
_KINDS = ("equal", "uniform", "geometric")
_OBSTACLE = (
    "How long episodes are is learned from those that have ended, and few of them say little: the "
    "first are given out one by one, and the last may be longer than any before."
)


def measure(setting: Setting) -> Iterator[Figure]:
    """The run that is worked out in docs/scaling.md, runs of many workers, and of few."""
    # The tests play through the same runs.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from tests.collect.helpers.schedules import draw_lengths, play

    total, workers = (10**6, 100) if setting.quick else (10**9, 1000)
    played = play(draw_lengths("equal", 1000, total, seed=0), total, workers)
    yield from _describe([(total, workers, played)], f"{total:,} steps in episodes of 1000")
    for least, most, totals in (
        (16, 1000, [10**5] if setting.quick else [10**7, 2 * 10**7]),
        (1, 8, [4000] if setting.quick else [4000, 10**5, 10**6]),
    ):
        counts = [count for count in (1, 2, 4, 8, 16, 100, 1000) if least <= count <= most]
        runs = [
            (total, count, play(draw_lengths(kind, _MEAN, total, seed), total, count, seed=seed))
            for total in totals
            for count in counts
            for kind in _KINDS
            for seed in range(2 if least > 8 or setting.quick else 12)
        ]
        yield from _describe(
            runs,
            f"{totals[0]:,} to {totals[-1]:,} steps in episodes of {_MEAN} on average by {least} "
            f"to {most} workers, {len(runs)} runs",
        )


def _describe(runs: Sequence[tuple[int, int, Played]], what: str) -> Iterator[Figure]:
    tasks = [played.tasks / played.tasks_of_episodes for _, _, played in runs]
    more = max(played.tasks - int(_MOST_TASKS * played.tasks_of_episodes) for _, _, played in runs)
    above = sum(each > _MOST_TASKS for each in tasks)
    yield Figure(
        work=f"tasks of {what}",
        minari=f"{statistics.median(tasks):.2f} ×, at most {max(tasks):.2f} ×",
        limit="1 × (tasks of as many episodes)",
        compared=f"{above} of {len(runs)} above"
        + (f", at most by {more} tasks" if more > 0 else ""),
        target=f"{_MOST_TASKS} × in each",
        reached=above == 0,
        obstacle=_OBSTACLE,
        values={MINARI: statistics.median(tasks), "most": max(tasks), "above": above},
    )
    wrong = [
        (played.excess / total, played.beyond / workers)
        for total, workers, played in runs
        if played.excess > _MOST_EXCESS * total and played.beyond > workers
    ]
    most = max(wrong, default=(0.0, 0.0))
    yield Figure(
        work=f"steps that are collected beyond {what}",
        minari=f"{statistics.mean(played.excess / total for total, _, played in runs):.2%} "
        "on average",
        compared=f"{len(wrong)} of {len(runs)} above"
        + (f", at most {most[0]:.1%}, {most[1]:.1f} episodes for each worker" if wrong else ""),
        target=f"{_MOST_EXCESS:.0%}, or an episode for each worker, in each",
        reached=not wrong,
        obstacle=_OBSTACLE,
        values={MINARI: most[0], "above": len(wrong)},
    )
