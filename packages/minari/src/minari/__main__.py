"""``python -m minari`` is ``minari``."""

from __future__ import annotations

from minari.command_line.app import main

if __name__ == "__main__":
    main()
