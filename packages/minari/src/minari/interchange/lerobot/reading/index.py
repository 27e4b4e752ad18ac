"""What a dataset of LeRobot says of itself: its features, and where the frames of episodes lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from minari.interchange.files import find_file, read_json, read_lines
from minari.interchange.lerobot.files.features import INDEX_TYPES, read_description
from minari.interchange.lerobot.files.paths import (
    DATA,
    INFO,
    TASKS,
    VIDEOS,
    fill_template,
)
from minari_core.errors import DataError
from minari_core.formats.public.arrow.bounded import BoundedParquet

_VERSIONS = {"v3.0": (DATA, VIDEOS), "v2.1": ("", "")}
_MOST_PER_EPISODE = 1 << 40


@dataclass(frozen=True, slots=True)
class EpisodePlace:
    """Where the frames of an episode lie."""

    length: int
    """Their number."""
    tasks: tuple[str, ...]
    """What is done in it."""
    data: str
    """The file of its rows."""
    videos: Mapping[str, tuple[str, float]]
    """The file of each video feature, and the second at which its frames begin there."""


@dataclass(frozen=True, slots=True)
class Index:
    """A dataset of LeRobot, without its frames."""

    root: Path
    """Its folder."""
    info: Mapping[str, Any]
    """What ``info.json`` says."""
    fps: float
    """Frames a second."""
    features: Mapping[str, Mapping[str, Any]]
    """The features but those that every dataset has."""
    tasks: Mapping[int, str]
    """The tasks by their numbers."""
    episodes: Sequence[EpisodePlace]
    """The episodes."""


def read_index(root: Path) -> Index:
    """Read the metadata of a dataset.

    Raises:
        DataError: It is of another version, or says what cannot be; the message names the file.
        DatasetDamagedError: A file cannot be read.
        DatasetNotFoundError: A file is missing.
    """
    path = find_file(root, INFO)
    info = read_json(path)
    version, fps, described = (info.get(key) for key in ("codebase_version", "fps", "features"))
    if version not in ("v2.1", "v3.0"):
        raise DataError(
            f"{path} is of version {version!r} of LeRobot's format; v3.0 and v2.1 are read, and "
            "LeRobot itself converts older ones"
        )
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not fps > 0:
        raise DataError(f"{path}: fps is {fps!r}, not a number above 0")
    if not isinstance(described, dict):
        raise DataError(f"{path} has no features")
    features = {
        name: read_description(name, said, str(path))
        for name, said in described.items()
        if name not in INDEX_TYPES
    }
    videos = [name for name, said in features.items() if said["dtype"] == "video"]
    is_old = version == "v2.1"
    tasks = _read_old_tasks(root) if is_old else _read_tasks(root, info)
    list_episodes = _list_old_episodes if is_old else _list_episodes
    episodes = list(list_episodes(root, info, videos))
    total = info.get("total_episodes")
    if isinstance(total, int) and total != len(episodes):
        raise DataError(f"{path} counts {total} episodes, and {len(episodes)} are described")
    return Index(root, info, float(fps), features, tasks, episodes)


def _read_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    with BoundedParquet(path) as file:
        absent = [name for name in columns if name not in file.schema.names]
        if absent:
            raise DataError(f"{path} has no column {absent[0]!r}")
        wanted = [*columns, *(name for name in optional if name in file.schema.names)]
        return file.read(wanted)


def _read_tasks(root: Path, info: Mapping[str, Any]) -> dict[int, str]:
    if info.get("total_tasks") == 0 and not (root / TASKS).exists():
        return {}
    path = find_file(root, TASKS)
    # pandas names an index that has no name so.
    table = _read_rows(path, ["task_index"], ["task", "__index_level_0__"])
    if table.num_columns < 2:
        raise DataError(f"{path} has no column 'task'")
    numbers, texts = (table.column(each).to_pylist() for each in range(2))
    return {
        _check_number(number, path, "task_index"): str(task)
        for number, task in zip(numbers, texts, strict=True)
    }


def _read_old_tasks(root: Path) -> dict[int, str]:
    path = find_file(root, "meta/tasks.jsonl")
    return {
        _check_number(said.get("task_index"), path, "task_index"): str(said.get("task", ""))
        for said in read_lines(path)
    }


def _list_episodes(
    root: Path, info: Mapping[str, Any], videos: Sequence[str]
) -> Iterator[EpisodePlace]:
    data = str(info.get("data_path") or DATA)
    template = str(info.get("video_path") or VIDEOS)
    folder = root / "meta" / "episodes"
    files = sorted(path.relative_to(root).as_posix() for path in folder.glob("*/*.parquet"))
    number = 0
    for relative in files:
        path = find_file(root, relative)
        own = ["episode_index", "length", "data/chunk_index", "data/file_index"]
        of_videos = [
            f"videos/{name}/{what}"
            for name in videos
            for what in ("chunk_index", "file_index", "from_timestamp")
        ]
        table = _read_rows(path, [*own, *of_videos], ["tasks"])
        for row in table.to_pylist():
            if row["episode_index"] != number:
                raise DataError(
                    f"{path}: episode {number} is missing, or not in its place, which "
                    f"{row['episode_index']} takes"
                )
            where = f"{path}: episode {number}"
            chunk, file = (_check_number(row[key], path, key) for key in own[2:])
            places = {}
            for name in videos:
                prefix = f"videos/{name}/"
                numbers = {
                    key: _check_number(row[prefix + key], path, prefix + key)
                    for key in ("chunk_index", "file_index")
                }
                start = row[prefix + "from_timestamp"]
                if not isinstance(start, int | float) or not 0 <= start < _MOST_PER_EPISODE:
                    raise DataError(f"{where}: {prefix}from_timestamp is {start!r}")
                filled = fill_template(template, {"video_key": name, **numbers}, where)
                places[name] = (filled, float(start))
            yield EpisodePlace(
                length=_check_number(row["length"], path, "length"),
                tasks=tuple(map(str, row.get("tasks") or ())),
                data=fill_template(data, {"chunk_index": chunk, "file_index": file}, where),
                videos=places,
            )
            number += 1


def _list_old_episodes(
    root: Path, info: Mapping[str, Any], videos: Sequence[str]
) -> Iterator[EpisodePlace]:
    data = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    video = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    data, video = str(info.get("data_path") or data), str(info.get("video_path") or video)
    size = info.get("chunks_size", 1000)
    path = find_file(root, "meta/episodes.jsonl")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise DataError(f"{root / INFO}: chunks_size is {size!r}")
    for number, said in enumerate(read_lines(path)):
        if said.get("episode_index") != number:
            raise DataError(f"{path}: episode {number} is missing, or not in its place")
        tasks = said.get("tasks")
        values = {"episode_chunk": number // size, "episode_index": number}
        where = f"{path}: episode {number}"
        yield EpisodePlace(
            length=_check_number(said.get("length"), path, "length"),
            tasks=tuple(map(str, tasks)) if isinstance(tasks, list) else (),
            data=fill_template(data, values, where),
            videos={
                name: (fill_template(video, {**values, "video_key": name}, where), 0.0)
                for name in videos
            },
        )


def _check_number(value: object, path: Path, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_PER_EPISODE:
        raise DataError(f"{path}: {name} is {value!r}, not a whole number of at least 0")
    return value
