"""The table of episodes: where each lies, and its statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari.interchange.lerobot.files.features import DONE, TRUNCATED, Feature
from minari.interchange.lerobot.files.paths import EPISODES, ChunkedParquet
from minari.interchange.lerobot.writing.statistics import (
    Statistics,
    describe_episodes,
    describe_images,
    join_statistics,
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


Described: TypeAlias = dict[str, Statistics]


@dataclass(slots=True)
class _Entry:
    place: tuple[int, int]
    start: int
    length: int
    videos: dict[str, VideoPlace]


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
        self._blocks: list[Described] = []
        # Those of the last episode, which may go on, and in as many rows as it came in.
        self._last: list[Described] = []
        self._written = 0
        self._frames = 0
        self._totals: list[Described] = []
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
        borders: npt.NDArray[np.int64],
        place: tuple[int, int],
        videos: Sequence[Mapping[str, VideoPlace]],
        *,
        is_new: bool,
    ) -> None:
        """Add steps of episodes.

        Args:
            rows: The features of the steps, as they were recorded.
            borders: The first step of each episode, and the number of steps.
            place: The numbers of the chunk and file in which they are written.
            videos: Where the frames of each episode lie.
            is_new: Whether an episode begins with the first of them.
        """
        described = self._describe(rows, borders)
        lengths = np.diff(borders).tolist()
        if not is_new:
            entry = self._open[-1]
            entry.length += lengths[0]
            for name, video in videos[0].items():
                entry.videos[name] = replace(video, start=entry.videos[name].start)
            self._last.append(_cut(described, slice(0, 1)))
        first = 0 if is_new else 1
        for number in range(first, len(lengths)):
            start = self._frames + int(borders[number])
            self._open.append(_Entry(place, start, lengths[number], dict(videos[number])))
        if first < len(lengths):
            self._close_last()
            self._blocks.append(_cut(described, slice(first, -1)))
            self._last = [_cut(described, slice(-1, None))]
        self._frames += int(borders[-1])
        if len(self._open) > _ROWS:
            self._write(len(self._open) - 1)

    def finish(self) -> dict[str, Statistics]:
        """Write what is left, and return the statistics of all episodes."""
        self._close_last()
        if self._open or not self._written:
            self._write(len(self._open))
        if not self._totals:
            return {}
        return self._split(_merge(self._totals))

    def _close_last(self) -> None:
        if self._last:
            self._blocks.append(_merge(self._last))
            self._last = []

    def _describe(self, rows: Columns, borders: npt.NDArray[np.int64]) -> Described:
        count = int(borders[-1])
        columns = np.empty((sum(self._vectors.values()), count))
        start = 0
        for name, width in self._vectors.items():
            columns[start : start + width] = np.asarray(rows[name]).reshape(count, width).T
            start += width
        found = {_VECTORS: describe_episodes(columns, borders)}
        for name in self._matrices:
            values = np.asarray(rows[name])
            flat = values.reshape(-1, values.shape[-1]).T.astype(np.float64, order="C")
            found[name] = {
                **describe_episodes(flat, borders * (len(flat[0]) // count)),
                "count": found[_VECTORS]["count"],
            }
        for each in self._images:
            images = np.split(np.asarray(rows[each.name]), borders[1:-1])
            found[each.name] = join_statistics([describe_images(some) for some in images])
        return found

    def _split(self, merged: Mapping[str, Statistics]) -> dict[str, Statistics]:
        """Split the statistics of all vectors side by side into those of each."""
        found: dict[str, Statistics] = {}
        start = 0
        for name, width in self._vectors.items():
            found[name] = {
                key: value if key == "count" else value[:, start : start + width]
                for key, value in merged[_VECTORS].items()
            }
            start += width
        return {**found, **{name: value for name, value in merged.items() if name != _VECTORS}}

    def _write(self, count: int) -> None:
        """Write the first of the episodes that are open, whose statistics are complete."""
        entries, self._open = self._open[:count], self._open[count:]
        blocks, self._blocks = self._blocks, []
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
        if blocks:
            described = _join(blocks)
            columns.update(self._list_statistics(described))
            self._totals.append(_merge([described]))
        self._files.go_on()
        chunk, file = self._files.place
        columns["meta/episodes/chunk_index"] = pa.array([chunk] * len(entries), pa.int64())
        columns["meta/episodes/file_index"] = pa.array([file] * len(entries), pa.int64())
        self._files.write(pa.table(columns))
        self._written += len(entries)

    def _list_statistics(self, described: Described) -> dict[str, pa.Array]:
        return {
            f"stats/{name}/{key}": _make_lists(rows, key)
            for name, statistics in self._split(described).items()
            for key, rows in statistics.items()
        }


def _make_lists(rows: npt.NDArray[np.float64], key: str) -> pa.Array:
    if key == "count":
        return pa.array(rows.astype(np.int64).tolist(), pa.list_(pa.int64()))
    array = pa.array(np.ascontiguousarray(rows).reshape(-1))
    for size in reversed(rows.shape[1:]):
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def _cut(described: Described, rows: slice) -> Described:
    return {
        name: {key: value[rows] for key, value in statistics.items()}
        for name, statistics in described.items()
    }


def _join(parts: Sequence[Described]) -> Described:
    return {name: join_statistics([part[name] for part in parts]) for name in parts[0]}


def _merge(parts: Sequence[Described]) -> Described:
    return {name: merge_statistics(statistics) for name, statistics in _join(parts).items()}
