"""Parents: the datasets and files that a dataset was made of, and how."""

from __future__ import annotations

from collections.abc import Mapping

from minari_core._version import __version__
from minari_core.json_values import JsonValue
from minari_core.metadata.splits import encode_splits

PARENTS = "parents"
"""The key of a dataset's metadata that lists its parents."""


def describe_parent(
    dataset_id: str,
    uid: str,
    total_episodes: int,
    indices: list[int],
    operation: str,
    arguments: Mapping[str, JsonValue],
) -> JsonValue:
    """Describe a dataset that another one is made of.

    Args:
        dataset_id: The id of the parent.
        uid: What tells it from all others; empty if nothing does.
        total_episodes: The number of its episodes.
        indices: The indices of the episodes that are taken of it, in order.
        operation: What is done, as ``"combine"``.
        arguments: Its arguments, without those that are None.

    Returns:
        Id and uid of the parent, operation, arguments and version, and under ``episodes`` the
        ranges of the episodes that were taken unless these are all.
    """
    parent: dict[str, JsonValue] = {
        "id": dataset_id,
        "uid": uid,
        "total_episodes": total_episodes,
        "operation": operation,
        "arguments": {name: value for name, value in arguments.items() if value is not None},
        "minari_version": __version__,
    }
    if indices != list(range(total_episodes)):
        parent["episodes"] = encode_splits({"taken": indices}, total_episodes)["taken"]
    return parent


def describe_source(name: str, operation: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
    """Describe a file or folder that a dataset is made of, by its name alone.

    Args:
        name: The name, without the folders that it lies in.
        operation: What is done, as ``"import"``.
        arguments: Its arguments, without those that are None.
    """
    said = {key: value for key, value in arguments.items() if value is not None}
    return {
        "file": name,
        "operation": operation,
        "arguments": said,
        "minari_version": __version__,
    }
