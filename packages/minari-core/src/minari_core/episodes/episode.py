"""One episode: as it is read (`EpisodeData`), and as it is assembled (`EpisodeBuffer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.episodes.appending import append_info, append_row
from minari_core.episodes.final_observation import is_final_observation_known
from minari_core.errors import DataError
from minari_core.messages import list_outlines, make_html_table, outline_fields

_COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")
_STEP_KEYS = ("observation", "action", "reward", "terminated", "truncated")


# Without slots, since programs take it apart by `vars`.
@dataclass(frozen=True, init=False, repr=False, eq=False)
class EpisodeData:
    """The data of one episode of T steps.

    A space's values are shown in its own structure: arrays with one row a step for Box,
    Discrete, MultiDiscrete and MultiBinary, a dict or tuple of such arrays for Dict and Tuple,
    and a list with one value a step for Text, Sequence, Graph and OneOf. The types of
    observations and actions are Any, because only the space knows them.
    """

    id: int
    """The episode's index in the stored dataset, which views of it keep."""
    observations: Any
    """T+1 observations; the last one is what the last action led to. Only T where nobody knows
    that, see `final_observation_known`."""
    actions: Any
    """T actions."""
    rewards: npt.NDArray[np.float64]
    """Shape (T,), or (T, k) for vector rewards."""
    terminations: npt.NDArray[np.bool_]
    """Shape (T,)."""
    truncations: npt.NDArray[np.bool_]
    """Shape (T,)."""
    infos: dict[str, Any] = field(default_factory=dict)
    """T+1 rows a key, the first of the reset; masked arrays and None where a key was missing."""
    seed: int | None = None
    """The seed that `reset` was given."""
    options: dict[str, Any] | None = None
    """The options that `reset` was given."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """The return value of the episode metadata callback."""
    extras: dict[str, Any] = field(default_factory=dict)
    """T+1 rows of each further column that a step callback returned."""

    def __init__(
        self,
        id: int,
        observations: Any,
        actions: Any,
        rewards: npt.NDArray[np.float64],
        terminations: npt.NDArray[np.bool_],
        truncations: npt.NDArray[np.bool_],
        infos: dict[str, Any] | None = None,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        extras: dict[str, Any] | None = None,
    ) -> None:
        # What a frozen dataclass has in this place takes three times as long, and as long as
        # reading a short episode.
        fields = self.__dict__
        fields["id"] = id
        fields["observations"] = observations
        fields["actions"] = actions
        fields["rewards"] = rewards
        fields["terminations"] = terminations
        fields["truncations"] = truncations
        fields["infos"] = {} if infos is None else infos
        fields["seed"] = seed
        fields["options"] = options
        fields["metadata"] = {} if metadata is None else metadata
        fields["extras"] = {} if extras is None else extras

    @property
    def final_observation_known(self) -> bool:
        """Whether the observation after the last action is known; metadata says so if it is not.

        If False, there are T observations, and samplers leave the last step out unless asked.
        """
        return is_final_observation_known(self.metadata)

    @property
    def total_steps(self) -> int:
        """The number of steps, as `len` gives it."""
        return len(self)

    def __len__(self) -> int:
        """The number of steps."""
        return len(self.rewards)

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        parts = [f"id={self.id}", f"total_steps={len(self)}"]
        parts += outline_fields(self, (*_COLUMNS, "infos", "extras"))
        parts += [f"seed={self.seed}", f"options={self.options}", f"metadata={self.metadata}"]
        return f"EpisodeData({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """A table of the same, for notebooks."""
        rows: list[tuple[str, object]] = [("steps", len(self))]
        rows += list_outlines(self, (*_COLUMNS, "infos", "extras"))
        rows += [("seed", self.seed), ("options", self.options), ("metadata", self.metadata)]
        return make_html_table(f"Episode {self.id}", rows)


@dataclass(frozen=True, slots=True)
class EpisodeMetadata:
    """The stored facts about an episode other than its steps; ``[key]`` looks into `metadata`."""

    id: int
    """The episode's index in the stored dataset."""
    total_steps: int
    """The number of steps."""
    seed: int | None
    """The seed that `reset` was given."""
    options: dict[str, Any] | None
    """The options that `reset` was given."""
    metadata: dict[str, Any]
    """The return value of the episode metadata callback."""

    @property
    def final_observation_known(self) -> bool:
        """Whether the observation after the last action is known."""
        return is_final_observation_known(self.metadata)

    def __getitem__(self, key: str) -> Any:
        """One value that the episode metadata callback returned.

        Raises:
            KeyError: It returned no such key for this episode.
        """
        return self.metadata[key]


@dataclass(slots=True, repr=False)
class EpisodeBuffer:
    """An episode that is assembled by hand, for `create_dataset_from_buffers`.

    Each field holds one value a row: arrays, or lists of values, or dicts and tuples of them in
    the structure of the space.

    Example:
        >>> buffer = EpisodeBuffer(observations=[0], seed=7)
        >>> buffer = buffer.add_step_data(
        ...     {"observation": 1, "action": 0, "reward": 1.0, "terminated": True,
        ...      "truncated": False, "info": {}}
        ... )
        >>> len(buffer), buffer.observations
        (1, [0, 1])
    """

    id: int | None = None
    """Kept for the caller's own use; the dataset numbers its episodes itself."""
    seed: int | None = None
    """The seed given to `reset`."""
    options: Mapping[str, object] | None = None
    """The options given to `reset`."""
    observations: object = None
    """T+1 observations; T if nobody knows the final one, see `final_observation_known`."""
    actions: object = None
    """T actions."""
    rewards: object = field(default_factory=list)
    """T rewards."""
    terminations: object = field(default_factory=list)
    """T flags."""
    truncations: object = field(default_factory=list)
    """T flags."""
    infos: Mapping[str, object] | None = None
    """T+1 rows a key, in a dict of arrays or lists; None in a list is a missing value. Of T rows,
    each lies beside the observation of its number, and the last one is missing."""
    metadata: Mapping[str, object] | None = None
    """Metadata of the episode as a whole."""
    extras: Mapping[str, object] | None = None
    """T+1 rows of each further column."""

    @property
    def final_observation_known(self) -> bool:
        """Whether the observation after the last action is known: unless the metadata denies it."""
        return is_final_observation_known(self.metadata)

    def __len__(self) -> int:
        """The number of steps."""
        return len(self.rewards)  # type: ignore[arg-type]  # an array or a list

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        parts = [f"id={self.id}", f"seed={self.seed}", f"options={self.options}"]
        parts += outline_fields(self, (*_COLUMNS, "infos", "extras"))
        return f"EpisodeBuffer({', '.join(parts)}, metadata={self.metadata})"

    def add_step_data(self, step_data: Mapping[str, object]) -> EpisodeBuffer:
        """Append one step.

        Args:
            step_data: ``observation, action, reward, terminated, truncated`` and ``info``, as a
                `StepDataCallback` returns them. The first observation and info (of `reset`) may
                be given to the constructor as lists of one, or bare.

        Returns:
            The buffer itself.

        Raises:
            DataError: A key is missing, or what is there already cannot be appended to.
        """
        absent = [key for key in _STEP_KEYS if key not in step_data]
        if absent:
            raise DataError(f"the step has the keys {sorted(step_data)}, without {absent}")
        for name in ("rewards", "terminations", "truncations"):
            if not isinstance(getattr(self, name), list):
                raise DataError(f"{name} is an array, which cannot be appended to; use a list")
        self.observations = append_row(self.observations, step_data["observation"])
        self.actions = append_row(self.actions, step_data["action"])
        for name, key in (
            ("rewards", "reward"),
            ("terminations", "terminated"),
            ("truncations", "truncated"),
        ):
            getattr(self, name).append(step_data[key])
        self.infos = append_info(self.infos, step_data.get("info"), len(self) - 1)
        return self
