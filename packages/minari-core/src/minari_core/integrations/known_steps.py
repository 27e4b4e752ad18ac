"""Episodes of which every step has a next observation, as other libraries expect them."""

from __future__ import annotations

from dataclasses import replace

from minari_core.episodes.episode import EpisodeData
from minari_core.episodes.final_observation import FINAL_OBSERVATION, take_rows


def leave_out_unknown_step(episode: EpisodeData) -> EpisodeData | None:
    """Shorten an episode so that every step has an observation behind it.

    Returns:
        The episode; without its last step if nobody knows what that led to, and None if it has no
        other.
    """
    if episode.final_observation_known:
        return episode
    if len(episode) == 1:
        return None
    names = ("actions", "rewards", "terminations", "truncations", "infos", "extras")
    shorter = {name: take_rows(getattr(episode, name), slice(None, -1)) for name in names}
    others = {k: v for k, v in episode.metadata.items() if k != FINAL_OBSERVATION}
    return replace(episode, **shorter, metadata=others)
