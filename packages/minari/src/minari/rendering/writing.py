"""Video files of frames that are read one by one: MP4 by PyAV, WebP and GIF by Pillow.

Each library is imported where it is used; the extra ``video`` has both.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.errors import MissingDependencyError, RenderError
from minari_core.files import make_write_error, wrap_write_errors

Frame: TypeAlias = npt.NDArray[np.uint8]
Write: TypeAlias = Callable[["Video", BinaryIO], None]

_MOST_GIF_FPS = 50
_MOST_GIF_PIXELS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Video:
    """What is written."""

    read: Callable[[int], Frame]
    """Returns a frame, shape (height, width, 3)."""
    frames: int
    """Their number, at least one."""
    fps: float
    """Frames a second."""

    def __iter__(self) -> Iterator[Frame]:
        """Read all frames."""
        return map(self.read, range(self.frames))

    def list_times(self, units: int) -> list[int]:
        """Return how long each frame is shown, in parts of a second; no error adds up.

        Args:
            units: Parts of a second.
        """
        borders = np.rint(np.arange(self.frames + 1) * units / self.fps).astype(int)
        return [int(each) for each in np.diff(borders)]


def choose_writer(path: Path) -> Write:
    """Choose what writes a file, by its suffix.

    Raises:
        MissingDependencyError: The library is not installed.
        RenderError: Nothing writes such files.
    """
    writers = {".mp4": _choose_mp4, ".webp": _choose_webp, ".gif": _choose_gif}
    choose = writers.get(path.suffix.lower())
    if choose is None:
        raise RenderError(
            f"{path} has the suffix {path.suffix!r}; a video can be written to a file that ends "
            f"with {', '.join(writers)}"
        )
    return choose(path)


def write_video(path: Path, video: Video, write: Write, *, overwrite: bool) -> None:
    """Write a file, all of it or nothing.

    Raises:
        DatasetWriteError: The file system refused.
        RenderError: There is such a file already, and it may not be replaced.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with wrap_write_errors(path):
            with open(temporary, "xb") as file:
                write(video, file)
                file.flush()
                os.fsync(file.fileno())
            if not overwrite:
                check_free(path)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_free(path: Path) -> None:
    """Raise if there is something at a path.

    Raises:
        RenderError: There is.
    """
    if os.path.lexists(path):
        raise RenderError(f"{path} is there already; pass overwrite=True to replace it")


def _choose_mp4(path: Path) -> Write:
    try:
        import av
    except ImportError as error:
        raise _make_missing(path, "PyAV") from error

    def write(video: Video, file: BinaryIO) -> None:
        try:
            _write_mp4(av, video, file)
        except av.FFmpegError as error:
            raise make_write_error(f"{path} could not be written", error) from error

    return write


def _write_mp4(av: ModuleType, video: Video, file: BinaryIO) -> None:
    # At the front, the index lets browsers begin before they have all of the file.
    options = {"movflags": "faststart"}
    with av.open(file, "w", format="mp4", options=options) as container:
        rate = Fraction(video.fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "17"})
        height, width = video.read(0).shape[:2]
        # What every player shows has half of the colours' lines and columns.
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        for frame in video:
            padding = ((0, height % 2), (0, width % 2), (0, 0))
            padded = np.pad(frame, padding, mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
        container.mux(stream.encode())


def _choose_webp(path: Path) -> Write:
    images = _import_pillow(path)

    def write(video: Video, file: BinaryIO) -> None:
        times = video.list_times(1000)
        # With all effort, files are a fifth smaller and take seventy times as long.
        options = {"lossless": True, "quality": 20, "method": 1}
        _save_images(images, video, file, "WEBP", duration=times, loop=0, **options)

    return write


def _choose_gif(path: Path) -> Write:
    images = _import_pillow(path)

    def write(video: Video, file: BinaryIO) -> None:
        if video.fps > _MOST_GIF_FPS:
            raise RenderError(
                f"{path} would have {video.fps:g} frames a second, of which GIF has at most "
                f"{_MOST_GIF_FPS}; give fps, or write .webp or .mp4"
            )
        pixels = video.frames * video.read(0)[:, :, 0].size
        if pixels > _MOST_GIF_PIXELS:
            raise RenderError(
                f"{path} would have {pixels:,} pixels, all of which a GIF takes in memory, where "
                f"{_MOST_GIF_PIXELS:,} are the most; write .webp or .mp4"
            )
        times = [10 * each for each in video.list_times(100)]
        _save_images(images, video, file, "GIF", duration=times, loop=0)

    return write


def _save_images(
    images: Any, video: Video, file: BinaryIO, kind: str, duration: list[int], **options: object
) -> None:
    class Frames(images.Image):  # type: ignore[misc]  # Pillow may not be there
        """An image of many frames, as of a file that is read: only one is in memory."""

        n_frames = video.frames
        is_animated = video.frames > 1

        def __init__(self) -> None:
            super().__init__()
            self._frame = -1
            self.seek(0)

        def seek(self, frame: int) -> None:
            if not 0 <= frame < video.frames:
                raise EOFError
            if frame != self._frame:
                self.__dict__.update(vars(images.fromarray(video.read(frame))))
                self._frame = frame

        def tell(self) -> int:
            return self._frame

    Frames().save(file, format=kind, save_all=True, duration=duration, **options)


def _import_pillow(path: Path) -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise _make_missing(path, "Pillow") from error
    return Image


def _make_missing(path: Path, library: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"{path.suffix} is written by {library}, which is not installed: "
        'pip install "minari[video]"'
    )
