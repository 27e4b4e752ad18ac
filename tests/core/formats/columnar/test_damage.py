"""A dataset is data: whatever is wrong with its files is an error that names one of them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zstandard
from gymnasium import spaces

import minari_core
from minari_core.columns import AXES
from minari_core.columns.schema import schema_from_json
from minari_core.environments.space_json import space_to_json
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import DatasetDamagedError, DatasetNotFoundError, FormatError, MinariError
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import compute_snapshot_checksum
from minari_core.formats.registry import new_storage, open_storage
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode

SPACE = spaces.Dict(
    image=spaces.Box(0, 255, (64, 64), np.uint8),
    position=spaces.Box(-1, 1, (3,)),
    text=spaces.Text(8),
    sequence=spaces.Sequence(spaces.Discrete(3)),
)
ACTIONS = spaces.Discrete(3)
LENGTHS = (9, 3, 12)

READ_EVERYTHING = """
import sys
from pathlib import Path
if sys.platform != "win32":
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.errors import MinariError
for folder in sys.stdin.read().split("\\n"):
    try:
        storage = ColumnarStorage.open(Path(folder))
        storage.observation_space, storage.action_space
        for copy in (True, False):
            for episode in storage.read_episodes(range(storage.total_episodes), copy=copy):
                repr(episode)
        list(storage.read_episode_metadata(range(storage.total_episodes)))
        print("fine")
    except MinariError as error:
        print("refused")
"""


def _episode(steps: int) -> EpisodeBuffer:
    SPACE.seed(steps)
    return EpisodeBuffer(
        observations=[SPACE.sample() for _ in range(steps + 1)],
        actions=np.arange(steps) % 3,
        rewards=np.linspace(0, 1, steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
        infos={
            "ragged": [np.arange(n % 4) for n in range(steps + 1)],
            "text": [None if n % 2 else "é" * n for n in range(steps + 1)],
            "json": [n if n % 2 else [n, "x"] for n in range(steps + 1)],
        },
        seed=steps,
        options={"steps": steps},
        metadata={"name": f"of {steps}", "steps": steps},
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("damage") / "data"
    folder.mkdir()
    described: dict[str, Any] = {
        "dataset_id": "tests/damage-v0",
        "observation_space": space_to_json(SPACE),
        "action_space": space_to_json(ACTIONS),
    }
    storage = ColumnarStorage.create(folder, described)
    storage.append_episodes([_episode(LENGTHS[0]), _episode(LENGTHS[1])])
    storage.append_episodes([_episode(LENGTHS[2])])
    storage.save()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "data"))


def _everything(folder: Path) -> list[EpisodeData]:
    storage = open_storage(folder)
    assert storage.observation_space == SPACE
    assert storage.action_space == ACTIONS
    episodes = list(storage.read_episodes(range(storage.total_episodes)))
    entries = list(storage.read_episode_metadata(range(storage.total_episodes)))
    assert [entry.seed for entry in entries] == [episode.seed for episode in episodes]
    return episodes


def _manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
    return content


def _write(folder: Path, manifest: Any) -> None:
    # With a checksum that fits, so that it is not what every one of these tests tests.
    if isinstance(manifest, dict) and isinstance(manifest.get("columnar"), dict):
        manifest["columnar"]["crc32"] = compute_snapshot_checksum(manifest["columnar"])
    (folder / "metadata.json").write_text(json.dumps(manifest))


def _shards(folder: Path) -> list[Path]:
    return [folder / shard["file"] for shard in _manifest(folder)["columnar"]["shards"]]


def _place(folder: Path, path: str, shard: int = 0) -> tuple[int, int, int]:
    """The index, the offset and the rows of an array of a shard."""
    layout = _manifest(folder)["columnar"]
    entry = layout["shards"][shard]
    schema = schema_from_json(layout["schemas"][entry["schema"]])
    paths = [spec.path for spec in schema.arrays]
    index = paths.index(path)
    offset, rows = entry["arrays"][index]
    return index, offset, rows


def _refused(folder: Path, name: str) -> str:
    with pytest.raises(MinariError) as raised:
        _everything(folder)
    assert name in str(raised.value)
    return str(raised.value)


def test_an_undamaged_dataset_is_read(folder: Path) -> None:
    assert [len(episode) for episode in _everything(folder)] == list(LENGTHS)


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, -1])
def test_a_shard_that_was_cut_short_is_named(folder: Path, kept: int) -> None:
    shard = _shards(folder)[1]
    content = shard.read_bytes()
    shard.write_bytes(content[:kept])
    assert "damaged" in _refused(folder, shard.name)


def test_a_shard_that_grew_is_named(folder: Path) -> None:
    shard = _shards(folder)[0]
    with open(shard, "ab") as file:
        file.write(b"x")
    _refused(folder, shard.name)


def test_a_shard_that_is_gone_is_named(folder: Path) -> None:
    shard = _shards(folder)[0]
    shard.unlink()
    assert "missing" in _refused(folder, shard.name)


def test_a_folder_in_the_place_of_a_shard_is_named(folder: Path) -> None:
    shard = _shards(folder)[0]
    shard.unlink()
    shard.mkdir()
    _refused(folder, shard.name)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_in_the_place_of_a_shard_is_refused(folder: Path, tmp_path: Path) -> None:
    shard = _shards(folder)[0]
    shard.rename(tmp_path / "elsewhere.h5")
    shard.symlink_to(tmp_path / "elsewhere.h5")
    assert "link" in _refused(folder, shard.name)


@pytest.fixture
def _no_wait() -> Iterator[None]:
    """End what waits for ever."""

    def give_up(*_: object) -> None:
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among its files")
@pytest.mark.usefixtures("_no_wait")
@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_no_file_of_a_dataset_may_be_a_pipe(data_format: str, datasets_root: Path) -> None:
    minari_core.create_dataset_from_buffers(
        "tests/piped-v0",
        [simple_episode(0, 3)],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(3),
        data_format=data_format,
        author="Ada",
    )
    piped = datasets_root / "tests" / "piped-v0" / "data"
    files = [path for path in piped.rglob("*") if path.is_file()]
    kept = piped.parent / "kept"
    for path in files:
        path.rename(kept)
        os.mkfifo(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            minari_core.list_local_datasets()
        # Nobody reads what tells other programs of the columnar format.
        if (data_format, path.name) != ("columnar", "main_data.hdf5"):
            with pytest.raises(DatasetDamagedError, match=rf"{path.name} is no plain file"):
                list(minari_core.MinariDataset(piped))
            assert not minari_core.verify_dataset("tests/piped-v0").ok
        kept.replace(path)


@pytest.mark.parametrize(
    "name",
    [
        *["../x.h5", "/etc/passwd", "a/b.h5", "..", ".", "", ".hidden", "a\\b.h5", "a\x00b"],
        *["x" * 5000, "\ud800", None, 5, [], "C:x.h5"],
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_shard_name_that_leaves_the_folder_is_refused(folder: Path, name: Any) -> None:
    (folder.parent / "x.h5").write_bytes(_shards(folder)[0].read_bytes())
    manifest = _manifest(folder)
    manifest["columnar"]["shards"][0]["file"] = name
    _write(folder, manifest)
    _refused(folder, str(folder))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"9" * 10_000,
        b'{"total_steps": 1e999}',
        b'{"total_steps": -1}',
        b'{"total_episodes": true}',
        b'{"dataset_id": []}',
        b'{"data_format": {}}',
        b"\x00" * 100,
    ],
)
def test_a_manifest_that_is_no_manifest_is_named(folder: Path, text: bytes) -> None:
    (folder / "metadata.json").write_bytes(text)
    with pytest.raises(DatasetDamagedError, match=r"metadata\.json"):
        minari_core.MinariDataset(folder)


@pytest.mark.parametrize("key", ["schemas", "shards", "recordings"])
def test_an_object_in_the_place_of_a_list_is_named(folder: Path, key: str) -> None:
    manifest = _manifest(folder)
    manifest["columnar"][key] = {str(n): part for n, part in enumerate(manifest["columnar"][key])}
    _write(folder, manifest)
    with pytest.raises(DatasetDamagedError, match=rf"metadata\.json is damaged: .*'{key}'"):
        minari_core.MinariDataset(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="a file has its whole size on the disk")
def test_a_manifest_of_more_than_a_gibibyte_is_not_read(folder: Path) -> None:
    with open(folder / "metadata.json", "r+b") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(DatasetDamagedError, match="larger than 1073741824 bytes"):
        minari_core.MinariDataset(folder)


def test_a_folder_without_a_manifest_is_no_dataset(folder: Path) -> None:
    (folder / "metadata.json").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"metadata\.json"):
        minari_core.MinariDataset(folder)


def test_a_format_that_is_not_known_is_named(folder: Path) -> None:
    for name in ("video", "Columnar", None):
        _write(folder, {**_manifest(folder), "data_format": name})
        with pytest.raises(MinariError, match=str(name)):
            minari_core.MinariDataset(folder)


def test_a_newer_version_is_refused_by_what_it_needs(folder: Path) -> None:
    manifest = _manifest(folder)
    manifest["columnar"]["version"] = 99
    manifest["columnar"]["features"] = ["video-columns", "wavelets"]
    manifest["columnar"]["schemas"] = "of the future"
    _write(folder, manifest)
    with pytest.raises(FormatError, match=r"99.*video-columns, wavelets") as raised:
        minari_core.MinariDataset(folder)
    assert "metadata.json" in str(raised.value)


def test_what_is_written_has_the_version_that_every_release_reads(folder: Path) -> None:
    assert _manifest(folder)["columnar"]["version"] == 1
    for shard in folder.glob("*.h5"):
        with h5py.File(shard) as file:
            assert file.attrs["minari_format_version"] == 1


def _changed(keys: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest["columnar"]
        for key in keys[:-1]:
            place = place[key]
        if value is KeyError:
            del place[keys[-1]]
        else:
            place[keys[-1]] = value

    return change


HUGE = [2**31, 2**40, 2**62, 2**63 - 1, 2**63, 10**400, -1, 1.5, "1", None, True, [], {}]
CHANGES = {
    f"{keys} {str(value)[:24]}": _changed(keys, value)
    for keys in [
        ("version",),
        ("schemas",),
        ("shards",),
        ("shards", 0),
        ("shards", 0, "bytes"),
        ("shards", 0, "crc32"),
        ("shards", 0, "schema"),
        ("shards", 0, "rows"),
        ("shards", 0, "steps"),
        ("shards", 0, "episodes"),
        ("shards", 0, "arrays"),
        ("shards", 0, "arrays", 0),
        *(("shards", 0, "arrays", index, place) for index in range(0, 26, 3) for place in (0, 1)),
        ("schemas", 0, "rewards", "dtype"),
        ("schemas", 0, "observations", "fields", "position", "shape", 0),
        ("schemas", 0, "observations", "fields", "image", "rows_per_chunk"),
        ("schemas", 0, "observations", "fields", "image", "shape", 0),
    ]
    for value in [*HUGE, KeyError]
    if value is not KeyError or isinstance(keys[-1], str)
}


def test_no_number_in_a_manifest_crashes_or_fills_the_memory(
    template: Path, tmp_path: Path
) -> None:
    folders: list[Path] = []
    for number, change in enumerate(CHANGES.values()):
        copied = tmp_path / str(number)
        copied.mkdir()
        for shard in _shards(template):
            os.link(shard, copied / shard.name)
        manifest = _manifest(template)
        change(manifest)
        _write(copied, manifest)
        folders.append(copied)
    result = _in_another_process(folders)
    assert result.returncode == 0, result.stderr[-2000:]
    said = dict(zip(CHANGES, result.stdout.split(), strict=True))
    fine = {name for name, word in said.items() if word == "fine"}
    # These say nothing that reading depends on.
    harmless = {name for name in fine if "'crc32'" in name or "'uid'" in name}
    assert not [
        name
        for name in fine - harmless
        # Offsets can move to another place in the file, and chunks have none.
        if "arrays" not in name
    ]


@pytest.mark.parametrize("key", ["episodes", "steps"])
def test_counts_that_differ_from_the_arrays_are_named(folder: Path, key: str) -> None:
    manifest = _manifest(folder)
    manifest["columnar"]["shards"][1][key] = 10**12
    for total in ("episodes", "steps"):
        shards = manifest["columnar"]["shards"]
        manifest[f"total_{total}"] = sum(shard[total] for shard in shards)
    _write(folder, manifest)
    with pytest.raises(DatasetDamagedError, match=rf"shard-\w+\.h5 .*1000000000000 {key}"):
        minari_core.MinariDataset(folder)


MAKES_ARRAYS_OF_ALL_EPISODES: dict[str, Callable[[minari_core.MinariDataset], object]] = {
    "iterating": list,
    "filtering": lambda dataset: dataset.filter_episodes(lambda _: True),
    "filtering by metadata": lambda dataset: dataset.filter_episodes(metadata=lambda _: True),
    "the indices": lambda dataset: dataset.episode_indices,
    "a list of places": lambda dataset: dataset[[0]],
    "splitting": lambda dataset: minari_core.split_dataset(dataset, [1]),
    "cutting": lambda dataset: dataset.shards(2),
    "the steps of a view": lambda dataset: dataset[1:].total_steps,
    "metadata": lambda dataset: list(dataset.iterate_episode_metadata()),
}


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
@pytest.mark.parametrize("use", MAKES_ARRAYS_OF_ALL_EPISODES)
def test_a_count_of_episodes_does_not_choose_how_much_memory_is_taken(
    use: str, data_format: str, folder: Path, tmp_path: Path
) -> None:
    count = 10**12
    if data_format == "columnar":
        manifest = _manifest(folder)
        shard = manifest["columnar"]["shards"][1]
        index, _, _ = _place(folder, "episodes/length", 1)
        shard.update(episodes=count, bytes=10**15)
        shard["arrays"][index][1] = count
        manifest["total_episodes"] = count + manifest["columnar"]["shards"][0]["episodes"]
    else:
        source = minari_core.MinariDataset(folder)
        folder = tmp_path / "other"
        folder.mkdir()
        space = spaces.Box(-1, 1, (3,))
        metadata = {**source.metadata, "observation_space": space_to_json(space)}
        storage = new_storage(folder, metadata, "hdf5")
        positions = (
            replace(episode, observations=episode.observations["position"]) for episode in source
        )
        storage.append_episodes(positions)
        storage.save()
        manifest = {**_manifest(folder), "total_episodes": count}
    _write(folder, manifest)
    dataset = minari_core.MinariDataset(folder)
    with pytest.raises(DatasetDamagedError, match=str(folder)):
        MAKES_ARRAYS_OF_ALL_EPISODES[use](dataset)


def _in_another_process(folders: list[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", READ_EVERYTHING],
        input="\n".join(map(str, folders)),
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("key", ["env_spec", "eval_env_spec", "observation_space", "action_space"])
@pytest.mark.parametrize("value", ["x", "[]", '{"id": 5}', 5, "[" * 100_000])
def test_what_describes_no_space_and_no_environment_is_damage(
    folder: Path, key: str, value: object
) -> None:
    _write(folder, {**_manifest(folder), key: value})
    with pytest.raises(DatasetDamagedError, match=key):
        getattr(minari_core.MinariDataset(folder), key)
    if key != "eval_env_spec":
        with pytest.raises(DatasetDamagedError, match=key):
            _ = minari_core.MinariDataset(folder).spec


@pytest.mark.parametrize("key", ["columnar", "observation_space", "action_space", "data_format"])
def test_a_manifest_without_a_key_that_reading_needs_is_refused(folder: Path, key: str) -> None:
    manifest = _manifest(folder)
    del manifest[key]
    _write(folder, manifest)
    _refused(folder, str(folder))


def test_counts_that_contradict_the_shards_are_refused(folder: Path) -> None:
    for key in ("total_episodes", "total_steps"):
        manifest = _manifest(folder)
        manifest[key] += 1
        _write(folder, manifest)
        with pytest.raises(DatasetDamagedError, match=key):
            minari_core.MinariDataset(folder)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"type":"Box"}', '{"type":"Code"}', 5])
def test_a_space_that_cannot_be_read_is_an_error_that_names_the_dataset(
    folder: Path, text: Any
) -> None:
    manifest = _manifest(folder)
    manifest["observation_space"] = text
    _write(folder, manifest)
    _refused(folder, str(folder))


def test_a_flipped_bit_in_a_compressed_chunk_is_found(folder: Path) -> None:
    shard = _shards(folder)[0]
    _, offset, _ = _place(folder, "observations/image/chunks")
    content = bytearray(shard.read_bytes())
    (start, size) = np.frombuffer(content, "<u8", 2, offset).tolist()
    for place in (0, 5, size // 2, size - 1):
        spoiled = bytearray(content)
        spoiled[start + place] ^= 0x10
        shard.write_bytes(spoiled)
        _refused(folder, shard.name)


def test_a_chunk_that_claims_to_be_huge_is_not_believed(folder: Path) -> None:
    resource = pytest.importorskip("resource", reason="only POSIX tells how large a process was")
    shard = _shards(folder)[0]
    _, offset, _ = _place(folder, "observations/image/chunks")
    content = bytearray(shard.read_bytes())
    start = np.frombuffer(content, "<u8", 2, offset).tolist()[0]
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 28))
    # It is longer than the chunk, and takes the place of those behind it, too.
    content[start : start + len(bomb)] = bomb
    content[offset + 8 : offset + 16] = np.array([len(bomb)], "<u8").tobytes()
    shard.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _refused(folder, shard.name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize(
    ("path", "place", "value"),
    [
        ("observations/image/chunks", 0, 2**63),
        ("observations/image/chunks", 1, 2**40),
        ("observations/image/chunks", 0, 2**20),
        ("observations/text/offsets", 0, 1),
        ("observations/text/offsets", 1, -5),
        ("observations/text/offsets", 2, 2**60),
        ("observations/text/offsets", -1, 2**60),
        ("observations/sequence/offsets", 1, -(2**63)),
        ("observations/sequence/offsets", -1, 2**50),
        ("infos/ragged/offsets", 3, 10**9),
        ("infos/ragged/shapes", 2, -1),
        ("infos/ragged/shapes", 2, 2**62),
        ("infos/text/value/offsets", 2, 2**30),
        ("infos/json/offsets", 2, -1),
        ("episodes/length", 0, 0),
        ("episodes/length", 0, -1),
        ("episodes/length", 1, 2**62),
        ("episodes/length", 0, 8),
    ],
)
def test_a_number_that_reading_depends_on_is_checked(
    folder: Path, path: str, place: int, value: int
) -> None:
    shard = _shards(folder)[0]
    _, offset, rows = _place(folder, path)
    content = bytearray(shard.read_bytes())
    width = 2 if path.endswith("chunks") else 1
    numbers = np.frombuffer(content, "<u8" if width == 2 else "<i8", rows * width, offset)
    numbers[place] = value
    shard.write_bytes(content)
    _refused(folder, str(folder))


@pytest.mark.parametrize("path", ["infos/json/values", "observations/text/values"])
def test_text_that_is_no_text_is_an_error(folder: Path, path: str) -> None:
    shard = _shards(folder)[0]
    _, offset, rows = _place(folder, path)
    content = bytearray(shard.read_bytes())
    content[offset : offset + rows] = b"\xff" * rows
    shard.write_bytes(content)
    _refused(folder, shard.name)


def test_random_flips_of_the_manifest_never_end_in_another_kind_of_error(
    template: Path, tmp_path: Path
) -> None:
    wanted = _everything(template)
    text = (template / "metadata.json").read_bytes()
    generator = random.Random(5)
    for shard in _shards(template):
        os.link(shard, tmp_path / shard.name)
    for _ in range(400):
        spoiled = bytearray(text)
        place = generator.randrange(len(text))
        spoiled[place] ^= 1 << generator.randrange(8)
        (tmp_path / "metadata.json").write_bytes(spoiled)
        try:
            storage = ColumnarStorage.open(tmp_path)
            found = list(storage.read_episodes(range(storage.total_episodes)))
        except MinariError:
            continue
        # What a flip may change without being found are texts, keys of texts, and where and as
        # what numbers lie; but never how many there are.
        assert [len(episode) for episode in found] == [len(episode) for episode in wanted]


def test_random_flips_of_a_shard_change_nothing_but_values(template: Path, tmp_path: Path) -> None:
    wanted = _everything(template)
    shard = _shards(template)[0]
    content = shard.read_bytes()
    for path in template.iterdir():
        if path != shard:
            shutil.copy(path, tmp_path / path.name)
    generator = random.Random(6)
    unnamed = 0
    for _ in range(300):
        spoiled = bytearray(content)
        for _ in range(generator.choice([1, 1, 20])):
            spoiled[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        (tmp_path / shard.name).write_bytes(spoiled)
        try:
            found = _everything(tmp_path)
        except MinariError as error:
            unnamed += str(tmp_path) not in str(error)
            continue
        for one, other in zip(found, wanted, strict=True):
            assert len(one) == len(other)
            assert len(one.observations["text"]) == len(one) + 1
            # Chunks have checksums.
            assert np.array_equal(one.observations["image"], other.observations["image"])
        expect_same_episode(found[2], wanted[2])
    assert unnamed == 0


def test_flips_outside_all_arrays_change_nothing(template: Path, tmp_path: Path) -> None:
    """HDF5's own structures are not read: what is wrong with them is for `verify` to find."""
    wanted = _everything(template)
    shard = _shards(template)[0]
    spoiled = bytearray(shard.read_bytes())
    for path in template.iterdir():
        shutil.copy(path, tmp_path / path.name)
    for place in range(96):
        spoiled[place] ^= 0xFF
    (tmp_path / shard.name).write_bytes(spoiled)
    for one, other in zip(_everything(tmp_path), wanted, strict=True):
        expect_same_episode(one, other)


def test_every_array_of_a_shard_is_an_hdf5_dataset_where_the_manifest_says(folder: Path) -> None:
    layout = _manifest(folder)["columnar"]
    for entry in layout["shards"]:
        described = layout["schemas"][entry["schema"]]
        specs = schema_from_json(described).arrays
        content = (folder / entry["file"]).read_bytes()
        with h5py.File(folder / entry["file"]) as file:
            assert file.attrs["minari_format_version"] == layout["version"]
            assert json.loads(file.attrs["minari_schema"]) == described
            found = _datasets_in(file)
            assert sorted(found) == sorted(spec.path for spec in specs)
            for spec, (offset, rows) in zip(specs, entry["arrays"], strict=True):
                dataset = file[spec.path]
                assert dataset.shape == (rows, *spec.row_shape)
                assert dataset.dtype == spec.dtype
                if spec.rows_per_chunk:
                    assert offset == -1
                    _expect_chunks(dataset, folder)
                    continue
                assert dataset.chunks is None
                assert offset % 64 == 0
                if rows:
                    assert dataset.id.get_offset() == offset
                mapped = np.frombuffer(content, spec.dtype, int(np.prod(dataset.shape)), offset)
                assert np.array_equal(mapped.reshape(dataset.shape), dataset[()], equal_nan=False)
    assert set(AXES) == set(layout["schemas"][0])


def _datasets_in(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems(
        lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _expect_chunks(dataset: Any, folder: Path) -> None:
    """HDF5 finds the chunks that the reader decodes, under the filter that any plugin knows."""
    assert dataset.chunks == (8, 64, 64)
    assert dataset.id.get_create_plist().get_filter(0)[0] == 32015
    images = [episode.observations["image"] for episode in _everything(folder)]
    wanted = {sum(map(len, images[:2])): np.concatenate(images[:2]), len(images[2]): images[2]}
    decoded: list[Any] = []
    for first in range(0, len(dataset), 8):
        _, frame = dataset.id.read_direct_chunk((first, 0, 0))
        decoded.append(np.frombuffer(zstandard.decompress(frame), np.uint8).reshape(8, 64, 64))
    rows = np.concatenate(decoded)
    assert np.array_equal(rows[: len(dataset)], wanted[len(dataset)])
    assert not rows[len(dataset) :].any()
