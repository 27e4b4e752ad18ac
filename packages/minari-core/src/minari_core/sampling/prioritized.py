"""Prioritized replay: transitions with a large error are drawn more often.

After Schaul et al. (2016, "Prioritized experience replay"): the proportional variant of section
3.3, with stratified draws (appendix B.2.1) and importance weights (section 3.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.sum_tree import SumTree
from minari_core.sampling.steps import EMPTY, check_positions
from minari_core.sampling.transition_batch import TransitionBatch
from minari_core.sampling.transitions import TransitionSampler

_STATE_VERSION = 1


class PrioritizedBatch(NamedTuple):
    """Transitions that were drawn by their priorities."""

    transitions: TransitionBatch
    """The transitions."""
    positions: Positions
    """What to give to `PrioritizedReplay.update` beside new priorities, int64 of shape (B,)."""
    weights: npt.NDArray[np.float64]
    """The importance weights to multiply losses by, at most 1, shape (B,)."""


class PrioritizedReplay:
    """Draw transitions of a dataset or view by priorities that change while one trains.

    The memory is about 9 bytes a transition. Not safe to share between threads.
    """

    def __init__(
        self,
        sampler: TransitionSampler,
        *,
        seed: int,
        identity: str,
        alpha: float = 0.6,
        epsilon: float = 1e-6,
    ) -> None:
        """Begin with the same priority, 1, for all transitions.

        Args:
            sampler: The reader of the transitions.
            seed: The seed of what is drawn.
            identity: Tells the dataset, view and options from others, for `load_state_dict`.
            alpha: How much priorities matter: at 0 all transitions are equally likely, at 1 they
                are drawn in proportion to their priorities.
            epsilon: What is added to each priority, so that all may be drawn again.

        Raises:
            SamplingError: A number is out of its range, or there is nothing to sample.
        """
        self._sampler = sampler
        self._identity = identity
        self._alpha = check_fraction("alpha", alpha)
        if not 0 < epsilon < np.inf:
            raise SamplingError(f"epsilon is {epsilon}, not a finite number above 0")
        self._epsilon = float(epsilon)
        self._generator = np.random.Generator(np.random.PCG64(check_whole_number("seed", seed, 0)))
        if len(sampler) == 0:
            raise SamplingError(f"there is no step to sample: {EMPTY}")
        self._tree = SumTree(self._weigh(np.ones(len(sampler))))

    def __len__(self) -> int:
        """Return the number of transitions."""
        return self._tree.size

    def sample(
        self, batch_size: int, *, beta: float = 0.4, out: TransitionBatch | None = None
    ) -> PrioritizedBatch:
        """Draw transitions with replacement, each from a share of its own of the total priority.

        Args:
            batch_size: The number of transitions, B.
            beta: How much of the bias of the draws the importance weights undo: at 1 all of it.
            out: Transitions of an earlier call, whose arrays are filled again.

        Raises:
            SamplingError: A number is out of its range, or ``out`` does not fit.
        """
        size = check_whole_number("batch_size", batch_size, 1)
        beta = check_fraction("beta", beta)
        shares = (np.arange(size) + self._generator.random(size)) / size
        positions = self._tree.find(shares)
        chosen = self._tree.weights.take(positions)
        # The number of transitions and the total are the same for all, and cancel out.
        weights = (chosen.min() / chosen) ** beta
        return PrioritizedBatch(
            self._sampler.read(positions, self._generator, out), positions, weights
        )

    def update(self, positions: npt.ArrayLike, priorities: npt.ArrayLike) -> None:
        """Change the priorities of transitions, such as to the size of their last errors.

        Args:
            positions: Those that were drawn, from 0 to ``len(self) - 1``, shape (B,). Of one that
                is given twice, the last counts.
            priorities: Numbers that are finite and not negative, shape (B,).

        Raises:
            SamplingError: They do not fit, or are out of their range; nothing is changed.
        """
        places = check_positions(positions, len(self))
        values = np.asarray(priorities, dtype=np.float64)
        if values.shape != places.shape:
            raise SamplingError(
                f"there are priorities of shape {values.shape} for {len(places)} positions"
            )
        if not len(places):
            return
        # NaN is neither.
        if not (values.min() >= 0 and values.max() < np.inf):
            raise SamplingError(
                f"priorities run from {values.min()} to {values.max()}; they are finite and not "
                "negative"
            )
        self._tree.update(places, self._weigh(values))

    def state_dict(self) -> dict[str, Any]:
        """Return priorities and the state of what is drawn; all but an array is plain JSON."""
        return {
            "version": _STATE_VERSION,
            "identity": self._identity,
            "settings": self._settings(),
            "generator": self._generator.bit_generator.state,
            "weights": self._tree.weights.copy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned.

        Raises:
            SamplingError: The state is of another dataset, view or setting, or no state.
        """
        keys = ("version", "identity", "settings", "generator", "weights")
        if not set(keys) <= set(state or ()):
            raise SamplingError(f"{str(state)[:80]!r} is no state; state_dict gives one")
        own = {
            "version": _STATE_VERSION,
            "identity": self._identity,
            "settings": self._settings(),
        }
        for name, value in own.items():
            if state[name] != value:
                raise SamplingError(f"the state is of {name} {state[name]!r}, not {value!r}")
        weights = np.asarray(state["weights"], dtype=np.float64)
        if weights.shape != (len(self),) or not (weights.min() > 0 and weights.max() < np.inf):
            raise SamplingError(
                f"the state has weights of shape {weights.shape}, not {len(self)} finite numbers "
                "above 0"
            )
        self._generator.bit_generator.state = state["generator"]
        self._tree = SumTree(weights)

    def _settings(self) -> dict[str, float]:
        return {"alpha": self._alpha, "epsilon": self._epsilon}

    def _weigh(self, priorities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        weights: npt.NDArray[np.float64] = (priorities + self._epsilon) ** self._alpha
        return weights
