"""Reading from a Lance dataset on disk; runs in its own environment, and answers in JSON."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import repeated, size_of_folder, timed
from saved import saved_columns
from serving import serve
from stretch import read_for

_TAKES_AHEAD, _BATCHES_AHEAD = 4, 64


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

    def write_shards(self, folder: str, target: str, count: int) -> dict[str, float]:
        """Write columns as a dataset that has them so many times."""
        columns = saved_columns(folder)
        table = self._arrow.table({name: self._to_arrow(each) for name, each in columns.items()})
        for number in range(count):
            self._lance.write_dataset(table, target, mode="append" if number else "create")
        return {}

    def stream(
        self, url: str, server: str, seconds: float, batch_size: int, neighbours: bool
    ) -> dict[str, float]:
        """Read random batches from a server of S3: of random rows, or each of neighbours."""
        options = {
            "aws_endpoint": server,
            "allow_http": "true",
            "aws_skip_signature": "true",
            "aws_region": "any",
        }

        def read() -> Iterator[int]:
            dataset = self._lance.dataset(url, storage_options=options)
            if not neighbours:
                yield from self._take_ahead(dataset, batch_size)
            sampler = importlib.import_module("lance.sampler").ShardedBatchSampler
            for batch in sampler(0, 1, randomize=True, seed=1)(
                dataset, batch_size=batch_size, batch_readahead=_BATCHES_AHEAD
            ):
                yield len(self._read(batch)["rewards"])

        return read_for(seconds, read)

    def _take_ahead(self, dataset: Any, batch_size: int) -> Iterator[int]:
        count = dataset.count_rows()
        with ThreadPoolExecutor(_TAKES_AHEAD) as pool:
            waiting: deque[Any] = deque()
            while True:
                while len(waiting) < _TAKES_AHEAD:
                    rows = self._generator.integers(count, size=batch_size)
                    waiting.append(pool.submit(dataset.take, rows))
                yield len(self._read(waiting.popleft().result())["rewards"])

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
