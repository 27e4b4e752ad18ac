"""Write the episodes of a dataset in the layout of LeRobot 3.0."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari.interchange.layout import Loss
from minari.interchange.lerobot.files.features import (
    DONE,
    TRUNCATED,
    Feature,
    find_incomplete,
    list_features,
    make_array,
    make_table,
    plan_features,
)
from minari.interchange.lerobot.files.paths import (
    DATA,
    DATA_MEGABYTES,
    FILES_PER_CHUNK,
    INFO,
    STATISTICS,
    VIDEO_MEGABYTES,
    VIDEOS,
    ChunkedParquet,
    sync_tree,
)
from minari.interchange.lerobot.files.sidecar import write_sidecar
from minari.interchange.lerobot.files.tasks import TaskList, find_task
from minari.interchange.lerobot.writing.episodes import EpisodeTable, VideoPlace
from minari.interchange.lerobot.writing.losses import list_losses
from minari.interchange.lerobot.writing.statistics import to_json
from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.leaves import find_leaves
from minari_core.sampling.gathering.info_rows import read_step_infos
from minari_core.storage.base import Storage
from minari_core.tables.gathering import Columns, join_name
from minari_core.tables.rows import iterate_columns

OWN_KEY = "lerobot"
"""The key of a dataset's metadata under which what LeRobot said of it lies."""


def write_folder(
    dataset: MinariDataset,
    root: Path,
    fps: int | None,
    task: str | None,
    *,
    as_video: bool,
    with_sidecar: bool,
) -> list[Loss]:
    """Write a dataset, as `write` of the layout describes it.

    Raises:
        DataError: Nothing says the steps a second, or the task of an episode.
        DatasetWriteError: The file system refused.
    """
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    rate = _choose_fps(fps, storage.metadata)
    tasks = TaskList()
    entries = storage.read_episode_metadata(indices)
    numbers = [tasks.add(find_task(entry, task)) for entry in entries]
    step_infos = read_step_infos(storage.metadata)
    chunks = iterate_columns(storage, indices, "steps")
    first = next(chunks)
    features = plan_features(
        first,
        find_incomplete(_list_rows(storage, indices, step_infos)),
        step_infos,
        as_video=as_video,
    )
    (root / "meta").mkdir(parents=True)
    with ExitStack() as stack:
        writer = _StepWriter(stack, root, features, rate, numbers, tasks.texts)
        written = writer.pass_on(first, chunks)
        if with_sidecar:
            write_sidecar(root, storage, indices, features, written)
        else:
            for _ in written:
                pass
        statistics = writer.finish()
    tasks.write(root)
    info: dict[str, JsonValue] = {
        "codebase_version": "v3.0",
        "fps": rate,
        "features": list_features(features),
        "total_episodes": len(indices),
        "total_frames": int(storage.episode_lengths()[indices].sum()),
        "total_tasks": len(tasks.texts),
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_MEGABYTES,
        "video_files_size_in_mb": VIDEO_MEGABYTES,
        "data_path": DATA,
        "video_path": VIDEOS if any(each.dtype == "video" for each in features) else None,
        "robot_type": _read_own(storage.metadata).get("robot_type"),
        "splits": {"train": f"0:{len(indices)}"},
    }
    _write_json(root / INFO, info)
    _write_json(root / STATISTICS, statistics)
    sync_tree(root)
    return list_losses(storage, indices, first, features, with_sidecar=with_sidecar)


class _StepWriter:
    """Writes the columns of steps, which come in order."""

    def __init__(
        self,
        stack: ExitStack,
        root: Path,
        features: Sequence[Feature],
        fps: int,
        tasks: Sequence[int],
        texts: Sequence[str],
    ) -> None:
        self._features = features
        self._fps = fps
        self._tasks = np.array(tasks, dtype=np.int64)
        self._frames = 0
        self._begun = 0
        self._data = stack.enter_context(ChunkedParquet(root, DATA))
        self._beside = stack.enter_context(ThreadPoolExecutor(1))
        self._videos = {}
        if any(each.dtype == "video" for each in features):
            from minari.interchange.lerobot.writing.video import VideoFiles

            self._videos = {
                each.name: stack.enter_context(VideoFiles(root, each.name, fps))
                for each in features
                if each.dtype == "video"
            }
        self._episodes = stack.enter_context(
            EpisodeTable(root, features, [texts[n] for n in tasks])
        )

    def pass_on(self, first: Columns, chunks: Iterator[Columns]) -> Iterator[Columns]:
        """Write columns, and yield them."""
        self._add(first)
        yield first
        for columns in chunks:
            self._add(columns)
            yield columns

    def finish(self) -> dict[str, JsonValue]:
        """Complete the table of episodes, and return the statistics of all."""
        return to_json(self._episodes.finish())

    def _add(self, columns: Columns) -> None:
        steps: npt.NDArray[np.int64] = np.asarray(columns.get("step", np.zeros(0, np.int64)))
        is_first = steps == 0
        episodes = self._begun - 1 + np.cumsum(is_first)
        table = self._make_table(columns, steps, episodes)
        is_new = bool(is_first[:1].any())
        if is_new:
            self._data.go_on(table.nbytes)
        # pyarrow writes while numpy counts.
        writing = self._beside.submit(self._data.write, table)
        if len(steps):
            rows: Columns = {each.name: columns[each.column] for each in self._features}
            rows |= {DONE: self._find_done(columns), TRUNCATED: columns["truncated"]}
            borders = np.unique([0, *np.flatnonzero(is_first), len(steps)])
            videos = self._add_videos(rows, borders, is_new=is_new)
            self._episodes.add(rows, borders, self._data.place, videos, is_new=is_new)
        writing.result()
        self._frames += len(steps)
        self._begun += int(is_first.sum())

    def _add_videos(
        self, rows: Columns, borders: npt.NDArray[np.int64], *, is_new: bool
    ) -> list[dict[str, VideoPlace]]:
        """Write the frames of episodes, and return where those of each lie."""
        if not self._videos:
            return [{}] * (len(borders) - 1)
        return [
            {
                name: video.add(np.asarray(rows[name][begin:end]), is_new=is_new or begin > 0)
                for name, video in self._videos.items()
            }
            for begin, end in pairwise(borders.tolist())
        ]

    def _find_done(self, columns: Columns) -> npt.NDArray[np.bool_]:
        terminated: npt.NDArray[np.bool_] = np.asarray(columns["terminated"])
        truncated: npt.NDArray[np.bool_] = np.asarray(columns["truncated"])
        return terminated | truncated

    def _make_table(
        self, columns: Columns, steps: npt.NDArray[np.int64], episodes: npt.NDArray[np.int64]
    ) -> pa.Table:
        arrays = {
            each.name: make_array(columns[each.column], each)
            for each in self._features
            if each.dtype != "video"
        }
        if "terminated" in columns:
            arrays[DONE] = pa.array(self._find_done(columns))
            arrays[TRUNCATED] = pa.array(np.asarray(columns["truncated"]))
        else:
            arrays[DONE] = arrays[TRUNCATED] = pa.array([], pa.bool_())
        arrays["timestamp"] = pa.array((steps / self._fps).astype(np.float32))
        arrays["frame_index"] = pa.array(steps, pa.int64())
        arrays["episode_index"] = pa.array(episodes, pa.int64())
        arrays["index"] = pa.array(np.arange(self._frames, self._frames + len(steps)))
        arrays["task_index"] = pa.array(self._tasks[episodes], pa.int64())
        return make_table(arrays, self._features)


def _list_rows(
    storage: Storage, indices: Sequence[int], step_infos: Sequence[str]
) -> Iterator[tuple[str, object]]:
    """List the infos and extra columns of each episode, with a row a step."""
    lengths = storage.episode_lengths()
    groups = {"infos": "info", "extras": "extra"}
    for index in indices:
        length, is_empty = int(lengths[index]), True
        for group, name in groups.items():
            rows = storage.read_rows(index, group, 0, length + 1, copy=False)
            for keys, leaf in find_leaves(rows):
                is_empty = False
                is_current = group == "infos" and keys[0] in step_infos
                taken: Any = leaf
                taken = taken[:length] if is_current else taken[1:]
                yield join_name(name, keys), taken if len(taken) == length else [None]
        if is_empty:
            return  # an episode shows the infos of all


def _choose_fps(given: int | None, metadata: Mapping[str, JsonValue]) -> int:
    said = _read_own(metadata).get("fps") if given is None else given
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        raise DataError(
            "LeRobot asks how many steps there are a second, which nothing in the dataset says; "
            "give fps=30, for instance"
        )
    if said <= 0 or said != int(said):
        raise DataError(f"fps is {said}, not a whole number above 0")
    return int(said)


def _read_own(metadata: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    said = metadata.get(OWN_KEY)
    return said if isinstance(said, Mapping) else {}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False), encoding="utf-8")
