"""The frames of a replay in a folder: losslessly compressed, and read from any row on.

``frames`` has zstd chunks of a few frames one after another; ``replay.json`` says how many there
are, and how faithful the replay was.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minari.replay.stepping import Difference
from minari_core.errors import CacheError, DatasetDamagedError
from minari_core.formats.shards.compression import CompressedRows, compress_chunks

_FRAMES, _DESCRIPTION = "frames", "replay.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a replay has ended, and how faithful it was until then."""

    rows: int
    """The number of observations of the episode that are known, each of which should have a
    frame."""
    fps: float | None
    """The frames a second that the environment says it has; None if it says nothing."""
    difference: Difference | None = None
    """Where the replay is no longer what was recorded, and ends; None if that is nowhere."""
    rounding: Difference | None = None
    """The first observation that differs by rounding, with the largest such difference of all;
    None if those before the end are exactly the recorded ones."""


def write_frames(
    folder: Path, frames: Iterable[npt.NDArray[np.uint8]], most_nbytes: int
) -> tuple[tuple[int, ...], list[int]]:
    """Write frames of one shape, one by one.

    Args:
        folder: An empty folder.
        frames: Shape (height, width, channels) each.
        most_nbytes: The most bytes to write.

    Returns:
        The shape of all frames together, and the sizes of the chunks in bytes.

    Raises:
        CacheError: They take more bytes.
    """
    shape: tuple[int, ...] = (0, 0, 0, 0)

    def stack() -> Iterable[npt.NDArray[np.uint8]]:
        nonlocal shape
        for frame in frames:
            shape = (shape[0] + 1, *frame.shape)
            yield frame[None]

    sizes: list[int] = []
    written = 0
    with open(folder / _FRAMES, "wb") as file:
        for chunk in compress_chunks(stack()):
            sizes.append(len(chunk))
            written += len(chunk)
            if written > most_nbytes:
                raise CacheError(f"the frames of the replay take more than {most_nbytes} bytes")
            file.write(chunk)
    return shape, sizes


def write_outcome(
    folder: Path, shape: tuple[int, ...], sizes: list[int], outcome: Outcome, installed: str
) -> None:
    """Complete a folder of frames.

    Args:
        folder: The folder.
        shape: What `write_frames` has returned.
        sizes: The same.
        outcome: How the replay has ended.
        installed: A text for all that is installed here.
    """
    description = {
        "shape": shape,
        "sizes": sizes,
        "outcome": asdict(outcome),
        "installed": installed,
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


class Replay:
    """The frames of a replay, up to where it is what was recorded.

    Safe to share between threads.
    """

    def __init__(self, folder: Path, installed: str) -> None:
        """Open the frames of a folder.

        Args:
            folder: The folder.
            installed: A text for all that is installed here. With other packages a replay that
                came to no end may get further, so that such a one is not opened.

        Raises:
            DatasetDamagedError: It is no such folder, or not one of this time.
        """
        try:
            content = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            self.shape: tuple[int, ...] = tuple(map(int, content["shape"]))
            """Number of frames, height, width and channels."""
            self.outcome = _read_outcome(content["outcome"])
            """How the replay has ended."""
            sizes = np.array(content["sizes"], dtype=np.int64)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetDamagedError(f"{folder} has no frames that can be read") from error
        if self.outcome.difference is not None and content.get("installed") != installed:
            raise DatasetDamagedError(f"{folder} was made when other packages were installed")
        self._rows: CompressedRows | None = None
        if len(self):
            path = folder / _FRAMES
            try:
                with open(path, "rb") as file:
                    mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except ValueError as error:  # it is empty
                raise DatasetDamagedError(f"{path} has no frames that can be read") from error
            chunks = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1)
            kind = np.dtype(np.uint8)
            self._rows = CompressedRows(mapped, chunks, len(self), kind, self.shape[1:], str(path))

    def __len__(self) -> int:
        """The number of frames."""
        return self.shape[0]

    def read(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Read frames ``start`` to ``stop``, shape (frames, height, width, channels).

        Raises:
            DatasetDamagedError: A file is not what was written.
        """
        if self._rows is None:
            return np.empty((0, *self.shape[1:]), dtype=np.uint8)
        return self._rows.read(start, stop).astype(np.uint8, copy=False)

    def describe(self) -> str:
        """Say how faithful the replay is, in one sentence."""
        outcome = self.outcome
        parts = []
        if outcome.rounding is not None:
            parts.append(
                f"from step {outcome.rounding.row} on observations differ by rounding, at most by "
                f"{outcome.rounding.amount:.3g}"
            )
        if outcome.difference is not None:
            parts.append(
                f"at step {outcome.difference.row} {outcome.difference.sentence}: from there on "
                "the replay is not what was recorded, and it ends"
            )
        return "; ".join(parts) or "every observation is exactly the recorded one"


def _read_outcome(value: Any) -> Outcome:
    rounding, difference = (
        None if value[name] is None else Difference(**value[name])
        for name in ("rounding", "difference")
    )
    return Outcome(int(value["rows"]), value["fps"], difference, rounding)
