"""Files that are filled from a remote."""

from __future__ import annotations


class PartFile:
    """A file that is being filled in order."""
