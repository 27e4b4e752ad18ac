"""The layouts that there are, each imported when it is used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from minari.interchange.layout import Layout
from minari_core.errors import FormatError

# In the order in which a path is looked at.
_MODULES = {
    "bundle": "minari.interchange.bundle",
    "lerobot": "minari.interchange.lerobot.layout",
    "rlds": "minari.interchange.rlds.layout",
    "parquet": "minari.interchange.parquet",
    "robomimic": "minari.interchange.demonstrations.robomimic",
    "isaaclab": "minari.interchange.demonstrations.isaaclab",
    "maniskill": "minari.interchange.demonstrations.maniskill",
    "ogbench": "minari.interchange.flat.ogbench",
    "dsrl": "minari.interchange.flat.dsrl",
    "d4rl": "minari.interchange.flat.d4rl",
}


def list_layouts() -> list[Layout]:
    """List all layouts."""
    return [find_layout(name) for name in _MODULES]


def find_layout(name: str) -> Layout:
    """Return the layout of a name.

    Raises:
        FormatError: There is none; the message lists those that there are.
    """
    if name not in _MODULES:
        raise FormatError(f"there is no layout {name!r}; there is {', '.join(sorted(_MODULES))}")
    layout: Layout = import_module(_MODULES[name]).LAYOUT
    return layout


def recognize_layout(path: Path) -> Layout | None:
    """Return the first layout that a file or folder has, by a look at its names."""
    readable = (layout for layout in list_layouts() if layout.read is not None)
    return next((layout for layout in readable if _has(path, layout)), None)


def _has(path: Path, layout: Layout) -> bool:
    try:
        return layout.recognize(path)
    except Exception:
        # Whatever a library says of a file that it cannot read: it is none of this layout.
        return False
