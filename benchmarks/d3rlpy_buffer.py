"""Sampling with d3rlpy's replay buffer; runs in its own environment, and answers in JSON."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from measure import repeated
from saved import saved_columns
from serving import serve


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("d3rlpy.dataset")
        self._buffer: Any = None

    def load(self, folder: str, windows: int) -> dict[str, float]:
        """Fill a buffer; it need not know how many windows will be asked for."""
        steps = saved_columns(folder)
        borders = np.flatnonzero(np.diff(steps["episodes"])) + 1
        parts = [
            np.split(steps[name], borders)
            for name in ("observations", "actions", "rewards", "terminations")
        ]
        episodes = [
            self._library.Episode(observations, actions, rewards[:, None], bool(terminations[-1]))
            for observations, actions, rewards, terminations in zip(*parts, strict=True)
        ]
        self._buffer = self._library.create_infinite_replay_buffer(episodes=episodes)
        return {"steps": len(steps["episodes"])}

    def transitions(self, batch_size: int, count: int) -> dict[str, float]:
        """Sample batches; the seconds of one."""
        return {
            "seconds": repeated(lambda: self._buffer.sample_transition_batch(batch_size), count)
        }

    def windows(self, batch_size: int, length: int, count: int) -> dict[str, float]:
        """Sample batches of windows; the seconds of one."""
        return {
            "seconds": repeated(
                lambda: self._buffer.sample_trajectory_batch(batch_size, length), count
            )
        }


if __name__ == "__main__":
    serve(Works)
