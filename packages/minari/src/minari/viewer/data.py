"""The data that the page shows, as plain values, from whatever storage the dataset has.

Rows of an episode of T steps share one axis: observation and info t are those before action t,
and row T is what the last action led to, where that is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minari.replay.replaying import Trust
from minari.viewer.columns import EpisodeColumn, to_text, to_texts
from minari.viewer.listing import EpisodeList
from minari.viewer.reader import EpisodeReader, Numbers
from minari.viewer.replays import EpisodeReplays
from minari.viewer.summaries import DatasetSummaries
from minari_core import MinariDataset, load_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import MinariError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import JsonObject, JsonValue
from minari_core.local.locations import DATA_FOLDER

REPLAY = "replay"
"""The column of the frames of a replay, which is none of the dataset's."""
MOST_BUCKETS = 4096
"""The most points of a line that one answer holds."""
_ELEMENTS_AT_ONCE = 1 << 20
_MOST_FRAME_NBYTES = 1 << 25
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
        storage = self._storage
        self._url = storage.url if isinstance(storage, ShardedStorage) else None
        self.episodes = EpisodeList(dataset)
        """The list of the episodes."""
        self._indices = self.episodes.indices
        self._reader = EpisodeReader(self._storage, self._indices)
        self.summaries = DatasetSummaries(dataset, self.episodes, self._reader, words)
        """What many episodes say together."""
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
            "location": self._url or str(self._storage.data_path or "memory"),
            "total_episodes": len(dataset),
            "total_steps": dataset.total_steps,
            "observation_space": str(self._storage.observation_space),
            "action_space": str(self._storage.action_space),
            "environment": _describe_environment(dataset),
            "facts": facts,
            "load": f"import minari\n\ndataset = minari.load_dataset({self._write_arguments()})",
        }

    def _write_arguments(self) -> str:
        if self._url is None:
            return repr(str(self._dataset.id))
        return f"{self._url.removesuffix(f'/{DATA_FOLDER}')!r}, stream=True"

    def count_newer(self) -> int:
        """Return how many episodes others have added since; views and streams do not grow."""
        if self.episodes.is_remote:
            return 0
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
        (entry,) = self._storage.read_episode_metadata([self._reader.get_index(position)])
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
        return self._reader.list_columns(position)

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
        column = self._reader.get_column(position, path)
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
            values = self._reader.read_numbers(column, position, first, last, dims)
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
        column = self._reader.get_column(position, path)
        start, stop = max(start, 0), min(stop, column.rows)
        return self._read_texts(column, position, start, max(stop, start), elements)

    def describe_replay(
        self, position: int, *, start: bool = False, cancel: bool = False
    ) -> JsonObject:
        """Describe the replay of an episode; see `EpisodeReplays.describe`."""
        (entry,) = self._storage.read_episode_metadata([self._reader.get_index(position)])
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
            replay = self.replays.get(self._reader.get_index(position))
            stop = min(stop, len(replay), start + _count_frames(replay.shape[1:]))
            frames = replay.read(start, max(stop, start))
            return frames.tobytes(), len(frames)
        column = self._reader.get_column(position, path)
        stop = min(stop, column.rows, start + _count_frames(column.shape))
        rows = np.asarray(self._reader.read_rows(column, position, start, max(stop, start)))
        return np.ascontiguousarray(rows).tobytes(), len(rows)

    def _read_texts(
        self,
        column: EpisodeColumn,
        position: int,
        start: int,
        stop: int,
        elements: int | None = None,
    ) -> list[list[str]]:
        rows = self._reader.read_rows(column, position, start, stop)
        return [to_texts(row, column.kind, elements) for row in rows]


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
