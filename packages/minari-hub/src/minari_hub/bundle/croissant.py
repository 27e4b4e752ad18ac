"""`croissant.json`: a dataset described in Croissant 1.1, with what RAI 1.0 asks for.

Specifications: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html and
https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from minari_core.json_values import JsonValue
from minari_core.metadata.splits import SPLITS
from minari_hub.bundle.publication import Publication
from minari_hub.bundle.tables import EPISODES, STEPS, Tables
from minari_hub.transfer.checksums import compute_checksum

NAME = "croissant.json"

_CONTEXT: dict[str, JsonValue] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_ENCODINGS = {
    ".hdf5": "application/x-hdf5",
    ".json": "application/json",
    ".parquet": "application/x-parquet",
}
_ROWS = {
    STEPS: "Steps, one a row, in the order of the episodes",
    EPISODES: "Episodes, one a row, in their order",
}


def format_croissant(
    said: Publication, folder: Path, files: Mapping[str, Path], tables: Tables | None
) -> str:
    """Write what is said of a dataset, and what its files and tables hold, in Croissant.

    Args:
        said: What is said of it.
        folder: The folder of the tables that were written.
        files: The other files of the dataset, by their paths relative to what is written here.
        tables: The tables; without them no record is described.
    """
    names = [] if tables is None else [STEPS, EPISODES]
    distribution: list[JsonValue] = [
        _describe_file(name, path)
        for name, path in {**{name: folder / name for name in names}, **files}.items()
    ]
    content: dict[str, JsonValue] = {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": said.dataset_id,
        **_describe_publication(said),
        "distribution": distribution,
    }
    records: list[JsonValue] = []
    if tables is not None:
        records += [_describe_table(name, folder / name, tables) for name in names]
    if (splits := said.metadata.get(SPLITS)) and isinstance(splits, dict):
        records.append(_describe_splits(splits))
    if records:
        content["recordSet"] = records
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _describe_publication(said: Publication) -> dict[str, JsonValue]:
    """Return what is said of a dataset as properties; what nobody said is absent."""
    creators: list[JsonValue] = [
        # Whether it is one, or several together, is not said.
        {"@type": "sc:Person", "name": author}
        for author in said.get_texts("author")
    ]
    emails = said.get_texts("author_email")
    if len(creators) == len(emails) == 1:
        creators = [{"@type": "sc:Person", "name": said.get_texts("author")[0], "email": emails[0]}]
    doi = said.get_text("doi")
    found: dict[str, JsonValue] = {
        "description": said.get_text("description"),
        "license": said.license,
        "url": said.url,
        "creator": creators,
        "datePublished": None if said.date_published is None else said.date_published.isoformat(),
        "version": f"{said.version}.0.0",
        "keywords": [*said.get_texts("tags")],
        "citeAs": said.get_text("citation"),
        "sameAs": None if doi is None else f"https://doi.org/{doi}",
    }
    for name, value in said.rai.items():
        found[f"rai:{name}"] = value if isinstance(value, str) else [*value]
    return {key: value for key, value in found.items() if value}


def _describe_file(name: str, path: Path) -> JsonValue:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _ENCODINGS.get(path.suffix, "application/octet-stream"),
        "sha256": compute_checksum(path, "sha256").digest,
    }


def _describe_table(name: str, path: Path, tables: Tables) -> JsonValue:
    # Tables are here only where pyarrow is.
    from minari_hub.bundle.fields import describe_fields

    rows = name.removesuffix(".parquet")
    description = f"{_ROWS[name]}."
    if name == STEPS and tables.episodes_of_steps < tables.total_episodes:
        description = (
            f"{_ROWS[name]}: of the first {tables.episodes_of_steps} of "
            f"{tables.total_episodes} episodes."
        )
    names = ("episode_id",) if name == EPISODES else ("episode_id", "step")
    fields = describe_fields(rows, name, path)
    known = {each["@id"] for each in fields if isinstance(each, dict)}
    key: Sequence[JsonValue] = [
        {"@id": f"{rows}/{each}"} for each in names if f"{rows}/{each}" in known
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": rows,
        "name": rows,
        "description": description,
        "key": [*key],
        "field": fields,
    }


def _describe_splits(splits: Mapping[str, JsonValue]) -> JsonValue:
    """Describe the splits, of which each has one record for every range of episodes."""
    data: list[JsonValue] = [
        {"splits/name": name, "splits/first": pair[0], "splits/stop": pair[1]}
        for name, ranges in splits.items()
        for pair in (ranges if isinstance(ranges, list) else [])
        if isinstance(pair, list)
    ]
    kinds = {
        "name": ("sc:Text", "The name of the split."),
        "first": ("cr:Int64", "The first episode of a range."),
        "stop": ("cr:Int64", "The episode after the last one of the range."),
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "Named sets of episodes, as ranges of their indices.",
        "dataType": "cr:Split",
        "key": [{"@id": "splits/name"}, {"@id": "splits/first"}],
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"splits/{name}",
                "name": name,
                "description": description,
                "dataType": kind,
            }
            for name, (kind, description) in kinds.items()
        ],
        "data": data,
    }
