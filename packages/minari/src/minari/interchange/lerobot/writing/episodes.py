"""The table of episodes: where each lies, and its statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari.interchange.lerobot.files.features import DONE, TRUNCATED, Feature
from minari.interchange.lerobot.files.paths import EPISODES, ChunkedParquet
from minari.interchange.lerobot.writing.statistics import (
    Statistics,
    describe_columns,
    describe_images,
    merge_statistics,
)
from minari_core.tables.gathering import Columns

_ROWS = 2048
_VECTORS = ""


@dataclass(frozen=True, slots=True)
class VideoPlace:
    """Where the frames of an episode lie in videos."""

    chunk: int
    """The number of the chunk."""
    file: int
    """The number of the file in it."""
    start: float
    """The second at which they begin."""
    end: float
    """The second at which they end."""


@dataclass(slots=True)
class _Entry:
    place: tuple[int, int]
    start: int
    length: int = 0
    videos: dict[str, VideoPlace] = field(default_factory=dict)
    parts: list[dict[str, Statistics]] = field(default_factory=list)


class EpisodeTable:
    """Writes the table of episodes, of pieces of them that come in order."""

    def __init__(self, root: Path, features: Sequence[Feature], tasks: Sequence[str]) -> None:
        """Begin.

        Args:
            root: The folder of the dataset.
            features: The features.
            tasks: The task of each episode.
        """
        self._files = ChunkedParquet(root, EPISODES)
        self._tasks = tasks
        self._open: list[_Entry] = []
        self._written = 0
        self._frames = 0
        self._totals: list[dict[str, Statistics]] = []
        # LeRobot refuses statistics of any other shape under a name with this word.
        named = [each for each in features if each.is_visual or "image" not in each.name]
        self._images = [each for each in named if each.is_visual and each.shape[2:] != (4,)]
        numbers = [each for each in named if not each.is_visual and each.dtype != "string"]
        self._matrices = [each.name for each in numbers if len(each.shape) > 1]
        vectors = {each.name: each.lerobot_shape[0] for each in numbers if len(each.shape) < 2}
        self._vectors = {**vectors, DONE: 1, TRUNCATED: 1}

    def __enter__(self) -> EpisodeTable:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the last file."""
        self._files.__exit__(kind, error, traceback)

    def add(
        self,
        rows: Columns,
        length: int,
        place: tuple[int, int],
        videos: Mapping[str, VideoPlace],
        *,
        is_new: bool,
    ) -> None:
        """Add steps of an episode.

        Args:
            rows: The features of the steps, as they were recorded.
            length: The number of steps.
            place: The numbers of the chunk and file in which they are written.
            videos: Where their frames lie.
            is_new: Whether an episode begins with them.
        """
        if is_new:
            if len(self._open) >= _ROWS:
                self._write()
            self._open.append(_Entry(place, self._frames))
        entry = self._open[-1]
        entry.length += length
        entry.parts.append(self._describe(rows, length))
        for name, video in videos.items():
            start = entry.videos[name].start if name in entry.videos else video.start
            entry.videos[name] = VideoPlace(video.chunk, video.file, start, video.end)
        self._frames += length

    def finish(self) -> dict[str, Statistics]:
        """Write what is left, and return the statistics of all episodes."""
        if self._open or not self._written:
            self._write()
        if not self._totals:
            return {}
        return self._split(_merge(self._totals))

    def _describe(self, rows: Columns, length: int) -> dict[str, Statistics]:
        columns = np.empty((sum(self._vectors.values()), length))
        start = 0
        for name, width in self._vectors.items():
            columns[start : start + width] = np.asarray(rows[name]).reshape(length, width).T
            start += width
        found = {_VECTORS: describe_columns(columns)}
        for name in self._matrices:
            values = np.asarray(rows[name])
            flat = values.reshape(-1, values.shape[-1]).T
            described = describe_columns(flat.astype(np.float64, order="C"))
            found[name] = {**described, "count": np.array([float(length)])}
        for each in self._images:
            found[each.name] = describe_images(np.asarray(rows[each.name]))
        return found

    def _split(self, merged: Mapping[str, Statistics]) -> dict[str, Statistics]:
        """Split the statistics of all vectors side by side into those of each."""
        found: dict[str, Statistics] = {}
        start = 0
        for name, width in self._vectors.items():
            found[name] = {
                key: value if key == "count" else value[start : start + width]
                for key, value in merged[_VECTORS].items()
            }
            start += width
        return {**found, **{name: value for name, value in merged.items() if name != _VECTORS}}

    def _write(self) -> None:
        entries, self._open = self._open, []
        merged = [_merge(entry.parts) for entry in entries]
        numbers = range(self._written, self._written + len(entries))
        columns: dict[str, Any] = {
            "episode_index": pa.array(numbers, pa.int64()),
            "tasks": pa.array([[self._tasks[n]] for n in numbers], pa.list_(pa.string())),
            "length": pa.array([entry.length for entry in entries], pa.int64()),
            "data/chunk_index": pa.array([entry.place[0] for entry in entries], pa.int64()),
            "data/file_index": pa.array([entry.place[1] for entry in entries], pa.int64()),
            "dataset_from_index": pa.array([entry.start for entry in entries], pa.int64()),
            "dataset_to_index": pa.array(
                [entry.start + entry.length for entry in entries], pa.int64()
            ),
        }
        for name in entries[0].videos if entries else ():
            places = [entry.videos[name] for entry in entries]
            columns[f"videos/{name}/chunk_index"] = [place.chunk for place in places]
            columns[f"videos/{name}/file_index"] = [place.file for place in places]
            columns[f"videos/{name}/from_timestamp"] = [place.start for place in places]
            columns[f"videos/{name}/to_timestamp"] = [place.end for place in places]
        if merged:
            columns.update(self._list_statistics(merged))
            self._totals.append(_merge(merged))
        self._files.go_on()
        chunk, file = self._files.place
        columns["meta/episodes/chunk_index"] = pa.array([chunk] * len(entries), pa.int64())
        columns["meta/episodes/file_index"] = pa.array([file] * len(entries), pa.int64())
        self._files.write(pa.table(columns))
        self._written += len(entries)

    def _list_statistics(self, merged: Sequence[Mapping[str, Statistics]]) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {}
        start = 0
        for name, width in self._vectors.items():
            for key in merged[0][_VECTORS]:
                rows = np.stack([each[_VECTORS][key] for each in merged])
                if key != "count":
                    rows = rows[:, start : start + width]
                columns[f"stats/{name}/{key}"] = _make_lists(rows, key)
            start += width
        for name in merged[0]:
            if name != _VECTORS:
                for key in merged[0][name]:
                    rows = np.stack([each[name][key] for each in merged])
                    columns[f"stats/{name}/{key}"] = _make_lists(rows, key)
        return columns


def _make_lists(rows: npt.NDArray[np.float64], key: str) -> pa.Array:
    if key == "count":
        return pa.array(rows.astype(np.int64).tolist(), pa.list_(pa.int64()))
    array = pa.array(np.ascontiguousarray(rows).reshape(-1))
    for size in reversed(rows.shape[1:]):
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def _merge(parts: Sequence[Mapping[str, Statistics]]) -> dict[str, Statistics]:
    return {name: merge_statistics([part[name] for part in parts]) for name in parts[0]}
