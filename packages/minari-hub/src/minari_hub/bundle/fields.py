"""The columns of a Parquet file as fields of Croissant."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.json_values import JsonValue

_KINDS = {
    pa.bool_(): "sc:Boolean",
    pa.int8(): "cr:Int8",
    pa.int16(): "cr:Int16",
    pa.int32(): "cr:Int32",
    pa.int64(): "cr:Int64",
    pa.uint8(): "cr:UInt8",
    pa.uint16(): "cr:UInt16",
    pa.uint32(): "cr:UInt32",
    pa.uint64(): "cr:UInt64",
    pa.float16(): "cr:Float16",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
}
_MEANINGS = {
    "episode_id": "The index of the episode.",
    "step": "The index of the step in its episode.",
    "observation": "What was observed before the action.",
    "action": "The action that was taken.",
    "reward": "The reward of the step.",
    "terminated": "Whether the environment reached a terminal state.",
    "truncated": "Whether the episode was cut off for a reason outside of the task.",
    "info": "What the environment told beside the observation.",
    "extra": "What was recorded beside what the environment tells.",
    "length": "The number of steps of the episode.",
    "return": "The undiscounted sum of the rewards.",
    "seed": "The seed that the environment was reset with.",
    "options": "The options that the environment was reset with, as JSON.",
    "metadata": "What is said of the episode, as JSON.",
    "final_observation": "What was observed after the last action.",
}


def describe_fields(rows: str, name: str, path: Path) -> list[JsonValue]:
    """Describe the columns of a Parquet file.

    Args:
        rows: The record set that they are of, as ``"steps"``.
        name: The name that the file is described under.
        path: The file.
    """
    return [_describe_field(rows, name, column) for column in parquet.read_schema(path)]


def _describe_field(rows: str, name: str, column: pa.Field) -> JsonValue:
    kind, shape = column.type, []
    while pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        shape.append(kind.list_size if pa.types.is_fixed_size_list(kind) else -1)
        kind = kind.value_type
    source: dict[str, JsonValue] = {
        "fileObject": {"@id": name},
        "extract": {"column": column.name},
    }
    found: dict[str, JsonValue] = {
        "@type": "cr:Field",
        "@id": f"{rows}/{column.name}",
        "name": column.name,
        "dataType": _KINDS.get(kind, "sc:Text"),
        "source": source,
    }
    if meaning := _MEANINGS.get(column.name.partition(".")[0]):
        found["description"] = meaning
    if pa.types.is_struct(kind):
        found["dataType"] = "sc:ImageObject"
        source["transform"] = {"jsonPath": "bytes"}
    if shape:
        found["isArray"] = True
        found["arrayShape"] = ",".join(map(str, shape))
    return found
