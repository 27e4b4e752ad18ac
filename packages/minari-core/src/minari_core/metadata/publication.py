"""How a dataset may be used and cited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from minari_core.errors import MetadataError
from minari_core.json_values import JsonValue
from minari_core.messages import format_value

DOI = "doi"
"""The key of metadata that says the digital object identifier."""
PUBLICATION_KEYS = ("license", "citation", DOI, "tags")
"""The keys of metadata that say how a dataset may be used and cited."""

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_BEFORE_DOI = re.compile(r"(https?://(dx\.)?doi\.org/|doi:)", re.IGNORECASE)


def check_publication(details: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return license, citation, DOI and tags as metadata; those that are not said are left out.

    Args:
        details: The keywords of `minari_core.DatasetDetails`.

    Raises:
        MetadataError: A value is no text, a DOI none, or the tags are no list of texts.
    """
    found: dict[str, JsonValue] = {}
    for name in ("license", "citation", DOI):
        value = details.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip():
            raise MetadataError(f"{name} is {format_value(value)}, not text")
        found[name] = value.strip()
    if isinstance(doi := found.get(DOI), str):
        plain = _BEFORE_DOI.sub("", doi)
        if not _DOI.fullmatch(plain):
            raise MetadataError(f"doi is {doi!r}, not like '10.5281/zenodo.1234567'")
        found[DOI] = plain
    tags = details.get("tags")
    if tags is not None:
        given = [tags] if isinstance(tags, str) or not isinstance(tags, Iterable) else list(tags)
        if not all(isinstance(tag, str) and tag.strip() for tag in given):
            raise MetadataError(f"tags is {format_value(tags)}, not a list of texts")
        found["tags"] = list(dict.fromkeys(str(tag).strip() for tag in given))
    return found
