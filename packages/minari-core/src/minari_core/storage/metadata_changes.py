"""Changes of the metadata of stored episodes: checked first, then merged into what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from minari_core.columns.untyped import freeze
from minari_core.episodes.entries import check_seed, encode_entries
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.episodes.final_observation import FINAL_OBSERVATION, is_final_observation_known
from minari_core.errors import DataError, MetadataError
from minari_core.messages import format_value

Change = dict[str, object]
"""New values of the metadata of an episode by key, its seed and options among them."""

_END = object()


def collect_changes(
    metadatas: Iterable[Mapping[str, object]], indices: Iterable[int]
) -> dict[int, Change]:
    """Collect changes by episode; those of one that comes twice are merged in their order.

    Args:
        metadatas: The new values of each episode; they may change afterwards.
        indices: The indices of the episodes.

    Raises:
        MetadataError: There are more or fewer values than indices, or values cannot be kept.
    """
    changes: dict[int, Change] = {}
    given, count = iter(metadatas), 0
    for count, number in enumerate(indices, start=1):
        metadata = next(given, _END)
        if metadata is _END:
            raise MetadataError(
                f"Metadatas and episode_indices have different lengths: {count - 1} metadatas for "
                f"at least {count} episodes; give one dict for each episode"
            )
        if not isinstance(metadata, Mapping):
            raise MetadataError(
                f"episode {number}: its metadata is {format_value(metadata)}, not a dict; give a "
                "list with one dict for each episode"
            )
        frozen = freeze(dict(metadata))
        changes.setdefault(number, {}).update(frozen if isinstance(frozen, dict) else {})
    if next(given, _END) is not _END:
        raise MetadataError(
            f"Metadatas and episode_indices have different lengths: more than {count} metadatas "
            f"for {count} episodes; give one dict for each episode"
        )
    for number, change in changes.items():
        _check_kept(number, change)
    return changes


def merge_change(episode: EpisodeMetadata, change: Mapping[str, object]) -> EpisodeMetadata:
    """Merge new values into what is stored of an episode; None takes a value away.

    Args:
        episode: What is stored.
        change: The new values, as `collect_changes` gives them.

    Raises:
        MetadataError: One would change what the steps of the episode are.
    """
    others = dict(change)
    for key, stored in (("id", episode.id), ("total_steps", episode.total_steps)):
        given = others.pop(key, stored)
        if not isinstance(given, int | np.integer) or given != stored:
            raise _make_fixed_error(episode, key, stored, given)
    known = episode.final_observation_known
    if FINAL_OBSERVATION in others and is_final_observation_known(others) is not known:
        raise _make_fixed_error(episode, FINAL_OBSERVATION, known, others[FINAL_OBSERVATION])
    seed, options = others.pop("seed", episode.seed), others.pop("options", episode.options)
    merged = {**episode.metadata, **others}
    return replace(
        episode,
        seed=int(seed) if isinstance(seed, int | np.integer) else None,
        options=options if isinstance(options, dict) else None,
        metadata={key: value for key, value in merged.items() if value is not None},
    )


def _make_fixed_error(
    episode: EpisodeMetadata, key: str, stored: object, given: object
) -> MetadataError:
    return MetadataError(
        f"episode {episode.id}: {key} is {stored} and cannot become {format_value(given)}: the "
        "steps depend on it, and steps never change; leave it out"
    )


def _check_kept(number: int, change: Change) -> None:
    """Raise unless every value can be kept as it is."""
    seed, options = change.get("seed"), change.get("options")
    dropped: dict[str, str] = {}
    try:
        if options is not None and not isinstance(options, Mapping):
            raise DataError(f"options are {format_value(options)}, not a dict")
        check_seed(seed)  # type: ignore[arg-type]  # it is what is checked
        others = {key: value for key, value in change.items() if key not in ("seed", "options")}
        encode_entries([1], [None], [options], [others], dropped)
    except DataError as error:
        raise MetadataError(f"episode {number}: {error}") from error
    if dropped:
        told = "; ".join(f"{name} ({reason})" for name, reason in dropped.items())
        raise MetadataError(
            f"episode {number}: metadata cannot hold {told}; give text, numbers, booleans, "
            "arrays of numbers, lists or dicts"
        )
