"""The process of one replay: a job on stdin, lines of JSON on what was stdout.

Whatever the environment prints goes to stderr. When the parent is gone, this process ends.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec

from minari.replay.frames import Outcome, write_frames, write_outcome
from minari.replay.stepping import Difference, replay_rows
from minari_core import EpisodeData
from minari_core.environments.recovery import make_environment
from minari_core.errors import MinariError, ReplayError

Frame: TypeAlias = npt.NDArray[np.uint8]
Report: TypeAlias = Callable[[dict[str, object]], None]
_OPENGL_MODULES = frozenset(
    {
        "OpenGL",
        "dm_control._render",
        "gymnasium.envs.mujoco.mujoco_rendering",
        "mujoco.cgl",
        "mujoco.egl",
        "mujoco.gl_context",
        "mujoco.glfw",
        "mujoco.osmesa",
    }
)


@dataclass(frozen=True)
class Job:
    """What one process replays."""

    spec: EnvSpec
    """The environment, which may be made."""
    episode: EpisodeData
    """The episode; it has a seed."""
    folder: Path
    """Where its frames go."""
    most_nbytes: int
    """The most bytes that they may take."""
    installed: str
    """A text for all that is installed here."""


class Progress:
    """Where a replay is."""

    def __init__(self) -> None:
        """Begin with making the environment."""
        self.doing = "when it was made"
        """What an error has happened in, in words."""
        self.has_begun = False
        """Whether there is a frame."""


def main() -> None:
    """Run the job that comes on stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A copy, since whatever an environment prints must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report(message: dict[str, object]) -> None:
        answers.write(json.dumps(message) + "\n")

    progress = Progress()
    try:
        job: Job = pickle.loads(_read_job(sys.stdin.buffer))
        threading.Thread(target=_end_with_parent, daemon=True).start()
        run_job(job, report, progress)
    except BaseException as error:  # an environment may even try to exit
        report(describe_failure(error, progress))
    answers.close()


def _read_job(stream: BinaryIO) -> bytes:
    size = int.from_bytes(stream.read(8), "little")
    return stream.read(size)


def _end_with_parent() -> None:
    # Nothing more comes; unlike a buffered read, this one holds nothing when the process ends.
    with suppress(OSError):
        os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def run_job(job: Job, report: Report, progress: Progress) -> None:
    """Replay an episode, and write its frames.

    Args:
        job: The job.
        report: Called with each step that is done, and at the end.
        progress: Where it is, for whoever catches an error.

    Raises:
        MinariError: The environment cannot be made or has no frames, or there are too many.
        BaseException: Whatever the environment raises.
    """
    env = make_environment(job.spec, render_mode="rgb_array")
    rows = len(job.episode) + job.episode.final_observation_known
    outcome = Outcome(rows=rows, fps=_find_fps(env))

    def make_frames() -> Iterator[Frame]:
        nonlocal outcome
        shape: tuple[int, ...] | None = None
        progress.doing = "in its reset"
        for row, difference in replay_rows(job.episode, env):
            if difference is not None and not difference.is_rounding:
                outcome = replace(outcome, difference=difference)
                return
            outcome = replace(outcome, rounding=_join_rounding(outcome.rounding, difference))
            progress.doing = f"when step {row} was rendered"
            frame = _render(env)
            if shape not in (None, frame.shape):
                raise ReplayError("it changes the shape of its frames")
            shape = frame.shape
            progress.doing, progress.has_begun = f"in step {row}", True
            report({"row": row, "rows": rows})
            yield frame

    shape, sizes = write_frames(job.folder, make_frames(), job.most_nbytes)
    write_outcome(job.folder, shape, sizes, outcome, job.installed)
    report({"done": True})
    env.close()


def describe_failure(error: BaseException, progress: Progress) -> dict[str, object]:
    """Describe an error, for `minari.replay.process` to raise it."""
    return {
        "error": type(error).__name__,
        "message": str(error),
        "is_ours": isinstance(error, MinariError),
        "is_opengl": not progress.has_begun and _is_about_opengl(error),
        "doing": progress.doing,
    }


def _is_about_opengl(error: BaseException | None) -> bool:
    """Return whether an error comes from what MuJoCo renders with."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name = str(frame.f_globals.get("__name__", ""))
            if name in _OPENGL_MODULES or name.partition(".")[0] in _OPENGL_MODULES:
                return True
        error = error.__cause__ or error.__context__
    return False


def _render(env: gymnasium.Env[Any, Any]) -> Frame:
    frame: Any = env.render()
    array = np.asarray(frame)
    if frame is None or array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        modes = ", ".join(map(str, env.metadata.get("render_modes") or ())) or "none"
        raise ReplayError(
            f"the environment gives no frames as rgb_array; its render modes: {modes}"
        )
    if array.dtype != np.uint8:
        raise ReplayError(f"it gives frames of {array.dtype}, and not of uint8")
    return array


def _join_rounding(known: Difference | None, found: Difference | None) -> Difference | None:
    """Keep the first row that differs by rounding, with the largest difference of all."""
    if known is None or found is None:
        return known or found
    return replace(known, amount=max(known.amount or 0.0, found.amount or 0.0))


def _find_fps(env: gymnasium.Env[Any, Any]) -> float | None:
    fps = env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps < 1e6 else None
