"""What many episodes say together: distributions, the checks of the content, the statistics."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from minari.checks.checking import check_dataset
from minari.distributions.distribution import compute_distribution
from minari.viewer.background import BackgroundTask
from minari.viewer.listing import EpisodeList, to_plain
from minari.viewer.reader import MOST_ELEMENTS, EpisodeReader, Numbers
from minari_core import MinariDataset
from minari_core.json_values import JsonObject, JsonValue

_MOST_SAMPLED = 64
_THREADS = 8  # which wait for a remote
_MOST_NUMBERS = 1 << 20
_DISTRIBUTED = frozenset({"observations", "actions", "rewards"})


class DatasetSummaries:
    """Summaries of the episodes of a dataset; its methods may be called from several threads."""

    def __init__(
        self,
        dataset: MinariDataset,
        episodes: EpisodeList,
        reader: EpisodeReader,
        words: Callable[[object], str],
    ) -> None:
        """Compute nothing yet.

        Args:
            dataset: The dataset or view.
            episodes: The list of its episodes.
            reader: What reads them.
            words: Says what an error advises in the words of whoever sees the page.
        """
        self._dataset, self._episodes, self._reader = dataset, episodes, reader
        self._words = words
        self._checks = BackgroundTask(self._check)
        self._statistics = BackgroundTask(self._compute_statistics)

    def describe_distributions(self) -> JsonObject:
        """Describe how lengths and returns are distributed; returns are None while unknown."""
        returns = self._episodes.returns
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
        total = len(self._episodes.indices)
        chosen = np.unique(np.linspace(0, total - 1, min(total, _MOST_SAMPLED)).astype(int))
        blocks: dict[str, list[Numbers]] = {}

        def read_one(position: int) -> list[tuple[str, Numbers]]:
            return [
                (column.path, self._reader.read_numbers(column, position, 0, rows))
                for column in self._reader.list_columns(position)
                if column.kind == "numbers" and column.role in _DISTRIBUTED
                for dims in [max(int(np.prod(column.shape)), 1)]
                for rows in [min(column.rows, _MOST_NUMBERS // (dims * len(chosen)) + 1)]
            ]

        with ThreadPoolExecutor(_THREADS if self._episodes.is_remote else 1) as pool:
            for found in pool.map(read_one, chosen.tolist()):
                for path, block in found:
                    blocks.setdefault(path, []).append(block)
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
            images = {each.path for each in self._reader.list_columns(0) if each.kind == "image"}
            for path, found in self._dataset.statistics().items():
                if path not in images:
                    fields = (found.mean, found.std, found.min, found.max, found.nonfinite)
                    rows = zip(*(each.reshape(-1)[:MOST_ELEMENTS] for each in fields), strict=True)
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
        lengths = compute_distribution(self._episodes.lengths)
        return None if lengths is None else lengths.to_json()
