"""The layout of RLDS; what it imports is imported where it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from minari.interchange.layout import Contents, Layout, Loss
from minari_core import MinariDataset


def recognize(path: Path) -> bool:
    """Tell a folder by ``dataset_info.json`` and ``features.json`` in it."""
    return all((path / name).is_file() for name in ("dataset_info.json", "features.json"))


def read(
    path: Path,
    *,
    last_step: Literal["observation", "transition"] = "observation",
    ends: Literal["terminated", "truncated"] | None = None,
) -> Contents:
    """Read a folder of TensorFlow Datasets whose episodes are those of RLDS.

    Args:
        path: The folder of one version, which has ``dataset_info.json``.
        last_step: What the last step of an episode is: by RLDS the final observation, whose action
            and reward mean nothing; or a transition like all others, so that nobody knows what
            it led to. Files that `write` wrote say it themselves.
        ends: How episodes ended where there is no ``is_terminal``.
    """
    from minari.interchange.rlds.reading import read_folder

    return read_folder(path, last_step, ends)


def write(dataset: MinariDataset, path: Path) -> list[Loss]:
    """Write a folder that ``tfds.builder_from_directory`` reads.

    Args:
        dataset: The dataset.
        path: The folder.
    """
    from minari.interchange.rlds.writing import write_folder

    return write_folder(dataset, path)


LAYOUT = Layout(
    name="rlds",
    title="RLDS datasets of TensorFlow Datasets",
    recognize=recognize,
    read=read,
    write=write,
)
