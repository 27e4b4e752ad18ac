"""Prioritized replay: transitions with a large error are drawn more often.

After Schaul et al. (2016, "Prioritized experience replay"): the proportional variant of section
3.3, with stratified draws (appendix B.2.1) and importance weights (section 3.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.random_stream import RandomStream
from minari_core.sampling.options.transitions import TransitionOptions
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.sum_tree import SumTree
from minari_core.sampling.steps.episode_steps import EMPTY, check_positions
from minari_core.sampling.transitions.batch import TransitionBatch
from minari_core.sampling.transitions.sampler import TransitionSampler

_STATE_VERSION = 1


class GrowingDataset(Protocol):
    """A dataset or view, to whose end episodes may be added."""

    _indices: range | Positions

    def _transition_sampler(self, keywords: Mapping[str, object]) -> TransitionSampler:
        """Return the reader of the transitions that there are by now."""
        ...

    def _identify_first(self, episodes: int, options: TransitionOptions) -> str:
        """Return what a sampler reads of the first episodes, whatever is added behind them."""
        ...


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

    Episodes that the dataset takes in are drawn from the next `sample` on, in the largest priority
    that there is by then (algorithm 1 of Schaul et al.); the positions of the others stay.

    The memory is about 9 bytes a transition. Not safe to share between threads.
    """

    def __init__(
        self,
        dataset: GrowingDataset,
        options: Mapping[str, Any],
        *,
        stream: RandomStream,
        alpha: float = 0.6,
        epsilon: float = 1e-6,
    ) -> None:
        """Begin with the same priority, 1, for all transitions.

        Args:
            dataset: The dataset or view.
            options: What to read, as keywords; see `TransitionOptions`.
            stream: Where randomness comes from.
            alpha: How much priorities matter: at 0 all transitions are equally likely, at 1 they
                are drawn in proportion to their priorities.
            epsilon: What is added to each priority, so that all may be drawn again.

        Raises:
            SamplingError: A number is out of its range, or there is nothing to sample.
        """
        self._dataset = dataset
        self._options = dict(options)
        self._sampler = dataset._transition_sampler(self._options)
        self._identity = dataset._identify_first(len(dataset._indices), self._sampler.options)
        self._episodes = len(dataset._indices)
        self._alpha = check_fraction("alpha", alpha)
        if not 0 < epsilon < np.inf:
            raise SamplingError(f"epsilon is {epsilon}, not a finite number above 0")
        self._epsilon = float(epsilon)
        self._stream = stream
        if len(self._sampler) == 0:
            raise SamplingError(f"there is no step to sample: {EMPTY}")
        self._tree = SumTree(self._weigh(np.ones(len(self._sampler))))

    def __len__(self) -> int:
        """Return the number of transitions that have a priority."""
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
            SamplingError: A number is out of its range, ``out`` does not fit, or the dataset or
                view no longer shows the episodes that it showed.
        """
        self._follow()
        size = check_whole_number("batch_size", batch_size, 1)
        beta = check_fraction("beta", beta)
        generator = self._stream.generator
        shares = (np.arange(size) + generator.random(size)) / size
        positions = self._tree.find(shares)
        chosen = self._tree.weights.take(positions)
        # The number of transitions and the total are the same for all, and cancel out.
        weights = (chosen.min() / chosen) ** beta
        return PrioritizedBatch(self._sampler.read(positions, generator, out), positions, weights)

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
            "episodes": self._episodes,
            "identity": self._identity,
            "settings": self._settings(),
            "generator": self._stream.generator.bit_generator.state,
            "weights": self._tree.weights.copy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned.

        Episodes that the dataset has taken in since then get the largest priority of the state.

        Raises:
            SamplingError: The state is of another dataset, view or setting, or no state.
        """
        keys = ("version", "episodes", "identity", "settings", "generator", "weights")
        if not set(keys) <= set(state or ()):
            raise SamplingError(f"{str(state)[:80]!r} is no state; state_dict gives one")
        self._follow()
        episodes = check_whole_number("episodes of the state", state["episodes"], 0)
        if episodes > self._episodes:
            raise SamplingError(
                f"the state is of {episodes} episodes, and these are {self._episodes}; refresh "
                "the dataset, which takes in those that were added"
            )
        own = {
            "version": _STATE_VERSION,
            "identity": self._dataset._identify_first(episodes, self._sampler.options),
            "settings": self._settings(),
        }
        for name, value in own.items():
            if state[name] != value:
                raise SamplingError(f"the state is of {name} {state[name]!r}, not {value!r}")
        weights = np.asarray(state["weights"], dtype=np.float64)
        newer = len(self) - weights.size
        if (
            weights.ndim != 1
            or (newer != 0 if episodes == self._episodes else newer <= 0)
            or not (weights.min() > 0 and weights.max() < np.inf)
        ):
            raise SamplingError(
                f"the state has weights of shape {weights.shape}, not finite numbers above 0, one "
                f"for each of the transitions of its {episodes} episodes ({len(self)} of all)"
            )
        # Who sets a state says what is drawn, as by a seed.
        stream = RandomStream(0)
        stream.generator.bit_generator.state = state["generator"]
        self._stream = stream
        self._tree = SumTree(_extend(weights, newer))

    def _follow(self) -> None:
        """Take in the transitions of episodes that the dataset has taken in."""
        sampler = self._dataset._transition_sampler(self._options)
        if sampler is self._sampler:
            return
        identity = self._dataset._identify_first(self._episodes, sampler.options)
        newer = len(sampler) - len(self)
        if identity != self._identity or newer < 0:
            raise SamplingError(
                f"the dataset or view no longer begins with the {self._episodes} episodes that it "
                "had; call prioritized_replay again"
            )
        self._sampler, self._episodes = sampler, len(self._dataset._indices)
        self._identity = self._dataset._identify_first(self._episodes, sampler.options)
        if newer:
            self._tree = SumTree(_extend(self._tree.weights, newer))

    def _settings(self) -> dict[str, float]:
        return {"alpha": self._alpha, "epsilon": self._epsilon}

    def _weigh(self, priorities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        weights: npt.NDArray[np.float64] = (priorities + self._epsilon) ** self._alpha
        return weights


def _extend(weights: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Append the largest weight, so many times."""
    return np.concatenate([weights, np.full(count, weights.max())]) if count else weights
