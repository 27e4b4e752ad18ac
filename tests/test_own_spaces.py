"""Spaces of classes that are not Gymnasium's, in the datasets of all formats."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Space

from minari.command_line.app import app
from minari.serialization import deserialize_space, serialize_space
from minari_collect import DataCollectorV0, create_dataset_from_collector_env
from minari_core import (
    MinariDataset,
    convert_dataset,
    create_dataset_from_buffers,
    list_local_datasets,
    load_dataset,
    verify_dataset,
)
from minari_core.environments import own_spaces
from minari_core.environments.space_json import is_same_space, space_from_json, space_to_json
from minari_core.errors import SpaceError, UnknownSpaceError
from minari_core.messages import MinariWarning
from minari_core.testing import simple_episode
from tests.helpers.command_line import CommandLine

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
MOVE = spaces.Discrete(3)
POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)


class RoundBox(spaces.Box):
    """A Box with more than a Box has."""

    radius = 2.0


class Disc(Space[Any]):
    """What Gymnasium does not have; it does not say when two of them are equal."""

    def __init__(self, radius: float) -> None:
        super().__init__((2,), np.float64)
        self.radius = radius

    def contains(self, x: Any) -> bool:
        return bool(np.hypot(*x) <= self.radius)

    def sample(self, *_: Any, **__: Any) -> Any:
        return self.np_random.uniform(-0.5, 0.5, 2) * self.radius


@pytest.fixture
def registered() -> Iterator[None]:
    @serialize_space.register(Disc)
    def write(space: Disc, to_string: bool = True) -> Any:
        fields = {"type": "Disc", "radius": space.radius}
        return json.dumps(fields) if to_string else fields

    @deserialize_space.register("Disc")
    def read(fields: dict[str, Any]) -> Disc:
        return Disc(fields["radius"])

    yield
    forget()


def forget() -> None:
    own_spaces.register_space_writer(Disc, own_spaces.write_own_space.dispatch(object))
    own_spaces._readers.clear()


def create(name: str, space: Space[Any], data_format: str = "columnar") -> MinariDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MinariWarning)
        return create_dataset_from_buffers(
            name,
            [simple_episode(number, 3) for number in range(2)],
            observation_space=space,
            action_space=MOVE,
            data_format=data_format,
        )


def list_warnings(record: Any) -> list[str]:
    return [str(each.message) for each in record if "subclasses" in str(each.message)]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_space_of_a_subclass_is_kept_as_that_of_its_base_with_one_warning(
    data_format: str,
) -> None:
    space = RoundBox(-np.inf, np.inf, (2,), np.float64)
    with pytest.warns(MinariWarning) as record:
        dataset = create_dataset_from_buffers(
            "tests/own-v0",
            [simple_episode(0, 3)],
            observation_space=space,
            action_space=MOVE,
            data_format=data_format,
        )
    (message,) = list_warnings(record)
    assert re.search(r"observation_space \(.*RoundBox\)", message)
    assert record[0].filename == __file__
    assert type(load_dataset(dataset.id).observation_space) is spaces.Box
    assert dataset.observation_space == POSITION
    assert is_same_space(dataset.observation_space, space)
    dataset.update_dataset_from_buffer([simple_episode(0, 2)])
    assert verify_dataset(dataset.id).problems == ()


def test_every_subclass_within_a_space_is_named_in_one_warning() -> None:
    class Three(spaces.Discrete):
        pass

    inner = spaces.Tuple([Three(3), RoundBox(0, 1)])
    with pytest.warns(MinariWarning) as record:
        text = space_to_json(spaces.Dict(a=inner), "action")
    (message,) = list_warnings(record)
    assert 'action["a"][0]' in message
    assert 'action["a"][1]' in message
    read = space_from_json(text)
    assert read == spaces.Dict(a=spaces.Tuple([spaces.Discrete(3), spaces.Box(0, 1)]))


def test_what_a_collector_records_of_a_subclass_is_kept_with_one_warning() -> None:
    env = gymnasium.make("CartPole-v1")
    whole = env.observation_space
    assert isinstance(whole, spaces.Box)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        collector = DataCollectorV0(env, observation_space=RoundBox(whole.low, whole.high))
        collector.reset(seed=0)
        for _ in range(3):
            collector.step(0)
        dataset = create_dataset_from_collector_env("tests/own-v0", collector)
        collector.step(0)
        dataset.update_dataset_from_collector_env(collector)
        collector.close()
    assert len(list_warnings(record)) == 1
    assert dataset.observation_space == whole
    assert dataset.total_steps == 4


@pytest.mark.usefixtures("registered")
def test_a_registered_space_is_collected_and_lies_within_others() -> None:
    class Wandering(gymnasium.Env[Any, Any]):
        observation_space = spaces.Dict(place=Disc(2.0), number=MOVE)
        action_space = spaces.Discrete(2)

        def reset(self, **_: Any) -> Any:
            return {"place": np.zeros(2), "number": 0}, {}

        def step(self, action: int) -> Any:
            return {"place": np.full(2, float(action) * 9), "number": 1}, 0.0, False, False, {}

    collector = DataCollectorV0(Wandering())
    collector.reset()
    for action in (0, 1):
        collector.step(action)
    with pytest.warns(MinariWarning, match=r"not in .*Disc"):
        dataset = create_dataset_from_collector_env("tests/own-v0", collector)
    collector.close()
    inner = load_dataset(dataset.id).observation_space
    assert isinstance(inner, spaces.Dict)
    assert isinstance(inner["place"], Disc)
    assert dataset[0].observations["place"].tolist() == [[0, 0], [0, 0], [9, 9]]


@pytest.mark.usefixtures("registered")
def test_registered_functions_that_fail_are_named() -> None:
    text = space_to_json(Disc(1.0))
    assert isinstance(deserialize_space(text), Disc)
    assert serialize_space(Disc(1.0), to_string=False) == {"type": "Disc", "radius": 1.0}

    @deserialize_space.register("Disc")
    def read(fields: dict[str, Any]) -> int:
        return int(fields["size"])

    with pytest.raises(SpaceError, match="registered for type 'Disc' fails: KeyError"):
        space_from_json(text)
    with pytest.raises(SpaceError, match="returned 3, not a space"):
        space_from_json('{"type":"Disc","size":3}')

    @serialize_space.register(Disc)
    def write(space: Disc, to_string: bool = True) -> Any:
        return {"radius": space.radius}

    with pytest.raises(SpaceError, match='no object with text as its "type"'):
        space_to_json(Disc(1.0))


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_type_that_nobody_has_registered_is_no_damage(data_format: str, registered: None) -> None:
    folder = Path(str(create("tests/own-v0", Disc(4.0), data_format).spec.data_path))
    before = (folder / "metadata.json").read_bytes()
    forget()
    way_out = r"unknown type 'Disc'.*deserialize_space\.register\('Disc'\).*observation_space="
    with pytest.raises(UnknownSpaceError, match=way_out):
        _ = load_dataset("tests/own-v0").observation_space
    report = verify_dataset("tests/own-v0")
    assert report.problems == ()
    (remark,) = report.remarks
    assert (remark.file, remark.column) == ("metadata.json", "observation_space")
    assert re.match(way_out, remark.message)
    assert list(list_local_datasets()) == ["tests/own-v0"]
    disc = Disc(4.0)
    dataset = load_dataset("tests/own-v0", observation_space=disc)
    assert dataset.observation_space is disc
    assert len(dataset[0].observations) == 4
    dataset.update_dataset_from_buffer([simple_episode(0, 2)])
    copy = convert_dataset(dataset, "tests/copied-v0", data_format=data_format)
    metadata = json.loads((Path(str(copy.spec.data_path)) / "metadata.json").read_bytes())
    assert json.loads(metadata["observation_space"]) == {"type": "Disc", "radius": 4.0}
    assert json.loads(before)["total_episodes"] == 2


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_needs_no_space_is_verified_of_a_dataset_whose_space_is_unknown(
    data_format: str, registered: None
) -> None:
    folder = Path(str(create("tests/own-v0", Disc(4.0), data_format).spec.data_path))
    forget()
    pattern = {"columnar": "shard-*", "hdf5": "main_data.hdf5"}.get(data_format, "1/part-0.*")
    (data,) = folder.glob(pattern)
    content = data.read_bytes()
    place = len(content) // 2
    if data_format == "hdf5":
        place = content.index(np.linspace(-1, 1, 3).tobytes()) + 1
    data.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    (problem,) = verify_dataset("tests/own-v0").problems
    assert "CRC-32" in problem.message
    data.unlink()
    assert verify_dataset("tests/own-v0").problems


def test_nothing_of_a_dataset_is_called_sound_that_only_its_unknown_space_could_tell(
    registered: None,
) -> None:
    folder = Path(str(create("tests/own-v0", Disc(4.0), "hdf5").spec.data_path))
    forget()
    metadata = folder / "metadata.json"
    content = json.loads(metadata.read_bytes())
    del content["minari_core"]
    metadata.write_text(json.dumps(content))
    (problem,) = verify_dataset("tests/own-v0").problems
    assert "the first of 2 that have no checksums" in problem.message


def test_the_command_line_says_which_space_of_which_dataset_is_unknown(
    registered: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create("tests/own-v0", Disc(4.0))
    forget()
    minari = CommandLine(app, "minari", capsys, monkeypatch)
    shown = " ".join(minari("show", "tests/own-v0").out.split())
    assert "only a program that knows the type can read it" in shown
    done = minari("verify", "tests/own-v0")
    assert done.code == 0
    assert done.out.startswith("tests/own-v0: ok (2 episodes")
    said = " ".join(done.err.split())
    assert "tests/own-v0: metadata.json: observation_space: unknown type 'Disc', which" in said
    assert "only a program that knows the type can read it" in said
    assert "load_dataset" not in said


def test_a_space_that_is_given_where_the_dataset_says_another_is_refused() -> None:
    dataset = create("tests/plain-v0", POSITION)
    assert load_dataset(dataset.id, observation_space=POSITION, action_space=MOVE).total_steps == 6
    with pytest.raises(SpaceError, match=r"its action_space is Discrete\(3\), not Discrete\(4\)"):
        load_dataset(dataset.id, action_space=spaces.Discrete(4))


def test_gymnasiums_own_spaces_that_were_written_in_another_way_are_read_so() -> None:
    text = '{"type":"Sequence","of":3}'
    with pytest.raises(SpaceError, match='"stack" is missing'):
        space_from_json(text)
    try:

        @deserialize_space.register("Sequence")
        def read(fields: dict[str, Any]) -> Any:
            return spaces.Sequence(spaces.Discrete(fields["of"]))

        assert space_from_json(text) == spaces.Sequence(spaces.Discrete(3))
    finally:
        forget()
