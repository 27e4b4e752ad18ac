"""What code for the public Minari catches, reads of metadata, and changes, is as it was there."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.dataset.minari_dataset import parse_dataset_id
from minari.dataset.minari_storage import MinariStorage
from minari.namespace import namespace_hierarchy, validate_namespace
from minari.serialization import deserialize_space, serialize_space

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")

FORMATS = ("columnar", "hdf5", "arrow", "parquet")


class Strange(spaces.Space[Any]):
    """A space that nobody has registered."""


def create(
    dataset_id: str, data_format: str = "columnar", *, actions: Any = (0, 1), **details: Any
) -> minari.MinariDataset:
    buffer = minari.EpisodeBuffer(
        observations=np.zeros((3, 2), np.float32),
        actions=np.array(actions),
        rewards=[0.0, 1.0],
        terminations=[False, True],
        truncations=[False, False],
    )
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer],
        observation_space=spaces.Box(-1, 1, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
        **details,
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: minari.MinariDataset(5),  # type: ignore[arg-type]  # it is what is refused
            ValueError,
            "Unrecognized type <class 'int'> for data",
        ),
        (
            lambda: minari.load_dataset("none-v0"),
            FileNotFoundError,
            r"Dataset none-v0 not found locally at .*Use download=True to download the dataset",
        ),
        (
            lambda: create("x-v0", "pickle"),
            ValueError,
            "No storage implemented for pickle. Available formats:",
        ),
        (
            lambda: minari.create_dataset_from_buffers("x-v0", [], 5),  # type: ignore[arg-type]  # refused
            TypeError,
            "Unsupported env type int",
        ),
        (
            lambda: create("x-v0", env=5),
            TypeError,
            "Unsupported env type int",
        ),
        (
            lambda: create("x-v0", eval_env=5),
            ValueError,
            r"The `eval_env` argument must be of types str\|EnvSpec\|gym.Env",
        ),
        (
            lambda: create("x-v0", actions=np.array([[0], [1]])),
            ValueError,
            r"actions has rows of shape \(1,\), but its space is .*; reshape them to \(\), or give",
        ),
        (lambda: validate_namespace(None), TypeError, "Namespace cannot be None"),
        (lambda: validate_namespace("no name"), ValueError, "Malformed namespace"),
        (
            lambda: serialize_space(Strange((2,), np.float32)),
            NotImplementedError,
            "No serialization method available for",
        ),
        (
            lambda: deserialize_space({"type": "Unheard"}),
            NotImplementedError,
            "No deserialization method available for Unheard",
        ),
        (
            lambda: minari.get_namespace_metadata("nope"),
            ValueError,
            "Namespace nope does not exist locally",
        ),
        (
            lambda: minari.update_namespace_metadata("nope", "said"),
            ValueError,
            "Namespace nope does not exist locally",
        ),
        (
            lambda: create("x-v0", ref_max_score=1.0, expert_policy=lambda _: 0),
            ValueError,
            "Can't pass a value for `expert_policy` and `ref_max_score` at the same time",
        ),
    ],
)
def test_an_error_is_what_is_caught_and_says_what_is_matched(
    call: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("data_format", FORMATS)
def test_metadata_have_the_keys_that_every_public_dataset_has(data_format: str) -> None:
    dataset = create("x-v0", data_format)
    (listed,) = minari.list_local_datasets().values()

    for metadata in (dataset.storage.metadata, listed):
        assert metadata["jpeg_encoding"] is False
        assert metadata["dataset_size"] == dataset.storage.get_size()


def test_a_storage_that_takes_from_another_one_also_takes_its_authors(tmp_path: Any) -> None:
    one = create("one-v0", author={"Ada", "Bob"}, author_email="ada@example.org").storage
    other = create("other-v0").storage
    new = MinariStorage.new(tmp_path / "data", one.observation_space, one.action_space)

    for source in (other, one, create("third-v0", author="Eve").storage):
        new.update_from_storage(source)

    assert new.metadata["author"] == {"Ada", "Bob", "Eve"}
    assert new.metadata["author_email"] == {"ada@example.org"}
    assert new.total_episodes == 3


@pytest.mark.parametrize(
    ("space", "fields"),
    [
        (
            spaces.Box(-1, 1, (1, 2), np.float32),
            {"dtype": "float32", "shape": [1, 2], "low": [[-1.0] * 2], "high": [[1.0] * 2]},
        ),
        (spaces.Discrete(3, start=-1), {"dtype": "int64", "start": -1, "n": 3}),
        (spaces.MultiDiscrete([2, 3]), {"dtype": "int64", "nvec": [2, 3], "start": [0, 0]}),
        (spaces.MultiBinary(4), {"n": 4}),
        (spaces.Text(3, charset="ab"), {"max_length": 3, "min_length": 1, "charset": "ab"}),
    ],
)
def test_a_space_is_written_as_the_public_minari_writes_it(
    space: spaces.Space[Any], fields: dict[str, Any]
) -> None:
    whole = {"type": type(space).__name__, **fields}
    assert serialize_space(space, to_string=False) == whole
    assert json.loads(str(serialize_space(space))) == whole
    assert deserialize_space(serialize_space(space)) == space


@pytest.mark.parametrize(
    "space",
    [
        spaces.Graph(spaces.Discrete(2), None),
        spaces.Sequence(spaces.Box(0, 1, (2,)), stack=True),
        spaces.Dict(x=spaces.Box(-np.inf, np.inf, (), np.float64)),
        spaces.Box(0, 255, (2, 2), np.uint8),
        # The oldest Gymnasium has one dtype for all of these.
        *(
            [spaces.Discrete(4, dtype=np.int8)]
            if "dtype" in inspect.signature(spaces.Discrete).parameters
            else []
        ),
    ],
)
def test_a_space_that_the_public_minari_cannot_write_is_kept_all_the_same(
    space: spaces.Space[Any],
) -> None:
    again = deserialize_space(serialize_space(space))
    assert again == space
    assert again.dtype == space.dtype
    assert deserialize_space(serialize_space(space, to_string=False)) == space


def test_a_collector_has_the_spaces_of_its_environment_whatever_is_recorded() -> None:
    env = minari.DataCollector(
        gymnasium.make("CartPole-v1"), observation_space=spaces.Box(-9, 9, (4,), np.float64)
    )
    assert env.observation_space == env.env.observation_space


def test_an_id_without_a_namespace_has_no_hierarchy() -> None:
    namespace, _, _ = parse_dataset_id("one-v0")
    assert list(namespace_hierarchy(namespace)) == []


def test_a_collector_says_where_the_datasets_lie(datasets_root: Path) -> None:
    env = minari.DataCollector(gymnasium.make("CartPole-v1"))
    assert env.datasets_path == str(datasets_root)


def test_an_episode_is_taken_apart_and_put_together() -> None:
    dataset = create("x-v0", description="from one to another")
    (episode,) = dataset

    buffers = [minari.EpisodeBuffer(**vars(episode)), minari.EpisodeBuffer(**asdict(episode))]
    again = minari.create_dataset_from_buffers(
        "y-v0",
        [replace(buffer, id=None) for buffer in buffers],
        observation_space=dataset.observation_space,
        action_space=dataset.action_space,
    )

    for other in (*again, replace(episode, id=7), pickle.loads(pickle.dumps(episode))):
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            assert np.array_equal(getattr(other, name), getattr(episode, name))
