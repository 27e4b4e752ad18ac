"""`StepData`: what a step callback returns, as the public Minari names it."""

from __future__ import annotations

from typing import Any, SupportsFloat, TypedDict


class StepData(TypedDict):
    """The record of one reset or step."""

    observation: Any
    """The observation."""
    action: Any | None
    """The action, None for a reset."""
    reward: SupportsFloat | None
    """The reward, None for a reset."""
    terminated: bool | None
    """Whether the step terminated the episode, None for a reset."""
    truncated: bool | None
    """Whether the step truncated the episode, None for a reset."""
    info: dict[str, Any]
    """The info."""
