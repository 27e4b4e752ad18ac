"""Spaces of every kind, and episodes that no other one is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.episodes.episode import EpisodeBuffer

# Gymnasium says of some lists of spaces that they hold something else.
_PARTS: list[Any] = [spaces.Discrete(3), spaces.Text(3), spaces.Box(0, 1, (2,))]

SPACES: Mapping[str, spaces.Space[Any]] = {
    "box of float32": spaces.Box(-1, 1, (3,), np.float32),
    "box of float64": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    "box without axes": spaces.Box(0, 1, (), np.float16),
    "box without elements": spaces.Box(0, 1, (2, 0), np.float64),
    "box of booleans": spaces.Box(0, 1, (2,), np.bool_),
    "images": spaces.Box(0, 255, (64, 64, 3), np.uint8),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([2, 5, 3]),
    "multi-binary": spaces.MultiBinary([2, 3]),
    "text": spaces.Text(5, min_length=0, charset="aé😀\ud800\x00"),
    "dict": spaces.Dict(
        {
            "a/b": spaces.Discrete(3),
            "": spaces.Box(0, 1, (2,)),
            ".": spaces.Text(3),
            "%": spaces.Dict(),
        }
    ),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Tuple([]), spaces.Box(0, 1, (1,))]),
    "sequence": spaces.Sequence(spaces.Box(0, 1, (2,))),
    "sequence of text": spaces.Sequence(spaces.Text(3)),
    "sequence of dicts": spaces.Sequence(
        spaces.Dict(x=spaces.Discrete(3), y=spaces.Sequence(spaces.Discrete(2)))
    ),
    "stacked sequence": spaces.Sequence(spaces.Box(0, 1, (2,)), stack=True),
    "stacked sequence of dicts": spaces.Sequence(
        spaces.Dict(x=spaces.Discrete(3), y=spaces.Text(3)), stack=True
    ),
    "graph": spaces.Graph(spaces.Box(0, 1, (2,)), spaces.Discrete(3)),
    "graph without edge space": spaces.Graph(spaces.Box(0, 1, (2,)), None),
    **({} if ONE_OF is None else {"one of": ONE_OF(_PARTS)}),
}
"""One space of every kind, and those whose values lie in a special way."""

POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)
"""The space of the observations of simple episodes."""

MOVE = spaces.Discrete(3)
"""The space of their actions."""


def simple_episode(number: int, steps: int) -> EpisodeBuffer:
    """An episode whose values tell it and its steps from all others.

    Args:
        number: What tells it from other episodes.
        steps: How many steps it has.
    """
    rows = np.arange(steps + 1, dtype=np.float64)
    return EpisodeBuffer(
        observations=np.stack([rows, np.full(steps + 1, float(number))], axis=1),
        actions=np.arange(steps, dtype=np.int64) % 3,
        rewards=np.linspace(-1, 1, steps) * number,
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
        infos={"time": rows * 10},
        seed=number,
        options={"number": number},
        metadata={"name": f"episode {number}"},
    )
