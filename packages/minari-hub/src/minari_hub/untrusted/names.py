"""Validate the names that a remote gives to files, before any is joined to a path."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from minari_core.errors import UntrustedNameError

_MOST_PARTS = 16
_LONGEST_PART = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
# Windows opens devices under these names, whatever their extension.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.I)


def check_name(name: str) -> str:
    """Raise unless a name is that of a file inside the folder that it is joined to.

    Args:
        name: Parts joined by ``/``.

    Returns:
        The name.

    Raises:
        UntrustedNameError: It leads out of the folder, is hidden, or is not a plain file name
            on every system; the message says which.
    """
    parts = name.split("/")
    if len(parts) > _MOST_PARTS:
        raise UntrustedNameError(
            f"remote file name {name[:80]!r}… has {len(parts)} parts, more than {_MOST_PARTS}"
        )
    for part in parts:
        wrong = _what_is_wrong(part)
        if wrong:
            shown = repr(name) if len(name) <= 200 else f"{name[:80]!r}…"
            raise UntrustedNameError(
                f"remote file name {shown} is refused: {wrong}; nothing was written under it"
            )
    return name


def check_names(names: Iterable[str]) -> list[str]:
    """Check names that are joined to one folder, also against each other.

    Raises:
        UntrustedNameError: As `check_name`; or two names are one file where case does not
            count, or one is a folder of the other.
    """
    checked = [check_name(name) for name in names]
    by_key: dict[str, str] = {}
    for name in checked:
        other = by_key.setdefault(_normalize(name), name)
        if other is not name:
            raise UntrustedNameError(
                f"remote file names {other!r} and {name!r} are one file on some systems"
            )
    for name in checked:
        parts = _normalize(name).split("/")
        for stop in range(1, len(parts)):
            folder = by_key.get("/".join(parts[:stop]))
            if folder is not None:
                raise UntrustedNameError(
                    f"remote file name {folder!r} is a file and the folder of {name!r}"
                )
    return checked


def _normalize(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _what_is_wrong(part: str) -> str:
    if part == "":
        return "it is absolute, or has an empty part"
    if part == "..":
        return "it leads out of the dataset's folder"
    if part.startswith("."):
        return f"its part {part!r} is hidden"
    if _FORBIDDEN.search(part):
        return f"its part {part!r} has a character that not every system has in file names"
    if part[-1] in ". ":
        return f"its part {part!r} ends in a dot or a space"
    if _DEVICES.fullmatch(part):
        return f"its part {part!r} is a device on Windows"
    try:
        nbytes = len(part.encode("utf-8"))
    except UnicodeEncodeError:
        return f"its part {part!r} is not valid text"
    if nbytes > _LONGEST_PART:
        return f"a part of it has {nbytes} bytes, more than {_LONGEST_PART}"
    return ""
