"""Records datasets and reads them back, by the names that every Minari has.

The tests import it where this project is installed, and run it as a program where the public
Minari is: ``python -m tests.interop.helpers.recordings write|read|change FOLDER
ANSWER``.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium

import minari
from minari.data_collector import EpisodeBuffer
from minari.data_collector.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari.serialization import serialize_space
from tests.interop.helpers.sampling_environment import SPACES, register

FORMATS = ("hdf5", "arrow", "parquet")
EPISODES = 3
_LARGEST_SEED = 2**64 - 1
_NAMES = ("id", "observations", "actions", "rewards", "terminations", "truncations", "infos")
# What is not the dataset's, but its file's.
_OF_THE_FILE = frozenset({"dataset_size", "minari_version", "data_format"})


@dataclass(frozen=True)
class Case:
    """An environment that is recorded."""

    make: Callable[[], gymnasium.Env[Any, Any]]
    """Makes it."""
    steps: int = 12
    """After how many steps an episode is left."""
    options: dict[str, Any] | None = None
    """What its reset is given."""
    seeds: tuple[int | None, ...] = (0, 123, 2**40)
    """The seed of each episode."""


class Described(EpisodeMetadataCallback):
    """Stores what attributes can hold beside the sums of rewards."""

    def __call__(self, episode: Any) -> dict[str, Any]:
        own = {"goal": "über die Tür", "count": 3, "share": 0.25}
        return {**super().__call__(episode), **own}


class SameInfos(StepDataCallback):
    """Keeps the infos that a reset and every step have; the public Minari refuses others."""

    _not_of_steps = frozenset({"seeds"})
    _of_the_reset: frozenset[str] = frozenset()

    def __call__(self, env: Any, obs: Any, info: Any, *step: Any, **of_step: Any) -> Any:
        record = super().__call__(env, obs, info, *step, **of_step)
        if record["action"] is None:
            self._of_the_reset = frozenset(info) - self._not_of_steps
        record["info"] = {key: value for key, value in info.items() if key in self._of_the_reset}
        return record


def _atari() -> gymnasium.Env[Any, Any]:
    import ale_py

    gymnasium.register_envs(ale_py)
    return gymnasium.make("ALE/Breakout-v5")


def _robotics(name: str) -> Callable[[], gymnasium.Env[Any, Any]]:
    def make() -> gymnasium.Env[Any, Any]:
        import gymnasium_robotics

        gymnasium.register_envs(gymnasium_robotics)
        return gymnasium.make(name, max_episode_steps=10)

    return make


def _made(name: str, **options: Any) -> Callable[[], gymnasium.Env[Any, Any]]:
    return lambda: gymnasium.make(name, **options)


register()
CASES: dict[str, Case] = {
    "cartpole": Case(
        _made("CartPole-v1"), steps=40, options={"low": -0.05, "high": 0.1, "inner": {"deep": 1}}
    ),
    "frozenlake": Case(_made("FrozenLake-v1", map_name="8x8", is_slippery=True), steps=60),
    "halfcheetah": Case(_made("HalfCheetah-v5", max_episode_steps=15), steps=20),
    "atari": Case(_atari, steps=8),
    "pointmaze": Case(_robotics("PointMaze_UMaze-v3")),
    "adroit": Case(_robotics("AdroitHandDoor-v1")),
    "unseeded": Case(
        _made("CartPole-v1"), options={"minari_autoseed": False}, seeds=(None, 5, None)
    ),
    **{
        kind: Case(_made("interop/Sampling-v0", kind=kind), seeds=(7, 8, _LARGEST_SEED >> 33))
        for kind in SPACES
    },
}
IMAGES = ("atari", "image", "grey image", "dict")


def recordings() -> Iterator[tuple[str, str, str, bool]]:
    """The id, the case and the format of each recording, and whether its images are JPEG."""
    for name in CASES:
        for data_format in FORMATS:
            for jpeg in (False, True) if name in IMAGES else (False,):
                loss = "jpeg" if jpeg else "exact"
                yield f"{name.replace(' ', '-')}/{data_format}-{loss}-v0", name, data_format, jpeg


def record(dataset_id: str, name: str, data_format: str, jpeg: bool) -> None:
    """Make a dataset of what a case's environment does under a random policy."""
    case = CASES[name]
    collector = minari.DataCollector(
        case.make(),
        step_data_callback=SameInfos,
        episode_metadata_callback=Described,
        record_infos=True,
        data_format=data_format,
        jpeg_encoding=jpeg,
    )
    collector.action_space.seed(1)
    for seed in case.seeds:
        collector.reset(seed=seed, options=case.options)
        for _ in range(case.steps):
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            if terminated or truncated:
                break
    collector.create_dataset(
        dataset_id,
        eval_env="CartPole-v1",
        algorithm_name="random",
        author={"Ada", "Bob"},
        author_email={"ada@example.org"},
        code_permalink="https://example.org/code",
        description="Recorded to be read by others: é",
        requirements=["gymnasium>=1"],
        ref_min_score=1.5,
        ref_max_score=20.0,
    )
    collector.close()


def read(dataset_id: str) -> dict[str, Any]:
    """Everything that a dataset says, as numpy arrays and Python's own values."""
    dataset = minari.load_dataset(dataset_id)
    storage = dataset.storage
    metadata = storage.metadata
    environment = dataset.spec.env_spec
    evaluation: Any = metadata.get("eval_env_spec")
    return {
        "spaces": [
            serialize_space(space) for space in (dataset.observation_space, dataset.action_space)
        ],
        "env_spec": None if environment is None else environment.to_json(),
        "eval_env_spec": evaluation if isinstance(evaluation, str) else evaluation.to_json(),
        "metadata": {
            key: value
            for key, value in metadata.items()
            if not key.endswith(("_space", "env_spec")) and key not in _OF_THE_FILE
        },
        "episodes": [
            {name: getattr(episode, name) for name in _NAMES}
            for episode in dataset.iterate_episodes()
        ],
        "said": [dict(said) for said in storage.get_episode_metadata(range(len(dataset)))],
    }


def write_all(folder: Path) -> dict[str, str]:
    """Record everything below a folder; what went wrong, by the dataset's id."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    failures: dict[str, str] = {}
    for dataset_id, name, data_format, jpeg in recordings():
        try:
            record(dataset_id, name, data_format, jpeg)
        except Exception as error:
            failures[dataset_id] = f"{type(error).__name__}: {error}"
    return failures


def read_all(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read everything below a folder; what was read, and what went wrong, by the dataset's id."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    found: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for dataset_id, *_ in recordings():
        try:
            found[dataset_id] = read(dataset_id)
        except Exception as error:
            failures[dataset_id] = f"{type(error).__name__}: {error}"
    return found, failures


def change_all(folder: Path) -> None:
    """Describe every dataset below a folder and its first episodes anew, and add an episode."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    for dataset_id in minari.list_local_datasets():
        storage = minari.load_dataset(dataset_id).storage
        storage.update_metadata({"description": "By others: é", "further": 1})
        storage.update_episode_metadata([{"goal": "another", "grade": 2}, {"grade": 3}], [0, 1])
        (first,) = storage.get_episodes([0])
        names = ("observations", "actions", "rewards", "terminations", "truncations", "infos")
        storage.update_episodes([EpisodeBuffer(**{name: first[name] for name in names})])


def main() -> None:
    """Do what the command line asks for."""
    warnings.simplefilter("ignore")
    work, folder, answer = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    works: dict[str, Callable[[Path], object]] = {
        "write": write_all,
        "read": read_all,
        "change": change_all,
    }
    done = works[work](folder)
    # Only ever between two processes of one test, on one machine.
    answer.write_bytes(pickle.dumps(done))


if __name__ == "__main__":
    main()
