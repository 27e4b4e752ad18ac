"""What is asked of a path before anything of a dataset is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from minari_core.errors import DatasetDamagedError


def check_plain(path: str | os.PathLike[str], *, may_be_link: bool = False) -> None:
    """Raise unless a file is a plain one; to open a pipe could take for ever.

    Args:
        path: Where it is.
        may_be_link: Whether a link to a plain file will do.

    Raises:
        FileNotFoundError: There is none.
        DatasetDamagedError: It is a link, a pipe, a folder or a device.
    """
    mode = os.stat(path, follow_symlinks=may_be_link).st_mode
    if stat.S_ISLNK(mode):
        raise DatasetDamagedError(f"{path} is a link, where a plain file belongs")
    if not stat.S_ISREG(mode):
        raise DatasetDamagedError(f"{path} is no plain file")


def may_be(path: str | os.PathLike[str], is_kind: Callable[[int], bool]) -> bool:
    """Whether something of a kind is at a path, or what nobody may look at.

    Who opens the latter is told what is the matter.

    Args:
        path: Where to look; links are followed.
        is_kind: A test of a mode, as `stat.S_ISREG`.
    """
    try:
        return is_kind(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
