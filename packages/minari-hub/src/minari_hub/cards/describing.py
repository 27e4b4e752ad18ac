"""Gather what the card of a dataset says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from minari_core import EpisodeMetadata, MinariDataset
from minari_core.episodes.reward_metadata import find_return
from minari_core.errors import MinariError
from minari_core.json_values import JsonValue
from minari_hub.cards.card import Card, Extent

_MOST_EPISODES = 100_000
"""The most episodes whose metadata are read for the sake of a card."""


def describe_dataset(
    dataset_id: str,
    url: str,
    folder: Path,
    metadata: Mapping[str, JsonValue],
    preview: Path | None,
) -> Card:
    """Gather what the card of a dataset says; what cannot be read here is left out.

    Args:
        dataset_id: Its id.
        url: Its address on the remote.
        folder: Its ``data`` folder here.
        metadata: What its manifest says that is published.
        preview: A picture of an episode.
    """
    said = Card(dataset_id, url, metadata, preview=preview)
    try:
        stored = MinariDataset(folder)
        spec = stored.env_spec
        observation_space, action_space = stored.observation_space, stored.action_space
        episodes = _list_episodes(stored, metadata.get("total_episodes"))
    except MinariError:
        return said
    return Card(
        dataset_id,
        url,
        metadata,
        observation_space=observation_space,
        action_space=action_space,
        env_id=spec.id if spec is not None else None,
        lengths=_measure([float(each.total_steps) for each in episodes]),
        returns=_measure([find_return(each) for each in episodes]),
        preview=preview,
    )


def _list_episodes(stored: MinariDataset, count: JsonValue) -> list[EpisodeMetadata]:
    if type(count) is not int or count > _MOST_EPISODES:
        return []
    # What was added meanwhile is not published.
    return list(islice(stored.iterate_episode_metadata(), count))


def _measure(numbers: Sequence[float | None]) -> Extent | None:
    known = [each for each in numbers if each is not None]
    if not known or len(known) < len(numbers):
        return None
    return Extent(min(known), sum(known) / len(known), max(known))
