"""The interface between a dataset and a recorder of episodes."""

from __future__ import annotations

from typing import Protocol, TypeGuard, runtime_checkable

from minari_core.errors import RecordingError
from minari_core.messages import format_value
from minari_core.storage.base import Storage


@runtime_checkable
class EpisodeSource(Protocol):
    """A source of finished episodes, such as a data collector.

    It keeps its episodes until `forget_episodes`, which is called only after they are committed.
    So a commit that fails loses nothing and can be tried again.
    """

    def finished_episodes(self) -> Storage:
        """Return the episodes recorded so far; one that is not over yet is ended as truncated."""
        ...

    def forget_episodes(self) -> None:
        """Drop what the last `finished_episodes` returned: it is committed elsewhere."""
        ...


def check_source(given: object) -> EpisodeSource:
    """Return what was given as a collector, if it is one.

    Raises:
        RecordingError: It is none; if it is a wrapper around one, the message says so.
    """
    if _is_source(given):
        return given
    inner, path = given, "collector_env"
    while (inner := getattr(inner, "env", None)) is not None:
        path += ".env"
        if _is_source(inner):
            raise RecordingError(
                f"collector_env is a wrapper around a {type(inner).__name__}; pass the collector "
                f"itself, which is {path}"
            )
    raise RecordingError(
        f"collector_env is {format_value(given)}, which records nothing; pass an environment "
        "wrapped in DataCollectorV0, or environments wrapped in VectorDataCollector"
    )


def _is_source(given: object) -> TypeGuard[EpisodeSource]:
    # Of the class: before 1.0, Gymnasium's wrappers seem to have whatever is inside them.
    return hasattr(type(given), "finished_episodes") and hasattr(type(given), "forget_episodes")
