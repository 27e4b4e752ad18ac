"""Images as videos: one file after another of the frames of a camera."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from minari.interchange.lerobot.files.paths import (
    VIDEO_MEGABYTES,
    VIDEO_QUALITY,
    VIDEOS,
    NumberedFiles,
)
from minari.interchange.lerobot.writing.episodes import VideoPlace
from minari_core.errors import DatasetWriteError, MissingDependencyError

try:
    import av
except ImportError as error:
    raise MissingDependencyError(
        "the frames of cameras in videos are written and read by PyAV; pip install 'minari[video]'"
    ) from error

# Every other frame can be decoded without those before, as LeRobot's own are.
_OPTIONS = {"g": "2", "crf": str(VIDEO_QUALITY)}


class VideoFiles:
    """Writes the frames of a feature, in H.264."""

    def __init__(self, root: Path, name: str, fps: int) -> None:
        """Begin.

        Args:
            root: The folder of the dataset.
            name: The name of the feature.
            fps: Frames a second.
        """
        self._files = NumberedFiles(root, VIDEOS, VIDEO_MEGABYTES, video_key=name)
        self._fps = fps
        self._container: Any = None
        self._stream: Any = None
        self._path: Path | None = None
        self._frames = 0

    def __enter__(self) -> VideoFiles:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the last file."""
        self._close()

    def add(self, frames: npt.NDArray[np.uint8], *, is_new: bool) -> VideoPlace:
        """Write frames of an episode.

        Args:
            frames: Shape (N, height, width), or with 1 or 3 channels last.
            is_new: Whether an episode begins with them.

        Returns:
            Where these frames lie.

        Raises:
            DatasetWriteError: They cannot be written.
        """
        if is_new and self._container is not None and self._files.is_full():
            self._close()
            self._files.number += 1
        try:
            if self._container is None:
                self._open(frames.shape[1], frames.shape[2])
            start = self._frames
            for frame in frames:
                colours = frame[..., None] if frame.ndim == 2 else frame
                colours = np.ascontiguousarray(np.broadcast_to(colours, (*frame.shape[:2], 3)))
                picture = av.VideoFrame.from_ndarray(colours, format="rgb24")
                picture.pts = self._frames
                self._container.mux(self._stream.encode(picture))
                self._frames += 1
        except (av.FFmpegError, OSError) as error:
            raise DatasetWriteError(f"{self._path} could not be written: {error}") from error
        chunk, file = self._files.place
        return VideoPlace(chunk, file, start / self._fps, self._frames / self._fps)

    def _open(self, height: int, width: int) -> None:
        self._path = self._files.path
        self._container = av.open(str(self._path), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=self._fps, options=_OPTIONS)
        self._stream.height, self._stream.width = height, width
        # Half of the lines and columns of colours there are only of even sizes.
        self._stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, self._fps)
        self._frames = 0

    def _close(self) -> None:
        if self._container is None or self._path is None:
            return
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise DatasetWriteError(f"{self._path} could not be written: {error}") from error
        finally:
            self._container = None
