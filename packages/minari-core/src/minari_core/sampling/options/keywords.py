"""The options of samplers, and the keywords that give them to the methods of a dataset.

An option is declared twice: its keyword with the types that callers may give, and the field of a
frozen class with its default and its meaning, where it is validated and kept in one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.options.offsets import OffsetKeywords, OffsetOptions
from minari_core.sampling.options.sequences import SequenceKeywords, SequenceOptions
from minari_core.sampling.options.shared import SamplerKeywords
from minari_core.sampling.options.transitions import TransitionKeywords, TransitionOptions
from minari_core.sampling.orders.weights import EpisodeShares

Order: TypeAlias = Literal["exact", "pool"]


class EpochKeywords(TypedDict, total=False):
    """The keywords that say in which order batches come; `MinariDataset.batches` explains them."""

    epochs: int | None
    shuffle: bool
    drop_last: bool
    seed: int | None
    rank: int
    world_size: int
    weights: str | npt.ArrayLike | EpisodeShares | None
    order: Order | None
    pool_epochs: int | None


class TransitionEpochs(EpochKeywords, TransitionKeywords, total=False):
    """The keywords of epochs of transitions."""


class SequenceEpochs(EpochKeywords, SequenceKeywords, total=False):
    """The keywords of epochs of windows, beside their length."""


class OffsetEpochs(EpochKeywords, SamplerKeywords, total=False):
    """The keywords of epochs of windows with offsets, beside these."""


class BatchKeywords(TransitionKeywords, SequenceKeywords, OffsetKeywords, total=False):
    """The keywords that say what to read of transitions or windows, whichever are visited."""


AnyOptions: TypeAlias = TransitionOptions | SequenceOptions | OffsetOptions
Options = TypeVar("Options", TransitionOptions, SequenceOptions, OffsetOptions)

_KINDS: dict[type[AnyOptions], str] = {
    TransitionOptions: "transitions, not windows",
    SequenceOptions: "windows of one length; give length, and no offsets",
    OffsetOptions: "windows with offsets",
}


def make_options(kind: type[Options], keywords: Mapping[str, object], **others: object) -> Options:
    """Make options of keywords.

    Args:
        kind: Of transitions, of windows, or of windows with offsets.
        keywords: Those of a caller. What is of another kind may have its default only.
        **others: Further options.

    Raises:
        SamplingError: A value is out of its range, or of another kind.
        TypeError: There is no option of a name.
    """
    own = {item.name for item in fields(kind)} - set(others)
    foreign = {
        item.name: (item.default, whose)
        for other, whose in _KINDS.items()
        for item in fields(other)
        if item.name not in own
    }
    given: dict[str, Any] = {**others}
    for name, value in keywords.items():
        if name in own:
            given[name] = value
        elif name not in foreign or name in others:
            raise TypeError(f"unexpected keyword argument {name!r}; there are {sorted(own)}")
        elif value is not None and value != foreign[name][0]:
            raise SamplingError(f"{name}={value!r} is of {foreign[name][1]}")
    if given.get("discount", 0) is None:
        del given["discount"]
    return kind(**given)
