"""Replay buffers of d3rlpy; needs the extra ``minari-core[d3rlpy]``.

d3rlpy's own ``get_minari`` concatenates all observations, and all actions, though an
episode has one observation more than it has actions: from the second episode on they do not
belong together. And as for d3rlpy an episode that is cut off has no observation after its last
action, it leaves that transition out. Here every transition is there, and is the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.datasets.dataset import MinariDataset
from minari_core.episodes.episode import EpisodeData
from minari_core.episodes.final_observation import take_rows
from minari_core.errors import DataError, MissingDependencyError, SpaceError
from minari_core.integrations.known_steps import leave_out_unknown_step

try:
    from d3rlpy.constants import ActionSpace
    from d3rlpy.dataset import Episode, InfiniteBuffer, ReplayBuffer
except ImportError as error:
    raise MissingDependencyError(
        "minari_core.integrations.d3rlpy needs d3rlpy: pip install 'minari-core[d3rlpy]'"
    ) from error

__all__ = ["RecordedEpisode", "replay_buffer"]


class RecordedEpisode(Episode):
    """An episode of T transitions, with the last one whatever ended it.

    It has T+1 ``observations`` and T ``rewards`` of shape (T, 1). ``actions`` has a row of zeros
    after the T that were taken: d3rlpy looks there for the action after the last observation
    of an episode that was cut off, which nobody knows.
    """

    def size(self) -> int:
        """Return the number of steps."""
        return len(self.rewards)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.rewards)

    @property
    def transition_count(self) -> int:
        """The number of transitions, one a step."""
        return len(self.rewards)


def replay_buffer(
    dataset: MinariDataset,
    *,
    observation: Callable[[Any], Any] | None = None,
    **options: Any,
) -> ReplayBuffer:
    """Make a replay buffer of every transition of a dataset or view, in their order.

    A transition that terminated its episode has ``terminal`` 1 and, as always in d3rlpy, zeros as
    its next observation. One that was cut off has ``terminal`` 0 and the observation that came.
    A last step whose next observation nobody knows is left out. A stored episode that goes on after
    a step that ended it is several episodes of d3rlpy, which has one such flag for an episode.
    Values keep their dtypes. Columns of a columnar dataset that are stored as they are stay in
    their memory maps until they are sampled.

    Args:
        dataset: The dataset or view.
        observation: A function from an episode's observations, which have T+1 rows, to an array
            or a tuple of arrays of T+1 rows; needed if they are no Box or Tuple of Boxes. For a
            goal, for instance
            ``lambda seen: np.concatenate([seen["observation"], seen["desired_goal"]], axis=1)``.
        **options: What else ``d3rlpy.dataset.ReplayBuffer`` takes, such as a transition picker.

    Raises:
        SpaceError: d3rlpy cannot hold observations or actions of such a space.
        DataError: A reward is a vector, or ``observation`` gives what has not T+1 rows.
    """
    _check_observations(dataset.observation_space, observation)
    action_space, action_size = _read_action_space(dataset.action_space)
    shortened = map(leave_out_unknown_step, dataset.iterate_episodes(copy=False))
    known = (episode for episode in shortened if episode is not None)
    episodes = [part for episode in known for part in _make_episodes(episode, observation)]
    arguments = {"action_space": action_space, "action_size": action_size, **options}
    return ReplayBuffer(InfiniteBuffer(), episodes=episodes, **arguments)


def _make_episodes(
    episode: EpisodeData, observation: Callable[[Any], Any] | None
) -> Iterator[RecordedEpisode]:
    steps = len(episode)
    if episode.rewards.ndim != 1:
        raise DataError(
            f"episode {episode.id}: rewards have shape {episode.rewards.shape}; d3rlpy has room "
            "for one number a step"
        )
    seen = episode.observations if observation is None else observation(episode.observations)
    for leaf in seen if isinstance(seen, tuple) else (seen,):
        if not isinstance(leaf, np.ndarray) or len(leaf) != steps + 1:
            raise DataError(
                f"episode {episode.id} of {steps} steps: observation gives {type(leaf).__name__} "
                f"of {len(leaf)} rows, not an array of {steps + 1}"
            )
    actions: npt.NDArray[Any] = episode.actions.reshape(steps, -1)
    after = np.zeros_like(actions[:1])
    early = np.flatnonzero(episode.terminations[:-1] | episode.truncations[:-1]) + 1
    for start, stop in pairwise([0, *early.tolist(), steps]):
        yield RecordedEpisode(
            observations=take_rows(seen, slice(start, stop + 1)),
            actions=np.concatenate([actions[start:stop], after]),
            rewards=episode.rewards[start:stop, None],
            terminated=bool(episode.terminations[stop - 1]),
        )


def _check_observations(space: spaces.Space[Any], observation: Callable[[Any], Any] | None) -> None:
    leaves = space.spaces if isinstance(space, spaces.Tuple) else (space,)
    if observation is None and not all(isinstance(leaf, spaces.Box) for leaf in leaves):
        raise SpaceError(
            f"the observations are of {space}, and d3rlpy takes a Box or a Tuple of Boxes; say "
            "with observation= what to make of them"
        )


def _read_action_space(space: spaces.Space[Any]) -> tuple[ActionSpace, int]:
    if isinstance(space, spaces.Discrete) and space.start == 0:
        return ActionSpace.DISCRETE, int(space.n)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return ActionSpace.CONTINUOUS, space.shape[0]
    raise SpaceError(
        f"the actions are of {space}, and d3rlpy takes a Box of one dimension or a Discrete "
        "space that starts at 0"
    )
