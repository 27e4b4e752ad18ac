"""List and remove what killed processes of all packages left under the datasets' root."""

from __future__ import annotations

import minari_collect.leftovers
import minari_hub.datasets.leftovers
from minari_core.local.leftovers.listing import LeftoverFinder

KINDS = (*minari_collect.leftovers.KINDS, *minari_hub.datasets.leftovers.KINDS)
"""What all packages leave in the staging area."""

LEFTOVERS = LeftoverFinder(KINDS)
"""Finds what all packages leave."""

list_leftovers = LEFTOVERS.list_leftovers
remove_leftovers = LEFTOVERS.remove_leftovers
