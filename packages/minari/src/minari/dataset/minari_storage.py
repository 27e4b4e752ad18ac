"""Storages under the names of the public Minari: a thin layer over `minari_core.storage.base`."""

from __future__ import annotations
