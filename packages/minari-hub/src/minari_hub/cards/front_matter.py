"""The YAML at the top of a README, of which a few keys are ours.

It is changed line by line, so that whatever else stands there keeps its comments and its order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import yaml

from minari_hub.cards.card import Card

_BLOCK = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_CHANGED = frozenset({"configs", "tags", "size_categories"})
_DECADES = ("K", "M", "B", "T")
# Identifiers of the Hub that data have; any other license is "other" there.
_LICENSES = {
    *("mit", "isc", "unlicense", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "mpl-2.0"),
    *("gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cdla-sharing-1.0"),
    *("cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "odbl", "pddl"),
}


def update_front_matter(text: str, card: Card, steps: int) -> str:
    """Write the keys that are ours into the YAML at the top of a README, which need not have one.

    The size is always ours. Tags and configurations are added to. What else somebody has set
    already stays, a license above all; YAML that cannot be read stays as a whole.

    Args:
        text: The README.
        card: The card of the dataset that is published.
        steps: The steps of all datasets that the README shows.
    """
    found = _BLOCK.match(text)
    block, rest = (found[1], text[found.end() :]) if found else ("", text)
    known = _read_mapping(block)
    if known is None:
        return text
    before = block
    if "license" not in known and card.license:
        for key, value in _name_license(card.license).items():
            block = _set_key(block, key, value)
    if "library_name" not in known:
        block = _set_key(block, "library_name", "minari")
    if "task_categories" not in known:
        block = _set_key(block, "task_categories", ["reinforcement-learning"])
    tags = known.get("tags") or []
    if isinstance(tags, list) and (new := [each for each in card.tags if each not in tags]):
        block = _set_key(block, "tags", [*map(str, tags), *new])
    block = _add_configs(block, known.get("configs") or [], card)
    block = _set_key(block, "size_categories", [name_size(steps)])
    return f"---\n{block}---\n{rest}" if _keeps_others(before, block) else text


def _add_configs(block: str, configs: object, card: Card) -> str:
    """Add the tables of a dataset, in the place of those that it had."""
    new = [each for each in card.configs if isinstance(each, dict)]
    if not new or not isinstance(configs, list):
        return block
    names = {each["config_name"] for each in new}
    kept = [
        each
        for each in configs
        if not isinstance(each, dict) or each.get("config_name") not in names
    ]
    try:
        return _set_key(block, "configs", [*kept, *new])
    except TypeError:
        # Somebody wrote what only YAML has, such as a date.
        return block


def name_size(count: int) -> str:
    """Return the Hugging Face Hub's name of a size.

    Example:
        >>> name_size(999), name_size(1000), name_size(250_000), name_size(10**13)
        ('n<1K', '1K<n<10K', '100K<n<1M', 'n>1T')
    """
    if count < 1000:
        return "n<1K"
    borders = [f"{digit}{letter}" for letter in _DECADES for digit in (1, 10, 100)]
    place = len(str(count)) - 4
    if place >= len(borders) - 3:
        return "n>1T"
    return f"{borders[place]}<n<{borders[place + 1]}"


def _read_mapping(block: str) -> dict[str, object] | None:
    """Read YAML; None if it is no mapping."""
    try:
        content = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if content is None:
        return {}
    return content if isinstance(content, dict) else None


def _keeps_others(before: str, after: str) -> bool:
    """Return whether nothing but our keys has changed, however oddly the YAML is written."""
    old, new = _read_mapping(before), _read_mapping(after)
    return (
        old is not None
        and new is not None
        and {key: new.get(key) for key in old if key not in _CHANGED}
        == {key: old[key] for key in old if key not in _CHANGED}
    )


def _set_key(block: str, key: str, value: str | Sequence[object]) -> str:
    """Set a key of the outermost mapping, in the lines where it stands, or in new ones."""
    # JSON is YAML, whatever a text has in it.
    if isinstance(value, str):
        new = f"{key}: {json.dumps(value)}\n"
    else:
        new = "".join([f"{key}:\n", *(f"- {json.dumps(each)}\n" for each in value)])
    lines = block.splitlines(keepends=True)
    for start, line in enumerate(lines):
        if re.match(rf"""(['"]?){key}\1[ \t]*:""", line):
            stop = start + 1
            while stop < len(lines) and re.match(r"[ \t\r\n]|-[ \t]|\]", lines[stop]):
                stop += 1
            return "".join([*lines[:start], new, *lines[stop:]])
    return (block if not block or block.endswith("\n") else f"{block}\n") + new


def _name_license(text: str) -> dict[str, str]:
    """Return what the Hub says of a license, whose names are fixed there."""
    name = text.strip().lower()
    if name in _LICENSES:
        return {"license": name}
    if re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", name):
        return {"license": "other", "license_name": name}
    return {"license": "other"}
