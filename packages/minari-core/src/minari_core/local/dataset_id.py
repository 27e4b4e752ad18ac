"""Dataset ids: ``(namespace/…)name-vN``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from minari_core.errors import DatasetIdError
from minari_core.messages import format_value

# Windows refuses these as file names, whatever their extension.
_RESERVED_NAMES = frozenset(
    ["con", "prn", "aux", "nul"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)]
)
_PART = re.compile(r"\w[\w-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAME_AND_VERSION = re.compile(r"(?P<name>.*)-v(?P<version>[0-9]+)", re.DOTALL)
_ENDS_IN_VERSION = re.compile(r"-v[0-9]+\Z")
_LONGEST_PART = 120
_LONGEST_PART_NBYTES = 255  # of a name in a folder, in every usual file system
MOST_PARTS = 32
"""The most parts of an id; namespaces are looked for no deeper."""

_LONGEST_VERSION = 20  # of those that are advised
_DATA_FOLDER = "data"


class DatasetId(NamedTuple):
    """The parts of a dataset id; ids sort by namespace, name, and version as a number."""

    namespace: str
    """Everything before the last slash, or ``""``."""
    name: str
    """The last part without its version."""
    version: int
    """The number after the last ``-v``."""

    def __str__(self) -> str:
        return f"{self.unversioned}-v{self.version}"

    @property
    def unversioned(self) -> str:
        """The id without its version, the same for every version of a dataset."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def check_namespace(namespace: str) -> None:
    """Raise unless ``namespace`` is a relative path of plain names.

    Args:
        namespace: Parts joined by ``/``, as in ``D4RL/door``.

    Raises:
        DatasetIdError: A part is empty, hidden, too long, or has a character outside
            letters, digits, ``_`` and ``-``; or there are too many parts.
    """
    parts = namespace.split("/")
    broken = _find_broken_rule(parts, "namespace")
    if broken is not None:
        advice = "/".join(filter(None, map(_mend, parts[:MOST_PARTS]))) or "name"
        raise DatasetIdError(f"Malformed namespace: {broken}; write for example {advice!r}")


def parse_dataset_id(dataset_id: str) -> DatasetId:
    """Split a dataset id into its parts.

    Args:
        dataset_id: An id such as ``LunarLander-v2-test-v0`` or ``D4RL/door/human-v2``.

    Returns:
        The parts; ``str()`` of them is the id again.

    Raises:
        DatasetIdError: The id breaks the rule; the message says which part and how.

    Example:
        >>> parse_dataset_id("D4RL/door/human-v2")
        DatasetId(namespace='D4RL/door', name='human', version=2)
    """
    _check_text(dataset_id)
    return _parse(str(dataset_id))


@lru_cache(maxsize=1 << 16)
def _parse(dataset_id: str) -> DatasetId:
    """Split an id; a list of all datasets asks for each several times."""
    parts = dataset_id.split("/")
    if is_url(dataset_id):
        raise DatasetIdError(
            f"{format_value(dataset_id)} is the URL of a remote dataset, where the id of a local "
            "one belongs; download_dataset() makes a remote one local; write for example "
            f"{_mend_id(parts[3:] or parts[2:], None)!r}"
        )
    match = _NAME_AND_VERSION.fullmatch(parts[-1])
    broken = _find_broken_rule(parts, "dataset id")
    if broken is None:
        broken = _find_broken_version(match, dataset_id)
    if match is None or broken is not None:
        raise DatasetIdError(
            f"Malformed dataset ID: {broken}; write for example {_mend_id(parts, match)!r}"
        )
    return DatasetId("/".join(parts[:-1]), match["name"], int(match["version"]))


def is_url(text: str) -> bool:
    """Return whether a text is a URL, which no dataset id is."""
    return _SCHEME.match(text) is not None


def choose_id(
    dataset_name: str | os.PathLike[str] | None, dataset_id: str | os.PathLike[str] | None = None
) -> str:
    """Return the id given to a function that takes it under either name.

    Raises:
        DatasetIdError: Both are given, or neither; or what is given is no text.
    """
    chosen = choose_id_or_path(dataset_name, dataset_id)
    _check_text(chosen)
    return str(chosen)


def choose_id_or_path(
    dataset_name: str | os.PathLike[str] | None, dataset_id: str | os.PathLike[str] | None
) -> str | os.PathLike[str]:
    """Return the id or path given to a function that takes it under either name.

    Raises:
        DatasetIdError: Both are given, or neither.
    """
    if dataset_name is not None and dataset_id is not None:
        raise DatasetIdError(
            f"both dataset_name={dataset_name!r} and dataset_id={dataset_id!r} are given; they "
            "mean the same, so give one"
        )
    chosen = dataset_name if dataset_id is None else dataset_id
    if chosen is None:
        raise DatasetIdError("no dataset_name is given")
    return chosen


def has_prefix(dataset_id: str, prefix: str | None) -> bool:
    """Return whether an id begins with a text, whose version, if it ends in one, is complete.

    Example:
        >>> [has_prefix("D4RL/door-v10", prefix) for prefix in (None, "D4RL/", "D4RL/door-v1")]
        [True, True, False]
    """
    if not prefix:
        return True
    goes_on_with_a_digit = dataset_id[len(prefix) : len(prefix) + 1].isdecimal()
    return dataset_id.startswith(prefix) and not (
        goes_on_with_a_digit and _ENDS_IN_VERSION.search(prefix)
    )


def select_latest_versions(dataset_ids: Iterable[str]) -> list[str]:
    """Return the highest version of each dataset, in the order of namespaces and names.

    Example:
        >>> select_latest_versions(["x-v2", "x-v10", "a/x-v0"])
        ['x-v10', 'a/x-v0']
    """
    ordered = sorted(dataset_ids, key=parse_dataset_id)
    return list({parse_dataset_id(each).unversioned: each for each in ordered}.values())


def _check_text(dataset_id: object) -> None:
    if not isinstance(dataset_id, str):
        raise DatasetIdError(
            f"dataset id {format_value(dataset_id)} is of type {type(dataset_id).__name__}, not a "
            "string such as 'D4RL/door/human-v2'"
        )


def _find_broken_version(match: re.Match[str] | None, whole: str) -> str | None:
    if match is None:
        return f"dataset id {format_value(whole)} does not end in '-v' and a version number"
    version = match["version"]
    if version.startswith("0") and version != "0":
        return f"the version {version!r} of dataset id {format_value(whole)} has leading zeros"
    if not match["name"]:
        return f"dataset id {format_value(whole)} has no name before its version"
    return None


def _find_broken_rule(parts: list[str], kind: str) -> str | None:
    """Return which rule an id or a namespace breaks, or None."""
    part, broken = _find_broken_part(parts)
    if broken is None:
        return None
    whole = f"{kind} {format_value('/'.join(parts))}"
    return f"part {format_value(part)} of {whole} {broken}" if part else f"{whole} {broken}"


def _find_broken_part(parts: list[str]) -> tuple[str, str | None]:
    """Return the part that breaks a rule, or "" if it is the whole, and which rule, or None."""
    if parts == [""]:
        return "", "is empty"
    if len(parts) > MOST_PARTS:
        return "", f"has {len(parts)} parts, more than {MOST_PARTS}"
    for index, part in enumerate(parts):
        broken = _find_broken_rule_of_part(part, index, len(parts))
        if broken is not None:
            return part if len(parts) > 1 else "", broken
    return "", None


def _find_broken_rule_of_part(part: str, index: int, count: int) -> str | None:
    if not part:
        where = {0: "begins with", count - 1: "ends with"}.get(index, "has nothing between two of")
        return f"{where} '/', which only joins the parts"
    if not _PART.fullmatch(part):
        if not re.match(r"\w", part):
            return f"must start with a letter, a digit or '_', and not with {part[0]!r}"
        (strange, *_) = re.findall(r"[^\w-]", part)
        return f"may have letters, digits, '_' and '-' only, and not {strange!r}"
    if len(part) > _LONGEST_PART:
        return f"has {len(part)} characters, more than {_LONGEST_PART}"
    if len(part.encode()) > _LONGEST_PART_NBYTES:
        return f"takes {len(part.encode())} bytes in UTF-8, more than {_LONGEST_PART_NBYTES}"
    if part.lower() == _DATA_FOLDER:
        return "is the name of the folder inside every dataset"
    if part.lower() in _RESERVED_NAMES:
        return "is a name that Windows reserves"
    return None


def _mend_id(parts: list[str], match: re.Match[str] | None) -> str:
    """Return an id that breaks no rule, as close to a malformed one as possible."""
    *above, last = filter(None, parts) if any(parts) else [""]
    if match is None:
        match = _NAME_AND_VERSION.fullmatch(last)
    name, version = (match["name"], match["version"].lstrip("0")) if match else (last, "")
    ending = f"-v{version[:_LONGEST_VERSION] or 0}"
    mended = _cut(_mend(name.removesuffix("-v")), _LONGEST_PART - len(ending)) or "name"
    above = above[: MOST_PARTS - 1]
    return "/".join([*filter(None, map(_mend, above)), mended + ending])


def _mend(part: str) -> str:
    text = _cut(re.sub(r"[^\w-]+", "_", re.sub(r"^\W+", "", part)), _LONGEST_PART)
    return f"{text}_" if text.lower() in {_DATA_FOLDER, *_RESERVED_NAMES} else text


def _cut(text: str, length: int) -> str:
    """Cut a text to a number of characters, and to what leaves room for as many ASCII ones."""
    nbytes = _LONGEST_PART_NBYTES - (_LONGEST_PART - length)
    return text[:length].encode(errors="replace")[:nbytes].decode(errors="ignore")
