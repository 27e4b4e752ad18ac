"""The replays that the page asks for, one at a time, each in a process of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from minari.replay.frames import Replay
from minari.replay.process import ReplayCancelledError
from minari.replay.replaying import Trust, check_seed, choose_spec, find_replay
from minari_core import MinariDataset
from minari_core.errors import MinariError
from minari_core.json_values import JsonObject

_MOST_KEPT = 4
_CLOSING_SECONDS = 10.0


@dataclass(slots=True)
class _Run:
    """The replay that is being made."""

    episode: int
    done: int = 0
    total: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class EpisodeReplays:
    """Replays of the episodes of a dataset; its methods may be called from several threads."""

    def __init__(
        self, dataset: MinariDataset, trust: Trust, words: Callable[[object], str]
    ) -> None:
        """Replay nothing yet.

        Args:
            dataset: The dataset or view.
            trust: What of its environment spec is run.
            words: Says what an error advises in the words of whoever sees the page.
        """
        self._dataset = dataset
        self._trust = trust
        self._words = words
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._ended: OrderedDict[int, Replay | str] = OrderedDict()

    def describe(
        self, episode: int, seed: int | None, *, start: bool = False, cancel: bool = False
    ) -> JsonObject:
        """Describe the replay of an episode, and begin or end to make it.

        Args:
            episode: The id of the episode.
            seed: Its seed.
            start: Begin; another one that is being made is given up.
            cancel: Give it up.

        Returns:
            The ``state``: ``idle`` if it can be made, ``impossible``, ``running`` (with how many
            observations are ``done`` of ``total``), ``failed`` or ``done`` (with the ``shape`` of
            the frames); and a ``text`` that says why, or how faithful it is.
        """
        with self._lock:
            run = self._run
            is_own = run is not None and run.episode == episode
            if run is not None and ((cancel and is_own) or (start and not is_own)):
                run.cancelled.set()
                run = self._run = None
            if start and run is None and not isinstance(self._ended.get(episode), Replay):
                run = self._start(episode)
            if run is not None and run.episode == episode:
                return {"state": "running", "text": "", "done": run.done, "total": run.total}
            ended = self._ended.get(episode)
        if isinstance(ended, Replay):
            return {"state": "done", "text": ended.describe(), "shape": [*ended.shape]}
        if ended is not None:
            return {"state": "failed", "text": ended}
        try:
            check_seed(episode, seed)
            choose_spec(self._dataset, self._trust)
        except MinariError as error:
            return {"state": "impossible", "text": self._words(error)}
        return {"state": "idle", "text": ""}

    def get(self, episode: int) -> Replay:
        """Return a replay that is done.

        Raises:
            LookupError: There is none.
        """
        with self._lock:
            found = self._ended.get(episode)
            if not isinstance(found, Replay):
                raise LookupError(f"there is no replay of episode {episode}")
            self._ended.move_to_end(episode)
            return found

    def close(self) -> None:
        """Give up what is being made."""
        with self._lock:
            run, self._run = self._run, None
        if run is not None and run.thread is not None:
            run.cancelled.set()
            run.thread.join(_CLOSING_SECONDS)

    def _start(self, episode: int) -> _Run:
        run = self._run = _Run(episode)
        self._ended.pop(episode, None)
        run.thread = threading.Thread(
            target=self._make, args=(run,), name="minari-replay", daemon=True
        )
        run.thread.start()
        return run

    def _make(self, run: _Run) -> None:
        def note(done: int, total: int) -> None:
            run.done, run.total = done, total

        ended: Replay | str | None
        try:
            (episode,) = self._dataset.iterate_episodes([run.episode])
            ended = find_replay(
                self._dataset, episode, self._trust, progress=note, cancelled=run.cancelled
            )
        except ReplayCancelledError:
            ended = None
        except MinariError as error:
            ended = self._words(error)
        except Exception as error:  # the page waits for an outcome, whatever it is
            ended = f"the replay failed: {type(error).__name__}: {error}"
        with self._lock:
            if self._run is run:
                self._run = None
            if ended is not None:
                self._ended[run.episode] = ended
                while len(self._ended) > _MOST_KEPT:
                    self._ended.popitem(last=False)
