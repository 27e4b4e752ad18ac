"""The options of windows whose columns have ranges of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.options.shared import (
    RewardScale,
    SamplerKeywords,
    SamplerOptions,
    normalize_columns,
)
from minari_core.statistics.normalizer import Normalizers

ColumnOffsets: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Names of columns and the rows of each, counted from a step."""

# No episode is longer, and a step and an offset have a sum.
_FARTHEST = 1 << 60
_MOST_OFFSETS = 1 << 20


class OffsetKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read around steps; `OffsetOptions` explains them."""

    offsets: Mapping[str, Iterable[int]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetOptions(SamplerOptions):
    """The keywords of `MinariDataset.sample_sequences` with ``offsets``."""

    offsets: ColumnOffsets
    """The rows to read of each column, counted from a step that the window is around: a dict of
    names of columns, as for `TransitionOptions`, and ranges, such as ``{"observations":
    range(-1, 1), "actions": range(16)}``. Nothing else is read. Any whole numbers will do for a
    range, in any order."""
    returns_to_go: bool = False
    """Also return the discounted sum of rewards from the step to the end of the episode."""
    discount: float = 1.0
    """The discount of returns-to-go."""
    include_unknown_final: bool = False
    """Also the last steps of episodes whose final observation is not known."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of returns-to-go, as for `TransitionOptions`."""
    normalize: Normalizers | None = None
    """What to normalize, as for `TransitionOptions`; padding is, too."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        self._set("offsets", _normalize_offsets(self.offsets))
        self._normalize()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return tuple(name for name, _ in self.offsets)

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}


def _normalize_offsets(offsets: object) -> ColumnOffsets:
    pairs = [*offsets.items()] if isinstance(offsets, Mapping) else offsets
    if not isinstance(pairs, list | tuple) or not pairs:
        raise SamplingError(
            f"offsets is {offsets!r}, not a dict of columns and ranges such as "
            "{'observations': range(-1, 1), 'actions': range(16)}"
        )
    found = []
    for name, numbers in pairs:
        is_text = isinstance(numbers, str)
        given = numbers if isinstance(numbers, Iterable) and not is_text else ()
        rows = list(islice(given, _MOST_OFFSETS + 1))
        if len(rows) > _MOST_OFFSETS:
            raise SamplingError(
                f"the offsets of {name!r} are {numbers!r}, more than the {_MOST_OFFSETS} rows of a "
                "window that there may be"
            )
        checked = tuple(
            [check_whole_number(f"an offset of {name}", row, -_FARTHEST) for row in rows]
        )
        if not checked or max(checked) > _FARTHEST:
            raise SamplingError(
                f"the offsets of {name!r} are {numbers!r}; give at least one, and none beyond "
                f"{_FARTHEST}"
            )
        found.append((name, checked))
    normalize_columns([name for name, _ in found])
    return tuple(found)
