"""The data that the page shows, as plain values, from whatever storage the dataset has.

Rows of an episode of T steps share one axis: observation and info t are those before action t,
and row T is what the last action led to, where that is known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari.checks.checking import check_dataset
from minari.distributions.distribution import compute_distribution
from minari.replay.replaying import Trust
from minari.viewer.background import BackgroundTask
from minari.viewer.columns import EpisodeColumn, choose_kind, to_text, to_texts
from minari.viewer.listing import EpisodeList, to_plain
from minari.viewer.replays import EpisodeReplays
from minari_core import EpisodeData, MinariDataset, load_dataset
from minari_core.columns import AXES
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import MinariError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import JsonObject, JsonValue
from minari_core.leaves import find_leaves, join_path
from minari_core.storage.base import slice_rows

Numbers: TypeAlias = npt.NDArray[np.float64]
ROLES = ("observations", "actions", "rewards", "infos", "extras")
"""The column groups that the page plots, in its order; how an episode ended is in the list."""
REPLAY = "replay"
"""The column of the frames of a replay, which is none of the dataset's."""
MOST_BUCKETS = 4096
"""The most points of a line that one answer holds."""
_ELEMENTS_AT_ONCE = 1 << 20
_MOST_COLUMNS_KEPT = 64
_MOST_EPISODES_KEPT = 2
_MOST_FRAME_NBYTES = 1 << 25
_MOST_SAMPLED = 64
_MOST_ELEMENTS = 256
_SHOWN_APART = frozenset(
    {
        "action_space",
        "dataset_id",
        "env_spec",
        "eval_env_spec",
        "observation_space",
        "total_episodes",
        "total_steps",
    }
)
_DISTRIBUTED = frozenset({"observations", "actions", "rewards"})


class PageData:
    """The data of the page of one dataset or view; positions of episodes count from 0 in it."""

    def __init__(
        self,
        dataset: MinariDataset,
        trust: Trust | None = None,
        words: Callable[[object], str] = str,
    ) -> None:
        """Read what the list of episodes needs at once.

        Args:
            dataset: A dataset or view.
            trust: What of its environment spec is run by replays; what is registered if None.
            words: Says what an error advises in the words of whoever sees the page.
        """
        self._dataset, self._trust, self._words = dataset, trust, words
        self._storage = get_raw_storage(dataset)
        self._columns: OrderedDict[int, list[EpisodeColumn]] = OrderedDict()
        self._kept: OrderedDict[int, EpisodeData] = OrderedDict()
        self._reading = threading.Lock()
        self._checks = BackgroundTask(self._check)
        self._statistics = BackgroundTask(self._compute_statistics)
        self.episodes = EpisodeList(dataset)
        """The list of the episodes."""
        self._indices = self.episodes.indices
        self.replays = EpisodeReplays(dataset, trust or Trust(), words)
        """The replays that were asked for."""

    def describe(self) -> JsonObject:
        """Describe the dataset: what it says of itself, and how to load it."""
        dataset, metadata = self._dataset, self._storage.metadata
        facts: list[JsonValue] = []
        for key, value in metadata.items():
            if key not in _SHOWN_APART and value not in (None, "", [], {}):
                facts.append([str(key), _describe_fact(value)])
        return {
            "id": str(dataset.id),
            "location": str(self._storage.data_path or "memory"),
            "total_episodes": len(dataset),
            "total_steps": int(self.episodes.lengths.sum()),
            "observation_space": str(self._storage.observation_space),
            "action_space": str(self._storage.action_space),
            "environment": _describe_environment(dataset),
            "facts": facts,
            "load": f"import minari\n\ndataset = minari.load_dataset({str(dataset.id)!r})",
        }

    def count_newer(self) -> int:
        """Return how many episodes others have added since; views do not grow."""
        is_whole = len(self._indices) == self._storage.total_episodes
        return self._storage.newer_episodes() if is_whole else 0

    def renew(self) -> PageData:
        """Return the data of the dataset as it is by now, if it has grown."""
        path = self._storage.data_path
        if path is None or not self.count_newer():
            return self
        self.replays.close()
        return PageData(load_dataset(path), self._trust, self._words)

    def describe_episode(self, position: int) -> JsonObject:
        """Describe an episode: its seed, options and metadata, and its columns.

        Args:
            position: The position in the dataset.
        """
        (entry,) = self._storage.read_episode_metadata([self._get_index(position)])
        return {
            "position": position,
            "id": entry.id,
            "length": entry.total_steps,
            "seed": None if entry.seed is None else str(entry.seed),
            "options": None if entry.options is None else to_text(entry.options),
            "metadata": {str(key): to_text(value) for key, value in entry.metadata.items()},
            "final_observation_known": entry.final_observation_known,
            "columns": [column.to_json() for column in self.list_columns(position)],
        }

    def find_position(self, name: int) -> int | None:
        """Return the position of the episode of an id; None if there is none."""
        found = np.flatnonzero(self._indices == name)
        return int(found[0]) if len(found) else None

    def list_columns(self, position: int) -> list[EpisodeColumn]:
        """List the columns of the episode at a position, in the order of the page."""
        columns = self._columns.get(position)
        if columns is None:
            columns = list(self._find_columns(self._get_index(position)))
            self._columns[position] = columns
            while len(self._columns) > _MOST_COLUMNS_KEPT:
                self._columns.popitem(last=False)
        return columns

    def read_series(
        self,
        position: int,
        path: str,
        start: int,
        stop: int,
        buckets: int,
        elements: int | None = None,
    ) -> tuple[Numbers, int]:
        """Read a column of numbers, thinned out so that minima and maxima stay.

        Rows are cut into buckets of neighbours. What is NaN, infinite or missing takes no part in
        a bucket, and is counted.

        Args:
            position: The position of the episode.
            path: The column.
            start: The first row.
            stop: The last row + 1.
            buckets: The most buckets; one for each row where there are no more rows.
            elements: The number of elements of a row to read, from the first on; all if None.

        Returns:
            Minimum, maximum and the count of what is not finite, shape (3, elements, buckets); and
            the rows that each bucket has, but for the last.
        """
        column = self._get_column(position, path)
        start, stop = max(start, 0), min(stop, column.rows)
        rows = max(stop - start, 0)
        width = -(-rows // min(max(buckets, 1), MOST_BUCKETS)) or 1
        dims = int(np.prod(column.shape))
        dims = dims if elements is None else min(elements, dims)
        found = np.full((3, dims, -(-rows // width)), np.nan)
        at_once = max(_ELEMENTS_AT_ONCE // max(dims * width, 1), 1)
        for bucket in range(0, found.shape[2], at_once):
            first = start + bucket * width
            last = min(first + at_once * width, stop)
            values = self._read_numbers(column, position, first, last, dims)
            starts = np.arange(0, last - first, width)
            part = found[:, :, bucket : bucket + len(starts)]
            holes = np.isnan(values)
            # Those that skip NaN take four times as long.
            least, most = (np.fmin, np.fmax) if holes.any() else (np.minimum, np.maximum)
            part[0] = least.reduceat(values, starts, axis=0).T
            part[1] = most.reduceat(values, starts, axis=0).T
            part[2] = np.add.reduceat(holes, starts, axis=0, dtype=float).T if holes.any() else 0
        return found, width

    def read_values(self, position: int, step: int) -> JsonObject:
        """Read the exact values of all columns at one step, as texts.

        Args:
            position: The position of the episode.
            step: From 0 to T.

        Returns:
            By the path of each column a text for each element, or one for a value that is no
            array; images are left out.
        """
        return {
            column.path: list(texts)
            for column in self.list_columns(position)
            if column.kind != "image" and step < column.rows
            for texts in self._read_texts(column, position, step, step + 1)
        }

    def read_texts(
        self, position: int, path: str, start: int, stop: int, elements: int | None = None
    ) -> list[list[str]]:
        """Read the exact values of a column, as texts.

        Args:
            position: The position of the episode.
            path: A column of numbers or texts.
            start: The first row.
            stop: The last row + 1.
            elements: The most elements of a row of numbers, from the first on; all if None.

        Returns:
            For each row a text for each element, or one for a value that is no array.
        """
        column = self._get_column(position, path)
        start, stop = max(start, 0), min(stop, column.rows)
        return self._read_texts(column, position, start, max(stop, start), elements)

    def describe_replay(
        self, position: int, *, start: bool = False, cancel: bool = False
    ) -> JsonObject:
        """Describe the replay of an episode; see `EpisodeReplays.describe`."""
        (entry,) = self._storage.read_episode_metadata([self._get_index(position)])
        return self.replays.describe(entry.id, entry.seed, start=start, cancel=cancel)

    def read_frames(self, position: int, path: str, start: int, stop: int) -> tuple[bytes, int]:
        """Read images as raw bytes, row by row, with 1, 3 or 4 channels last.

        Args:
            position: The position of the episode.
            path: A column of images, or `REPLAY`.
            start: The first row.
            stop: The last row + 1; where that is much, fewer rows are read.

        Returns:
            The bytes of the frames one after another, and the number of frames.
        """
        if path == REPLAY:
            replay = self.replays.get(self._get_index(position))
            stop = min(stop, len(replay), start + _count_frames(replay.shape[1:]))
            frames = replay.read(start, max(stop, start))
            return frames.tobytes(), len(frames)
        column = self._get_column(position, path)
        stop = min(stop, column.rows, start + _count_frames(column.shape))
        rows = np.asarray(self._read_rows(column, position, start, max(stop, start)))
        return np.ascontiguousarray(rows).tobytes(), len(rows)

    def describe_distributions(self) -> JsonObject:
        """Describe how lengths and returns are distributed; returns are None while unknown."""
        returns = self.episodes.returns
        columns: list[Numbers] = []
        if returns is not None:
            columns = [returns] if returns.ndim == 1 else list(returns.T)
        distributions = [compute_distribution(column) for column in columns]
        return {
            "lengths": self._lengths,
            "returns": None
            if returns is None
            else [None if each is None else each.to_json() for each in distributions],
        }

    def describe_columns(self) -> JsonObject:
        """Describe how rewards and each element of observations and actions are distributed.

        At most 64 episodes count, evenly spread over the dataset, up to a million numbers of each
        column.

        Returns:
            The number of episodes that count, and by the path of a column a distribution for each
            of its first 256 elements.
        """
        total = len(self._indices)
        chosen = np.unique(np.linspace(0, total - 1, min(total, _MOST_SAMPLED)).astype(int))
        blocks: dict[str, list[Numbers]] = {}
        for position in chosen.tolist():
            for column in self.list_columns(position):
                if column.kind == "numbers" and column.role in _DISTRIBUTED:
                    dims = max(int(np.prod(column.shape)), 1)
                    rows = min(column.rows, _ELEMENTS_AT_ONCE // (dims * len(chosen)) + 1)
                    block = self._read_numbers(column, position, 0, rows)
                    blocks.setdefault(column.path, []).append(block)
        described: dict[str, JsonValue] = {}
        for path, read in blocks.items():
            of_elements = (
                compute_distribution(np.concatenate([block[:, element] for block in read]))
                for element in range(min(block.shape[1] for block in read))
            )
            described[path] = [None if each is None else each.to_json() for each in of_elements]
        return {"episodes": len(chosen), "columns": described}

    def describe_checks(self, *, start: bool = False) -> JsonObject:
        """Describe what the checks of the content have found; nothing is replayed.

        Args:
            start: Begin to check, in a thread of its own.

        Returns:
            The state, ``idle``, ``running`` or ``done``, and then the ``findings``.
        """
        return self._checks.describe(start=start)

    def describe_statistics(self, *, start: bool = False) -> JsonObject:
        """Describe the statistics of all steps, as `MinariDataset.statistics` computes them.

        Args:
            start: Begin to compute them, in a thread of its own.

        Returns:
            The state, ``idle``, ``running`` or ``done``; and then a ``failure`` or None, and
            ``columns`` without images: the path, the rows, the elements of a row, and of the first
            256 of these mean, standard deviation, minimum, maximum, and how many are not finite.
        """
        return self._statistics.describe(start=start)

    def check(self) -> None:
        """Check the content and compute the statistics now, to be described then."""
        self._checks.run()
        self._statistics.run()

    def _check(self) -> JsonObject:
        try:
            report = check_dataset(self._dataset, replay_seconds=0)
            return {"findings": [[each.severity, str(each)] for each in report.findings]}
        except Exception as error:  # the page waits for an outcome, whatever it is
            return {"findings": [["warning", f"the checks failed: {error}"]]}

    def _compute_statistics(self) -> JsonObject:
        columns: list[JsonValue] = []
        try:
            images = {each.path for each in self.list_columns(0) if each.kind == "image"}
            for path, found in self._dataset.statistics().items():
                if path not in images:
                    fields = (found.mean, found.std, found.min, found.max, found.nonfinite)
                    rows = zip(*(each.reshape(-1)[:_MOST_ELEMENTS] for each in fields), strict=True)
                    columns.append(
                        {
                            "path": path,
                            "rows": found.count,
                            "elements": found.mean.size,
                            "statistics": [[*map(to_plain, row)] for row in rows],
                        }
                    )
        except Exception as error:  # the page waits for an outcome, whatever it is
            return {"failure": self._words(error), "columns": []}
        return {"failure": None, "columns": columns}

    @cached_property
    def _lengths(self) -> JsonValue:
        lengths = compute_distribution(self.episodes.lengths)
        return None if lengths is None else lengths.to_json()

    def _get_index(self, position: int) -> int:
        if not 0 <= position < len(self._indices):
            raise LookupError(f"there is no episode {position} among {len(self._indices)}")
        return int(self._indices[position])

    def _get_column(self, position: int, path: str) -> EpisodeColumn:
        for column in self.list_columns(position):
            if column.path == path:
                return column
        raise LookupError(f"episode {position} has no column {path!r}")

    def _find_columns(self, index: int) -> Iterator[EpisodeColumn]:
        length = int(self._storage.episode_lengths()[index])
        (entry,) = self._storage.read_episode_metadata([index])
        for role in ROLES:
            rows = length + (AXES[role] == "rows")
            if role == "observations" and not entry.final_observation_known:
                rows = length
            value = self._read_group(index, role, 0, 1)
            for keys, leaf in find_leaves(value):
                path = join_path(role, keys)
                if isinstance(leaf, np.ndarray):
                    shape, dtype = leaf.shape[1:], str(leaf.dtype)
                    kind = choose_kind(leaf)
                else:
                    shape, dtype, kind = (), "", "text"
                yield EpisodeColumn(path, role, keys, kind, shape, dtype, rows)

    def _read_rows(self, column: EpisodeColumn, position: int, start: int, stop: int) -> Any:
        rows = self._read_group(self._get_index(position), column.role, start, stop)
        for key in column.keys:
            rows = rows[key]
        return rows

    def _read_texts(
        self,
        column: EpisodeColumn,
        position: int,
        start: int,
        stop: int,
        elements: int | None = None,
    ) -> list[list[str]]:
        rows = self._read_rows(column, position, start, stop)
        return [to_texts(row, column.kind, elements) for row in rows]

    def _read_group(self, index: int, role: str, start: int, stop: int) -> Any:
        if isinstance(self._storage, ShardedStorage):
            return self._storage.read_rows(index, role, start, stop, copy=False)
        # These read a whole episode for a row of it; the page asks for several of the same one.
        with self._reading:
            episode = self._kept.get(index)
            if episode is None:
                (episode,) = self._storage.read_episodes([index], copy=False)
                self._kept[index] = episode
                while len(self._kept) > _MOST_EPISODES_KEPT:
                    self._kept.popitem(last=False)
        return slice_rows(getattr(episode, role), slice(start, stop))

    def _read_numbers(
        self,
        column: EpisodeColumn,
        position: int,
        start: int,
        stop: int,
        elements: int = _MOST_ELEMENTS,
    ) -> Numbers:
        """Read rows as floats, NaN for what is not finite or missing, shape (rows, elements)."""
        rows: Any = self._read_rows(column, position, start, stop)
        if not isinstance(rows, np.ndarray) or rows.shape[1:] != column.shape:
            # An info may be of one shape in a shard and of many in the next.
            raise LookupError(f"{column.path} has values of different shapes, which have no plot")
        flat = rows.reshape(len(rows), int(np.prod(column.shape)))[:, :elements]
        if isinstance(flat, np.ma.MaskedArray):
            flat = np.ma.filled(flat.astype(np.float64), np.nan)
        numbers: Numbers = flat.astype(np.float64)
        finite = np.isfinite(numbers)
        return numbers if finite.all() else np.where(finite, numbers, np.nan)


def _count_frames(shape: tuple[int, ...]) -> int:
    """Return how many frames one answer holds at the most."""
    return max(_MOST_FRAME_NBYTES // max(int(np.prod(shape)), 1), 1)


def _describe_fact(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(map(to_text, value))
    return to_text(value)


def _describe_environment(dataset: MinariDataset) -> str | None:
    """Name the environment; nothing of it is made, imported or run."""
    try:
        spec = dataset.env_spec
    except MinariError as error:
        return f"its spec cannot be read: {error}"
    return None if spec is None else str(spec.id)
