"""Sampling from many shards, beside the same steps in one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from large_datasets import make_episodes, measure_fall
from report import Figure
from setting import Setting
from sparse_datasets import create_of_copies

import minari

_BATCH_SIZE = 256
_WINDOWS, _LENGTH = 64, 20
_STEPS = 1_000_000
_MOST_FALLS = {1000: 0.05, 10_000: 0.1}
_OBSTACLE = (
    "Each row of a batch lies in another file; finding the arrays of its shard, and the pages that "
    "it shares with no other row, takes the time."
)


def measure(setting: Setting) -> Iterator[Figure]:
    """Transitions and windows of a million steps, in a thousand and in ten thousand shards."""
    steps = _STEPS // (100 if setting.quick else 1)
    for full, most_fall in _MOST_FALLS.items():
        shards = full // (100 if setting.quick else 1)
        with setting.datasets():
            for name, count in (("one", 1), ("many", shards)):
                episodes = make_episodes(shards // count, steps // shards)
                create_of_copies(f"bench/{name}-v0", episodes, count)
            one, many = (minari.load_dataset(f"bench/{name}-v0") for name in ("one", "many"))
            of = f"of {steps:,} steps in {shards:,} shards"
            yield measure_fall(
                setting,
                f"sample_transitions({_BATCH_SIZE}) {of}",
                partial(many.sample_transitions, _BATCH_SIZE),
                (partial(one.sample_transitions, _BATCH_SIZE), "1 shard"),
                most_fall,
                _OBSTACLE,
            )
            yield measure_fall(
                setting,
                f"sample_sequences({_WINDOWS}, {_LENGTH}) {of}",
                partial(many.sample_sequences, _WINDOWS, _LENGTH),
                (partial(one.sample_sequences, _WINDOWS, _LENGTH), "1 shard"),
                most_fall,
                _OBSTACLE,
            )
