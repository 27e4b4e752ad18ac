"""What an episode's group must hold, and what is said of one that holds something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.hdf5.checksums import (
    compute_attribute_checksums,
    compute_contents_checksum,
    has_replaced_attributes,
)
from minari_core.formats.public.hdf5.file import Hdf5File
from minari_core.formats.public.hdf5.new_objects import create_guarded_group
from minari_core.formats.public.hdf5.reader import EpisodeReader
from minari_core.formats.public.jpeg import encode_jpegs

STEPS = 3
FLAT = spaces.Box(-9, 9, (2,), np.float32)
NESTED = spaces.Dict(
    a=FLAT, deep=spaces.Tuple([spaces.Discrete(3), spaces.Dict(b=spaces.MultiBinary(2))])
)
IMAGES = spaces.Box(0, 255, (2, 4), np.uint8)
Edit = Callable[[Any], object]


def write(path: Path, space: spaces.Space[Any], *edits: Edit) -> Path:
    """A file of one episode, as the public Minari has it, and then edited."""
    path.unlink(missing_ok=True)  # HDF5 does not begin a file anew that it has open
    with h5py.File(path, "w") as file:
        group = file.create_group("episode_0")
        group.attrs.update({"seed": 5, "options/low": 0.5, "word": "x"})
        if space is NESTED:
            group["observations/a"] = np.arange(8, dtype=np.float32).reshape(4, 2)
            group["observations/deep/_index_0"] = np.arange(4)
            group["observations/deep/_index_1/b"] = np.ones((4, 2), np.int8)
        elif space is IMAGES:
            group["observations"] = np.arange(32, dtype=np.uint8).reshape(4, 2, 4)
        else:
            group["observations"] = np.arange(8, dtype=np.float32).reshape(4, 2)
        group["actions"] = np.arange(STEPS)
        group["rewards"] = np.arange(STEPS, dtype=np.float32)
        group["terminations"] = np.array([0, 0, 2], np.int8)
        group["truncations"] = np.zeros(STEPS, bool)
        group["infos/x"] = np.arange(4.0)
        group["infos/inner/y"] = np.arange(STEPS)
        for edit in edits:
            edit(group)
    return path


def put(name: str, value: Any) -> Edit:
    """Replace a dataset, or a group by a dataset; None removes it, and a dict is a group."""

    def edit(group: Any) -> None:
        if name in group:
            del group[name]
        if isinstance(value, dict):
            group.create_group(name)
        elif value is not None:
            group[name] = value

    return edit


@contextmanager
def by_the_library_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hdf5File, "plain_episode", lambda *_, **__: None)
        yield


def read_in_both_ways(path: Path, space: spaces.Space[Any], **options: Any) -> Any:
    """The episode as it is read at once, and by the library alone; or what both say of it."""
    outcomes: list[Any] = []
    for by_library in (False, True):
        with Hdf5File(path) as file:
            reader = EpisodeReader(
                file, space, spaces.Discrete(9), **{"repair_images": False, **options}
            )
            with by_the_library_alone() if by_library else nullcontext():
                try:
                    outcomes.append(reader.read(0))
                except Exception as error:  # whoever calls it names the file
                    outcomes.append(str(error))
    one, other = outcomes
    assert repr(one) == repr(other)
    assert isinstance(one, str) or _flatten(one) == _flatten(other)
    return one


def _flatten(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _flatten(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return [(name, _flatten(part)) for name, part in value.items()]
    if isinstance(value, tuple):
        return [_flatten(part) for part in value]
    return (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("space", [FLAT, NESTED, IMAGES], ids=["flat", "nested", "images"])
@pytest.mark.parametrize("rows", [STEPS, STEPS + 1])
def test_an_episode_is_read_with_all_that_its_group_holds(
    tmp_path: Path, space: Any, rows: int
) -> None:
    leaves = ["/a", "/deep/_index_0", "/deep/_index_1/b"] if space is NESTED else [""]

    def shorten(group: Any) -> None:
        for leaf in leaves:
            put(f"observations{leaf}", group[f"observations{leaf}"][:rows])(group)

    path = write(
        tmp_path / "one.hdf5", space, shorten, put("late", np.arange(4)), put("early/z", np.ones(4))
    )

    episode = read_in_both_ways(path, space)

    assert episode.rewards.tolist() == [0, 1, 2]
    assert episode.rewards.dtype == np.float64
    assert episode.terminations.tolist() == [False, False, True]
    assert episode.terminations.dtype == np.bool_
    assert episode.truncations.tolist() == [False] * 3
    assert episode.actions.tolist() == [0, 1, 2]
    assert list(episode.infos) == ["inner", "x"]
    assert episode.infos["inner"]["y"].tolist() == [0, 1, 2]
    assert (episode.seed, episode.options, episode.metadata) == (5, {"low": 0.5}, {"word": "x"})
    assert list(episode.extras) == ["early", "late"]
    assert episode.extras["late"].tolist() == [0, 1, 2, 3]
    if space is NESTED:
        assert list(episode.observations) == ["a", "deep"]
        assert episode.observations["deep"][0].tolist() == list(range(rows))
        assert episode.observations["deep"][1]["b"].shape == (rows, 2)
    else:
        assert len(episode.observations) == rows


FAULTS: list[tuple[Any, str, Any, str]] = [
    (FLAT, "observations", None, "it has no observations"),
    (FLAT, "rewards", None, "it has no rewards"),
    (FLAT, "rewards", np.float64(1), r"rewards are float64 of shape ()"),
    (FLAT, "rewards", np.zeros(STEPS, complex), "rewards are complex128 of shape (3,)"),
    (FLAT, "rewards", {}, "rewards is a group, not a dataset"),
    (FLAT, "observations", np.zeros((5, 2)), "observations has 5 rows, not 4"),
    (FLAT, "observations", np.zeros((2, 2)), "observations has 2 rows, not 4"),
    (FLAT, "observations", np.zeros(()), "observations is float64 of shape ()"),
    (FLAT, "observations", {}, "observations is a group, not a dataset"),
    (FLAT, "observations", np.array([b"a"] * 4), "observations is |S1 of shape (4,)"),
    (FLAT, "actions", np.zeros(4), "actions has 4 rows, not 3"),
    (FLAT, "actions", np.zeros(2), "actions has 2 rows, not 3"),
    (FLAT, "actions", {}, "actions is a group, not a dataset"),
    (FLAT, "infos", np.zeros(4), "infos is a dataset, not a group"),
    (NESTED, "observations/deep", np.zeros(4), "what should hold _index_0 is not a group"),
    (NESTED, "observations/a", np.zeros((5, 2)), "observations['a'] has 5 rows, not 4"),
    (NESTED, "observations/deep/_index_0", np.zeros(2), "observations['deep'][0] has 2 rows"),
    (NESTED, "observations/deep/_index_1/b", {}, "observations['deep'][1]['b'] is a group"),
    *(
        (FLAT, name, value, f"{name} {said}")
        for name in ("terminations", "truncations")
        for value, said in [
            (np.zeros(4, bool), "are bool of shape (4,)"),
            (np.zeros(2, bool), "are bool of shape (2,)"),
            (np.zeros((3, 1), bool), "are bool of shape (3, 1)"),
            (np.zeros(3, complex), "are complex128 of shape (3,)"),
            (np.array([b"a"] * 3), "are |S1 of shape (3,)"),
            ({}, "is a group, not a dataset"),
        ]
    ),
]


@pytest.mark.parametrize(("space", "name", "value", "told"), FAULTS)
def test_what_does_not_fit_is_told_by_whoever_reads_it(
    tmp_path: Path, space: Any, name: str, value: Any, told: str
) -> None:
    said = read_in_both_ways(write(tmp_path / "one.hdf5", space, put(name, value)), space)
    assert isinstance(said, str), said
    assert told in said


def test_all_columns_that_are_missing_are_told_and_infos_may_be(tmp_path: Path) -> None:
    said = read_in_both_ways(
        write(tmp_path / "one.hdf5", FLAT, put("actions", None), put("truncations", None)), FLAT
    )
    assert said == "it has no actions, truncations"
    found = read_in_both_ways(write(tmp_path / "one.hdf5", FLAT, put("infos", None)), FLAT)
    assert found.infos == {}


COLUMNS = json.dumps([[["infos", "own"], {"kind": "fixed", "dtype": "<f8", "shape": []}]])
SIDECAR = [
    put("minari_core/columns", np.frombuffer(COLUMNS.encode(), np.uint8)),
    put("minari_core/0", np.arange(4.0)),
]


def _say_in_an_attribute(group: Any) -> None:
    del group["minari_core/columns"]
    group["minari_core"].attrs["columns"] = COLUMNS


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([], None),
        ([_say_in_an_attribute], None),
        ([put("minari_core/1", np.zeros(4))], "belong to no column"),
        ([put("minari_core/0", None)], "the arrays of infos/own are missing"),
        ([put("minari_core/0", np.zeros(5))], "an array has 5 rows where 4 belong"),
        ([put("minari_core/0", {})], "0 is a group, not a dataset"),
        ([put("minari_core/other", {})], ""),
        ([put("minari_core/other", np.zeros(4))], ""),
        ([put("minari_core/columns", None)], ""),
        ([put("minari_core", np.zeros(4))], ""),
    ],
)
def test_what_lies_beside_an_episode_is_read_or_damage(
    tmp_path: Path, edits: list[Edit], told: str | None
) -> None:
    found = read_in_both_ways(write(tmp_path / "one.hdf5", FLAT, *SIDECAR, *edits), FLAT)
    if told is None:
        assert found.infos["own"].tolist() == [0, 1, 2, 3]
        assert list(found.extras) == []
    else:
        assert isinstance(found, str)
        assert told in found


def test_rows_of_an_image_are_its_pixels_or_a_file_of_it(tmp_path: Path) -> None:
    images = np.full((4, 2, 4), 90, np.uint8)
    frames = [np.frombuffer(each, np.uint8) for each in encode_jpegs(images, "x")]
    longest = max(map(len, frames))
    padded = np.stack([np.pad(frame, (0, longest - len(frame))) for frame in frames])
    path = write(tmp_path / "one.hdf5", IMAGES, put("observations", padded))
    found = read_in_both_ways(path, IMAGES)
    assert found.observations.shape == (4, 2, 4)
    assert np.abs(found.observations.astype(int) - 90).max() < 3
    # What only looks like one, in infos, stays what it is unless it is to be repaired.
    path = write(
        tmp_path / "one.hdf5", FLAT, put("infos/seen", padded), put("infos/few", padded[:, ::-1])
    )
    assert read_in_both_ways(path, FLAT).infos["seen"].shape == padded.shape
    mended = read_in_both_ways(path, FLAT, repair_images=True).infos
    assert mended["seen"].shape == (4, 2, 4)
    assert mended["few"].tolist() == padded[:, ::-1].tolist()


def test_texts_are_read_in_rows_and_in_tables(tmp_path: Path) -> None:
    texts = np.array(["ä", "", "c", "d"], dtype=h5py.string_dtype())
    path = write(
        tmp_path / "one.hdf5",
        FLAT,
        put("infos/words", texts),
        put("infos/bytes", np.array([b"ab", b"c", b"", b"d"])),
        put("infos/table", texts.reshape(2, 2)),
    )
    infos = read_in_both_ways(path, FLAT).infos
    assert infos["words"] == ["ä", "", "c", "d"]
    assert infos["bytes"] == ["ab", "c", "", "d"]
    assert infos["table"] == [["ä".encode(), b""], [b"c", b"d"]]
    path = write(tmp_path / "one.hdf5", FLAT, put("observations", texts))
    assert read_in_both_ways(path, spaces.Text(3)).observations == ["ä", "", "c", "d"]
    path = write(tmp_path / "one.hdf5", FLAT)
    assert "text is stored as float32" in read_in_both_ways(path, spaces.Text(3))
    path = write(tmp_path / "one.hdf5", FLAT, put("observations", texts.reshape(4, 1)))
    assert "text is stored as object of shape (4, 1)" in read_in_both_ways(path, spaces.Text(3))


def test_attributes_are_numbers_texts_and_lists_of_them(tmp_path: Path) -> None:
    def describe(group: Any) -> None:
        group.attrs["empty"] = h5py.Empty("f8")
        group.attrs["texts"] = ["a", "ü"]
        group.attrs["bytes"] = np.bytes_(b"raw")
        group.attrs["row"] = np.arange(3)
        group.attrs["number"] = np.float32(0.5)
        del group["late"]

    path = write(tmp_path / "one.hdf5", FLAT, put("late", np.arange(4)), describe)
    metadata = read_in_both_ways(path, FLAT).metadata
    assert metadata.pop("row").tolist() == [0, 1, 2]
    assert metadata == {"word": "x", "texts": ["a", "ü"], "bytes": "raw", "number": 0.5}
    with Hdf5File(path) as file:
        reader = EpisodeReader(file, FLAT, spaces.Discrete(9), repair_images=False)
        attributes, entry = reader.read_attributes(0)
        assert attributes["total_steps"] == STEPS
        assert entry is None
        assert reader.read_sidecar(0) is None
        assert reader.count_observations(0) == STEPS + 1


@pytest.mark.parametrize(
    ("space", "rows"),
    [
        (FLAT, 4),
        (NESTED, 4),
        (spaces.Dict(), None),
        (spaces.Tuple([]), None),
        (spaces.Dict(deep=spaces.Tuple([FLAT])), 4),
    ],
)
def test_the_first_column_of_a_space_tells_its_rows(
    tmp_path: Path, space: Any, rows: int | None
) -> None:
    with Hdf5File(write(tmp_path / "one.hdf5", FLAT if space is FLAT else NESTED)) as file:
        reader = EpisodeReader(file, space, spaces.Discrete(9), repair_images=False)
        assert reader.count_observations(0) == rows
    with Hdf5File(write(tmp_path / "one.hdf5", FLAT, put("observations", 1.0))) as file:
        reader = EpisodeReader(file, FLAT, spaces.Discrete(9), repair_images=False)
        assert reader.count_observations(0) is None


def _link_softly(file: Any) -> None:
    file["episode_0"] = h5py.SoftLink("/other")


def _link_to(target: str, inside: str) -> Edit:
    def link(file: Any) -> None:
        file["episode_0"] = h5py.ExternalLink(target, inside)

    return link


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda file: None, "is missing"),
        (_link_softly, "is a link to another place"),
        (lambda file: file.create_dataset("episode_0", data=1), "is not a group"),
        (lambda file: file.__setitem__("episode_0", np.dtype("f8")), "where a dataset belongs"),
        (_link_to("beside.hdf5", "/deeper/episode_0"), "which is no episode"),
        (_link_to("link.hdf5", "/episode_0"), "link.hdf5 is a link"),
        (_link_to("a\\b.hdf5", "/episode_0"), "leads out of the dataset's folder"),
        (_link_to("none.hdf5", "/episode_0"), "none.hdf5"),
        (_link_to("beside.hdf5", "/number"), "is not a group"),
    ],
)
def test_an_episode_is_a_group_of_the_file_or_of_one_beside_it(
    tmp_path: Path, edit: Edit, told: str
) -> None:
    beside = write(tmp_path / "beside.hdf5", FLAT)
    with h5py.File(beside, "a") as file:
        file["number"] = 1
        file["deeper/episode_0"] = file["episode_0"]
    (tmp_path / "link.hdf5").symlink_to(beside)
    path = tmp_path / "main.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("other")
        edit(file)
    with closing(Hdf5File(path)) as opened, pytest.raises(DatasetDamagedError) as raised:
        opened.episode(0)
    assert f"episode 0 of {path}" in str(raised.value)
    assert told in str(raised.value)


@pytest.mark.parametrize("inside", ["episode_0", "/episode_0"])
def test_an_episode_beside_its_file_may_take_what_that_one_may(tmp_path: Path, inside: str) -> None:
    write(tmp_path / "beside.hdf5", FLAT)
    with h5py.File(tmp_path / "main.hdf5", "w") as file:
        for number in range(3):
            file[f"episode_{number}"] = h5py.ExternalLink("beside.hdf5", inside)
    with Hdf5File(tmp_path / "main.hdf5") as file, Hdf5File(tmp_path / "beside.hdf5") as beside:
        left, other = file.budget.left, beside.budget.left
        reader = EpisodeReader(file, FLAT, spaces.Discrete(9), repair_images=False)
        found = [reader.read(number) for number in range(3)]
        read = sum(array.nbytes for array in (found[0].observations, found[0].actions))
        assert left + other - file.budget.left >= 3 * read
        assert file.budget.left < left + other <= file.budget.left + (1 << 12)
        assert [each.observations.tolist() for each in found] == [
            found[0].observations.tolist()
        ] * 3


def test_a_checksum_of_contents_changes_with_whatever_is_read(tmp_path: Path) -> None:
    texts = np.array(["a", "bc"], dtype=h5py.string_dtype())
    ragged = np.empty(2, object)
    ragged[:] = [np.array([1, 2], np.int8), np.array([3], np.int8)]
    edits: dict[str, list[Edit]] = {
        "same": [],
        "value": [put("actions", np.array([0, 1, 3]))],
        "type": [put("actions", np.arange(3, dtype=np.int32))],
        "kind": [put("actions", np.arange(3.0))],
        "order": [put("actions", np.arange(3, dtype=">i8"))],
        "shape": [put("actions", np.arange(3).reshape(3, 1))],
        "axes": [put("actions", np.arange(3).reshape(1, 3))],
        "name": [put("actions", None), put("action", np.arange(3))],
        "level": [put("infos/inner/y", None), put("infos/y", np.arange(STEPS))],
        "empty group": [put("infos/none", {})],
        "texts": [put("infos/t", texts)],
        "texts joined otherwise": [put("infos/t", np.array(["ab", "c"], h5py.string_dtype()))],
        "text": [put("infos/t", np.array(["a", "bd"], dtype=h5py.string_dtype()))],
        "rows": [
            lambda group: group["infos"].create_dataset(
                "r", data=ragged, dtype=h5py.vlen_dtype("i1")
            )
        ],
    }
    found: dict[str, int] = {}
    for name, changes in edits.items():
        path = write(tmp_path / "one.hdf5", FLAT, *changes)
        found[name] = checksum = _checksum(path)
        (tmp_path / "moved.hdf5").unlink(missing_ok=True)
        with h5py.File(path) as old, h5py.File(tmp_path / "moved.hdf5", "w") as new:
            new["before"] = np.zeros(1000)
            old.copy("episode_0", new)
        assert _checksum(tmp_path / "moved.hdf5") == checksum
        with by_the_library_alone():
            assert _checksum(path) == checksum
    assert len(set(found.values())) == len(found)


def _checksum(path: Path) -> int:
    with Hdf5File(path) as file:
        return compute_contents_checksum(file, 0)


@pytest.mark.parametrize("is_guarded", [True, False])
def test_checksums_of_attributes_tell_those_that_were_added_and_replaced(
    tmp_path: Path, is_guarded: bool
) -> None:
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        group = (
            create_guarded_group(file, "episode_0")
            if is_guarded
            else file.create_group("episode_0")
        )
        group.attrs.update({"b": 1, "a": "x"})
    before, replaced = _attribute_checksums(path)
    assert len(set(before)) == 3
    assert before[0] == 0
    assert not (is_guarded and replaced)
    with h5py.File(path, "a") as file:
        file["episode_0"].attrs["aa"] = np.arange(2)
    after, replaced = _attribute_checksums(path)
    # Those that are numbered are in the order of their making, others in that of their names.
    assert (before[-1] in after) == is_guarded
    assert not (is_guarded and replaced)
    with h5py.File(path, "a") as file:
        file["episode_0"].attrs["b"] = 2
    changed, replaced = _attribute_checksums(path)
    assert changed[-1] not in after
    assert replaced or not is_guarded


def _attribute_checksums(path: Path) -> tuple[list[int], bool]:
    with Hdf5File(path) as file:
        return list(compute_attribute_checksums(file, 0)), has_replaced_attributes(file, 0)
