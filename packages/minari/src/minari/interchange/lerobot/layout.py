"""The layout of LeRobot; what it imports of it needs pyarrow, and is imported where it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from minari.interchange.layout import Contents, Layout, Loss
from minari_core import MinariDataset


def recognize(path: Path) -> bool:
    """Tell a folder by ``meta/info.json`` in it."""
    return (path / "meta" / "info.json").is_file()


def read(
    path: Path,
    *,
    ends: Literal["terminated", "truncated"] | None = None,
    last_frame: Literal["step", "observation"] = "step",
    sidecar: bool = True,
) -> Contents:
    """Read a dataset of LeRobot 3.0 or 2.1.

    Args:
        path: The folder.
        ends: What an episode is at its end where the data does not say: where it has no
            ``next.done``, or no ``next.truncated`` beside it.
        last_frame: Whether the last frame of an episode is a step like all others, so that nobody
            knows what it led to, or the final observation, whose action and reward mean nothing.
        sidecar: Read what Minari wrote beside the data, if it did. Otherwise the data is read as
            LeRobot itself reads it.
    """
    from minari.interchange.lerobot.reading.folder import read_folder

    return read_folder(path, ends, last_frame, use_sidecar=sidecar)


def write(
    dataset: MinariDataset,
    path: Path,
    *,
    fps: int | None = None,
    task: str | None = None,
    video: bool = False,
    sidecar: bool = True,
) -> list[Loss]:
    """Write a dataset of LeRobot 3.0.

    Args:
        dataset: The dataset.
        path: The folder.
        fps: Steps a second; if None those of the LeRobot dataset that it was imported from.
        task: What is done, in words; if None what the metadata of each episode has as ``task``.
        video: Write images as videos, which lose detail, and not as PNG files.
        sidecar: Also write what LeRobot has no place for, as ``meta/minari.*``.
    """
    from minari.interchange.lerobot.writing.folder import write_folder

    return write_folder(dataset, path, fps, task, as_video=video, with_sidecar=sidecar)


LAYOUT = Layout(
    name="lerobot",
    title="LeRobot datasets: 3.0 out and in, 2.1 in",
    recognize=recognize,
    read=read,
    write=write,
)
