"""Datasets written as RLDS and read again; what TensorFlow Datasets reads is in interop."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import minari
from minari import DataError, DatasetDamagedError, MinariDataset
from minari.interchange.rlds.examples import decode_example, encode_example
from minari.interchange.rlds.records import iterate_records, write_record
from minari_core.errors import MinariError
from tests.minari.interchange.conformance import LayoutConformance
from tests.minari.interchange.lerobot.helpers import make_rich_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

INT64 = st.integers(-(2**63), 2**63 - 1)


class TestRlds(LayoutConformance):
    layout: ClassVar[str] = "rlds"
    file_name: ClassVar[str] = "rich"
    kept_apart: ClassVar[frozenset[str]] = frozenset(
        {"seeds", "options", "episode metadata", "truncations", "dataset metadata"}
        | {"infos/note", "infos/ragged"}
    )

    def make_dataset(self) -> MinariDataset:
        return make_rich_dataset(without=("nothing",))


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(st.binary(max_size=9), max_size=4)
        | arrays.arrays(np.int64, st.integers(0, 6), elements=INT64)
        | arrays.arrays(np.float32, st.integers(0, 6)),
        max_size=4,
    )
)
def test_any_example_is_decoded_to_what_was_encoded(features: dict[str, Any]) -> None:
    found = decode_example(encode_example(features))

    assert found.keys() == features.keys()
    for name, values in features.items():
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(values))


def test_records_and_examples_are_the_bytes_that_tensorflow_writes() -> None:
    file = io.BytesIO()
    write_record(file, b"123456789")
    # The length and its checksum; the record, and its checksum: 0xE3069283, rotated and shifted.
    assert file.getvalue() == bytes.fromhex("0900000000000000 37f97139 313233343536373839 e5b08ac7")

    features: dict[str, Any] = {
        "a": [b"xy", b""],
        "b": np.array([1.5], np.float32),
        "c": np.array([1, 300, -1]),
    }
    assert encode_example(features) == bytes.fromhex(
        "0a36"
        " 0a0d 0a0161 1208 0a06 0a027879 0a00"
        " 0a0d 0a0162 1208 1206 0a04 0000c03f"
        " 0a16 0a0163 1211 1a0f 0a0d 01 ac02 ffffffffffffffffff01"
    )


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_bytes_that_are_no_example_are_an_error_of_one_kind(message: bytes) -> None:
    try:
        decode_example(message)
    except ValueError:
        return


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two episodes that say nothing of where they come from."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    dataset = minari.create_dataset_from_buffers(
        "plain-v0",
        [
            minari.EpisodeBuffer(
                observations=np.arange(2.0 * (steps + 1)).reshape(-1, 2),
                actions=np.arange(steps, dtype=np.float32)[:, None],
                rewards=np.arange(steps) / 10,
                terminations=np.arange(steps) == (steps - 1 if steps == 3 else -1),
                truncations=np.arange(steps) == (steps - 1 if steps == 2 else -1),
            )
            for steps in (3, 2)
        ],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Box(-1, 1, (1,), np.float32),
    )
    minari.export_dataset(dataset, tmp_path / "plain", "rlds")
    (tmp_path / "plain/minari.json").unlink()
    return tmp_path / "plain"


def test_the_last_step_is_the_final_observation_by_the_rules_of_rlds(root: Path) -> None:
    made = minari.import_dataset(root, "made-v0")

    assert [len(episode) for episode in made] == [3, 2]
    assert made[0].observations.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert made[0].observations.dtype == np.float64
    assert made[0].rewards.tolist() == [0.0, 0.1, 0.2]
    assert made[0].terminations.tolist() == [False, False, True]
    assert made[1].truncations.tolist() == [False, True]
    assert made[1].infos["discount"].tolist() == [1.0, 1.0, 1.0]


def test_the_last_step_can_be_a_transition_that_led_nobody_knows_where(root: Path) -> None:
    losses: list[Any] = []

    made = minari.import_dataset(root, "made-v0", last_step="transition", losses=losses)

    assert [len(episode) for episode in made] == [4, 3]
    assert not made[0].final_observation_known
    assert "final observations" in [loss.what for loss in losses]


def test_a_changed_byte_is_found_by_its_checksum(root: Path) -> None:
    (file,) = root.glob("*.tfrecord*")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(bytes(whole))

    with pytest.raises(DatasetDamagedError, match=r"record \d: its checksum differs"):
        minari.import_dataset(root, "made-v0")
    assert "made-v0" not in minari.list_local_datasets()


def test_a_length_that_is_more_than_the_file_is_not_believed(root: Path) -> None:
    from minari.interchange.rlds.records import _mask

    (file,) = root.glob("*.tfrecord*")
    length = (1 << 60).to_bytes(8, "little")
    file.write_bytes(length + _mask(length).to_bytes(4, "little") + b"short")

    with pytest.raises(DatasetDamagedError, match="more than there are"):
        minari.import_dataset(root, "made-v0")


@pytest.mark.parametrize("name", ["../{SPLIT}", "/etc/{SPLIT}", "a/{SPLIT}"])
def test_files_elsewhere_are_not_read(name: str, root: Path) -> None:
    path = root / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["filepathTemplate"] = name
    path.write_text(json.dumps(info))

    with pytest.raises(DataError, match="no file beside it"):
        minari.import_dataset(root, "made-v0")


def test_a_feature_of_another_shape_is_named(root: Path) -> None:
    path = root / "features.json"
    path.write_text(path.read_text().replace('"1"', '"5"'))

    with pytest.raises(MinariError, match=r"episode 0: steps/action has 4 values"):
        minari.import_dataset(root, "made-v0")


def test_without_is_terminal_the_end_of_episodes_is_asked_for(root: Path) -> None:
    path = root / "features.json"
    features = json.loads(path.read_text())
    del features["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"][
        "features"
    ]["is_terminal"]
    path.write_text(json.dumps(features))

    with pytest.raises(DataError, match="give ends='terminated'"):
        minari.import_dataset(root, "made-v0")
    made = minari.import_dataset(root, "made-v0", ends="truncated")
    assert all(episode.truncations[-1] for episode in made)


def test_what_is_written_says_how_much_it_is(root: Path) -> None:
    (split,) = json.loads((root / "dataset_info.json").read_text())["splits"]
    files = sorted(root.glob("*.tfrecord*"))
    assert split["numBytes"] == str(sum(path.stat().st_size for path in files))
    assert split["shardLengths"] == [str(len(list(iterate_records(path)))) for path in files]


def make_unknown_dataset() -> MinariDataset:
    """Two episodes that were terminated, nobody knows where."""
    return minari.create_dataset_from_arrays(
        "unknown-v0",
        observations=np.arange(6.0)[:, None],
        actions=np.zeros((6, 1)),
        rewards=np.arange(6.0),
        terminals=np.arange(6) % 3 == 2,
    )


def test_no_observation_is_called_terminal_where_the_final_one_is_unknown(root: Path) -> None:
    path = root.with_name("unknown")
    losses = minari.export_dataset(make_unknown_dataset(), path, "rlds")

    assert "final observations" in {loss.what for loss in losses}
    own = minari.import_dataset(path, "own-v0")
    assert [episode.terminations.tolist() for episode in own] == [[False, False, True]] * 2
    assert not own[0].final_observation_known
    (path / "minari.json").unlink()
    made = minari.import_dataset(path, "made-v0")
    assert [episode.rewards.tolist() for episode in made] == [[0, 1], [3, 4]]
    assert not any(episode.terminations.any() for episode in made)
