"""Read for training: transitions, windows and batches, straight out of the flat columns."""

from __future__ import annotations

from minari_core.sampling.batches import Batches
from minari_core.sampling.options import SequenceOptions, TransitionOptions
from minari_core.sampling.statistics import ColumnStatistics, Normalizer
from minari_core.sampling.transitions import TransitionBatch, TransitionSampler
from minari_core.sampling.windows import SequenceBatch, SequenceSampler

__all__ = [
    "Batches",
    "ColumnStatistics",
    "Normalizer",
    "SequenceBatch",
    "SequenceOptions",
    "SequenceSampler",
    "TransitionBatch",
    "TransitionOptions",
    "TransitionSampler",
]
