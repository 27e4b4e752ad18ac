"""The warnings of a recorder, each given once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from minari_core.messages import warn_caller


class RecordingWarnings:
    """Warn once of each column that is outside its space or that cannot be stored."""

    def __init__(self) -> None:
        """Start with no warning given."""
        self._given: set[str] = set()

    def warn_outside(self, name: str, find_problem: Callable[[], str | None]) -> None:
        """Warn if a column is outside its space.

        Args:
            name: The column.
            find_problem: Describes what is outside; not called again once there was something.
        """
        problem = None if name in self._given else find_problem()
        if problem is not None:
            self._give(
                name,
                f"{name.capitalize()} is not in {name} space. It is recorded as it is: {problem}",
            )

    def warn_dropped(self, *dropped: Mapping[str, str]) -> None:
        """Warn of what could not be stored: names, each with the reason."""
        for reasons in dropped:
            for name, reason in reasons.items():
                self._give(name, f"{name} was left out, because no column can hold it: {reason}")

    def warn_always_none(self, names: Iterable[str]) -> None:
        """Warn of the keys of infos that were always None."""
        for name in names:
            self._give(
                name, f"{name} was None wherever it was given, so the dataset does not have it"
            )

    def _give(self, name: str, message: str) -> None:
        if name not in self._given:
            self._given.add(name)
            warn_caller(message)
