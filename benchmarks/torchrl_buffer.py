"""Sampling with TorchRL's replay buffer; runs in its own environment, and answers in JSON."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from measure import repeated
from saved import saved_columns
from serving import serve


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._tensordict: Any = importlib.import_module("tensordict")
        self._data: Any = importlib.import_module("torchrl.data")
        self._threads = int(self._torch.get_num_threads())
        self._transitions: Any = None
        self._windows: Any = None
        self._prioritized: Any = None

    def load(self, folder: str, windows: int) -> dict[str, float]:
        """Fill one buffer for transitions and one for some windows at once, each in memory maps."""
        columns = {
            name: self._torch.from_numpy(column) for name, column in saved_columns(folder).items()
        }
        done = columns["terminations"] | columns["truncations"]
        behind = {
            "reward": columns["rewards"][:, None],
            "terminated": columns["terminations"][:, None],
            "truncated": columns["truncations"][:, None],
            "done": done[:, None],
        }
        before = {"observation": columns["observations"], "action": columns["actions"]}
        scratch = Path(folder) / "torchrl"
        self._transitions = self._buffer(
            scratch / "transitions",
            {**before, "next": {**behind, "observation": columns["next_observations"]}},
        )
        # A window holds its observations once.
        self._windows = self._buffer(
            scratch / "windows",
            {**before, "next": behind, "episode": columns["episodes"]},
            sampler=self._data.SliceSampler(
                num_slices=windows, traj_key="episode", cache_values=True
            ),
        )
        return {"steps": len(done)}

    def transitions(
        self, batch_size: int, count: int, threads: int | None = None
    ) -> dict[str, float]:
        """Sample batches; the seconds of one."""
        self._torch.set_num_threads(threads or self._threads)
        return {"seconds": repeated(lambda: self._transitions.sample(batch_size), count)}

    def windows(
        self, batch_size: int, length: int, count: int, threads: int | None = None
    ) -> dict[str, float]:
        """Sample batches of windows; the seconds of one."""
        self._torch.set_num_threads(threads or self._threads)
        return {"seconds": repeated(lambda: self._windows.sample(batch_size * length), count)}

    def load_prioritized(self, folder: str) -> dict[str, float]:
        """Fill a buffer of transitions that are drawn by their priorities."""
        columns = {
            name: self._torch.from_numpy(column) for name, column in saved_columns(folder).items()
        }
        behind = {
            "observation": columns["next_observations"],
            "reward": columns["rewards"][:, None],
            "terminated": columns["terminations"][:, None],
            "truncated": columns["truncations"][:, None],
        }
        size = len(columns["actions"])
        self._prioritized = self._buffer(
            Path(folder) / "prioritized",
            {
                "observation": columns["observations"],
                "action": columns["actions"],
                "next": behind,
            },
            sampler=self._data.PrioritizedSampler(size, alpha=0.6, beta=0.4),
        )
        return {"steps": size}

    def prioritized(
        self, batch_size: int, count: int, threads: int | None = None
    ) -> dict[str, float]:
        """Sample batches by priorities, and give these transitions new ones; the seconds of one."""
        self._torch.set_num_threads(threads or self._threads)

        def once() -> None:
            _, told = self._prioritized.sample(batch_size, return_info=True)
            self._prioritized.update_priority(told["index"], self._torch.rand(batch_size))

        return {"seconds": repeated(once, count)}

    def _buffer(self, folder: Path, columns: dict[str, Any], **options: Any) -> Any:
        size = len(columns["action"])
        storage = self._data.LazyMemmapStorage(size, scratch_dir=str(folder))
        buffer = self._data.ReplayBuffer(storage=storage, **options)
        buffer.extend(self._tensordict.TensorDict(columns, batch_size=[size]))
        return buffer


if __name__ == "__main__":
    serve(Works)
