"""Data on a device of PyTorch beside bare index_select there; answers in JSON.

PyTorch is in an environment of its own; this project's packages are those beside this program.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from measure import in_turns, repeated
from serving import serve

_BATCH_SIZE, _WINDOWS, _LENGTH, _N_STEP = 256, 64, 20, 3


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        packages = Path(__file__).resolve().parents[1] / "packages"
        sys.path[:0] = [str(path) for path in packages.glob("*/src")]
        self._torch: Any = importlib.import_module("torch")

    def load(self, dataset: str, root: str) -> dict[str, float]:
        """Put a dataset on the processor, and its observations once more, a row a step."""
        os.environ["MINARI_DATASETS_PATH"] = root
        opened = importlib.import_module("minari_core").load_dataset(dataset)
        module = importlib.import_module("minari_core.torch")
        self._data = module.ResidentData(opened)
        sampler = opened.transition_sampler()
        columns = module.to_tensors(sampler.read(range(len(sampler))))
        kept = ("observations", "actions", "rewards", "next_observations")
        self._columns = {name: columns[name] for name in (*kept, "terminations", "truncations")}
        self._steps = len(sampler)
        return {"steps": self._steps}

    def transitions(self, count: int, rounds: int) -> dict[str, list[float]]:
        """Sample transitions."""
        return self._compare(
            lambda: self._data.sample(_BATCH_SIZE), dict.fromkeys(self._columns, 1), count, rounds
        )

    def n_step(self, count: int, rounds: int) -> dict[str, list[float]]:
        """Sample n-step transitions; the rewards of all steps are selected."""
        rows = {**dict.fromkeys(self._columns, 1), "rewards": _N_STEP}
        return self._compare(
            lambda: self._data.sample(_BATCH_SIZE, n_step=_N_STEP), rows, count, rounds
        )

    def goals(self, count: int, rounds: int) -> dict[str, list[float]]:
        """Sample transitions and goals, which are observations, too."""
        rows = {**dict.fromkeys(self._columns, 1), "next_observations": 2}
        return self._compare(
            lambda: self._data.sample(_BATCH_SIZE, goals="future"), rows, count, rounds
        )

    def windows(self, count: int, rounds: int) -> dict[str, list[float]]:
        """Sample windows, which have observations once."""
        rows = {name: _LENGTH for name in self._columns if name != "next_observations"}
        return self._compare(
            lambda: self._data.sample_windows(_WINDOWS, _LENGTH), rows, count, rounds, _WINDOWS
        )

    def _compare(
        self, ours: Any, rows: dict[str, int], count: int, rounds: int, size: int = _BATCH_SIZE
    ) -> dict[str, list[float]]:
        torch = self._torch

        def bare() -> None:
            steps = torch.randint(self._steps, (size,))
            for name, each in rows.items():
                numbers = steps
                if each > 1:
                    window = (steps[:, None] + torch.arange(each)).clamp(max=self._steps - 1)
                    numbers = window.reshape(-1)
                self._columns[name].index_select(0, numbers)

        return in_turns(
            {
                "bare": lambda: repeated(bare, count),
                "resident": lambda: repeated(ours, count),
            },
            rounds,
        )


if __name__ == "__main__":
    serve(Works)
