"""What a file of demonstrations says of the environment: text, of which nothing is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from minari.interchange.demonstrations import masks, sidecar
from minari.interchange.demonstrations.groups import File, find_group, list_others
from minari.interchange.demonstrations.trajectory import describe_attributes
from minari.interchange.layout import SOURCE_METADATA
from minari_core.json_values import JsonValue

_LONGEST = 1 << 20


def describe_environment(file: File, group: str) -> tuple[dict[str, JsonValue], Sequence[str]]:
    """Return the attributes of the group of all episodes as ``source_metadata`` of a dataset.

    Args:
        file: The file.
        group: The group.

    Returns:
        The metadata, and what the file has of its episodes that lies elsewhere, or is none.
    """
    found = find_group(file, group)
    attributes = {} if found is None else found.attributes
    said, left_out = describe_attributes(attributes, {"total"})
    for name in [name for name, value in said.items() if len(str(value)) > _LONGEST]:
        del said[name]
        left_out.append(f"attribute {name}")
    if isinstance(text := said.get("env_args"), str):
        with suppress(ValueError, RecursionError):
            said["env_args"] = json.loads(text)
    others = list_others(file, {group, masks.GROUP, sidecar.GROUP})
    return {SOURCE_METADATA: said} if said else {}, [*others, *left_out]
