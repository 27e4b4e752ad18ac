"""``python -m minari_hub`` is ``minari-hub``."""

from __future__ import annotations

from minari_hub.command_line.app import main

if __name__ == "__main__":
    main()
