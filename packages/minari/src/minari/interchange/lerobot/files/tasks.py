"""Tasks: what is done in an episode, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from minari.interchange.lerobot.files.paths import TASKS
from minari_core import EpisodeMetadata
from minari_core.errors import DataError

TASK = "task"
"""The key of the metadata of an episode that says its task."""


class TaskList:
    """Different tasks, numbered in the order in which they came."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Begin with some."""
        self._numbers: dict[str, int] = {}
        for text in texts:
            self.add(text)

    @property
    def texts(self) -> list[str]:
        """The tasks, in order."""
        return list(self._numbers)

    def add(self, text: str) -> int:
        """Return the number of a task."""
        return self._numbers.setdefault(text, len(self._numbers))

    def write(self, root: Path) -> None:
        """Write ``tasks.parquet``, with the index by which pandas reads the texts as names."""
        columns = [("task_index", "int64", "int64"), ("task", "unicode", "object")]
        said = {
            "index_columns": ["task"],
            "column_indexes": [],
            "columns": [
                {
                    "name": name,
                    "field_name": name,
                    "pandas_type": kind,
                    "numpy_type": dtype,
                    "metadata": None,
                }
                for name, kind, dtype in columns
            ],
            "pandas_version": "2.0.0",
        }
        table = pa.table(
            {
                "task_index": pa.array(range(len(self.texts)), pa.int64()),
                "task": pa.array(self.texts, pa.string()),
            }
        )
        path = root / TASKS
        parquet.write_table(table.replace_schema_metadata({b"pandas": json.dumps(said)}), path)


def find_task(entry: EpisodeMetadata, given: str | None) -> str:
    """Return the task of an episode.

    Args:
        entry: What is known of the episode.
        given: The task of all.

    Raises:
        DataError: None is given, and its metadata says none.
    """
    if given is not None:
        return given
    metadata: Mapping[str, object] = entry.metadata or {}
    text = metadata.get(TASK)
    if not isinstance(text, str):
        raise DataError(
            f"episode {entry.id} has no {TASK!r} in its metadata, and LeRobot asks what is done in "
            "each frame; give task='...'"
        )
    return text
