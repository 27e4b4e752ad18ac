"""One episode as files of demonstrations have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core import EpisodeBuffer
from minari_core.datasets.flat.episodes import check_following
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DataError
from minari_core.leaves import find_leaves, join_path

Flags = npt.NDArray[np.bool_]

_IGNORE = (
    "with next_observations='ignore' they are left out, and the final observation of each episode "
    "is unknown"
)


@dataclass(slots=True)
class Trajectory:
    """The arrays of an episode of T steps."""

    where: str
    """File and group, for messages."""
    observations: Any
    """T rows, or T+1; an array, or dicts and tuples of arrays."""
    actions: Any
    """T rows."""
    terminated: bool | Flags
    """Whether each step, or else the last one, terminated the episode."""
    truncated: bool | Flags
    """Likewise."""
    next_observations: Any = None
    """T rows, if the file has what the actions led to beside what they answered to."""
    rewards: Any = None
    """T rewards; zeros if None."""
    infos: dict[str, Any] = field(default_factory=dict)
    """Further columns of T or T+1 rows."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Further columns that a step callback returned, of T+1 rows."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What the file says of the episode as a whole."""
    seed: int | None = None
    """The seed that `reset` was given."""
    options: dict[str, Any] | None = None
    """The options that `reset` was given."""
    left_out: Collection[str] = ()
    """What the file has of the episode, and it does not carry."""

    @property
    def total_steps(self) -> int:
        """T, the number of actions."""
        return count_rows(self.actions)

    def to_buffer(self) -> EpisodeBuffer:
        """Return the episode.

        Raises:
            DataError: Columns do not fit one another; the message names file, episode and column.
        """
        steps = self.total_steps
        if steps == 0:
            raise DataError(f"{self.where} has no step")
        self._check_rows("actions", self.actions, steps)
        self._check_rows("observations", self.observations, steps, steps + 1)
        known = count_rows(self.observations) == steps + 1
        observations = self.observations
        if self.next_observations is not None:
            self._check_rows("next_observations", self.next_observations, steps)
            check_following(observations, self.next_observations, self.where, _IGNORE)
            if not known:
                observations = _append_last(observations, self.next_observations)
                known = True
        rewards = np.zeros(steps) if self.rewards is None else self.rewards
        self._check_rows("rewards", rewards, steps)
        for name, column in self.infos.items():
            self._check_rows(name, column, steps, steps + 1)
        return EpisodeBuffer(
            observations=observations,
            actions=self.actions,
            rewards=rewards,
            terminations=self._spread("terminated", self.terminated, steps),
            truncations=self._spread("truncated", self.truncated, steps),
            infos=self.infos or None,
            extras=self.extras or None,
            seed=self.seed,
            options=self.options,
            metadata={**self.metadata, FINAL_OBSERVATION: False} if not known else self.metadata,
        )

    def _check_rows(self, name: str, column: object, *allowed: int) -> None:
        for keys, leaf in find_leaves(column):
            rows = _count_leaf(leaf)
            if rows not in allowed:
                found = "no rows" if rows < 0 else f"{rows} rows"
                raise DataError(
                    f"{self.where}: {join_path(name, keys)} has {found}, not "
                    f"{' or '.join(map(str, allowed))}, as the {allowed[0]} actions ask for"
                )

    def _spread(self, name: str, flag: bool | Flags, steps: int) -> Flags:
        if isinstance(flag, bool):
            flags = np.zeros(steps, dtype=np.bool_)
            flags[-1] = flag
            return flags
        self._check_rows(name, flag, steps)
        return flag


def describe_attributes(
    attributes: Mapping[str, Any], passed_over: set[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return what a group says of itself as metadata: text, numbers and lists of numbers.

    Returns:
        The metadata, and what is none.
    """
    said: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in attributes.items():
        if name in passed_over:
            continue
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, np.generic | np.ndarray) and np.asarray(value).dtype.kind in "biuf":
            value = value.tolist()
        if isinstance(value, str | int | float | bool | list):
            said[name] = value
        else:
            left_out.append(f"attribute {name}")
    return said, left_out


def check_count(attributes: Mapping[str, Any], actions: object, where: str) -> None:
    """Check the actions by ``num_samples``, the number that the episode's group says.

    Raises:
        DataError: There are more or fewer.
    """
    said, found = attributes.get("num_samples"), count_rows(actions)
    if said is not None and np.ndim(said) == 0 and int(said) != found:
        raise DataError(f"{where} says num_samples={said}, and has {found} actions")


def count_rows(column: object) -> int:
    """Count the rows of a column, by its first leaf."""
    leaf = next((leaf for _, leaf in find_leaves(column)), None)
    return max(_count_leaf(leaf), 0)


def _count_leaf(leaf: object) -> int:
    """Count the rows of an array or list; -1 for what has none."""
    is_column = isinstance(leaf, list) or (isinstance(leaf, np.ndarray) and leaf.ndim > 0)
    return len(leaf) if is_column else -1  # type: ignore[arg-type]  # mypy forgets what it was


def _append_last(observations: Any, following: Any) -> Any:
    if isinstance(observations, dict):
        return {key: _append_last(leaf, following[key]) for key, leaf in observations.items()}
    if isinstance(observations, tuple):
        pairs = zip(observations, following, strict=True)
        return tuple(_append_last(one, other) for one, other in pairs)
    return np.concatenate([observations, following[-1:]])
