"""The command line under the public Minari's module path: ``minari.cli.app``."""

from __future__ import annotations

from minari.command_line.app import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
