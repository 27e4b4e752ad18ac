"""Read for training: transitions, windows and batches, straight out of the flat columns.

Its names are loaded on first use, because opening a dataset needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minari_core.lazy_names import load_lazily

if TYPE_CHECKING:
    from minari_core.sampling.epochs.batches import Batches
    from minari_core.sampling.options.offsets import OffsetOptions
    from minari_core.sampling.options.sequences import SequenceOptions
    from minari_core.sampling.options.transitions import TransitionOptions
    from minari_core.sampling.orders.recent_share import RecentShare
    from minari_core.sampling.replay.prioritized import PrioritizedBatch, PrioritizedReplay
    from minari_core.sampling.transitions.batch import TransitionBatch
    from minari_core.sampling.transitions.sampler import TransitionSampler
    from minari_core.sampling.windows.batch import SequenceBatch
    from minari_core.sampling.windows.offsets import OffsetBatch, OffsetSampler
    from minari_core.sampling.windows.sequences import SequenceSampler
    from minari_core.statistics.column_statistics import ColumnStatistics
    from minari_core.statistics.normalizer import Normalizer

__all__ = [
    "Batches",
    "ColumnStatistics",
    "Normalizer",
    "OffsetBatch",
    "OffsetOptions",
    "OffsetSampler",
    "PrioritizedBatch",
    "PrioritizedReplay",
    "RecentShare",
    "SequenceBatch",
    "SequenceOptions",
    "SequenceSampler",
    "TransitionBatch",
    "TransitionOptions",
    "TransitionSampler",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "minari_core.sampling.epochs.batches": ("Batches",),
            "minari_core.sampling.windows.offsets": ("OffsetBatch", "OffsetSampler"),
            "minari_core.sampling.options.offsets": ("OffsetOptions",),
            "minari_core.sampling.options.sequences": ("SequenceOptions",),
            "minari_core.sampling.options.transitions": ("TransitionOptions",),
            "minari_core.sampling.orders.recent_share": ("RecentShare",),
            "minari_core.sampling.replay.prioritized": ("PrioritizedBatch", "PrioritizedReplay"),
            "minari_core.sampling.transitions.batch": ("TransitionBatch",),
            "minari_core.sampling.transitions.sampler": ("TransitionSampler",),
            "minari_core.sampling.windows.batch": ("SequenceBatch",),
            "minari_core.sampling.windows.sequences": ("SequenceSampler",),
            "minari_core.statistics.column_statistics": ("ColumnStatistics",),
            "minari_core.statistics.normalizer": ("Normalizer",),
        },
    )
