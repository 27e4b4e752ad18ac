"""How long episodes are, as far as it is known, and how many of them make so many steps."""

from __future__ import annotations

import math

_DEVIATIONS = 2.5


class EpisodeLengths:
    """The mean and the variance of the lengths of episodes, of which only sums are known."""

    def __init__(self) -> None:
        """Start without any."""
        self.episodes = 0
        """The number of episodes."""
        self.steps = 0
        """The number of their steps."""
        self._sums = 0
        self._squares = 0.0

    def add(self, episodes: int, steps: int) -> None:
        """Add some episodes and the sum of their lengths."""
        self.episodes += episodes
        self.steps += steps
        self._sums += 1
        self._squares += steps * steps / episodes

    @property
    def mean(self) -> float:
        """The mean length."""
        return self.steps / self.episodes

    @property
    def variance(self) -> float:
        """The variance of the lengths; 0 if only one sum is known."""
        if self._sums < 2:
            return 0.0
        return max(0.0, (self._squares - self.steps * self.mean) / (self._sums - 1))

    def estimate_waiting(self, episodes: int, tasks: int) -> float:
        """Estimate the steps of episodes that are under way.

        Tasks that end early have short episodes, so that those under way are longer than the
        mean (the inspection paradox): each by the variance over the mean.

        Args:
            episodes: How many are under way.
            tasks: How many tasks have them.
        """
        return episodes * self.mean + tasks * self.variance / self.mean

    def count_fitting(self, steps: float, waiting: int) -> int:
        """Count the episodes that hardly have more than so many steps together.

        Args:
            steps: The steps, beside those that are expected of what is under way.
            waiting: How many episodes are under way, whose lengths are as uncertain.
        """
        spread = _DEVIATIONS * math.sqrt(self.variance)
        total = steps + waiting * self.mean
        if total <= 0:
            return 0
        # Of n episodes, n × mean + spread × √n is rarely exceeded.
        root = (math.sqrt(spread * spread + 4 * self.mean * total) - spread) / (2 * self.mean)
        return max(0, int(root * root + 1e-9) - waiting)
