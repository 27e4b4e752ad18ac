"""What a file of demonstrations says of the environment: text, of which nothing is run."""

from __future__ import annotations

import json

from minari.interchange.demonstrations.groups import File, find_group
from minari_core.json_values import JsonValue

SOURCE_METADATA = "source_metadata"
_LONGEST = 1 << 20


def describe_environment(file: File, group: str) -> dict[str, JsonValue]:
    """Return ``env_args`` of a group as ``source_metadata`` of a dataset."""
    found = find_group(file, group)
    said = None if found is None else found.attributes.get("env_args")
    if not isinstance(said, str) or len(said) > _LONGEST:
        return {}
    try:
        parsed = json.loads(said)
    except (ValueError, RecursionError):
        parsed = said
    return {SOURCE_METADATA: {"env_args": parsed}}
