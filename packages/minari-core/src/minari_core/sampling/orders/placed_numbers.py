"""Random numbers that begin at a place, so that each batch has its own, whoever reads it."""

from __future__ import annotations

import numpy as np


class PlacedNumbers:
    """A generator that is put to places of its sequence, which takes less than to make another.

    Not safe to share between threads.
    """

    __slots__ = ("_bits", "_generator", "_state")

    def __init__(self, *key: int) -> None:
        """Choose the sequence.

        Args:
            *key: Numbers, such as a seed and an epoch; other numbers give another sequence.
        """
        # Philox counts blocks of words, any of which is computed by itself (Salmon et al., 2011).
        self._bits = np.random.Philox(np.random.SeedSequence(key))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def begin(self, place: int) -> np.random.Generator:
        """Return the generator, put to a place that is 2⁶⁴ blocks before the next one.

        Args:
            place: A number of at least 0.
        """
        self._state["state"]["counter"][1] = place
        self._bits.state = self._state
        return self._generator
