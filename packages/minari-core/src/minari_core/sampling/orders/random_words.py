"""Random words by their number, and orders made of them.

The words are those of SplitMix64 (Steele et al., 2014, "Fast splittable pseudorandom number
generators"), whose n-th number needs no other, and which no release of numpy changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.sampling.orders.rank_index import Positions

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_MULTIPLIER = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)


def draw_starts(count: int, *key: int) -> Words:
    """Return the starts of independent sequences of words, which depend on a key alone."""
    starts: Words = np.random.SeedSequence(key).generate_state(count, np.uint64).view(np.uint64)
    return starts


def draw_words(start: np.uint64, numbers: Words) -> Words:
    """Return the words at some places of a sequence.

    Args:
        start: The start of the sequence.
        numbers: The places, from 0 on, of any shape.
    """
    mixed = (numbers + _ONE) * _STEP + start
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST_MULTIPLIER
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND_MULTIPLIER
    mixed ^= mixed >> np.uint64(31)
    return mixed


def shuffle_numbers(start: np.uint64, first: int, size: int) -> Positions:
    """Return the numbers from 0 to ``size - 1`` in a random order.

    They are sorted by random words, which are told apart by the numbers in their lowest bits.

    Args:
        start: The start of a sequence of words.
        first: The place of the first word that is used; others follow.
        size: The number of numbers, below 2³².
    """
    numbers = np.arange(size, dtype=np.uint64)
    lowest = np.uint64((1 << max(size - 1, 0).bit_length()) - 1)
    words = draw_words(start, numbers + np.uint64(first))
    words = np.sort((words & ~lowest) | numbers)
    return (words & lowest).view(np.int64)
