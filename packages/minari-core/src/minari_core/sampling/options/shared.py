"""What options of all kinds have in common: columns, rewards and normalizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

from minari_core.arguments import check_fraction
from minari_core.errors import SamplingError
from minari_core.statistics.normalizer import Normalizer, Normalizers

RewardScale: TypeAlias = float | Literal["return_range"]

BATCH_FIELDS = (
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
)
"""The fields of a batch of transitions, which are read unless other columns are asked for."""

NORMALIZED = ("observations", "actions", "infos", "extras")
"""The column groups that can be normalized."""


class SamplerKeywords(TypedDict, total=False):
    """The keywords that say what to read of transitions and of windows.

    `TransitionOptions`, `SequenceOptions` and `OffsetOptions` say what each means, and its default.
    """

    discount: float | None
    returns_to_go: bool
    include_unknown_final: bool
    reward_scale: RewardScale
    normalize: Normalizer | Mapping[str, Normalizer] | None


def normalize_columns(columns: object) -> tuple[str, ...] | None:
    """Return the names of columns as options keep them.

    Raises:
        SamplingError: It is a single text, or empty, or not all items are text.
    """
    if columns is None:
        return None
    names = tuple(columns) if isinstance(columns, Iterable) and not isinstance(columns, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise SamplingError(f"columns is {columns!r}, not a list of names")
    return names


class SamplerOptions:
    """The base of options, which has them validated and written.

    Each kind declares the fields at places of its own: the text of options is in saved states.
    """

    __slots__ = ()

    discount: float
    returns_to_go: bool
    include_unknown_final: bool
    reward_scale: RewardScale
    normalize: Normalizers | None

    _LATER: ClassVar[tuple[str, ...]] = ("include_unknown_final", "reward_scale", "normalize")
    """What earlier releases, whose states are still resumed, did not know."""

    def __repr__(self) -> str:
        """Every option; of those that came later only what is not the default."""
        # Every kind is a dataclass.
        shown = [
            f"{item.name}={_write_value(getattr(self, item.name))}"
            for item in fields(self)  # type: ignore[arg-type]
            if item.name not in self._LATER or getattr(self, item.name) != item.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _normalize(self) -> None:
        # Numbers are kept as Python's own: the text of options is in the state of batches.
        self._set("reward_scale", _check_reward_scale(self.reward_scale))
        self._set("normalize", _check_normalizers(self.normalize))
        self._set("discount", check_fraction("discount", self.discount))
        for name in ("include_unknown_final", "returns_to_go"):
            self._set(name, bool(getattr(self, name)))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _check_reward_scale(value: object) -> RewardScale:
    if isinstance(value, str) and value == "return_range":
        return "return_range"
    if not isinstance(value, bool | str):
        try:
            scale = float(value)  # type: ignore[arg-type]  # anything may come from a caller
        except (TypeError, ValueError):
            scale = 0.0
        if isfinite(scale) and scale > 0:
            return scale
    raise SamplingError(
        f"reward_scale is {value!r}, neither a finite number above 0 nor 'return_range'"
    )


def _check_normalizers(value: object) -> Normalizers | None:
    if value is None:
        return None
    given = {"observations": value} if isinstance(value, Normalizer) else value
    try:
        pairs: tuple[tuple[Any, Any], ...] = tuple(dict(given).items())  # type: ignore[call-overload]  # anything may come from a caller
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or not all(
        isinstance(normalizer, Normalizer) and str(name).partition("/")[0] in NORMALIZED
        for name, normalizer in pairs
    ):
        raise SamplingError(
            f"normalize is {value!r}; give a Normalizer of the observations, or a dict of columns "
            f"in {', '.join(NORMALIZED)} and their normalizers"
        )
    return pairs


def _write_value(value: object) -> str:
    # The address of a function is another one in each process.
    return (
        getattr(value, "__qualname__", type(value).__qualname__) if callable(value) else repr(value)
    )
