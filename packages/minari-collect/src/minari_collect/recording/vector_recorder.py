"""Recording the steps of many environments at once into bounded memory, and on into shards.

The buffers are time-major, ``[rows, envs, …]``, and each step is one assignment per leaf. Only when
a buffer is full are its cells put into episodes (`minari_collect.vector_buffers.segments`). Whole
episodes are written in the order in which they ended, whatever the size of the buffer; the tails of
those that go on are carried over, or, where they fill the buffer, written to a *lane* of their
environment, which becomes a part of the recording when the episode ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.callbacks import EpisodeMetadataCallback, episode_metadata
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_collect.recording.recorded_episode import RecordedEpisode, RecordedSpan
from minari_collect.recording.reward_statistics import reward_statistics
from minari_collect.recording.sinks import Beginning, Describe, LaneSink
from minari_collect.vector_buffers.base import Cells
from minari_collect.vector_buffers.fixed import VectorFixedBuffer
from minari_collect.vector_buffers.infos import VectorInfoBuffer
from minari_collect.vector_buffers.nested import make_vector_buffer
from minari_collect.vector_buffers.segments import (
    Segments,
    find_segments,
    list_row_cells,
    list_step_cells,
)
from minari_core.columns import Array, Column, FixedColumn, Schema, StructColumn
from minari_core.episodes import ShardData, encode_entries
from minari_core.errors import RecordingError

_FIRST_ROWS = 64
_SMALLEST_LIMIT = 4
_DEFAULT_STEPS = 1 << 18
_FEWEST_ROWS = 1 << 10
_DEFAULT_NBYTES = 64 << 20
# Of many environments with images, pieces of some frames each would be many small files.
_NBYTES_PER_ENV = 4 << 20
_MOST_NBYTES = 256 << 20

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_NOWHERE = np.zeros(0, dtype=np.int64)


class VectorRecorder:
    """Turns batches of resets and steps into shards. Not safe to share between threads."""

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
        self._capacity = min(_FIRST_ROWS, self._limit or _FIRST_ROWS)
        self._max_episodes = max_episodes
        self._sink = sink
        self._describe = describe
        capacity = self._capacity
        self._observations = make_vector_buffer(
            observation_space, "observation", num_envs, capacity
        )
        self._actions = make_vector_buffer(action_space, "action", num_envs, capacity)
        scalar = spaces.Box(-np.inf, np.inf, (), np.float64)
        self._rewards = VectorFixedBuffer(
            scalar, "reward", num_envs, capacity, np.dtype(np.float64)
        )
        self._infos = VectorInfoBuffer("infos", num_envs)
        self._extras = VectorInfoBuffer("extras", num_envs)
        self._warnings = RecordingWarnings()
        self._flags = np.zeros((5, capacity, num_envs), dtype=bool)
        self._name_flags()

        self._rows = 0
        self._start = np.zeros(num_envs, dtype=np.int64)
        self._beginnings: dict[int, Beginning] = {}
        self._finals: dict[int, int] = {}
        self._spilled: dict[int, tuple[int, Beginning]] = {}
        self._ended = 0
        self._can_go_on = False

    def _name_flags(self) -> None:
        self._terminations, self._truncations, self._ends, self._gaps, self._cuts = self._flags

    @property
    def buffered_steps(self) -> int:
        """How many steps are held in memory."""
        if self._rows < 2:
            return 0
        places = np.arange(self._rows - 1)[:, None]
        return int(np.count_nonzero(~self._gaps[: self._rows - 1] & (places >= self._start)))

    @property
    def episodes(self) -> int:
        """How many episodes with at least one step are not written as a whole yet."""
        found = self._found()
        return len(found) + int(np.count_nonzero(found.going_on < self._rows - 1))

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
            self._flags[:, row - 1] = False
            self._gaps[row - 1] = True
        self._rows = row + 1
        self._note(row, beginnings, np.arange(self._envs))
        self._can_go_on = True

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
        if not self._can_go_on:
            raise RecordingError("some environments were reset before all were; reset all first")
        row = self._rows - 1
        envs = np.flatnonzero(mask)
        if row:
            self._end_at(row - 1, mask)
            # The row holds the last observation of what has just ended.
            for env in envs[self._ends[row - 1, envs] & (self._start[envs] < row)].tolist():
                cell = row * self._envs + env
                if cell not in self._finals:
                    self._add_final_cell(cell)
        for place, env in enumerate(envs.tolist()):
            self._observations.write_one(row, env, observations[place])
            self._infos.write_one(row, env, infos[place])
            self._extras.write_one(row, env, extras[place])
        self._note(row, beginnings, envs)

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
            one_by_one: Whether observations, actions and rewards are lists of single values, in
                which None stands for one that does not count, instead of batches.

        Raises:
            DataError: A value does not fit its column.
            DatasetWriteError: A full buffer could not be written; nothing is lost, and the step
                is not recorded.
            RecordingError: There has been no reset.
        """
        if not self._can_go_on:
            raise RecordingError(
                "step was called before reset; call envs.reset() to begin episodes"
            )
        row = self._rows if self._rows < self._capacity else self._next_row()
        step = row - 1
        if one_by_one:
            self._observations.write_each(row, observations)
            self._actions.write_each(step, actions)
            self._rewards.write_each(step, rewards)
        else:
            self._observations.write(row, observations)
            self._actions.write(step, actions)
            self._rewards.write(step, rewards)
        flags = self._flags
        flags[0, step] = terminations
        flags[1, step] = truncations
        ends: Flags = flags[2, step]
        np.logical_or(flags[0, step], flags[1, step], ends)
        if forced is not None:
            flags[1, step] |= forced & ~ends
            ends |= forced
        # Nothing else is set of a place that is new.
        if resets is not None:
            flags[3, step] = resets
        if infos is not None:
            self._infos.write(row, infos)
        if extras is not None:
            self._extras.write(row, extras)
        self._rows = row + 1
        if self._max_episodes is not None:
            self._ended += int(np.count_nonzero(ends))

    def add_final(
        self,
        env: int,
        observation: Any,
        info: Mapping[str, Any] | None,
        extras: Mapping[str, Any] | None,
    ) -> None:
        """Say what an episode ended with whose environment was reset within the step just added.

        Raises:
            DataError: The observation does not fit its column.
        """
        self._observations.add_final(observation)
        self._infos.add_final(info)
        self._extras.add_final(extras)
        self._finals[(self._rows - 1) * self._envs + env] = len(self._finals)

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
        self._can_go_on = False

    def flush(self) -> None:
        """Write all that has ended.

        Raises:
            DatasetWriteError: The file system refused; nothing is lost.
        """
        self._write(keep_tails=True)

    def clear(self) -> None:
        """Drop all that is in memory."""
        self._rows = self._ended = 0
        self._start[:] = 0
        self._flags[3:] = False
        self._spilled = {}
        self._can_go_on = False
        self._keep_finals({})
        self._beginnings = {}
        for column in (self._infos, self._extras):
            column.move(0, 0)

    def _end_at(self, step: int, mask: Flags) -> None:
        """End the episodes of some environments at a step place, if they go on there."""
        going_on = mask & ~self._gaps[step] & ~self._ends[step] & (self._start <= step)
        self._ends[step] |= going_on
        self._truncations[step] |= going_on
        self._cuts[step] |= going_on
        self._ended += int(np.count_nonzero(going_on))

    def _note(self, row: int, beginnings: Sequence[Beginning], envs: Indices) -> None:
        for beginning, env in zip(beginnings, envs.tolist(), strict=True):
            cell = row * self._envs + env
            if beginning == (None, None):
                self._beginnings.pop(cell, None)
            else:
                self._beginnings[cell] = beginning

    def _add_final_cell(self, cell: int) -> None:
        row, env = divmod(cell, self._envs)
        for column in (self._observations, self._infos, self._extras):
            column.add_final_cell(row, env)
        self._finals[cell] = len(self._finals)

    def _next_row(self) -> int:
        if self._rows == self._capacity:
            limit = self._limit or self._default_limit()
            if self._capacity < limit:
                self._grow(min(2 * self._capacity, limit))
            else:
                self._write(keep_tails=False)
        return self._rows

    def _default_limit(self) -> int:
        row_nbytes = self._observations.row_nbytes + self._actions.row_nbytes
        nbytes = max(_DEFAULT_NBYTES, min(_NBYTES_PER_ENV * self._envs, _MOST_NBYTES))
        rows = max(_DEFAULT_STEPS // self._envs, _FEWEST_ROWS)
        return max(_SMALLEST_LIMIT, min(rows, nbytes // max(row_nbytes, 1)))

    def _grow(self, capacity: int) -> None:
        for column in (self._observations, self._actions, self._rewards):
            column.grow(capacity)
        flags = np.zeros((5, capacity, self._envs), dtype=bool)
        flags[:, : self._capacity] = self._flags
        self._flags = flags
        self._name_flags()
        self._capacity = capacity

    def _found(self) -> Segments:
        steps = max(self._rows - 1, 0)
        ends, gaps = self._ends[:steps], self._gaps[:steps]
        return find_segments(ends & ~gaps, gaps, self._cuts[:steps], self._start)

    def _write(self, *, keep_tails: bool) -> None:
        """Write whole episodes, and the tails of those that go on if they fill the buffer.

        Whatever was written when something fails is not written again.
        """
        if self._rows < 2:
            return
        found = self._found()
        begin = 0
        for place in np.flatnonzero(np.isin(found.envs, list(self._spilled))).tolist():
            if int(found.envs[place]) in self._spilled:
                self._write_whole(found.select(begin, place))
                self._close_lane(found.select(place, place + 1))
                begin = place + 1
        self._write_whole(found.select(begin, len(found)))
        self._start = np.array(found.going_on)
        steps = self._rows - 1
        if not keep_tails and int(self._start.min()) < self._rows // 2:
            # Of each episode the last step stays, so that it can still be ended as truncated.
            for env in np.flatnonzero(self._start < min(self._rows // 2, steps - 1)).tolist():
                self._write_lane(env, int(self._start[env]), steps - 1)
        self._shift(int(self._start.min()))

    def _shift(self, first: int) -> None:
        """Move the rows from one on to the front."""
        stop = self._rows
        columns = (self._observations, self._actions, self._rewards, self._infos, self._extras)
        for column in columns:
            column.move(first, stop)
        self._flags[:, : stop - first] = self._flags[:, first:stop].copy()
        self._flags[3:, stop - first :] = False
        self._rows = stop - first
        self._start = self._start - first
        moved = first * self._envs
        self._beginnings = {
            cell - moved: beginning
            for cell, beginning in self._beginnings.items()
            if cell >= moved and cell // self._envs - first >= self._start[cell % self._envs]
        }
        # A final value belongs to the episode that ended in the row before it.
        self._keep_finals(
            {
                cell - moved: number
                for cell, number in self._finals.items()
                if cell // self._envs - first > self._start[cell % self._envs]
            }
        )
        self._ended = 0

    def _keep_finals(self, kept: dict[int, int]) -> None:
        numbers = list(kept.values())
        for column in (self._observations, self._infos, self._extras):
            column.keep_finals(numbers)
        self._finals = {cell: place for place, cell in enumerate(kept)}

    def _write_whole(self, found: Segments) -> None:
        if not len(found):
            return
        beginnings = self._beginnings_of(found)
        lengths = found.last - found.first + 1
        steps = _plain(list_step_cells(found, self._envs))
        rows = self._row_cells(found)
        self._sink.write(self._data(rows, steps, found, lengths, beginnings), None)
        self._start[found.envs] = np.maximum(self._start[found.envs], found.last + 1)

    def _close_lane(self, found: Segments) -> None:
        env = int(found.envs[0])
        spilled, beginning = self._spilled[env]
        lengths = found.last - found.first + 1 + spilled
        rows = self._row_cells(found, without_first=True)
        steps = _plain(list_step_cells(found, self._envs))
        self._sink.close_lane(env, self._data(rows, steps, found, lengths, [beginning]))
        del self._spilled[env]
        self._start[env] = found.last[0] + 1

    def _write_lane(self, env: int, first: int, stop: int) -> None:
        spilled, beginning = self._spilled.get(
            env, (0, self._beginnings.get(first * self._envs + env, (None, None)))
        )
        places = np.arange(first, stop + 1) * self._envs + env
        rows = _plain(places[1:] if spilled else places)
        empty = Segments(_NOWHERE, _NOWHERE, _NOWHERE, self._start)
        data = self._data(rows, _plain(places[:-1]), empty, _NOWHERE, [])
        self._sink.write_lane(env, data, beginning)
        self._spilled[env] = (spilled + stop - first, beginning)
        self._start[env] = stop

    def _beginnings_of(self, found: Segments) -> list[Beginning]:
        nothing: Beginning = (None, None)
        if not self._beginnings:
            return [nothing] * len(found)
        cells = (found.first * self._envs + found.envs).tolist()
        return [self._beginnings.get(cell, nothing) for cell in cells]

    def _row_cells(self, found: Segments, *, without_first: bool = False) -> Cells:
        cells = list_row_cells(found, self._envs)
        places, numbers = _NOWHERE, _NOWHERE
        if self._finals:
            ends = np.cumsum(found.last - found.first + 2) - 1
            known = [self._finals.get(cell, -1) for cell in cells[ends].tolist()]
            chosen = np.array(known, dtype=np.int64)
            places, numbers = ends[chosen >= 0], chosen[chosen >= 0]
        if without_first:
            cells, places = cells[1:], places - 1
        return Cells(cells, places, numbers)

    def _data(
        self,
        rows: Cells,
        steps: Cells,
        found: Segments,
        lengths: Indices,
        beginnings: Sequence[Beginning],
    ) -> ShardData:
        flags = self._flags[:2].reshape(2, -1).take(steps.cells, axis=1)
        dropped: dict[str, str] = {}
        entries, entry_arrays = self._entries(found, lengths, beginnings, steps, dropped)
        parts: dict[str, tuple[Column, list[Array]]] = {
            "observations": self._observations.take(rows),
            "actions": self._actions.take(steps),
            "rewards": self._rewards.take(steps),
            "terminations": (FixedColumn(np.dtype("?")), [flags[0]]),
            "truncations": (FixedColumn(np.dtype("?")), [flags[1]]),
            "infos": self._infos.take(rows),
            "extras": self._extras.take(rows),
            "episodes": (entries, entry_arrays),
        }
        # Before it is written: a warning may be an error, and then nothing has happened yet.
        self._warnings.outside("observation", lambda: self._observations.find_problem(rows))
        self._warnings.outside("action", lambda: self._actions.find_problem(steps))
        self._warnings.left_out(dropped, self._infos.dropped, self._extras.dropped)
        return ShardData(
            schema=Schema({name: column for name, (column, _) in parts.items()}),
            pieces=[[array] for _, arrays in parts.values() for array in arrays],
            rows=len(rows.cells),
            steps=len(steps.cells),
            episodes=len(found),
        )

    def _entries(
        self,
        found: Segments,
        lengths: Indices,
        beginnings: Sequence[Beginning],
        steps: Cells,
        dropped: dict[str, str],
    ) -> tuple[Column, list[Array]]:
        metadata: list[Mapping[str, object] | None] = [None] * len(found)
        statistics: dict[str, Array] = {}
        rewards = self._rewards.gather(steps)
        is_whole = len(steps.cells) == int(lengths.sum())
        if type(self._describe) is EpisodeMetadataCallback and is_whole and rewards.ndim == 1:
            statistics = reward_statistics(rewards, lengths) if len(found) else {}
        else:
            metadata = [
                episode_metadata(self._describe(self._shown(found, place, beginning)))
                for place, beginning in enumerate(beginnings)
            ]
        entries, pieces = encode_entries(
            lengths.tolist(),
            [seed for seed, _ in beginnings],
            [options for _, options in beginnings],
            metadata,
            dropped,
        )
        arrays = [array for piece in pieces for array in piece]
        if statistics and isinstance(entries, StructColumn):
            column = StructColumn({key: FixedColumn(a.dtype) for key, a in statistics.items()})
            entries = StructColumn({**entries.fields, "metadata": column})
            arrays += statistics.values()
        return entries, arrays

    def _shown(self, found: Segments, place: int, beginning: Beginning) -> RecordedEpisode:
        env, first = int(found.envs[place]), int(found.first[place])
        last_row = int(found.last[place]) + 1
        spilled = self._spilled[env][0] if env in self._spilled else 0
        span = RecordedSpan(first, last_row, spilled, *beginning)
        return RecordedEpisode(_EnvRows(self, env, last_row), span)

    def read(self, env: int, last_row: int, part: str, start: int, stop: int) -> object:
        """A copy of some rows of a part of one environment that are in memory."""
        cells = np.arange(start, stop) * self._envs + env
        final = self._finals.get(last_row * self._envs + env)
        if part in ("terminations", "truncations"):
            return self._flags[part == "truncations"].reshape(-1)[cells]
        if part in ("actions", "rewards"):
            return (self._actions if part == "actions" else self._rewards).read(_plain(cells))
        wanted = _plain(cells)
        if final is not None and start <= last_row < stop:
            wanted = Cells(cells, np.array([last_row - start]), np.array([final]))
        if part == "observations":
            return self._observations.read(wanted)
        return (self._infos if part == "infos" else self._extras).read(wanted)

    def read_tail(self, env: int, part: str, count: int) -> object:
        """The last rows of a part that were written of the episode of one environment."""
        return self._sink.read_lane_tail(env, part, count)


class _EnvRows:
    """The rows of one environment, as a metadata callback sees them."""

    def __init__(self, recorder: VectorRecorder, env: int, last_row: int) -> None:
        self._recorder = recorder
        self._env = env
        self._last_row = last_row

    def read(self, part: str, start: int, stop: int) -> object:
        return self._recorder.read(self._env, self._last_row, part, start, stop)

    def read_tail(self, part: str, count: int) -> object:
        return self._recorder.read_tail(self._env, part, count)


def _plain(cells: Indices) -> Cells:
    """Cells that are all in the buffer."""
    return Cells(cells, _NOWHERE, _NOWHERE)
