"""Callbacks under the public Minari's module path."""

from __future__ import annotations

from minari_collect import StepDataCallback

__all__ = ["StepDataCallback"]
