"""Frames as video, encoded as LeRobot does; runs in its own environment, and answers in JSON."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from measure import timed
from serving import serve

_RATE = 50
# What LeRobot encodes with: AV1, a key frame at every other, and this quality.
_CODEC, _OPTIONS = "libsvtav1", {"g": "2", "crf": "30"}


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        self._av: Any = importlib.import_module("av")
        self._generator = np.random.default_rng(1)

    def write_frames(self, file: str, ends: list[int]) -> dict[str, float]:
        """Encode the frames of a file, all episodes as one video."""
        frames = np.load(file)
        path = _video_of(file)
        kind = _format_of(frames)

        def work() -> None:
            with self._av.open(str(path), "w") as container:
                stream = container.add_stream(_CODEC, rate=_RATE, options=_OPTIONS)
                stream.height, stream.width = frames.shape[1:3]
                stream.pix_fmt = "yuv420p"
                for frame in frames:
                    image = self._av.VideoFrame.from_ndarray(frame, format=kind)
                    container.mux(stream.encode(image))
                container.mux(stream.encode())

        return {"seconds": timed(work), "nbytes": path.stat().st_size}

    def frames_in_order(self, file: str, batch_size: int) -> dict[str, float]:
        """Decode everything; the seconds of one frame."""
        count, kind = len(np.load(file, mmap_mode="r")), _format_of(np.load(file, mmap_mode="r"))
        decoded = 0

        def work() -> None:
            nonlocal decoded
            with self._av.open(str(_video_of(file))) as container:
                for frame in container.decode(video=0):
                    frame.to_ndarray(format=kind)
                    decoded += 1

        seconds = timed(work)
        if decoded != count:
            raise ValueError(f"{decoded} frames were decoded, not {count}")
        return {"seconds": seconds / count}

    def frames_at_random(self, file: str, batch_size: int) -> dict[str, float]:
        """Decode a batch of frames from anywhere; the seconds of one."""
        frames = np.load(file, mmap_mode="r")
        kind = _format_of(frames)
        out = np.empty((batch_size, *frames.shape[1:]), dtype=np.uint8)
        with self._av.open(str(_video_of(file))) as container:
            stream = container.streams.video[0]
            ticks = int(1 / (_RATE * stream.time_base))

            def work() -> None:
                wanted = self._generator.integers(len(frames), size=batch_size)
                for place, number in enumerate(wanted.tolist()):
                    container.seek(number * ticks, stream=stream)
                    for frame in container.decode(stream):
                        if frame.pts >= number * ticks:
                            out[place] = frame.to_ndarray(format=kind)
                            break

            return {"seconds": timed(work) / batch_size}


def _video_of(file: str) -> Path:
    return Path(file).with_suffix(".mp4")


def _format_of(frames: Any) -> str:
    return "rgb24" if frames.ndim == 4 else "gray"


if __name__ == "__main__":
    serve(Works)
