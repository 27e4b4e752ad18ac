"""`CITATION.cff`: how to cite a dataset, for the tools that read the Citation File Format."""

from __future__ import annotations

import json
import re

from minari_hub.bundle.licenses import find_spdx_id
from minari_hub.bundle.publication import Publication

NAME = "CITATION.cff"

_DOI = re.compile(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+")
_NEWER_LICENSES = ("CDLA-Permissive-2.0",)
"""Identifiers that the schema of 1.2.0 does not know yet."""

_EMAIL = re.compile(r"\S+@\S+\.\S{2,}")


def format_citation(said: Publication) -> str | None:
    """Write what is said of a dataset in the Citation File Format 1.2.0.

    Args:
        said: What is said of it.

    Returns:
        The file; None if nobody is said to have made the dataset, without whom there is none.
    """
    authors = list(dict.fromkeys(said.get_texts("author")))
    if not authors:
        return None
    citation = said.get_text("citation")
    message = "If you use this dataset, please cite it"
    lines = [
        "cff-version: 1.2.0",
        f"message: {_quote(f'{message} as: {citation}' if citation else f'{message}.')}",
        "type: dataset",
        f"title: {_quote(said.dataset_id)}",
        "authors:",
    ]
    emails = [each for each in said.get_texts("author_email") if _EMAIL.fullmatch(each)]
    for author in authors:
        # Which part of a name is the family's is not said.
        lines.append(f"  - name: {_quote(author)}")
        if len(authors) == len(emails) == 1:
            lines.append(f"    email: {_quote(emails[0])}")
    lines.append(f"version: {_quote(said.version)}")
    if description := said.get_text("description"):
        lines.append(f"abstract: {_quote(description)}")
    license_id = find_spdx_id(said.get_text("license") or "")
    if license_id is not None and license_id not in _NEWER_LICENSES:
        lines.append(f"license: {_quote(license_id)}")
    elif said.license is not None and said.license.startswith("http"):
        lines.append(f"license-url: {_quote(said.license)}")
    doi = said.get_text("doi")
    if doi is not None and _DOI.fullmatch(doi):
        lines.append(f"doi: {_quote(doi)}")
    if said.date_published is not None:
        lines.append(f"date-released: {_quote(said.date_published.isoformat())}")
    if said.url is not None:
        lines.append(f"url: {_quote(said.url)}")
    if tags := list(dict.fromkeys(said.get_texts("tags"))):
        lines.append("keywords:")
        lines += [f"  - {_quote(tag)}" for tag in tags]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """Write a text as a quoted scalar of YAML, whatever it contains."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in quoted)
