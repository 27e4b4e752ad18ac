"""`render_episode`: choose the frames of an episode, and write them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator

from minari.rendering.writing import Frame, Video, check_free, choose_writer, write_video
from minari.replay.replaying import Trust, find_replay
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.dataset import check_dataset
from minari_core.errors import RenderError, ReplayError
from minari_core.images import is_image
from minari_core.leaves import find_leaves, join_path
from minari_core.messages import Progress, warn_caller

_FPS = 30.0
_MOST_FPS = 1000.0
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeVideo:
    """The result of `render_episode`."""

    path: Path
    """The file."""
    frames: int
    """The number of its frames."""
    fps: float
    """Frames a second."""
    source: str
    """The column of images that they are, such as ``observations/camera``; or ``replay``."""
    is_whole: bool
    """Whether there is a frame for every observation; a replay that goes elsewhere ends there."""
    description: str
    """How faithful the replay is; "" for images that were recorded."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the frames of an episode are read from."""

    name: str
    read: Callable[[int, int], npt.NDArray[Any]]
    frames: int
    fps: float | None
    is_whole: bool = True
    description: str = ""


def render_episode(
    dataset: MinariDataset,
    episode: int,
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    fps: float | None = None,
    overwrite: bool = False,
    trust_entry_point: bool = False,
    trust_paths: bool = False,
    skip_wrappers: Collection[str] = (),
    progress: Progress | None = None,
) -> EpisodeVideo:
    """Write an episode as a video.

    An episode with image observations is written from these, any other from a replay: the
    environment is reset with the recorded seed and options and takes the recorded actions, in a
    process of its own. Its observations are compared with the recorded ones at every step. Where
    they differ by more than rounding the video ends, and a warning says so.

    Args:
        dataset: A dataset or view.
        episode: The id of the episode.
        path: The file. ``.mp4`` is H.264; ``.webp`` is lossless; ``.gif`` has 256 colours.
        column: The column of images, such as ``observations/camera``, or ``replay``; the first
            column of images if None, or a replay if there is none.
        fps: Frames a second; if None what the environment has in its metadata as ``render_fps``,
            else 30.
        overwrite: Replace the file if it exists.
        trust_entry_point: As for `MinariDataset.recover_environment`, in a replay.
        trust_paths: The same.
        skip_wrappers: The same.
        progress: Called with the observations that were replayed and the frames that were written,
            and all of both.

    Returns:
        What was written.

    Raises:
        DatasetWriteError: The file system refused; there is no file, or the one that was.
        EnvironmentNotRecoverableError: The environment cannot be made here, or may not be run.
        EpisodeIndexError: There is no such episode.
        IncompatibleDatasetsError: It is no dataset.
        MissingDependencyError: PyAV or Pillow is not installed.
        RenderError: The file exists; its suffix, the column or ``fps`` is none that can be written.
        ReplayError: The episode has no seed; its environment fails in a replay; or the replay
            differs from the first observation on.

    Example:
        >>> minari.render_episode(dataset, 0, "episode.mp4")  # doctest: +SKIP
    """
    check_dataset(dataset)
    target = Path(path)
    write = choose_writer(target)
    if not overwrite:
        check_free(target)
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= _MOST_FPS):
        raise RenderError(f"fps is {fps}; it must be more than 0, and at most {_MOST_FPS:g}")
    (data,) = dataset.iterate_episodes([episode], copy=False)
    source = _find_source(
        dataset,
        data,
        column,
        Trust(trust_entry_point, trust_paths, skip_wrappers),
        lambda done, total: progress(done, 2 * total) if progress else None,
    )
    rate = fps or source.fps or _FPS

    def note(done: int) -> None:
        if progress is not None:
            progress(source.frames + done, 2 * source.frames)

    video = Video(_make_reader(source, note), source.frames, rate)
    write_video(target, video, write, overwrite=overwrite)
    if not source.is_whole:
        warn_caller(f"{target} ends before the episode: {source.description}")
    return EpisodeVideo(
        path=target,
        frames=source.frames,
        fps=rate,
        source=source.name,
        is_whole=source.is_whole,
        description=source.description,
    )


def _find_source(
    dataset: MinariDataset,
    episode: EpisodeData,
    column: str | None,
    trust: Trust,
    progress: Progress,
) -> _Source:
    images = {
        join_path("observations", keys): leaf
        for keys, leaf in find_leaves(episode.observations)
        if is_image(leaf)
    }
    name = column or next(iter(images), "replay")
    if name in images:
        rows = images[name]
        return _Source(
            name, lambda start, stop: rows[start:stop], len(rows), _find_registered_fps(dataset)
        )
    if name != "replay":
        raise RenderError(
            f"episode {episode.id} has no column of images {name!r}; it has "
            f"{', '.join(images) or 'none'}, and 'replay' is always one"
        )
    replay = find_replay(dataset, episode, trust, progress=progress)
    if not len(replay):
        raise ReplayError(f"there is no frame of episode {episode.id}: {replay.describe()}")
    outcome = replay.outcome
    is_whole = outcome.difference is None
    return _Source(name, replay.read, len(replay), outcome.fps, is_whole, replay.describe())


def _make_reader(source: _Source, note: Callable[[int], None]) -> Callable[[int], Frame]:
    """Make what reads single frames, some at once, with three channels."""
    first, block = 0, source.read(0, 0)

    def read(number: int) -> Frame:
        nonlocal first, block
        if not first <= number < first + len(block):
            first, block = number, source.read(number, number + _FRAMES_AT_ONCE)
        note(number)
        frame = block[number - first]
        if frame.ndim == 2:
            frame = frame[:, :, None]
        # What is transparent is shown as its colour.
        colours = np.broadcast_to(frame[:, :, :3], (*frame.shape[:2], 3))
        return np.ascontiguousarray(colours, dtype=np.uint8)

    return read


def _find_registered_fps(dataset: MinariDataset) -> float | None:
    """Find what the environment says, if it is one that is registered here; it is not made."""
    try:
        spec = dataset.env_spec
        registered = None if spec is None else gymnasium.registry.get(spec.id)
        creator: object = None if registered is None else registered.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        fps = getattr(creator, "metadata", {}).get("render_fps")
    except Exception:  # whatever an import raises: there is a rate without it
        return None
    return float(fps) if isinstance(fps, int | float) and 0 < fps <= _MOST_FPS else None
