"""Frames out of the videos of a feature, in the order of the episodes."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from minari.interchange.files import find_file
from minari.interchange.lerobot.files.features import order_axes
from minari.interchange.lerobot.reading.index import Index
from minari_core.errors import DataError, DatasetDamagedError, MissingDependencyError

try:
    import av
except ImportError as error:
    raise MissingDependencyError(
        "the frames of cameras in videos are written and read by PyAV; pip install 'minari[video]'"
    ) from error


class VideoFrames:
    """Reads the frames of a video feature one after another; each file is decoded once."""

    def __init__(self, index: Index, name: str) -> None:
        """Begin.

        Args:
            index: The dataset.
            name: The name of the feature.
        """
        self._index = index
        self._name = name
        self._shape = order_axes(index.features[name])
        self._relative = ""
        self._path = index.root
        self._frames: Iterator[Any] = iter(())
        self._container: Any = None
        self._next = 0

    def __enter__(self) -> VideoFrames:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._close()

    def read(
        self, episodes: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        """Read frames.

        Args:
            episodes: The episode of each frame.
            steps: Its number in the episode.

        Returns:
            Shape (N, height, width, channels).

        Raises:
            DataError: A video ends before an episode, or has frames of another size.
            DatasetDamagedError: A video cannot be decoded.
        """
        found = np.empty((len(steps), *self._shape), dtype=np.uint8)
        for row, (episode, step) in enumerate(zip(episodes.tolist(), steps.tolist(), strict=True)):
            found[row] = self._take(episode, step)
        return found

    def _take(self, episode: int, step: int) -> npt.NDArray[np.uint8]:
        relative, start = self._index.episodes[episode].videos[self._name]
        wanted = round(start * self._index.fps) + step
        if relative != self._relative or wanted < self._next:
            self._open(relative)
        frame = None
        while self._next <= wanted:
            frame = self._decode(episode)
            self._next += 1
        height, width, channels = self._shape
        if frame is None or (frame.height, frame.width) != (height, width):
            raise DataError(
                f"{self._path}: frame {step} of episode {episode} is not of the size "
                f"{(height, width)} that feature {self._name!r} says"
            )
        pixels: npt.NDArray[np.uint8] = frame.to_ndarray(
            format="gray" if channels == 1 else "rgb24"
        )
        return pixels.reshape(self._shape)

    def _decode(self, episode: int) -> Any:
        try:
            frame = next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            raise DatasetDamagedError(f"{self._path} cannot be decoded: {error}") from error
        if frame is None:
            raise DataError(
                f"{self._path} ends before the frames of episode {episode}: it has {self._next}"
            )
        return frame

    def _open(self, relative: str) -> None:
        self._close()
        self._path = find_file(self._index.root, relative)
        self._relative, self._next = relative, 0
        try:
            # A file is opened, and not a name, so that nothing it refers to is.
            self._container = av.open(self._path.open("rb"), "r", format="mp4")
            streams = self._container.streams.video
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DatasetDamagedError(f"{self._path} is no video: {error}") from error
        if not streams:
            raise DatasetDamagedError(f"{self._path} has no video")
        self._frames = self._container.decode(streams[0])

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None
