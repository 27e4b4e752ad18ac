"""Record episodes step by step into bounded memory, and on into shards.

The rows of an episode follow each other in the buffers. The last row of each has no step, and the
unused step there is left out when a shard is made. The recorder knows no environment and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_collect.buffers.base import RowMask
from minari_collect.buffers.rows import EpisodeRows
from minari_collect.callbacks import make_episode_metadata
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_collect.recording.recorded_episode import RecordedEpisode, RecordedSpan
from minari_collect.recording.shard_assembly import (
    assemble_shard,
    encode_episodes,
)
from minari_collect.recording.sinks import Describe, ShardSink
from minari_core.errors import DataError, RecordingError

_FIRST_CAPACITY = 256
_SMALLEST_LIMIT = 3
_DEFAULT_LIMIT = 1 << 17
_DEFAULT_NBYTES = 64 << 20
_BEFORE_RESET = "step was called before reset; call env.reset() to begin an episode"
_AFTER_END = (
    "step was called after the episode had ended: the step before returned terminated or "
    "truncated; call env.reset() to begin another episode"
)


class EpisodeRecorder:
    """Turn a stream of resets and steps into shards. Not safe to share between threads."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        sink: ShardSink,
        describe: Describe,
        *,
        max_steps: int | None = None,
        max_episodes: int | None = None,
    ) -> None:
        """Start with empty buffers.

        Args:
            observation_space: The space of the observations.
            action_space: The space of the actions.
            sink: Where full buffers go.
            describe: Makes the metadata of each episode, when it is written.
            max_steps: How many steps to hold in memory; about 64 MB worth of them if None. 1
                counts as 2, because the newest step may still have to be marked as the last.
            max_episodes: How many finished episodes to hold in memory.
        """
        self._limit = None if max_steps is None else max(max_steps + 1, _SMALLEST_LIMIT)
        self._capacity = min(_FIRST_CAPACITY, self._limit or _FIRST_CAPACITY)
        self._max_episodes = max_episodes
        self._sink = sink
        self._describe = describe
        self._warnings = RecordingWarnings()
        self._held = EpisodeRows(observation_space, action_space, self._capacity)
        # Each step needs them.
        self._observations = self._held.observations
        self._actions = self._held.actions
        self._rewards = self._held.rewards
        self._infos = self._held.infos
        self._extras = self._held.extras
        self._view_flags()

        self._rows = 0
        self._written_rows = 0
        self.unfinished: RecordedSpan | None = None
        """The episode that is going on."""
        self._finished: list[RecordedSpan] = []
        # Why no step may begin an episode at the last observation.
        self._refusal: str | None = _BEFORE_RESET
        self._is_heavy = False
        self.keeps_ends_apart = False
        """Whether what is written of an unfinished episode lies in shards of its own."""
        self.numbers_episodes = True
        """Whether errors name episodes by their numbers among those that are recorded here."""

    def _view_flags(self) -> None:
        self._terminations = memoryview(self._held.flags[0])
        self._truncations = memoryview(self._held.flags[1])

    @property
    def buffered_steps(self) -> int:
        """Number of steps held in memory."""
        ended = len(self._finished) + (self.unfinished is not None)
        return self._rows - ended if ended else 0

    @property
    def episodes(self) -> int:
        """Number of episodes in memory that have at least one step."""
        going_on = self.unfinished is not None and self._count_open_steps() > 0
        return len(self._finished) + going_on

    def begin(
        self,
        observation: Any,
        info: Mapping[str, Any] | None,
        extras: Mapping[str, Any] | None,
        seed: int | None,
        options: Mapping[str, object] | None,
    ) -> None:
        """Begin an episode; an unfinished one is ended as truncated.

        Raises:
            DataError: The observation does not fit its column.
        """
        self.end()
        self._drop_empty()
        if self._rows == self._capacity:
            self._make_room()
        row = self._rows
        try:
            self._observations.write(row, observation)
        except DataError as error:
            raise DataError(f"{self._name_place('at the reset')}: {error}") from error
        # What may lie there is of an episode without steps, or was kept to continue from.
        self._held.drop_infos(row)
        if info:
            self._infos.write(row, info)
        if extras:
            self._extras.write(row, extras)
        self._rows = row + 1
        self.unfinished = RecordedSpan(row, row, 0, seed, options)
        self._limit_capacity()

    def add(
        self,
        observation: Any,
        action: Any,
        reward: Any,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any] | None,
        extras: Mapping[str, Any] | None,
    ) -> None:
        """Add a step.

        Raises:
            DataError: A value does not fit its column; the episode is ended at the step before.
            DatasetWriteError: A full buffer could not be written; nothing is lost, and the step
                is not recorded.
            RecordingError: There has been no reset.
        """
        if self.unfinished is None:
            self._continue()
        row = self._rows
        if row == self._capacity:
            self._make_room()
            row = self._rows
        elif self._is_heavy and row >= _SMALLEST_LIMIT:
            self._spill()
            row = self._rows
        step = row - 1
        try:
            self._actions.write(step, action)
            self._rewards.write(step, reward)
            self._terminations[step] = terminated
            self._truncations[step] = truncated
            self._observations.write(row, observation)
        except DataError as error:
            place = self._name_place(f"step {self._count_open_steps()}")
            raise DataError(f"{place}: {error}") from error
        if info:
            self._infos.write(row, info)
            self._is_heavy = self._infos.nbytes > _DEFAULT_NBYTES
        if extras:
            self._extras.write(row, extras)
            self._is_heavy = self._infos.nbytes + self._extras.nbytes > _DEFAULT_NBYTES
        self._rows = row + 1
        if terminated or truncated:
            self._refusal = _AFTER_END
            self._finish()

    def allow_continuing(self) -> None:
        """Let the next step begin an episode, though the last one ended another.

        Its flags were not the environment's, which goes on.
        """
        self._refusal = None

    def check_can_continue(self) -> None:
        """Raise unless a step may begin an episode at the last observation.

        Raises:
            RecordingError: Only a reset may.
        """
        if self._refusal is not None:
            raise RecordingError(self._refusal)

    def end(self) -> None:
        """End the unfinished episode as truncated, if it has a step."""
        if self._count_open_steps() == 0:
            return
        self._truncations[self._rows - 2] = True
        self._refusal = None
        self._finish()

    def abandon(self) -> None:
        """End the episode after an error, without writing; only a reset begins another."""
        if self.unfinished is not None and self._count_open_steps():
            self.unfinished.last_row = self._rows - 1
            self._truncations[self._rows - 2] = True
            self._finished.append(self.unfinished)
            self.unfinished = None
        self._drop_empty()

    def flush(self) -> None:
        """Write all finished episodes; no other may have a step.

        Raises:
            DatasetWriteError: The file system refused; nothing is lost.
        """
        if not self._finished:
            return
        if self.unfinished is not None:
            self._write_before(self.unfinished)
            return
        self._write(self._rows, self._rows - 1, None)
        # The last observation stays, for an episode that continues from it.
        self._keep_rows(self._rows - 1, self._rows)
        self._rows = 0

    def list_always_none(self) -> list[str]:
        """List the keys of infos that were None wherever they were given."""
        return [n for b in (self._infos, self._extras) for n in b.encoder.list_always_none()]

    def clear(self) -> None:
        """Drop all that is in memory."""
        self._rows = self._written_rows = 0
        self.unfinished = None
        self._finished = []
        self._refusal = _BEFORE_RESET
        self._is_heavy = False
        self._held.clear()

    def read(self, group: str, start: int, stop: int) -> object:
        """Copy some rows of a column group that are in memory."""
        return self._held.read(group, start, stop)

    def read_last_observation(self) -> object:
        """Read the last observation, as one row."""
        row = max(self._rows - 1, 0)  # with an empty buffer, it has been kept in row 0
        return self._held.read("observations", row, row + 1)

    def read_tail(self, group: str, count: int) -> object:
        """Read the last rows of a column group that were written."""
        return self._sink.read_tail(group, count)

    def _count_open_steps(self) -> int:
        episode = self.unfinished
        return 0 if episode is None else self._rows - 1 - episode.first_row + episode.spilled_steps

    def _name_place(self, step: str) -> str:
        number = self._sink.total_episodes + len(self._finished)
        return f"episode {number}, {step}" if self.numbers_episodes else step

    def _drop_empty(self) -> None:
        """Forget the beginning of an episode without steps, and the end of the one before it."""
        if self.unfinished is not None:
            self.unfinished = None
            self._rows -= 1
        self._refusal = _BEFORE_RESET

    def _finish(self) -> None:
        episode = self.unfinished
        if episode is None:
            return
        episode.last_row = self._rows - 1
        self._finished.append(episode)
        self.unfinished = None
        if self._max_episodes is not None and len(self._finished) >= self._max_episodes:
            self.flush()

    def _continue(self) -> None:
        """Begin an episode at the last observation, as after a truncation by a callback."""
        self.check_can_continue()
        if self._rows == self._capacity:
            self._make_room()
        if self._rows:
            self._held.copy_observation(self._rows - 1, self._rows)
        # With an empty buffer, the last observation has been kept in row 0.
        self.unfinished = RecordedSpan(self._rows, self._rows, 0, None, None)
        self._rows += 1

    def _make_room(self) -> None:
        limit = self._limit or self._default_limit()
        if self._capacity < limit:
            self._capacity = min(2 * self._capacity, limit)
            if self._capacity > self._held.capacity:
                self._held.grow(self._capacity)
                self._view_flags()
        else:
            self._spill()

    def _spill(self) -> None:
        if self.unfinished is None:
            self.flush()
            return
        first = self.unfinished.first_row
        is_apart = self.keeps_ends_apart and self._finished
        if is_apart or first > self._rows // 2 or first == self._rows - 2 > 0:
            # Only whole episodes are written while the open one is the smaller part.
            self._write_before(self.unfinished)
        else:
            self._write(self._rows - 1, self._rows - 2, self.unfinished)
            self.unfinished.spilled_steps += self._rows - 2 - first
            self.unfinished.first_row = 0
            # The last step stays here, so that the episode can still be ended as truncated.
            self._keep_rows(self._rows - 2, self._rows)
            self._written_rows = 1

    def _write_before(self, open_episode: RecordedSpan) -> None:
        first = open_episode.first_row
        self._write(first, first - 1, None)
        self._keep_rows(first, self._rows)
        open_episode.first_row = 0

    def _limit_capacity(self) -> None:
        """Use less of the first buffer where rows are so large that it is too much already."""
        if self._limit is None and self._capacity > max(self._default_limit(), self._rows):
            self._capacity = max(self._default_limit(), self._rows)

    def _default_limit(self) -> int:
        rows = _DEFAULT_NBYTES // max(self._held.row_nbytes, 1)
        return max(_SMALLEST_LIMIT, min(_DEFAULT_LIMIT, rows))

    def _keep_rows(self, start: int, stop: int) -> None:
        self._held.move(start, stop)
        self._rows = stop - start
        self._written_rows = 0
        self._finished = []
        self._is_heavy = False

    def _write(self, row_stop: int, step_stop: int, unfinished: RecordedSpan | None) -> None:
        """Write the first rows and steps, and the entries of the finished episodes."""
        keep: RowMask = None
        gaps = [e.last_row for e in self._finished if e.last_row < step_stop]
        if gaps:
            keep = np.ones(step_stop, dtype=bool)
            keep[gaps] = False
        first = self._written_rows
        finished = self._finished
        metadata = [
            make_episode_metadata(self._describe, RecordedEpisode(self, span, number))
            for number, span in enumerate(finished, start=self._sink.total_episodes)
        ]
        lengths = [span.total_steps for span in finished]
        beginnings = [(span.seed, span.options) for span in finished]
        dropped: dict[str, str] = {}
        entries = encode_episodes(lengths, beginnings, metadata, dropped)
        data = assemble_shard(
            {**self._held.encode((first, row_stop), step_stop, keep), "episodes": entries},
            rows=row_stop - first,
            steps=step_stop - len(gaps),
            episodes=len(finished),
            has_whole_episodes=unfinished is None and not any(e.spilled_steps for e in finished),
        )
        # Before it is written: a warning may be an error, and then nothing has happened yet.
        warnings = self._warnings
        warnings.warn_outside(
            "observation", lambda: self._observations.find_problem(0, row_stop, None)
        )
        warnings.warn_outside("action", lambda: self._actions.find_problem(0, step_stop, keep))
        warnings.warn_dropped(dropped, self._infos.encoder.dropped, self._extras.encoder.dropped)
        self._sink.write(
            data, None if unfinished is None else (unfinished.seed, unfinished.options)
        )
