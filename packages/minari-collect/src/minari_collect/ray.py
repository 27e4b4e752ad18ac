"""Ray as an executor: the documented path of `minari_collect.executors.ray`."""

from __future__ import annotations

from minari_collect.executors.ray import RayExecutor

__all__ = ["RayExecutor"]
