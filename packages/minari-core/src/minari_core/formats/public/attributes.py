"""Seed, options and metadata of an episode as the flat attributes of the public Minari."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.formats.columnar.episode_entry import Entry
from minari_core.formats.public.spaces import is_plain_name, is_plain_text

Attributes: TypeAlias = dict[str, Any]

_RESERVED = frozenset({"id", "seed", "options", "total_steps"})
_LARGEST_ARRAY_NBYTES = 32 << 10
_LONGEST_TEXT = 32 << 10
_MOST_ATTRIBUTES = 1000


def encode_attributes(episode: EpisodeData, number: int) -> tuple[Attributes, bool]:
    """Encode seed, options and metadata as attributes.

    Args:
        episode: The episode.
        number: Its index in the new dataset.

    Returns:
        The attributes, and whether they are complete.
    """
    attributes: Attributes = {"id": number, "total_steps": len(episode)}
    if episode.seed is not None:
        attributes["seed"] = _encode_seed(episode.seed)
    complete = True
    if episode.options is not None:
        complete = _flatten_options(episode.options, attributes)
    for key, value in episode.metadata.items():
        if key in _RESERVED or not _flatten({key: value}, "", attributes):
            complete = False
    return attributes, complete and len(attributes) <= _MOST_ATTRIBUTES


def encode_change(episode: EpisodeMetadata, changed: Iterable[str]) -> tuple[Attributes, bool]:
    """Encode what has changed of an episode as attributes.

    Args:
        episode: The episode as it is to be.
        changed: The keys of its metadata that have changed, ``seed`` and ``options`` among them.

    Returns:
        The attributes of these keys, and whether they are complete.
    """
    attributes: Attributes = {}
    complete = True
    for key in changed:
        if key == "seed":
            if episode.seed is not None:
                attributes["seed"] = _encode_seed(episode.seed)
        elif key == "options":
            if episode.options is not None:
                complete = _flatten_options(episode.options, attributes) and complete
        elif key in episode.metadata:
            complete = _flatten({key: episode.metadata[key]}, "", attributes) and complete
    return attributes, complete and len(attributes) <= _MOST_ATTRIBUTES


def replace_attributes(
    attributes: Mapping[str, Any], changed: Collection[str], added: Mapping[str, Any]
) -> Attributes:
    """Return attributes with those of some keys of the metadata replaced by others.

    Args:
        attributes: The attributes before, in their order.
        changed: The keys of the metadata, whose attributes are removed.
        added: The attributes that take their place, at the end.
    """
    kept = {name: value for name, value in attributes.items() if not is_of_key(name, changed)}
    return {**kept, **added}


def is_of_key(name: str, keys: Collection[str]) -> bool:
    """Return whether an attribute is of one of some keys of the metadata."""
    return name.partition("/")[0] in keys


def decode_attributes(attributes: Mapping[str, Any]) -> Entry:
    """Decode seed, options and metadata, numbers as Python's own.

    Raises:
        ValueError: The seed is no whole number.
    """
    found = nest_attributes(attributes)
    seed, options = found.get("seed"), found.get("options")
    if isinstance(seed, float | np.ndarray):
        whole = np.asarray(seed).reshape(-1)
        if whole.size != 1 or not np.isfinite(whole[0]) or whole[0] != int(whole[0]):
            raise ValueError(f"the seed is {seed!r}, not a whole number")
        seed = int(whole[0])
    if seed is not None and not isinstance(seed, int):
        seed = int(seed) if isinstance(seed, str) and seed.isdecimal() else None
    metadata = {key: value for key, value in found.items() if key not in _RESERVED}
    return seed, options if isinstance(options, dict) else None, metadata


def nest_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Turn names such as ``options/low`` into nested dicts, numbers into Python's own."""
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        if "/" not in key:
            found[key] = value.item() if isinstance(value, np.generic) else value
            continue
        *parents, last = key.split("/")
        holder = found
        for parent in parents:
            inner = holder.setdefault(parent, {})
            holder = inner if isinstance(inner, dict) else {}
        holder[last] = value.item() if isinstance(value, np.generic) else value
    return found


def _encode_seed(seed: int) -> int | np.uint64:
    return np.uint64(seed) if seed >= 2**63 else seed


def _flatten_options(options: Mapping[str, Any], attributes: Attributes) -> bool:
    return _flatten(options, "options/", attributes) and bool(options)


def _flatten(values: Mapping[str, Any], prefix: str, attributes: Attributes) -> bool:
    """Add the values that attributes can hold, and return whether those are all."""
    complete = True
    for key, value in values.items():
        if not is_plain_name(key):
            complete = False
        elif isinstance(value, Mapping):
            complete = _flatten(value, f"{prefix}{key}/", attributes) and bool(value) and complete
        elif _is_plain(value):
            attributes[f"{prefix}{key}"] = value
        else:
            complete = False
    return complete


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return type(value) is str and is_plain_text(value) and len(value) <= _LONGEST_TEXT
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if isinstance(value, np.ndarray):
        return (
            type(value) is np.ndarray
            and value.dtype.kind in "biuf"
            and value.ndim > 0
            and 0 < value.nbytes <= _LARGEST_ARRAY_NBYTES
        )
    return type(value) in (float, bool)
