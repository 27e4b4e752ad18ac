"""TorchRL's own reader of Minari datasets, unmodified, and the replay buffer made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from torchrl.data.datasets.minari_data import MinariExperienceReplay

import minari
from minari_core.errors import DataError
from minari_core.integrations.torchrl import replay_buffer
from tests.interop.helpers.collected import collect
from tests.interop.helpers.reaching_environment import Reaching

pytestmark = pytest.mark.filterwarnings("ignore")


ENVIRONMENTS = pytest.mark.parametrize(
    "env",
    [
        pytest.param(lambda: gymnasium.make("CartPole-v1"), id="discrete actions, no infos"),
        pytest.param(lambda: gymnasium.make("Pendulum-v1", max_episode_steps=9), id="truncated"),
        pytest.param(Reaching, id="dict observations, nested infos"),
    ],
)


def replayed(dataset_id: str, folder: Path) -> Any:
    return MinariExperienceReplay(
        dataset_id, batch_size=8, root=folder / "torchrl", load_from_local_minari=True
    )


def expect_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            expect_same(found[key], value)
    else:
        array = found.numpy()
        assert array.dtype == wanted.dtype
        assert array.tobytes() == wanted.tobytes()


def rows(value: Any, chosen: slice) -> Any:
    if isinstance(value, dict):
        return {key: rows(part, chosen) for key, part in value.items()}
    return value[chosen]


def expect_transitions(replay: Any, dataset: minari.MinariDataset) -> None:
    """Compare a whole buffer with the dataset, step by step."""
    assert len(replay) == dataset.total_steps
    found = replay[:]
    start = 0
    for episode in dataset:
        part = found[start : start + len(episode)]
        start += len(episode)
        assert part["episode"].tolist() == [episode.id] * len(episode)
        for name, values in (("observation", episode.observations), ("info", episode.infos)):
            if name == "observation" or values:
                expect_same(part[name], rows(values, slice(None, -1)))
                expect_same(part["next", name], rows(values, slice(1, None)))
        expect_same(part["action"], episode.actions)
        expect_same(part["next", "reward"], episode.rewards[:, None])
        expect_same(part["next", "terminated"], episode.terminations[:, None])
        expect_same(part["next", "truncated"], episode.truncations[:, None])
        done = episode.terminations | episode.truncations
        expect_same(part["next", "done"], done[:, None])


@ENVIRONMENTS
def test_every_value_of_an_hdf5_dataset_is_replayed(env: Any, tmp_path: Path) -> None:
    dataset = collect("reach/random-v0", env(), "hdf5")

    replay = replayed("reach/random-v0", tmp_path)

    expect_transitions(replay, dataset)
    assert np.isfinite(replay.sample()["next", "reward"].numpy()).all()


def test_a_columnar_dataset_is_an_error_that_says_how_to_convert_it(tmp_path: Path) -> None:
    dataset = collect("reach/random-v0", gymnasium.make("CartPole-v1"), "columnar")

    with pytest.raises(ValueError, match="minari convert ID NEW_ID --data-format hdf5"):
        replayed("reach/random-v0", tmp_path)

    minari.convert_dataset(dataset, "reach/converted-v0", data_format="hdf5")
    assert len(replayed("reach/converted-v0", tmp_path)) == dataset.total_steps


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow"])
@ENVIRONMENTS
def test_the_replay_buffer_of_any_format_has_every_transition(
    env: Any, data_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several calls, each with some whole episodes.
    monkeypatch.setattr("minari_core.integrations.torchrl._STEPS_AT_ONCE", 25)
    dataset = collect("reach/random-v0", env(), data_format)

    buffer = replay_buffer(dataset, batch_size=16, scratch_dir=tmp_path / "maps", infos=True)

    expect_transitions(buffer, dataset)
    assert list((tmp_path / "maps").rglob("*.memmap"))
    assert len(buffer.sample()) == 16


def test_the_replay_buffer_of_a_view_has_its_episodes_in_its_order() -> None:
    dataset = collect("reach/random-v0", Reaching(), "columnar")
    ends = {(bool(one.terminations[-1]), bool(one.truncations[-1])) for one in dataset}
    assert ends == {(True, False), (False, True)}

    view = dataset[[4, 0, 2]]

    expect_transitions(replay_buffer(view, infos=True), view)


def test_what_cannot_be_a_tensor_is_refused_by_its_name() -> None:
    def dataset(number: int, space: Any, infos: Any) -> minari.MinariDataset:
        buffer = minari.EpisodeBuffer(
            observations=[space.sample(), space.sample()],
            actions=[0],
            rewards=[0.0],
            terminations=[True],
            truncations=[False],
            infos=infos,
        )
        return minari.create_dataset_from_buffers(
            f"odd-v{number}",
            [buffer],
            observation_space=space,
            action_space=spaces.Discrete(2),
        )

    with pytest.raises(DataError, match=r"observation\.said is a list"):
        replay_buffer(dataset(0, spaces.Dict(said=spaces.Text(4)), None))
    with pytest.raises(DataError, match=r"info\.late is missing in some steps"):
        replay_buffer(dataset(1, spaces.Discrete(3), {"late": [None, 1]}), infos=True)
