"""Public names of a package that are loaded on first use, because not every program needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def load_lazily(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: The package's ``__name__``.
        modules: For each name that is loaded on first use, the module that defines it.

    Returns:
        ``__getattr__``, which imports such a name and keeps it; and ``__dir__``, which lists what
        the package's ``__all__`` lists, loaded or not, and nothing else.
    """
    face = sys.modules[package]

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=face
            )
        value: object = getattr(import_module(modules[name]), name)
        setattr(face, name, value)
        return value

    def list_names() -> list[str]:
        return sorted(face.__all__)

    return load, list_names
