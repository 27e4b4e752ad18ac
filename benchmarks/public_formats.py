"""Reading what the public Minari wrote, in its own layout; both sides read the same file."""

from __future__ import annotations

import os
from pathlib import Path

from measure import MINARI, PUBLIC, Work, in_turns, median, ratio, timed
from report import NOTHING, Figure, milliseconds
from setting import Setting
from workloads import Workload, long_episodes, short_episodes
from writing import buffers_of

import minari

_OBSTACLE = (
    "The public Minari's file has wide observations in chunks of a few columns, whose rows of 40 "
    "bytes are put together one by one; that, the headers and the memory of an episode take the "
    "time."
)
_LEAST_FASTER = {"long": 6.0, "short": 10.0}


def measure(setting: Setting) -> list[Figure]:
    """Both workloads, from the public Minari's file or, without it, from one of our own."""
    return [
        _read(setting, workload)
        for workload in (long_episodes(quick=setting.quick), short_episodes(quick=setting.quick))
    ]


def _read(setting: Setting, workload: Workload) -> Figure:
    dataset_id = f"bench/{workload.name}-v0"
    public = setting.public("read", name=workload.name)
    with setting.datasets() as root:
        if public and setting.peer is not None:
            theirs = setting.peer.root / dataset_id
            (root / dataset_id).parent.mkdir()
            os.symlink(theirs, root / dataset_id, target_is_directory=True)
        else:
            minari.create_dataset_from_buffers(
                dataset_id,
                buffers_of(workload, workload.columns()),
                observation_space=workload.observation_space,
                action_space=workload.action_space,
                data_format="hdf5",
            )
        nbytes = (Path(root) / dataset_id / "data" / "main_data.hdf5").stat().st_size

        def read() -> None:
            for _ in minari.load_dataset(dataset_id).iterate_episodes():
                pass

        works: dict[str, Work] = {MINARI: lambda: timed(read), **public}
        times = in_turns(works, setting.rounds(7))
    faster = 1 / ratio(times, to=PUBLIC) if public else None
    least = _LEAST_FASTER[workload.name]
    return Figure(
        work=f"read {workload.episodes:,} × {workload.steps:,} steps, the format 'hdf5'",
        minari=milliseconds(median(times, MINARI)),
        compared=NOTHING if faster is None else f"{faster:.1f} × as fast as the public Minari",
        target=f"{least:.0f} ×",
        reached=None if faster is None else faster >= least,
        public=milliseconds(median(times, PUBLIC)),
        obstacle=_OBSTACLE,
        values={name: median(times, name) for name in times}
        | {"faster": faster, "nbytes": float(nbytes)},
    )
