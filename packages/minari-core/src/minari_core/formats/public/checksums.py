"""Checksums of what this project has stored in a public format.

They lie in ``metadata.json`` beside the count of the episodes, so that both are replaced in one
step: an episode that is counted has its checksums, whenever a process is killed. The public Minari
keeps them when it rewrites that file. It adds episodes, and changes descriptions of the dataset and
attributes of episodes; all else that differs from its checksum is damage. Attributes that it has
changed keep the checksum of what was there before, by which they are told.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minari_core.errors import DatasetDamagedError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.public.files import OWN_KEY, count_episodes

_DIGITS = 16
_NONE = "-" * _DIGITS
_SEALED = (
    "data_format",
    "observation_space",
    "action_space",
    "env_spec",
    "minari_version",
    "jpeg_encoding",
)
"""The keys that the public Minari never changes, because the data depends on them."""
_COUNTED = ("total_episodes", "total_steps", "dataset_size")
_SEAL, _DESCRIBED = "crc32", "described"


@dataclass(frozen=True, slots=True)
class EpisodeChecksums:
    """The checksums of a stored episode."""

    contents: int
    """The CRC-32 of all its arrays, those of its sidecar included."""
    attributes: int
    """The CRC-32 of its attributes."""


def count_checksums(text: str) -> int:
    """Return the number of episodes that kept checksums are about."""
    return len(text) // _DIGITS


def get_checksums(text: str, number: int) -> EpisodeChecksums | None:
    """Return the checksums that are kept of an episode; None if there are none.

    Args:
        text: The checksums of all episodes, 16 digits each.
        number: The index of the episode.
    """
    digits = text[number * _DIGITS : (number + 1) * _DIGITS]
    try:
        return EpisodeChecksums(int(digits[:8], 16), int(digits[8:], 16))
    except ValueError:
        return None


def add_checksums(text: str, first: int, added: Iterable[EpisodeChecksums]) -> str:
    """Return kept checksums with those of further episodes; others may have added some between.

    Args:
        text: The checksums of the episodes before.
        first: The index of the first further episode.
        added: The checksums of these.
    """
    before = text[: first * _DIGITS] + _NONE * (first - count_checksums(text))
    return before + "".join(map(_format, added))


def replace_checksums(text: str, renewed: Mapping[int, EpisodeChecksums]) -> str:
    """Return kept checksums with those of some of their episodes replaced.

    Args:
        text: The checksums of all episodes.
        renewed: The new checksums by the index of the episode.
    """
    digits = [text[start : start + _DIGITS] for start in range(0, len(text), _DIGITS)]
    for number, checksums in renewed.items():
        digits[number] = _format(checksums)
    return "".join(digits)


def _format(checksums: EpisodeChecksums) -> str:
    return f"{checksums.contents:08x}{checksums.attributes:08x}"


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of ``metadata.json`` that is this project's, with checksums of the rest.

    Args:
        content: The whole contents of the file.
    """
    described = {
        key: _compute_checksum(value)
        for key, value in content.items()
        if key not in (*_SEALED, *_COUNTED, OWN_KEY)
    }
    own = {**content[OWN_KEY], _DESCRIBED: described}
    return {**own, _SEAL: _compute_seal(content, own)}


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Return whether ``metadata.json`` has, or once had, checksums of itself."""
    own = content.get(OWN_KEY)
    if OWN_KEY in content:
        # Every release has written a version into it.
        if not isinstance(own, dict) or "version" not in own:
            return True
        return _SEAL in own or _DESCRIBED in own
    # Damage may have given the part another name.
    return any(isinstance(part, dict) and _DESCRIBED in part for part in content.values())


def is_seal_broken(content: Mapping[str, Any]) -> bool:
    """Return whether something differs that no other program changes."""
    own = content.get(OWN_KEY)
    return not isinstance(own, dict) or own.get(_SEAL) != _compute_seal(content, own)


def check_seal(content: Mapping[str, Any], folder: Path) -> None:
    """Raise if ``metadata.json`` is damaged, before it is written anew with the damage in it.

    Raises:
        DatasetDamagedError: It is not what was written, in a way that no other program changes it.
    """
    if not is_sealed(content):
        return
    kept = count_checksums(content[OWN_KEY].get("checksums") or "") if OWN_KEY in content else 0
    if is_seal_broken(content) or count_episodes(content) < kept:
        raise DatasetDamagedError(
            f"{folder / MANIFEST_NAME} is not what was written, so nothing is added to it; "
            "verify_dataset says what is damaged"
        )


def find_redescribed(content: Mapping[str, Any]) -> list[str]:
    """Return the keys of ``metadata.json`` that another program has changed, added or removed."""
    described = content[OWN_KEY].get(_DESCRIBED)
    if not isinstance(described, dict):
        return []
    found = {
        key: _compute_checksum(content[key])
        for key in content
        if key not in (*_SEALED, *_COUNTED, OWN_KEY)
    }
    return sorted(
        key for key in {**described, **found} if described.get(key, -1) != found.get(key, -1)
    )


def _compute_seal(content: Mapping[str, Any], own: Mapping[str, Any]) -> int:
    sealed = {key: content.get(key) for key in _SEALED}
    return _compute_checksum([sealed, {key: own[key] for key in own if key != _SEAL}])


def _compute_checksum(value: object) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode("ascii"))
