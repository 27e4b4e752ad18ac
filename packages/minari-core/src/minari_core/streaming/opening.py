"""Open a dataset that is read from a remote while it is used."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Space

from minari_core.arguments import check_count
from minari_core.datasets.dataset import MinariDataset
from minari_core.environments.given_spaces import collect_given
from minari_core.formats.streamed.storage import open_stream_storage
from minari_core.ranges.cache_folder import CACHE_NBYTES
from minari_core.ranges.source import RangeSource


def open_stream(
    source: RangeSource,
    *,
    cache_nbytes: int | None = None,
    observation_space: Space[Any] | None = None,
    action_space: Space[Any] | None = None,
) -> MinariDataset:
    """Open a remote dataset; nothing but its manifest is read.

    It is a dataset like any other, whose bytes are fetched when they are first read, a range at a
    time, and kept in the cache of this machine. It cannot be changed.

    Args:
        source: Byte ranges of the files in its ``data`` folder.
        cache_nbytes: The bytes that all streams may have in the cache together, 10 GB by
            default; with 0, what is fetched is held in memory, and not for long.
        observation_space: The space of the observations, where the dataset says a type that
            nothing here reads: neither Gymnasium's, nor registered.
        action_space: The same for the actions.

    Raises:
        RemoteObjectNotFoundError: There is no manifest.
        RemoteError: The remote cannot be read.
        DatasetDamagedError: The manifest is malformed.
        FormatError: The dataset is of another format than the columnar one.
        SpaceError: A space that is given is not the one that the dataset says.
        DataError: ``cache_nbytes`` is not a whole number of at least 0.
    """
    limit = CACHE_NBYTES if cache_nbytes is None else check_count("cache_nbytes", cache_nbytes, 0)
    given = collect_given(observation_space, action_space)
    return MinariDataset(open_stream_storage(source, limit, given))
