"""Values in error messages."""

from __future__ import annotations

_LONGEST = 200


def shown(value: object) -> str:
    """The value for an error message, cut short; it never raises."""
    try:
        text = repr(value)
    except Exception:  # an object of the caller's may raise anything, and so does a huge number
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
