"""Record the steps of many environments at once into bounded memory, and on into shards.

The buffers are time-major, ``[rows, envs, …]``, and each step is one assignment per leaf. Only when
a buffer is full are its cells put into episodes (`minari_collect.vector_buffers.segments`). Whole
episodes are written in the order in which they ended, whatever the size of the buffer; the tails of
those that go on are carried over, or, where they fill the buffer, written to a *lane* of their
environment (`minari_collect.recording.vector_writer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

from minari_collect.recording.sinks import NO_BEGINNING, Beginning, Describe, LaneSink
from minari_collect.recording.vector_writer import VectorWriter
from minari_collect.vector_buffers.rows import Flags, Indices, VectorRows, make_plain_cells
from minari_collect.vector_buffers.segments import Segments, find_segments
from minari_core.errors import RecordingError

_FIRST_ROWS = 64
_SMALLEST_LIMIT = 4
_DEFAULT_STEPS = 1 << 18
_FEWEST_ROWS = 1 << 10
_DEFAULT_NBYTES = 64 << 20
# Of many environments with images, pieces of some frames each would be many small files.
_NBYTES_PER_ENV = 4 << 20
_MOST_NBYTES = 256 << 20

Final: TypeAlias = tuple[int, Any, Mapping[str, Any] | None, Mapping[str, Any] | None]
"""An environment, the last observation of its episode, its info and extras."""


class VectorRecorder:
    """Turn batches of resets and steps into shards. Not safe to share between threads."""

    def __init__(
        self,
        num_envs: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        sink: LaneSink,
        describe: Describe,
        *,
        max_steps: int | None = None,
        max_episodes: int | None = None,
    ) -> None:
        """Start with empty buffers.

        Args:
            num_envs: How many environments there are.
            observation_space: The space of the observations of one environment.
            action_space: The space of its actions.
            sink: Where full buffers go.
            describe: Makes the metadata of each episode, when it is written.
            max_steps: How many steps of all environments together to hold in memory, at least 3
                of each; about 64 MB worth of them if None.
            max_episodes: How many finished episodes to hold in memory.
        """
        self._envs = num_envs
        self._limit = None if max_steps is None else max(max_steps // num_envs + 1, _SMALLEST_LIMIT)
        self._max_episodes = max_episodes
        capacity = min(_FIRST_ROWS, self._limit or _FIRST_ROWS)
        self._held = VectorRows(num_envs, observation_space, action_space, capacity)
        self._writer = VectorWriter(self._held, sink, describe)
        # Each step needs them.
        self._observations = self._held.observations
        self._actions = self._held.actions
        self._rewards = self._held.rewards
        self._infos = self._held.infos
        self._extras = self._held.extras

        self._rows = 0
        self._start = np.zeros(num_envs, dtype=np.int64)
        self._beginnings: dict[int, Beginning] = {}
        self._ended = 0
        self.can_go_on = False
        """Whether a step may be added: there has been a reset, and no error since."""

    @property
    def buffered_steps(self) -> int:
        """Number of steps held in memory."""
        if self._rows < 2:
            return 0
        steps = np.arange(self._rows - 1)[:, None]
        return int(np.count_nonzero(~self._held.gaps[: self._rows - 1] & (steps >= self._start)))

    @property
    def episodes(self) -> int:
        """Number of episodes with at least one step that are not yet written as a whole."""
        ended = self._find_segments()
        return len(ended) + int(np.count_nonzero(ended.going_on < self._rows - 1))

    def begin(
        self,
        observations: Any,
        infos: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
        extras: Sequence[Mapping[str, Any]] | None,
        beginnings: Sequence[Beginning],
        *,
        one_by_one: bool = False,
    ) -> None:
        """Begin an episode of every environment; those that are going on end as truncated.

        Args:
            observations: A batch of observations.
            infos: A batch of infos, or one for each environment.
            extras: Further values for each environment.
            beginnings: Seed and options of each environment.
            one_by_one: Whether the observations are a list of single values.

        Raises:
            DataError: An observation does not fit its column.
        """
        self.end()
        row = self._next_row()
        if one_by_one:
            self._observations.write_each(row, observations)
        else:
            self._observations.write(row, observations)
        self._infos.write(row, infos)
        self._extras.write(row, extras)
        if row:
            self._held.flags[:, row - 1] = False
            self._held.gaps[row - 1] = True
        self._rows = row + 1
        self._note_beginnings(row, beginnings, np.arange(self._envs))
        self.can_go_on = True

    def check_can_go_on(self) -> None:
        """Raise unless a step may be added.

        Raises:
            RecordingError: Only a reset may begin episodes.
        """
        if not self.can_go_on:
            raise RecordingError(
                "step was called before reset; call envs.reset() to begin episodes"
            )

    def begin_some(
        self,
        mask: Flags,
        observations: Sequence[Any],
        infos: Sequence[Mapping[str, Any] | None],
        extras: Sequence[Mapping[str, Any] | None],
        beginnings: Sequence[Beginning],
    ) -> None:
        """Begin an episode of some environments, while the others stay where they are.

        Args:
            mask: Which environments, shape (envs,).
            observations: An observation of each of them.
            infos: An info of each of them.
            extras: Further values of each of them.
            beginnings: Seed and options of each of them.

        Raises:
            DataError: An observation does not fit its column.
            RecordingError: No environment has been reset yet.
        """
        if not self.can_go_on:
            raise RecordingError("some environments were reset before all were; reset all first")
        row = self._rows - 1
        envs = np.flatnonzero(mask)
        if row:
            self._end_at(row - 1, mask)
            # The row holds the last observation of what has just ended.
            for env in envs[
                self._held.find_ends(row - 1)[envs] & (self._start[envs] < row)
            ].tolist():
                cell = row * self._envs + env
                if cell not in self._held.final_numbers:
                    self._held.add_final_cell(cell)
        for index, env in enumerate(envs.tolist()):
            self._observations.write_one(row, env, observations[index])
            self._infos.write_one(row, env, infos[index])
            self._extras.write_one(row, env, extras[index])
        self._note_beginnings(row, beginnings, envs)

    def add(
        self,
        observations: Any,
        actions: Any,
        rewards: Any,
        terminations: Any,
        truncations: Any,
        infos: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
        extras: Sequence[Mapping[str, Any]] | None,
        resets: Flags | None,
        forced: Flags | None = None,
        finals: Sequence[Final] = (),
        *,
        one_by_one: bool = False,
    ) -> None:
        """Add a step of every environment.

        Args:
            observations: A batch of observations.
            actions: A batch of actions.
            rewards: A batch of rewards.
            terminations: Which environments terminated, shape (envs,).
            truncations: Which environments were truncated, shape (envs,).
            infos: A batch of infos, or one for each environment.
            extras: Further values for each environment.
            resets: Which environments were reset instead of stepped; what is given of their
                action and reward does not count.
            forced: Which episodes end whatever their flags say, and are truncated then.
            finals: The last observations of episodes whose environments were reset within the step.
            one_by_one: Whether observations, actions and rewards are lists of single values, in
                which None stands for one that does not count, instead of batches.

        Raises:
            DataError: A value does not fit its column.
            DatasetWriteError: A full buffer could not be written; nothing is lost, and the step
                is not recorded.
            RecordingError: There has been no reset.
        """
        if not self.can_go_on:
            self.check_can_go_on()
        row = self._rows if self._rows < self._held.capacity else self._next_row()
        step = row - 1
        if one_by_one:
            self._observations.write_each(row, observations)
            self._actions.write_each(step, actions)
            self._rewards.write_each(step, rewards)
        else:
            self._observations.write(row, observations)
            self._actions.write(step, actions)
            self._rewards.write(step, rewards)
        flags = self._held.flags
        flags[0, step] = terminations
        flags[1, step] = truncations
        if forced is not None:
            flags[1, step] |= forced & ~flags[0, step]
        # A new step has no other flag.
        if resets is not None:
            flags[2, step] = resets
        if infos is not None:
            self._infos.write(row, infos)
        if extras is not None:
            self._extras.write(row, extras)
        if finals:
            self._add_finals(row, finals)
        self._rows = row + 1
        if self._max_episodes is not None:
            self._ended += int(np.count_nonzero(self._held.find_ends(step)))

    def _add_finals(self, row: int, finals: Sequence[Final]) -> None:
        """Keep the last observations of the episodes that end before a row; all or none."""
        held = self._held
        known = dict(held.final_numbers)
        try:
            for env, observation, info, extras in finals:
                held.observations.add_final(observation)
                held.infos.add_final(info)
                held.extras.add_final(extras)
                held.final_numbers[row * self._envs + env] = len(held.final_numbers)
        except BaseException:
            held.keep_finals(known)
            raise

    def bound(self) -> None:
        """Write what ended, if that is as much as may be held in memory.

        Raises:
            DatasetWriteError: The file system refused; nothing is lost.
        """
        if self._max_episodes is not None and self._ended >= self._max_episodes:
            self._write(keep_tails=True)
        elif self._infos.nbytes + self._extras.nbytes > _DEFAULT_NBYTES:
            self._write(keep_tails=False)

    def end(self) -> None:
        """End the episodes that are going on as truncated, if they have a step."""
        if self._rows >= 2:
            self._end_at(self._rows - 2, np.ones(self._envs, dtype=bool))

    def abandon(self) -> None:
        """End all episodes after an error, without writing; only a reset begins others."""
        self.end()
        self.can_go_on = False

    def flush(self) -> None:
        """Write all that has ended.

        Raises:
            DatasetWriteError: The file system refused; nothing is lost.
        """
        self._write(keep_tails=True)

    def read_last_observation(self, env: int) -> object:
        """Read the last observation of an environment that is in memory, as one row."""
        cell = (self._rows - 1) * self._envs + env
        return self._observations.read(make_plain_cells(np.array([cell])))

    def list_always_none(self) -> list[str]:
        """List the keys of infos that were None wherever they were given."""
        return [n for b in (self._infos, self._extras) for n in b.encoder.list_always_none()]

    def clear(self) -> None:
        """Drop all that is in memory."""
        self._rows = self._ended = 0
        self._start[:] = 0
        self.can_go_on = False
        self._beginnings = {}
        self._held.clear()
        self._writer.clear()

    def _end_at(self, step: int, mask: Flags) -> None:
        """End the episodes of some environments with a step, if it is not their end anyway."""
        held = self._held
        going_on = mask & ~held.gaps[step] & ~held.find_ends(step) & (self._start <= step)
        held.truncations[step] |= going_on
        held.cuts[step] |= going_on
        self._ended += int(np.count_nonzero(going_on))

    def _note_beginnings(self, row: int, beginnings: Sequence[Beginning], envs: Indices) -> None:
        for beginning, env in zip(beginnings, envs.tolist(), strict=True):
            cell = row * self._envs + env
            if beginning == NO_BEGINNING:
                self._beginnings.pop(cell, None)
            else:
                self._beginnings[cell] = beginning

    def _next_row(self) -> int:
        if self._rows == self._held.capacity:
            limit = self._limit or self._default_limit()
            if self._held.capacity < limit:
                self._held.grow(min(2 * self._held.capacity, limit))
            else:
                self._write(keep_tails=False)
        return self._rows

    def _default_limit(self) -> int:
        nbytes = max(_DEFAULT_NBYTES, min(_NBYTES_PER_ENV * self._envs, _MOST_NBYTES))
        rows = max(_DEFAULT_STEPS // self._envs, _FEWEST_ROWS)
        return max(_SMALLEST_LIMIT, min(rows, nbytes // max(self._held.row_nbytes, 1)))

    def _find_segments(self) -> Segments:
        steps = max(self._rows - 1, 0)
        held, up_to = self._held, slice(steps)
        gaps = held.gaps[up_to]
        return find_segments(held.find_ends(up_to) & ~gaps, gaps, held.cuts[up_to], self._start)

    def _write(self, *, keep_tails: bool) -> None:
        """Write whole episodes, and the tails of those that go on if they fill the buffer.

        Whatever was written when something fails is not written again.
        """
        if self._rows < 2:
            return
        ended = self._find_segments()
        begin = 0
        for index in np.flatnonzero(np.isin(ended.envs, self._writer.lanes)).tolist():
            if int(ended.envs[index]) in self._writer.lanes:
                self._write_whole(ended.select(begin, index))
                last = ended.select(index, index + 1)
                self._writer.close_lane(last)
                self._start[last.envs] = last.last + 1
                begin = index + 1
        self._write_whole(ended.select(begin, len(ended)))
        self._start = np.array(ended.going_on)
        steps = self._rows - 1
        if not keep_tails and int(self._start.min()) < self._rows // 2:
            # Of each episode the last step stays, so that it can still be ended as truncated.
            for env in np.flatnonzero(self._start < min(self._rows // 2, steps - 1)).tolist():
                first = int(self._start[env])
                self._writer.write_lane(env, first, steps - 1, self._get_beginning(first, env))
                self._start[env] = steps - 1
        self._move_to_front(int(self._start.min()))

    def _write_whole(self, episodes: Segments) -> None:
        if not len(episodes):
            return
        cells = (episodes.first * self._envs + episodes.envs).tolist()
        beginnings = self._beginnings
        self._writer.write_whole(episodes, [beginnings.get(cell, NO_BEGINNING) for cell in cells])
        self._start[episodes.envs] = np.maximum(self._start[episodes.envs], episodes.last + 1)

    def _get_beginning(self, row: int, env: int) -> Beginning:
        return self._beginnings.get(row * self._envs + env, NO_BEGINNING)

    def _move_to_front(self, first: int) -> None:
        """Move the rows from one on to the front."""
        self._held.move(first, self._rows)
        self._rows -= first
        self._start = self._start - first
        moved = first * self._envs
        self._beginnings = {
            cell - moved: beginning
            for cell, beginning in self._beginnings.items()
            if cell >= moved and cell // self._envs - first >= self._start[cell % self._envs]
        }
        # A final value belongs to the episode that ended in the row before it.
        self._held.keep_finals(
            {
                cell - moved: number
                for cell, number in self._held.final_numbers.items()
                if cell // self._envs - first > self._start[cell % self._envs]
            }
        )
        self._ended = 0
