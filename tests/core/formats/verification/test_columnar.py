"""`verify_dataset` finds every kind of damage, says where it is, and is silent about the rest."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import VerificationReport, load_dataset, verify_dataset
from minari_core.columns import Schema, schema_from_json
from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.errors import (
    DatasetDamagedError,
    DatasetIdError,
    DatasetNotFoundError,
    FormatError,
)
from minari_core.files import LOCK_NAME
from minari_core.formats.columnar.manifest import STATISTICS_NAME, compute_snapshot_checksum
from minari_core.formats.shards.file_check import compute_checksum
from minari_core.formats.verification import columnar

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")

DATASET_ID = "verified/everything-v0"
OBSERVATION_SPACE = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (64, 64, 3), np.uint8),
        "graph": spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(3)),
        "mission": spaces.Text(12),
        "parts": spaces.Sequence(spaces.Box(-1, 1, (2,)), stack=True),
        "speed": spaces.Box(-10, 10, (3,), np.float32),
        # The oldest Gymnasium has no OneOf.
        **({"tool": spaces.OneOf([spaces.Discrete(4), spaces.Text(5)])} if ONE_OF else {}),
    },
    seed=3,
)
ACTION_SPACE = spaces.Discrete(5, seed=4)


def episode_of(steps: int, generator: np.random.Generator) -> minari_core.EpisodeBuffer:
    rows = [OBSERVATION_SPACE.sample() for _ in range(steps + 1)]
    return minari_core.EpisodeBuffer(
        observations={key: [row[key] for row in rows] for key in OBSERVATION_SPACE.spaces},
        actions=[ACTION_SPACE.sample() for _ in range(steps)],
        rewards=generator.normal(size=steps).tolist(),
        terminations=[False] * steps,
        truncations=[False] * (steps - 1) + [True],
        infos={
            "route": [generator.normal(size=(row % 3, 2)) for row in range(steps + 1)],
            "note": [f"step {row}" for row in range(steps + 1)],
            "seen": [None if row % 2 else row for row in range(steps + 1)],
        },
    )


def make_dataset(dataset_id: str = DATASET_ID) -> minari_core.MinariDataset:
    """Three shards of every kind of column: 9 episodes of 3, 4, 5, 3, 4, 5, … steps."""
    generator = np.random.default_rng(5)
    batches = [[episode_of(steps, generator) for steps in (3, 4, 5)] for _ in range(3)]
    dataset = minari_core.create_dataset_from_buffers(
        dataset_id,
        batches[0],
        observation_space=OBSERVATION_SPACE,
        action_space=ACTION_SPACE,
        env=gym.spec("CartPole-v1"),
    )
    for batch in batches[1:]:
        dataset.update_dataset_from_buffer(batch)
    return dataset


class Stored:
    """A dataset on disk, and the ways to damage it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "metadata.json").read_text())
        return content

    def edit_manifest(self, edit: Callable[[dict[str, Any]], object]) -> None:
        content = self.manifest
        edit(content)
        # With a checksum that fits, as whoever edits a manifest on purpose gives it.
        if isinstance(content.get("columnar"), dict):
            content["columnar"]["crc32"] = compute_snapshot_checksum(content["columnar"])
        (self.folder / "metadata.json").write_text(json.dumps(content))

    def shard(self, number: int) -> Path:
        return self.folder / str(self.manifest["columnar"]["shards"][number]["file"])

    def schema(self, number: int) -> Schema:
        layout = self.manifest["columnar"]
        return schema_from_json(layout["schemas"][layout["shards"][number]["schema"]])

    def places(self, number: int) -> dict[str, tuple[int, int, np.dtype[Any]]]:
        """Offset, rows and dtype of each contiguous array of a shard, by its path."""
        arrays = self.manifest["columnar"]["shards"][number]["arrays"]
        return {
            spec.path: (offset, rows, spec.dtype)
            for spec, (offset, rows) in zip(self.schema(number).arrays, arrays, strict=True)
        }

    def seal(self, number: int) -> None:
        """Make the manifest agree with the size and the checksum of a shard's file.

        The checksums of its blocks are taken out of its trailer, as earlier releases wrote none.
        """
        content = self.shard(number).read_bytes()
        end = struct.Struct("<II8s")
        size, _, magic = end.unpack(content[-end.size :].rjust(end.size))
        if magic == b"\x89MINARI\n":
            tables, text = content[: -end.size - size], content[-end.size - size : -end.size]
            text = json.dumps({**json.loads(text), "block_checksums": None}).encode()
            content = tables + text + end.pack(len(text), zlib.crc32(text), magic)
            self.shard(number).write_bytes(content)

        def edit(manifest: dict[str, Any]) -> None:
            entry = manifest["columnar"]["shards"][number]
            entry["bytes"], entry["crc32"] = len(content), zlib.crc32(content)

        self.edit_manifest(edit)

    def edit_array(self, number: int, path: str, edit: Callable[[Any], object]) -> None:
        """Change an array in a shard's file, and seal the file again."""
        offset, rows, dtype = self.places(number)[path]
        content = bytearray(self.shard(number).read_bytes())
        array = np.frombuffer(content, dtype, rows, offset)
        edit(array)
        del array
        self.shard(number).write_bytes(content)
        self.seal(number)

    def edit_hdf5(self, number: int, edit: Callable[[h5py.File], object]) -> None:
        with h5py.File(self.shard(number), "r+") as file:
            edit(file)
        self.seal(number)


@pytest.fixture
def stored() -> Stored:
    path = make_dataset().storage.data_path
    assert path is not None
    return Stored(path)


def verify() -> VerificationReport:
    return verify_dataset(DATASET_ID)


def told(report: VerificationReport) -> list[str]:
    return [str(problem) for problem in report.problems]


def test_a_sound_dataset_has_no_problem_and_its_counts_are_told(stored: Stored) -> None:
    report = verify()

    assert told(report) == []
    assert report.ok
    assert report.remarks == ()
    assert (report.files, report.total_episodes, report.total_steps) == (3, 9, 36)
    assert report.nbytes == sum(path.stat().st_size for path in stored.folder.glob("*.h5"))
    assert (report.dataset_id, report.data_format) == (DATASET_ID, "columnar")
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


def test_a_recorded_compacted_combined_and_doubled_dataset_is_sound(stored: Stored) -> None:
    dataset = minari_core.load_dataset(DATASET_ID)
    other = make_dataset("verified/other-v0")
    minari_core.combine_datasets([dataset, other], "verified/both-v0")
    minari_core.combine_datasets([dataset, dataset], "verified/twice-v0")
    minari_core.combine_datasets([dataset[1:8]], "verified/some-v0")
    other.compact()

    for name in ("both-v0", "twice-v0", "some-v0", "other-v0"):
        assert told(verify_dataset(f"verified/{name}")) == []


def test_a_dataset_of_fewer_images_than_a_chunk_holds_is_sound() -> None:
    minari_core.create_dataset_from_buffers(
        "verified/small-v0",
        [episode_of(1, np.random.default_rng(0))],
        observation_space=OBSERVATION_SPACE,
        action_space=ACTION_SPACE,
    )

    assert told(verify_dataset("verified/small-v0")) == []


def test_progress_counts_up_to_all_bytes(stored: Stored) -> None:
    calls: list[tuple[int, int]] = []

    report = verify_dataset(DATASET_ID, progress=lambda done, total: calls.append((done, total)))

    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert {total for _, total in calls} == {report.nbytes}
    assert calls[-1] == (report.nbytes, report.nbytes)


def test_nothing_to_verify_is_an_error(datasets_root: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="no-such-v0"):
        verify_dataset("no-such-v0")
    with pytest.raises(DatasetIdError):
        verify_dataset("../etc-v0")
    with pytest.raises(DatasetIdError):
        verify_dataset()


def test_a_flipped_byte_in_any_column_names_the_shard(stored: Stored) -> None:
    whole = stored.shard(1).read_bytes()
    places = stored.places(1)
    flipped = 0
    for path, (offset, rows, dtype) in places.items():
        if offset < 0 or rows == 0:
            continue
        damaged = bytearray(whole)
        damaged[offset + (rows * dtype.itemsize) // 2] ^= 0x40
        stored.shard(1).write_bytes(damaged)

        report = verify()

        assert not report.ok, path
        assert {problem.file for problem in report.problems} == {stored.shard(1).name}, path
        assert any("CRC-32" in text for text in told(report)), path
        flipped += 1
    assert flipped > (30 if ONE_OF else 25)
    stored.shard(1).write_bytes(whole)
    assert verify().ok


def test_a_flipped_byte_anywhere_in_the_file_is_found(stored: Stored) -> None:
    whole = stored.shard(0).read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        stored.shard(0).write_bytes(damaged)

        assert any("CRC-32" in text for text in told(verify())), place


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_file_that_was_cut_short_is_told_with_both_sizes(stored: Stored, kept: int) -> None:
    content = stored.shard(2).read_bytes()
    stored.shard(2).write_bytes(content[:kept])

    (problem,) = verify().problems

    assert problem.file == stored.shard(2).name
    assert f"{len(content[:kept])} bytes, not the {len(content)}" in problem.message
    assert "cut short" in problem.message


def test_a_file_that_has_grown_is_told(stored: Stored) -> None:
    with open(stored.shard(0), "ab") as file:
        file.write(b"more")

    assert "it has grown" in told(verify())[0]


def test_a_missing_shard_is_told_and_the_rest_is_checked_too(stored: Stored) -> None:
    stored.shard(0).unlink()
    with open(stored.shard(2), "r+b") as file:
        file.truncate(1000)

    report = verify()

    assert [problem.file for problem in report.problems] == [
        stored.shard(0).name,
        stored.shard(2).name,
    ]
    assert report.problems[0].message == "it is missing"


@pytest.mark.parametrize("where", ["before", "while files are read", "after"])
def test_a_dataset_whose_shards_are_joined_meanwhile_is_verified_as_it_was(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    other = load_dataset(DATASET_ID)
    shards = len(other.storage.snapshot.shards)
    asked = 0

    def join(function: Callable[..., Any], call: int) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == call:
                other.compact()
            return function(*arguments)

        return act

    name, call = {
        "before": ("check_plain", 1),
        "while files are read": ("compute_checksum", 2),
        "after": ("find_structure_problems", 1),
    }[where]
    monkeypatch.setattr(columnar, name, join(getattr(columnar, name), call))
    report = verify()

    assert asked >= call
    assert told(report) == []
    assert report.remarks == ()
    assert report.total_episodes == 9
    # What was joined before anything was looked at is looked at as it is now.
    assert report.files == (1 if where == "before" else shards)


def test_a_damaged_shard_is_told_although_its_file_is_removed_meanwhile(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = stored.shard(1)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)

    def remove(file: Any) -> tuple[int, int]:
        shard.unlink(missing_ok=True)
        return compute_checksum(file)

    monkeypatch.setattr("minari_core.formats.verification.columnar.compute_checksum", remove)
    report = verify()

    assert not shard.exists()
    assert {problem.file for problem in report.problems} == {shard.name}
    assert "its CRC-32 is" in report.problems[0].message


def test_a_dataset_that_a_process_adds_to_is_sound_whenever_it_is_looked_at(
    stored: Stored,
) -> None:
    first = stored.shard(0)
    program = (
        "import minari_core\n"
        f"dataset = minari_core.load_dataset({DATASET_ID!r})\n"
        "episode = dataset[0]\n"
        "while True: dataset.update_dataset_from_buffer([episode])\n"
    )
    episodes: list[int] = []
    with subprocess.Popen([sys.executable, "-c", program]) as adding:
        try:
            # Eight small shards become one, whose files are removed then.
            while first.exists() or len(episodes) < 10:
                report = verify()
                assert told(report) == []
                assert adding.poll() is None
                episodes.append(report.total_episodes)
        finally:
            adding.kill()
    assert episodes == sorted(episodes)


def test_swapped_shards_are_told_apart(stored: Stored) -> None:
    one, other = stored.shard(0), stored.shard(2)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])

    assert told(verify()) == [
        f"{one.name}: it has the contents of {other.name}",
        f"{other.name}: it has the contents of {one.name}",
    ]


def test_shards_that_hold_the_same_are_sound() -> None:
    episode = minari_core.EpisodeBuffer(
        observations=np.zeros(4),
        actions=[0, 1, 2],
        rewards=[0.0, 0.0, 1.0],
        terminations=[False, False, True],
        truncations=[False, False, False],
    )
    dataset = minari_core.create_dataset_from_buffers(
        DATASET_ID,
        [episode],
        observation_space=spaces.Box(0, 1, ()),
        action_space=ACTION_SPACE,
    )
    dataset.update_dataset_from_buffer([episode])

    assert verify().ok


def test_a_shard_that_is_a_link_is_refused(stored: Stored, tmp_path: Path) -> None:
    outside = tmp_path / "outside.h5"
    shutil.move(stored.shard(1), outside)
    stored.shard(1).symlink_to(outside)

    (problem,) = verify().problems

    assert problem.file == stored.shard(1).name
    assert "is a link, where a plain file belongs" in problem.message


@pytest.mark.parametrize("key", ["total_episodes", "total_steps"])
def test_edited_totals_are_told(stored: Stored, key: str) -> None:
    stored.edit_manifest(lambda manifest: manifest.update({key: 1000}))

    (problem,) = verify().problems

    assert problem.file == "metadata.json"
    assert f"{key} is 1000" in problem.message


@pytest.mark.parametrize("key", ["rows", "steps", "episodes"])
def test_edited_counts_of_a_shard_are_told(stored: Stored, key: str) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["columnar"]["shards"][1][key] += 1

    stored.edit_manifest(edit)

    texts = told(verify())

    # The arrays have other lengths, HDF5 remembers other counts, and the lengths do not add up.
    assert any(f"{stored.shard(1).name}: it says that it has [15, 12, 3]" in t for t in texts)
    assert any(" rows where " in text or "offsets where" in text for text in texts)


def test_edited_offsets_in_the_manifest_are_told(stored: Stored) -> None:
    paths = list(stored.places(1))

    def edit(manifest: dict[str, Any]) -> None:
        arrays = manifest["columnar"]["shards"][1]["arrays"]
        arrays[paths.index("rewards")][0] += 64
        arrays[paths.index("actions")][0] = 10**12

    stored.edit_manifest(edit)

    problems = {problem.column: problem.message for problem in verify().problems}

    assert "HDF5 says offset" in problems["rewards"]
    assert "HDF5 says offset" in problems["actions"]
    assert set(problems) == {"rewards", "actions"}


def test_an_edited_number_of_rows_is_told_of_that_column_alone(stored: Stored) -> None:
    place = list(stored.places(1)).index("terminations")

    def edit(manifest: dict[str, Any]) -> None:
        manifest["columnar"]["shards"][1]["arrays"][place][1] -= 1

    stored.edit_manifest(edit)

    problems = verify().problems

    assert {problem.column for problem in problems} == {"terminations"}
    assert any("11 rows where 12 belong" in problem.message for problem in problems)


def offsets_columns() -> list[str]:
    return [
        "infos/note/offsets",
        "infos/route/offsets",
        "observations/graph/edge_links/offsets",
        "observations/graph/edges/offsets",
        "observations/graph/nodes/offsets",
        "observations/mission/offsets",
        "observations/parts/offsets",
        *(["observations/tool/_option_0/offsets"] if ONE_OF else []),
    ]


@pytest.mark.parametrize("path", offsets_columns())
def test_offsets_that_fall_are_told_with_the_episode(stored: Stored, path: str) -> None:
    # Row 5 of the second shard is in its second episode, the fifth of all.
    stored.edit_array(1, path, lambda offsets: offsets.__setitem__(6, -1))

    problems = [p for p in verify().problems if p.column == path]

    assert any("offsets fall" in problem.message for problem in problems)
    assert {problem.episode for problem in problems} <= {4, None}
    assert any(problem.episode == 4 for problem in problems)
    assert {problem.file for problem in problems} == {stored.shard(1).name}


@pytest.mark.parametrize("path", offsets_columns())
def test_offsets_beyond_their_values_are_told(stored: Stored, path: str) -> None:
    stored.edit_array(1, path, lambda offsets: offsets.__setitem__(-1, 10**15))

    report = verify()

    assert not report.ok
    assert {problem.file for problem in report.problems} == {stored.shard(1).name}


def test_lengths_that_do_not_add_up_are_told(stored: Stored) -> None:
    stored.edit_array(1, "episodes/length", lambda lengths: lengths.__setitem__(0, 2))

    texts = told(verify())

    assert len(texts) == 1
    assert "36 steps and 45 rows" in texts[0]


def test_lengths_that_reach_beyond_their_shard_are_told_of_that_shard(stored: Stored) -> None:
    stored.edit_array(0, "episodes/length", lambda lengths: lengths.__setitem__(2, 7))
    stored.edit_array(1, "episodes/length", lambda lengths: lengths.__setitem__(0, 1))

    (problem,) = verify().problems

    assert (problem.file, problem.column) == (stored.shard(0).name, "episodes/length")
    assert "14 steps and 17 rows" in problem.message


def test_an_episode_without_steps_is_told_by_its_number(stored: Stored) -> None:
    stored.edit_array(1, "episodes/length", lambda lengths: lengths.__setitem__(1, 0))

    (problem,) = verify().problems

    assert (problem.column, problem.episode) == ("episodes/length", 4)


def test_text_that_is_not_text_is_told_with_the_episode(stored: Stored) -> None:
    stored.edit_array(2, "infos/note/values", lambda values: values.__setitem__(-1, 0xFF))

    (problem,) = verify().problems

    assert (problem.column, problem.episode) == ("infos/note/values", 8)
    assert "hold no text" in problem.message


def test_shapes_that_do_not_fit_their_values_are_told(stored: Stored) -> None:
    offset, _, _ = stored.places(0)["infos/route/shapes"]
    content = bytearray(stored.shard(0).read_bytes())
    content[offset + 32 : offset + 40] = (77).to_bytes(8, "little")
    stored.shard(0).write_bytes(content)
    stored.seal(0)

    (problem,) = verify().problems

    assert problem.column == "infos/route/shapes"
    assert problem.episode == 0
    assert "(77, 2)" in problem.message


def test_flags_that_are_neither_true_nor_false_are_told(stored: Stored) -> None:
    stored.edit_array(0, "truncations", lambda flags: flags.view(np.uint8).__setitem__(1, 7))

    (problem,) = verify().problems

    assert problem.column == "truncations"


@pytest.mark.skipif(ONE_OF is None, reason="this Gymnasium has no OneOf")
def test_a_chosen_option_that_is_not_there_is_told(stored: Stored) -> None:
    stored.edit_array(0, "observations/tool/chosen", lambda chosen: chosen.__setitem__(2, 9))

    report = verify()

    assert any("chose option 9 of 2" in text for text in told(report))


def test_a_damaged_image_is_told_by_its_chunk_and_episode(stored: Stored) -> None:
    offset, _, _ = stored.places(0)["observations/camera/chunks"]
    content = bytearray(stored.shard(0).read_bytes())
    start = int.from_bytes(content[offset + 16 : offset + 24], "little")
    content[start + 20] ^= 0xFF
    stored.shard(0).write_bytes(content)
    stored.seal(0)

    (problem,) = verify().problems

    assert problem.column == "observations/camera/frames"
    assert "chunk 1 is damaged" in problem.message
    # Chunk 1 begins with row 8; episodes have 4, 5 and 6 rows.
    assert problem.episode == 1


def test_a_table_of_chunks_that_hdf5_does_not_know_is_told(stored: Stored) -> None:
    offset, _, _ = stored.places(0)["observations/camera/chunks"]
    content = bytearray(stored.shard(0).read_bytes())
    first, second = content[offset : offset + 16], content[offset + 16 : offset + 32]
    content[offset : offset + 32] = second + first
    stored.shard(0).write_bytes(content)
    stored.seal(0)

    problems = verify().problems

    assert [problem.column for problem in problems] == ["observations/camera/chunks"]
    assert "(2 of 2 differ)" in problems[0].message


def test_an_extra_file_is_remarked_and_does_no_harm(stored: Stored) -> None:
    (stored.folder / "notes.txt").write_text("mine")
    (stored.folder / "shard-0123.h5").write_bytes(b"half")
    (stored.folder / LOCK_NAME).touch()

    report = verify()

    assert report.ok
    assert [remark.file for remark in report.remarks] == ["notes.txt", "shard-0123.h5"]
    assert "no part of the dataset" in report.remarks[0].message
    assert "left by a process that died" in report.remarks[1].message


def test_the_statistics_that_the_project_keeps_beside_the_data_are_not_remarked(
    stored: Stored,
) -> None:
    minari_core.load_dataset(DATASET_ID).statistics(["observations/speed"])
    assert (stored.folder / STATISTICS_NAME).exists()
    (stored.folder / f".{STATISTICS_NAME}.0123abcd").touch()
    assert verify().remarks == ()


def external_link(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = h5py.ExternalLink("/etc/passwd", "/secret")


def soft_link(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = h5py.SoftLink("/actions")


def external_group(file: h5py.File) -> None:
    del file["observations"]
    file["observations"] = h5py.ExternalLink("../../other-v0/data/x.h5", "/observations")


def external_storage(file: h5py.File) -> None:
    del file["rewards"]
    file.create_dataset("rewards", (12,), "<f8", external=[("/etc/hostname", 0, 96)])


def extra_array(file: h5py.File) -> None:
    file["observations/planted"] = np.zeros(3)


def extra_link(file: h5py.File) -> None:
    file["infos/planted"] = h5py.ExternalLink("/etc/passwd", "/")


def circle(file: h5py.File) -> None:
    file["observations/again"] = file["/"]


def other_dtype(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = np.zeros(12, "<f4")


def other_shape(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = np.zeros((12, 2))


def missing_array(file: h5py.File) -> None:
    del file["rewards"]


def group_for_array(file: h5py.File) -> None:
    del file["rewards"]
    file.create_group("rewards")


def array_for_group(file: h5py.File) -> None:
    del file["observations"]
    file["observations"] = np.zeros(3)


def chunked(file: h5py.File) -> None:
    values = file["rewards"][()]
    del file["rewards"]
    file.create_dataset("rewards", data=values, chunks=(4,))


def other_counts(file: h5py.File) -> None:
    file.attrs["minari_counts"] = [1, 2, 3]


def other_schema(file: h5py.File) -> None:
    file.attrs["minari_schema"] = "{}"


@pytest.mark.parametrize(
    ("plant", "column", "message"),
    [
        (external_link, "rewards", "external link to '/secret' in '/etc/passwd'"),
        (soft_link, "rewards", "soft link to '/actions'"),
        (external_group, "observations/speed", "external link to '/observations'"),
        (external_storage, "rewards", "stored outside, in b'/etc/hostname'"),
        (extra_array, "observations/planted", "not in the manifest"),
        (extra_link, "infos/planted", "external link to '/' in '/etc/passwd'"),
        (circle, "observations/again", "not in the manifest"),
        (other_dtype, "rewards", "dtype <f4"),
        (other_shape, "rewards", "shape (12, 2)"),
        (missing_array, "rewards", "missing"),
        (group_for_array, "rewards", "no array"),
        (array_for_group, "observations/speed", "missing"),
        (chunked, "rewards", "contiguous"),
        (other_counts, None, "[1, 2, 3]"),
        (other_schema, None, "says of itself cannot be read"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_hdf5_that_says_something_else_is_told(
    stored: Stored, plant: Callable[[h5py.File], None], column: str | None, message: str
) -> None:
    stored.edit_hdf5(1, plant)

    problems = verify().problems

    assert {problem.file for problem in problems} == {stored.shard(1).name}
    assert any(message in p.message for p in problems if p.column == column), problems


def test_a_sealed_file_that_is_no_hdf5_is_told(stored: Stored) -> None:
    size = stored.shard(0).stat().st_size
    stored.shard(0).write_bytes(bytes(size))
    stored.seal(0)

    assert any("HDF5 cannot open it" in text for text in told(verify()))


@pytest.mark.parametrize("key", ["observation_space", "action_space"])
@pytest.mark.parametrize("value", ['{"type":"Box"}', "no JSON", None, 3])
def test_a_space_that_cannot_be_read_is_told(stored: Stored, key: str, value: object) -> None:
    stored.edit_manifest(lambda manifest: manifest.update({key: value}))

    changed, problem = verify().problems

    assert "are not those that their checksum was made of" in changed.message
    assert problem.file == "metadata.json"
    assert key in problem.message


def test_a_space_with_another_bound_is_told(stored: Stored) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        text = manifest["observation_space"]
        assert '"high":1.0' in text
        manifest["observation_space"] = text.replace('"high":1.0', '"high":1.5', 1)

    stored.edit_manifest(edit)

    (problem,) = verify().problems

    assert problem.file == "metadata.json"
    assert "observation_space" in problem.message
    with pytest.raises(DatasetDamagedError, match="observation_space"):
        load_dataset(verify().dataset_id)


def test_an_environment_spec_that_cannot_be_read_is_told_and_none_is_run(stored: Stored) -> None:
    stored.edit_manifest(lambda manifest: manifest.update({"eval_env_spec": "[1"}))

    (problem,) = verify().problems

    assert "eval_env_spec" in problem.message


def test_the_id_of_another_dataset_is_told(stored: Stored) -> None:
    stored.edit_manifest(lambda manifest: manifest.update({"dataset_id": "other-v1"}))

    assert told(verify()) == ["metadata.json: its dataset_id is 'other-v1'"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"columnar": 3}', '{"total_steps": -1}', '{"dataset_id": 3}']
)
def test_a_damaged_manifest_is_told(stored: Stored, content: str) -> None:
    (stored.folder / "metadata.json").write_text(content)

    (problem,) = verify().problems

    assert problem.file == "metadata.json"


def test_a_missing_manifest_is_told(stored: Stored) -> None:
    (stored.folder / "metadata.json").unlink()

    (problem,) = verify().problems

    assert problem.file == "metadata.json"
    assert "missing" in problem.message


def test_a_manifest_without_its_shards_is_told(stored: Stored) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        del manifest["columnar"]
        manifest["total_episodes"] = manifest["total_steps"] = 0

    stored.edit_manifest(edit)

    assert "does not list the shards" in told(verify())[0]


def test_shards_whose_columns_do_not_fit_one_another_are_told(stored: Stored) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        layout = manifest["columnar"]
        changed = json.loads(json.dumps(layout["schemas"][0]))
        changed["observations"]["fields"]["speed"]["dtype"] = "<i4"
        layout["schemas"].append(changed)
        layout["shards"][2]["schema"] = len(layout["schemas"]) - 1

    stored.edit_manifest(edit)

    texts = told(verify())

    assert any(stored.shard(2).name in text and "in the dataset" in text for text in texts)
    assert any("HDF5 says dtype <f4" in text for text in texts)


def test_a_newer_format_is_an_error_because_nothing_can_be_said_about_it(stored: Stored) -> None:
    stored.edit_manifest(lambda manifest: manifest["columnar"].update({"version": 99}))

    with pytest.raises(FormatError, match="99"):
        verify()


def test_an_unknown_format_is_an_error_because_nothing_can_be_said_about_it(
    stored: Stored,
) -> None:
    stored.edit_manifest(lambda manifest: manifest.update({"data_format": "stone"}))

    with pytest.raises(FormatError, match="stone"):
        verify()
