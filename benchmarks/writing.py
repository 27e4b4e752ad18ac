"""Writing whole episodes into a new dataset, until it is durable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import LIMIT, MINARI, PUBLIC, Work, in_turns, median, ratio, size_of_folder, timed
from report import NOTHING, Figure, megabytes, milliseconds
from setting import Setting
from workloads import ABOUT, COLUMNS, Columns, Workload, long_episodes, short_episodes

import minari

_MOST_TIME = 1.5
_MOST_FROM_EPISODES = 1.4
_JOINED = "joined"
_OBSTACLE = (
    "The limit is given columns that are already joined; a dataset is given episodes, each array "
    "of which is looked at and copied into its column, and has a manifest and a folder to flush."
)
_MOST_SIZE = {"long": 1.05, "short": 1.15}


def measure(setting: Setting) -> list[Figure]:
    """Both workloads, beside `numpy.save` of the columns that are already put together."""
    return [
        figure
        for workload in (long_episodes(quick=setting.quick), short_episodes(quick=setting.quick))
        for figure in _write(setting, workload)
    ]


def buffers_of(workload: Workload, columns: Columns) -> list[minari.EpisodeBuffer]:
    """The episodes, as views of the columns."""
    return [
        minari.EpisodeBuffer(
            observations=cut["observations"],
            actions=cut["actions"],
            rewards=cut["rewards"],
            terminations=cut["terminations"],
            truncations=cut["truncations"],
        )
        for cut in workload.cut(columns)
    ]


def write(workload: Workload, buffers: Sequence[minari.EpisodeBuffer], dataset_id: str) -> None:
    """Create a dataset of the workload."""
    minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=workload.observation_space,
        action_space=workload.action_space,
        eval_env="CartPole-v1",
        **ABOUT,
    )


def save(columns: Columns, folder: Path) -> None:
    """Save each column with `numpy.save` and fsync."""
    folder.mkdir()
    for name, column in columns.items():
        with open(folder / f"{name}.npy", "wb") as file:
            np.save(file, column)
            file.flush()
            os.fsync(file.fileno())


def _write(setting: Setting, workload: Workload) -> list[Figure]:
    columns = workload.columns()
    buffers = buffers_of(workload, columns)
    public = setting.public("write", name=workload.name)
    sizes: list[int] = []
    with setting.datasets() as root:
        saved = root / "saved"

        def written() -> float:
            _settle()
            seconds = timed(lambda: write(workload, buffers, "bench/written-v0"))
            sizes.append(size_of_folder(root / "bench" / "written-v0"))
            minari.delete_dataset("bench/written-v0")
            return seconds

        def limit() -> float:
            _settle()
            seconds = timed(lambda: save(columns, saved))
            shutil.rmtree(saved)
            return seconds

        def joined() -> float:
            _settle()
            seconds = timed(lambda: save(_joined(buffers), saved))
            shutil.rmtree(saved)
            return seconds

        works: dict[str, Work] = {LIMIT: limit, MINARI: written, _JOINED: joined, **public}
        times = in_turns(works, setting.rounds(11), at_most={PUBLIC: 2})
    public_size = None
    peer = setting.peer
    if peer is not None and public:
        answer = setting.attempt(lambda: peer.ask("write", name=workload.name))
        public_size = None if answer is None else answer["nbytes"]
    slower, larger = ratio(times), sizes[-1] / workload.raw_nbytes
    most_size = _MOST_SIZE[workload.name]
    what = f"{workload.episodes:,} × {workload.steps:,} steps"
    return [
        Figure(
            work=f"write {what}",
            minari=milliseconds(median(times, MINARI)),
            limit=f"{milliseconds(median(times, LIMIT))} (numpy.save, fsync)",
            compared=f"{slower:.2f} ×",
            target=f"{_MOST_TIME} ×",
            reached=slower <= _MOST_TIME,
            public=milliseconds(median(times, PUBLIC)),
            obstacle=_OBSTACLE,
            values={name: median(times, name) for name in times} | {"ratio": slower},
        ),
        Figure(
            work=f"write {what}, from the same episodes",
            minari=milliseconds(median(times, MINARI)),
            limit=f"{milliseconds(median(times, _JOINED))} (numpy.concatenate, numpy.save, fsync)",
            compared=f"{ratio(times, to=_JOINED):.2f} ×",
            target=f"{_MOST_FROM_EPISODES} ×",
            reached=ratio(times, to=_JOINED) <= _MOST_FROM_EPISODES,
            obstacle=_OBSTACLE,
        ),
        Figure(
            work=f"size of {what}",
            minari=megabytes(sizes[-1]),
            limit=f"{megabytes(workload.raw_nbytes)} (raw bytes)",
            compared=f"{larger:.3f} ×",
            target=f"{most_size} ×",
            reached=larger <= most_size,
            public=NOTHING if public_size is None else megabytes(public_size),
            values={MINARI: sizes[-1], LIMIT: workload.raw_nbytes, PUBLIC: public_size},
        ),
    ]


def _joined(buffers: Sequence[minari.EpisodeBuffer]) -> Columns:
    return {name: np.concatenate([getattr(buffer, name) for buffer in buffers]) for name in COLUMNS}


def _settle() -> None:
    """Let the disk finish what others have left it to do."""
    if hasattr(os, "sync"):
        os.sync()
