"""Reading from a Lance dataset on disk; runs in its own environment, and answers in JSON."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import repeated, size_of_folder, timed
from saved import saved_columns
from serving import serve


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        self._lance: Any = importlib.import_module("lance")
        self._arrow: Any = importlib.import_module("pyarrow")
        self._steps: Any = None
        self._episodes: npt.NDArray[Any] = np.zeros(0, np.int64)
        self._frames: dict[str, tuple[Any, tuple[int, ...]]] = {}
        self._generator = np.random.default_rng(1)

    def load(self, folder: str, windows: int) -> dict[str, float]:
        """Write the columns as a dataset; it need not know how many windows will be asked for."""
        columns = saved_columns(folder)
        episodes = columns.pop("episodes")
        path = Path(folder) / "steps.lance"
        self._steps = self._lance.write_dataset(
            self._arrow.table({name: self._to_arrow(each) for name, each in columns.items()}), path
        )
        self._episodes = episodes
        return {"steps": len(episodes), "nbytes": size_of_folder(path)}

    def transitions(self, batch_size: int, count: int) -> dict[str, float]:
        """Take random steps; the seconds of one batch."""

        def work() -> None:
            rows = self._generator.integers(len(self._episodes), size=batch_size)
            self._read(self._steps.take(rows))

        return {"seconds": repeated(work, count)}

    def windows(self, batch_size: int, length: int, count: int) -> dict[str, float]:
        """Take random windows of steps of one episode; the seconds of one batch."""
        last = len(self._episodes) - length
        starts = np.flatnonzero(self._episodes[: last + 1] == self._episodes[length - 1 :])
        names = [name for name in self._steps.schema.names if name != "next_observations"]
        offsets = np.arange(length)

        def work() -> None:
            chosen = self._generator.choice(starts, size=batch_size)
            rows = (chosen[:, None] + offsets).reshape(-1)
            self._read(self._steps.take(rows, columns=names))

        return {"seconds": repeated(work, count)}

    def epoch(self, batch_size: int) -> dict[str, float]:
        """Read all steps in order, a batch at a time."""

        def work() -> None:
            for batch in self._steps.to_batches(batch_size=batch_size):
                self._read(batch)

        return {"seconds": timed(work)}

    def write_frames(self, file: str, ends: Sequence[int]) -> dict[str, float]:
        """Write images as rows of bytes, as they are."""
        frames = np.load(file)
        path = Path(file).with_suffix(".lance")
        rows = self._to_arrow(frames.reshape(len(frames), -1))
        dataset = self._lance.write_dataset(self._arrow.table({"frames": rows}), path)
        self._frames[file] = dataset, frames.shape[1:]
        return {"nbytes": size_of_folder(path)}

    def frames_in_order(self, file: str, batch_size: int) -> dict[str, float]:
        """Read all images; the seconds of one."""
        dataset, shape = self._frames[file]

        def work() -> None:
            for batch in dataset.to_batches(batch_size=batch_size):
                self._read(batch)["frames"].reshape(-1, *shape)

        return {"seconds": timed(work) / dataset.count_rows()}

    def frames_at_random(self, file: str, batch_size: int) -> dict[str, float]:
        """Take random images; the seconds of one."""
        dataset, shape = self._frames[file]

        def work() -> None:
            rows = self._generator.integers(dataset.count_rows(), size=batch_size)
            self._read(dataset.take(rows))["frames"].reshape(-1, *shape)

        return {"seconds": repeated(work, 5) / batch_size}

    def _to_arrow(self, column: npt.NDArray[Any]) -> Any:
        if column.ndim == 1:
            return self._arrow.array(column)
        flat = self._arrow.array(column.reshape(-1))
        return self._arrow.FixedSizeListArray.from_arrays(flat, column.shape[1])

    def _read(self, table: Any) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of a table, or of a part of one, as arrays."""
        return {name: self._to_numpy(table.column(name)) for name in table.schema.names}

    def _to_numpy(self, column: Any) -> npt.NDArray[Any]:
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
        if not self._arrow.types.is_fixed_size_list(column.type):
            array: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
            return array
        rows: Callable[..., npt.NDArray[Any]] = column.flatten().to_numpy
        return rows(zero_copy_only=False).reshape(len(column), column.type.list_size)


if __name__ == "__main__":
    serve(Works)
