"""What a dataset asks of whoever records episodes for it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from minari_core.storage import Storage


@runtime_checkable
class EpisodeSource(Protocol):
    """A source of finished episodes, such as a data collector.

    It keeps its episodes until it is told to forget them, which happens only after they are
    safely committed. So a commit that fails loses nothing and can be tried again.
    """

    def finished_episodes(self) -> Storage:
        """The episodes recorded so far; one that is still going on is ended as truncated."""
        ...

    def forget_episodes(self) -> None:
        """Drop what the last `finished_episodes` returned: it is committed elsewhere."""
        ...
