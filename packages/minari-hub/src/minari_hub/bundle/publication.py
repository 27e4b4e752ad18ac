"""What is said of a dataset that is published, and what nobody said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from minari_core.errors import MetadataError
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.messages import format_value
from minari_hub.bundle.licenses import find_spdx_id

ResponsibleAI: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""Answers under the names of Croissant RAI 1.0, as ``{"dataCollection": "..."}``."""

RAI_ONE = (
    *("dataCollection", "dataCollectionMissingData", "dataCollectionRawData"),
    *("dataImputationProtocol", "dataManipulationProtocol", "annotationsPerItem"),
    *("dataSocialImpact", "dataReleaseMaintenancePlan"),
)
"""The properties of Croissant RAI 1.0 that have one value."""

RAI_MANY = (
    *("dataCollectionType", "dataCollectionTimeframe", "dataPreprocessingProtocol"),
    *("dataAnnotationProtocol", "dataAnnotationPlatform", "dataAnnotationAnalysis"),
    *("annotatorDemographics", "machineAnnotationTools", "dataBiases", "dataUseCases"),
    *("dataLimitations", "personalSensitiveInformation"),
)
"""The properties of Croissant RAI 1.0 that may have several."""

_ASKED = ("description", "license", "author", "citation")


def gather_answers(said: Iterable[tuple[str, str]]) -> ResponsibleAI:
    """Gather answers of which each may be given once or several times.

    Example:
        >>> gather_answers([("dataBiases", "night"), ("dataBiases", "rain"), ("x", "y")])
        {'dataBiases': ['night', 'rain'], 'x': 'y'}
    """
    found: dict[str, list[str]] = {}
    for name, text in said:
        found.setdefault(name, []).append(text)
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in found.items()}


@dataclass(frozen=True, slots=True)
class Publication:
    """What is said of a dataset besides its data. Nothing is assumed."""

    dataset_id: str
    """Its id."""
    metadata: Mapping[str, JsonValue]
    """Its metadata."""
    url: str | None = None
    """The page of the web that it has."""
    date_published: date | None = None
    """The day on which it was published."""
    rai: ResponsibleAI = field(default_factory=dict)
    """How the data came to be and what they are fit for."""

    def __post_init__(self) -> None:
        """Check the answers.

        Raises:
            MetadataError: There is no such property, or a value is no text.
        """
        for name, value in self.rai.items():
            if name not in (*RAI_ONE, *RAI_MANY):
                known = ", ".join(sorted((*RAI_ONE, *RAI_MANY)))
                raise MetadataError(f"Croissant RAI 1.0 has no {name!r}; it has {known}")
            if name in RAI_ONE and not isinstance(value, str):
                raise MetadataError(f"{name} is {format_value(value)}, not one text")
            texts: Sequence[object] = [value] if isinstance(value, str) else [*value]
            if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
                raise MetadataError(f"{name} is {format_value(value)}, not text")

    def get_text(self, key: str) -> str | None:
        """Return a text of the metadata; None if there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value.strip() else None

    def get_texts(self, key: str) -> list[str]:
        """Return texts of the metadata, one or several."""
        value = self.metadata.get(key)
        given = value if isinstance(value, list) else [value]
        return [each for each in given if isinstance(each, str) and each.strip()]

    @property
    def version(self) -> str:
        """The version that its id ends in."""
        return str(parse_dataset_id(self.dataset_id).version)

    @property
    def license(self) -> str | None:
        """The address of its license where that has an SPDX id, else the license as it is said."""
        said = self.get_text("license")
        if said is None or re.match(r"https?://\S+\Z", said):
            return said
        spdx = find_spdx_id(said)
        return said if spdx is None else f"https://spdx.org/licenses/{spdx}.html"

    def list_unsaid(self) -> list[str]:
        """List what those who find the dataset ask for, and nobody said."""
        unsaid = [key for key in _ASKED if not self.get_texts(key)]
        if self.url is None:
            unsaid.append("url")
        if self.date_published is None:
            unsaid.append("date_published")
        unsaid += [f"rai:{name}" for name in (*RAI_ONE, *RAI_MANY) if name not in self.rai]
        return unsaid
