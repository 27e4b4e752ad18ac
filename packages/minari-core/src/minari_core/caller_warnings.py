"""Warnings that point at the line which called this project, however deep they arise."""

from __future__ import annotations

import sys
import warnings

_OWN_PACKAGES = frozenset({"minari", "minari_core", "minari_collect", "minari_hub", "gymnasium"})


class MinariWarning(UserWarning):
    """The category of every warning that this project gives."""


def warn_caller(message: str) -> None:
    """Warn at the innermost line outside this project and Gymnasium.

    Args:
        message: What happened, and what to do about it.
    """
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _OWN_PACKAGES:
            break
        frame = frame.f_back
        level += 1
    warnings.warn(message, MinariWarning, stacklevel=level)
