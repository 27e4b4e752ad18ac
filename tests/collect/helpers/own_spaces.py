"""Environments whose spaces are of classes that Gymnasium does not have."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tests.collect.helpers.collect_work import Counting


class OwnSpace(spaces.Space[Any]):
    """A space that nobody has said how to keep."""


class OwnBox(spaces.Box):
    """A space that is kept as a Box."""


class WithOwnSpace(Counting):
    """An environment that cannot be recorded."""

    observation_space = OwnSpace()  # type: ignore[assignment]  # its base has a Box


class WithOwnBox(Counting):
    """An environment that is recorded with a warning."""

    observation_space = OwnBox(-np.inf, np.inf, (3,), np.float64)


gymnasium.register("OwnSpace-v0", f"{__name__}:WithOwnSpace")
gymnasium.register("OwnBox-v0", f"{__name__}:WithOwnBox")
