"""The settings of the cache: its folder, and how large it may be."""

from __future__ import annotations

import os
from pathlib import Path

from minari_core.arguments import parse_size
from minari_core.errors import CacheError

CACHE_VARIABLE = "MINARI_CACHE_PATH"
SIZE_VARIABLE = "MINARI_CACHE_SIZE"
DEFAULT_NBYTES = 32 * 10**9
"""The size of all entries together, unless `SIZE_VARIABLE` says otherwise."""


def cache_root() -> Path:
    """Return the folder of the cache, which need not exist yet.

    Returns:
        ``$MINARI_CACHE_PATH``, read anew at each call, else ``~/.minari/cache``.
    """
    configured = os.environ.get(CACHE_VARIABLE)
    root = Path(configured).expanduser() if configured else Path.home() / ".minari" / "cache"
    return root.absolute()


def cache_limit() -> int:
    """Return how many bytes all entries may have together.

    Returns:
        ``$MINARI_CACHE_SIZE``, such as ``500MB``, read anew at each call, else `DEFAULT_NBYTES`.

    Raises:
        CacheError: It is no size.
    """
    configured = os.environ.get(SIZE_VARIABLE)
    if not configured:
        return DEFAULT_NBYTES
    nbytes = parse_size(configured)
    if nbytes is None:
        raise CacheError(
            f"{SIZE_VARIABLE} is {configured!r}, which is no size; set it to one such as 500MB or "
            "20GB"
        )
    return nbytes
