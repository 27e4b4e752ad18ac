"""Write the episodes of many environments: whole ones together, long ones in lanes.

A *lane* takes the pieces of an episode of one environment that fills the buffer while those of the
others end. It becomes part of the recording when the episode ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minari_collect.buffers.base import ColumnGroup
from minari_collect.callbacks import EpisodeMetadataCallback, make_episode_metadata
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_collect.recording.recorded_episode import RecordedEpisode, RecordedSpan
from minari_collect.recording.reward_statistics import compute_reward_statistics
from minari_collect.recording.shard_assembly import assemble_shard, encode_episodes
from minari_collect.recording.sinks import Beginning, Describe, LaneSink
from minari_collect.vector_buffers.base import Cells
from minari_collect.vector_buffers.rows import (
    NO_INDICES,
    Indices,
    VectorRows,
    make_plain_cells,
)
from minari_collect.vector_buffers.segments import Segments
from minari_core.columns import Array, FixedColumn, StructColumn
from minari_core.episodes import ShardData

_NO_SEGMENTS = Segments(NO_INDICES, NO_INDICES, NO_INDICES, NO_INDICES)


class VectorWriter:
    """Encode cells of the rows in memory as shards, and hand them to a sink."""

    def __init__(self, rows: VectorRows, sink: LaneSink, describe: Describe) -> None:
        """Begin without a lane.

        Args:
            rows: What is in memory.
            sink: Where shards go.
            describe: Makes the metadata of each episode.
        """
        self._rows = rows
        self._sink = sink
        self._describe = describe
        self._warnings = RecordingWarnings()
        self._lanes: dict[int, tuple[int, Beginning]] = {}

    @property
    def lanes(self) -> list[int]:
        """The environments whose unfinished episode has a lane."""
        return list(self._lanes)

    def clear(self) -> None:
        """Forget all lanes."""
        self._lanes = {}

    def write_whole(self, episodes: Segments, beginnings: Sequence[Beginning]) -> None:
        """Write episodes that lie in memory as a whole.

        Args:
            episodes: Where they lie.
            beginnings: The seed and options of each.
        """
        lengths = episodes.last - episodes.first + 1
        rows = self._rows.find_row_cells(episodes)
        steps = self._rows.find_step_cells(episodes)
        self._sink.write(self._encode(rows, steps, episodes, lengths, beginnings), None)

    def write_lane(self, env: int, first: int, stop: int, beginning: Beginning) -> None:
        """Write some steps of an unfinished episode of one environment.

        Args:
            env: The environment.
            first: The first step.
            stop: One past the last step.
            beginning: The seed and options of the episode, if this is its first piece.
        """
        written, beginning = self._lanes.get(env, (0, beginning))
        cells = np.arange(first, stop + 1) * self._rows.num_envs + env
        rows = make_plain_cells(cells[1:] if written else cells)
        data = self._encode(rows, make_plain_cells(cells[:-1]), _NO_SEGMENTS, NO_INDICES, [])
        self._sink.write_lane(env, data, beginning)
        self._lanes[env] = (written + stop - first, beginning)

    def close_lane(self, episode: Segments) -> None:
        """Write the rest of an episode that has a lane, now that it has ended."""
        env = int(episode.envs[0])
        written, beginning = self._lanes[env]
        lengths = episode.last - episode.first + 1 + written
        rows = self._rows.find_row_cells(episode, without_first=True)
        steps = self._rows.find_step_cells(episode)
        self._sink.close_lane(env, self._encode(rows, steps, episode, lengths, [beginning]))
        del self._lanes[env]

    def _encode(
        self,
        rows: Cells,
        steps: Cells,
        episodes: Segments,
        lengths: Indices,
        beginnings: Sequence[Beginning],
    ) -> ShardData:
        dropped: dict[str, str] = {}
        entries = self._encode_entries(episodes, lengths, beginnings, steps, dropped)
        held = self._rows
        groups = {**held.encode(rows, steps), "episodes": entries}
        # Before it is written: a warning may be an error, and then nothing has happened yet.
        self._warnings.warn_outside("observation", lambda: held.observations.find_problem(rows))
        self._warnings.warn_outside("action", lambda: held.actions.find_problem(steps))
        self._warnings.warn_dropped(
            dropped, held.infos.encoder.dropped, held.extras.encoder.dropped
        )
        return assemble_shard(
            groups,
            rows=len(rows.cells),
            steps=len(steps.cells),
            episodes=len(episodes),
            # Pieces of one episode are written one by one.
            has_whole_episodes=len(steps.cells) == int(lengths.sum()),
        )

    def _encode_entries(
        self,
        episodes: Segments,
        lengths: Indices,
        beginnings: Sequence[Beginning],
        steps: Cells,
        dropped: dict[str, str],
    ) -> ColumnGroup:
        metadata: list[Mapping[str, object] | None] = [None] * len(episodes)
        statistics: dict[str, Array] = {}
        rewards = self._rows.rewards.gather(steps)
        is_whole = len(steps.cells) == int(lengths.sum())
        if type(self._describe) is EpisodeMetadataCallback and is_whole and rewards.ndim == 1:
            statistics = compute_reward_statistics(rewards, lengths) if len(episodes) else {}
        else:
            metadata = [
                make_episode_metadata(self._describe, self._view(episodes, index, beginning))
                for index, beginning in enumerate(beginnings)
            ]
        entries, arrays = encode_episodes(lengths.tolist(), beginnings, metadata, dropped)
        if statistics and isinstance(entries, StructColumn):
            column = StructColumn({key: FixedColumn(a.dtype) for key, a in statistics.items()})
            entries = StructColumn({**entries.fields, "metadata": column})
            arrays += statistics.values()
        return entries, arrays

    def _view(self, episodes: Segments, index: int, beginning: Beginning) -> RecordedEpisode:
        env, first = int(episodes.envs[index]), int(episodes.first[index])
        last_row = int(episodes.last[index]) + 1
        written = self._lanes[env][0] if env in self._lanes else 0
        span = RecordedSpan(first, last_row, written, *beginning)
        rows = _EnvRows(self._rows, self._sink, env, last_row)
        return RecordedEpisode(rows, span, self._sink.total_episodes + index)


class _EnvRows:
    """The rows of one environment, as a metadata callback sees them."""

    def __init__(self, rows: VectorRows, sink: LaneSink, env: int, last_row: int) -> None:
        self._rows = rows
        self._sink = sink
        self._env = env
        self._last_row = last_row

    def read(self, group: str, start: int, stop: int) -> object:
        return self._rows.read(self._env, self._last_row, group, start, stop)

    def read_tail(self, group: str, count: int) -> object:
        return self._sink.read_lane_tail(self._env, group, count)
