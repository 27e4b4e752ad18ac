"""Callbacks under the public Minari's module path."""

from __future__ import annotations

from minari.dataset.step_data import StepData
from minari_collect import StepDataCallback

__all__ = ["StepData", "StepDataCallback"]
