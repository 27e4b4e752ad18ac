"""Check a picture that somebody wants to be shown."""

from __future__ import annotations

import re
from pathlib import Path

from minari_core.errors import DataError

LARGEST = 10 << 20

_BEGINNINGS = {
    ".png": rb"\x89PNG\r\n\x1a\n",
    ".jpg": rb"\xff\xd8\xff",
    ".jpeg": rb"\xff\xd8\xff",
    ".gif": rb"GIF8[79]a",
    ".webp": rb"RIFF....WEBP",
}


def check_picture(path: Path) -> Path:
    """Check that a file is a picture of its suffix, and return its path.

    Raises:
        DataError: It is not there, is something else, or is too large.
    """
    beginning = _BEGINNINGS.get(path.suffix.lower())
    try:
        size = path.stat().st_size if path.is_file() else 0
        if beginning and 0 < size <= LARGEST:
            with open(path, "rb") as file:
                if re.match(beginning, file.read(16), re.DOTALL):
                    return path
    except OSError as error:
        raise DataError(f"preview {str(path)!r} cannot be read: {error}") from error
    raise DataError(
        f"preview {str(path)!r} is no picture: give a PNG, JPEG, GIF or WebP file of at most 10 MB"
    )
