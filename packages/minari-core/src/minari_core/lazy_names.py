"""Public names of a package that are loaded on first use, because no program needs them all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module


def load_lazily(
    package: str, names: Mapping[str, Collection[str]], modules: Collection[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: The package's ``__name__``.
        names: By the module that defines them, the names that are loaded on first use.
        modules: The modules of the package that are attributes of it before anything imports them.

    Returns:
        ``__getattr__``, which imports such a name and keeps it; and ``__dir__``, which lists what
        the package's ``__all__`` lists, loaded or not, and nothing else.
    """
    face = sys.modules[package]
    defined_in = {name: module for module, its_names in names.items() for name in its_names}

    def load(name: str) -> object:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in defined_in:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=face
            )
        value: object = getattr(import_module(defined_in[name]), name)
        setattr(face, name, value)
        return value

    def list_names() -> list[str]:
        return sorted(face.__all__)

    return load, list_names
