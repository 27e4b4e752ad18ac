"""Run the process of a replay, which may crash or hang without harm to this one."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeAlias

import cloudpickle  # type: ignore[import-untyped]  # ships no types

from minari.replay.worker import Job
from minari_core.errors import CacheError, EnvironmentNotRecoverableError, MinariError, ReplayError
from minari_core.messages import Progress

MAKING_SECONDS = 180.0
"""The most seconds to make and reset an environment."""
STEP_SECONDS = 60.0
"""The most seconds for one of its steps."""
_CLOSING_SECONDS = 5.0
_POLL_SECONDS = 0.1
_MOST_TOLD = 300
_VARIABLE = "MUJOCO_GL"
# With the path of this process, the same modules are found in that one.
_PROGRAM = "import sys; sys.path[:] = {!r}; from minari.replay.worker import main; main()"
_ERRORS: Mapping[str, type[MinariError]] = {
    each.__name__: each for each in (CacheError, EnvironmentNotRecoverableError)
}
_Message: TypeAlias = dict[str, Any]


class ReplayCancelledError(ReplayError):
    """Somebody has cancelled a replay."""


class _OpenGLError(Exception):
    """MuJoCo cannot render with what it was told to."""


def run_job(
    job: Job,
    progress: Progress,
    cancelled: threading.Event,
) -> None:
    """Run a job in a process of its own, which ends with this one.

    MuJoCo renders with what ``MUJOCO_GL`` says, or else on Linux with EGL, or else with OSMesa.

    Args:
        job: The job.
        progress: Called with the observations that were replayed, and all.
        cancelled: Set by another thread to end it.

    Raises:
        CacheError: The frames take more than they may.
        EnvironmentNotRecoverableError: The environment cannot be made.
        ReplayError: It raises, hangs, crashes or has no frames; MuJoCo cannot render here; or the
            replay was cancelled.
    """
    chosen = os.environ.get(_VARIABLE, "")
    backends = ("egl", "osmesa") if sys.platform == "linux" and not chosen else (chosen,)
    failures = []
    for backend in backends:
        try:
            _run(job, progress, cancelled, {_VARIABLE: backend} if backend else {})
        except _OpenGLError as error:
            failures.append(f"{backend or 'its default'}: {error}")
        else:
            return
    raise ReplayError(
        f"MuJoCo cannot render here ({'; '.join(failures)}); install EGL (libegl1 and "
        f"libgl1-mesa-dri of Debian and Ubuntu) or OSMesa (libosmesa6), or set {_VARIABLE} to "
        "what works here"
    )


def _run(
    job: Job,
    progress: Progress,
    cancelled: threading.Event,
    variables: dict[str, str],
) -> None:
    where = f"the environment {job.spec.id} of episode {job.episode.id}"
    doing, seconds = "when it was made", MAKING_SECONDS
    with _start(_pickle(job), variables) as (process, said):
        messages = _start_reading(process)
        deadline = time.monotonic() + seconds
        while True:
            if cancelled.is_set():
                raise ReplayCancelledError(f"the replay of episode {job.episode.id} was cancelled")
            try:
                message = messages.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise ReplayError(
                        f"{where} hangs {doing}: it took more than {seconds:g} seconds"
                    ) from None
                continue
            if message is None:
                process.wait()
                raise ReplayError(
                    f"{where} ended its process {doing} (exit code {process.returncode})"
                    f"{_read_end(said)}"
                )
            if "row" in message:
                progress(message["row"] + 1, message["rows"])
                doing, seconds = f"in step {message['row']}", STEP_SECONDS
                deadline = time.monotonic() + seconds
                continue
            if "error" in message:
                raise _make_error(message, where)
            with suppress(subprocess.TimeoutExpired):
                # Meanwhile the environment closes whatever it has opened.
                process.wait(_CLOSING_SECONDS)
            return


def _pickle(job: Job) -> bytes:
    try:
        # Unlike pickle, it also takes what the main module or a notebook defines.
        return bytes(cloudpickle.dumps(job))
    except Exception as error:  # what is pickled raises whatever it likes
        raise EnvironmentNotRecoverableError(
            f"{job.spec.id} cannot be sent to a process of its own: {type(error).__name__}: {error}"
        ) from error


@contextmanager
def _start(
    pickled: bytes, variables: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start the process, and end it whatever happens."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**os.environ, **variables},
        )
        sender = threading.Thread(target=_send, args=(process, pickled), daemon=True)
        sender.start()
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()
            sender.join()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()


def _send(process: subprocess.Popen[bytes], pickled: bytes) -> None:
    stream = process.stdin
    # A process that has ended takes nothing; what it said first is told elsewhere.
    with suppress(OSError, ValueError):
        if stream is not None:
            stream.write(len(pickled).to_bytes(8, "little") + pickled)
            # Not closed: when it is, by our end at the latest, the process ends.
            stream.flush()


def _start_reading(process: subprocess.Popen[bytes]) -> queue.SimpleQueue[_Message | None]:
    """Read messages in a thread; None is the end."""
    messages: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()

    def read() -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    # One of a process that was killed may be half.
                    with suppress(ValueError):
                        messages.put(json.loads(line))
        messages.put(None)

    threading.Thread(target=read, daemon=True).start()
    return messages


def _make_error(message: _Message, where: str) -> Exception:
    text = str(message["message"])[:_MOST_TOLD]
    if message["is_opengl"]:
        return _OpenGLError(f"{message['error']}: {text}")
    if message["is_ours"]:
        return _ERRORS.get(message["error"], ReplayError)(f"{where}: {text}")
    return ReplayError(f"{where} raised {message['error']} {message['doing']}: {text}")


def _read_end(said: IO[bytes]) -> str:
    """Return the end of what a process has said, as part of a sentence."""
    said.seek(max(said.seek(0, os.SEEK_END) - _MOST_TOLD, 0))
    text = " ".join(said.read().decode("utf-8", "replace").split())
    return f", and said last: {text}" if text else ""
