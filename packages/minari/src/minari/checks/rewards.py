"""Checks of rewards against infos that say what they consist of, or what they sum up to."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from minari.checks.blocks import EpisodeBlock
from minari.checks.finding import Check, Examples, Finding

_PARTS = "infos/reward_"
_RETURN = "infos/episode/r"
_TOLERANCE = 1e-4


class RewardPartsCheck(Check):
    """Rewards that are not the sum of their parts, as the environments of MuJoCo name them."""

    name = "reward-parts"
    sentence = "Rewards are not the sum of the infos reward_…, though they often are."

    def __init__(self) -> None:
        """Start with nothing."""
        self._differences: list[tuple[int, float, float]] = []

    def see(self, block: EpisodeBlock) -> None:
        """Keep how far rewards and sums of parts are apart in each episode."""
        parts = {
            path: column.rows
            for path, column in block.columns.items()
            if path.startswith(_PARTS) and column.rows.ndim == 1 and column.rows.dtype.kind == "f"
        }
        if len(parts) < 2 or block.rewards.ndim != 1:
            return
        # Row t + 1 is what step t has returned.
        after_reset = np.ones(len(next(iter(parts.values()))), dtype=bool)
        after_reset[np.cumsum(block.lengths + 1) - block.lengths - 1] = False
        total: npt.NDArray[np.float64] = np.ma.filled(
            sum(rows.astype(np.float64) for rows in parts.values()),
            np.nan,
        )[after_reset]
        starts = np.cumsum(block.lengths) - block.lengths
        apart = block.rewards - total
        low, high = np.fmin.reduceat(apart, starts), np.fmax.reduceat(apart, starts)
        ends = zip(block.ids.tolist(), low.tolist(), high.tolist(), strict=True)
        # Of an episode without a known number nothing can be said.
        self._differences += [each for each in ends if not math.isnan(each[1])]

    def finish(self) -> Iterator[Finding]:
        """Say which episodes are apart from what is usual; a constant, as a bonus, is not."""
        if not self._differences:
            return
        ids, lows, highs = map(np.array, zip(*self._differences, strict=True))
        usual = float(np.median(np.concatenate([lows, highs])))
        far = np.maximum(np.abs(lows - usual), np.abs(highs - usual)) > _TOLERANCE
        # Where most are apart, these infos are something else.
        if 0 < far.sum() <= len(ids) / 2:
            examples = Examples()
            examples.add(ids[far].tolist())
            yield Finding(
                check=self.name,
                severity="warning",
                column="rewards",
                sentence="differ from the sum of the infos reward_…, which is the reward elsewhere",
                episodes=examples.count,
                examples=tuple(examples.ids),
            )


class RecordedReturnCheck(Check):
    """Returns that differ from those that RecordEpisodeStatistics has noted."""

    name = "recorded-return"
    sentence = "The rewards of an episode do not sum up to its info episode/r."

    def __init__(self) -> None:
        """Start with nothing."""
        self._found = Examples()

    def see(self, block: EpisodeBlock) -> None:
        """Compare sums of rewards with the info of the last step."""
        column = block.columns.get(_RETURN)
        if column is None or column.rows.ndim != 1 or block.rewards.ndim != 1:
            return
        last = column.rows[np.cumsum(column.counts) - 1]
        if last.dtype.kind not in "fiu":
            return
        noted = np.ma.filled(np.ma.asarray(last).astype(np.float64), np.nan)
        sums = np.add.reduceat(block.rewards, np.cumsum(block.lengths) - block.lengths)
        scale = np.maximum(np.abs(sums), 1.0)
        far = np.abs(noted - sums) > 1e-3 * scale
        self._found.add(block.ids[far].tolist())

    def finish(self) -> Iterator[Finding]:
        """Say which episodes have another return than was noted."""
        if self._found.count:
            yield Finding(
                check=self.name,
                severity="warning",
                column="rewards",
                sentence="do not sum up to the info episode/r of the last step",
                episodes=self._found.count,
                examples=tuple(self._found.ids),
            )
