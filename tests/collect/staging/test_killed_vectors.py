"""What a killed process has recorded of many environments, its unfinished episodes included."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from minari_collect import VectorDataCollector, list_recoverable, recover
from minari_collect.collectors.vector_environment import NEXT_STEP
from minari_core.testing.expectations import expect_same
from tests.collect.helpers.environments import Counter
from tests.collect.helpers.vector_twin import vector_of
from tests.collect.staging.test_crashes import _KILLED, Child, Report, posix

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is (set to )?None"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@posix
@pytest.mark.parametrize("lengths", [[4, 1000, 7, 1000], [1000, 1000], [1000], [30, 3]])
def test_the_open_episodes_of_a_killed_recording_are_recovered(lengths: list[int]) -> None:
    seeds = list(range(10, 10 + len(lengths)))

    def collect(report: Report) -> None:
        left = iter(lengths)
        made = vector_of(lambda: Counter(next(left)), len(lengths), NEXT_STEP)
        envs = VectorDataCollector(made, record_infos=True, max_buffer_steps=24)
        envs.reset(seed=seeds, options={"deep": [1]})
        for step in range(40):
            envs.step(np.full(len(lengths), step))
        report(envs.buffered_steps)
        os.kill(os.getpid(), signal.SIGKILL)

    code, reports = Child(collect).wait()
    assert code == _KILLED, reports
    (recording,) = list_recoverable()
    dataset = recover(recording.id, "tests/recovered-v0")

    assert recording.total_episodes == len(dataset)
    assert recording.total_steps == dataset.total_steps
    found: dict[int, int] = {}
    for episode in dataset:
        # Those after the first reset begin without a seed.
        seed = int(episode.observations[0, 0])
        steps = len(episode)
        assert episode.observations.tolist() == [[seed, step] for step in range(steps + 1)]
        assert episode.rewards.tolist() == list(range(1, steps + 1))
        expect_same(episode.infos["count"], np.arange(steps + 1), "infos")
        if seed:
            found[seed] = steps
            assert (episode.seed, episode.options) == (seed, {"deep": [1]})
            assert episode.actions.tolist() == list(range(steps))
            whole = lengths[seed - 10] == steps
            assert (episode.terminations[-1], episode.truncations[-1]) == (whole, not whole)
    kept = 40 - int(reports[0]) // len(lengths) - 1
    for seed, length in zip(seeds, lengths, strict=True):
        assert min(kept, length) <= found[seed] <= length, "lost"
