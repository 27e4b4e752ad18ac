"""The summary of a dataset, attached to its manifest's object so that listing reads no file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from minari_core.errors import FormatError, MetadataError
from minari_core.formats.columnar.manifest import SNAPSHOT_KEY, get_data_format
from minari_core.formats.registry import check_format
from minari_core.formats.shards.entry import FORMAT_VERSION
from minari_core.json_values import JsonObject
from minari_hub.untrusted.json_objects import check_metadata, read_json_object

KEY = "minari"
"""What the summary is attached as."""

LARGEST_ATTACHED = 7 << 10
"""Buckets of Google Cloud keep 8 KiB with an object, keys and values together."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A dataset's manifest without the layout of its arrays."""

    metadata: JsonObject
    """Its metadata."""
    format_version: int | None
    """The version of the columnar format, for datasets in that."""

    @classmethod
    def from_manifest(cls, text: bytes, where: str, largest: int) -> Summary:
        """Parse a manifest.

        Args:
            text: The manifest, which is not trusted.
            where: Its name for an error message.
            largest: The most bytes it may have.

        Raises:
            MetadataError: It is malformed.
        """
        content = read_json_object(text, where, largest)
        layout = content.pop(SNAPSHOT_KEY, None)
        version = layout.get("version") if isinstance(layout, Mapping) else None
        return cls._validate(content, version, where)

    @classmethod
    def from_attached(cls, attached: Mapping[str, str], where: str) -> Summary | None:
        """Parse the summary that is attached to a manifest's object; None if there is none.

        Raises:
            MetadataError: It is malformed.
        """
        text = attached.get(KEY)
        if text is None:
            return None
        content = read_json_object(text.encode("utf-8", "replace"), where, 1 << 20)
        metadata = content.get("metadata")
        if not isinstance(metadata, dict):
            raise MetadataError(f"{where} has no metadata")
        return cls._validate(metadata, content.get("format_version"), where)

    @classmethod
    def _validate(cls, metadata: JsonObject, version: object, where: str) -> Summary:
        check_metadata(metadata, where)
        if version is not None and (type(version) is not int or version < 1):
            raise MetadataError(f"{where}: format version {str(version)[:80]!r} is not a count")
        return cls(metadata, version)

    def to_attachment(self) -> dict[str, str]:
        """Return what to attach to the manifest's object; nothing if it is too large for that."""
        content: JsonObject = {"metadata": self.metadata}
        if self.format_version is not None:
            content["format_version"] = self.format_version
        text = json.dumps(content, separators=(",", ":"))
        return {KEY: text} if len(text) + len(KEY) <= LARGEST_ATTACHED else {}

    @property
    def is_readable_here(self) -> bool:
        """Whether what is installed reads the dataset's format, and its version of it."""
        try:
            check_format(get_data_format(self.metadata))
        except FormatError:
            return False
        return self.format_version is None or self.format_version <= FORMAT_VERSION
