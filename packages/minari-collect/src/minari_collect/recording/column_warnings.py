"""What a recorder warns of, once each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minari_core.messages import warn_caller


class RecordingWarnings:
    """Warns once of each column that is outside its space or that cannot be kept."""

    def __init__(self) -> None:
        """Start with no warning given."""
        self._given: set[str] = set()

    def outside(self, name: str, problem: Callable[[], str | None]) -> None:
        """Warn if a column is outside its space.

        Args:
            name: The column.
            problem: Says what is outside; it is not asked again once there was something.
        """
        found = None if name in self._given else problem()
        if found is not None:
            self._give(name, f"recorded as it is, but outside its space: {found}")

    def left_out(self, *dropped: Mapping[str, str]) -> None:
        """Warn of what could not be kept: names, each with the reason."""
        for reasons in dropped:
            for name, reason in reasons.items():
                self._give(name, f"{name} was left out, because no column can hold it: {reason}")

    def _give(self, name: str, message: str) -> None:
        if name not in self._given:
            self._given.add(name)
            warn_caller(message)
