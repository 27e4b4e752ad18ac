"""Open a dataset on a remote without downloading it."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Space

from minari_core import MinariDataset, open_stream
from minari_core.errors import (
    DatasetNotFoundError,
    MinariError,
    MissingDependencyError,
    RemoteObjectNotFoundError,
)
from minari_core.local.dataset_id import is_url, parse_dataset_id
from minari_hub.datasets.remote_dataset import RemoteDataset
from minari_hub.ranges.opening import open_source
from minari_hub.remotes.setting import RemotePath, RemoteSetting
from minari_hub.remotes.urls import normalize_dataset_url, parse_dataset_url


def stream_dataset(
    dataset_name: str,
    *,
    remote_path: RemotePath | None = None,
    token: str | None = None,
    cache_nbytes: int | None = None,
    observation_space: Space[Any] | None = None,
    action_space: Space[Any] | None = None,
) -> MinariDataset:
    """Open a dataset on a remote, whose bytes are fetched when they are first read.

    It must be of the columnar format, and cannot be changed through this object.

    Args:
        dataset_name: Its id, or its full URL such as ``gs://bucket/D4RL/door/human-v2``.
        remote_path: The URL of the remote, or several in the order in which they are asked; None
            is ``$MINARI_REMOTE``, else the public ones.
        token: The credentials, as `open_remote` takes them.
        cache_nbytes: The bytes that all streams may have in the cache together, 10 GB by
            default; with 0, what is fetched is held in memory, and not for long.
        observation_space: The space of the observations, where the dataset says a type that
            nothing here reads: neither Gymnasium's, nor registered.
        action_space: The same for the actions.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: No remote has it.
        FormatError: It is of a format that cannot be streamed; download it.
        RemoteError: The remote cannot be read.
        DatasetDamagedError: Its manifest is malformed.
        SpaceError: A space that is given is not the one that the dataset says.
        DataError: ``cache_nbytes`` is not a whole number of at least 0.
    """
    if is_url(dataset_name):
        # Wherever the id begins, it is the same folder.
        address = next(parse_dataset_url(normalize_dataset_url(dataset_name)))
        remote_path, dataset_id = address.remote_path, address.dataset_id
    else:
        dataset_id = str(parse_dataset_id(dataset_name))
    setting = RemoteSetting.parse(remote_path, token)

    def open_here(url: str) -> MinariDataset | None:
        try:
            return open_stream(
                open_source(url, dataset_id, setting.get_token(url)),
                cache_nbytes=cache_nbytes,
                observation_space=observation_space,
                action_space=action_space,
            )
        except RemoteObjectNotFoundError:
            return None

    def explain(url: str) -> MinariError:
        try:
            return RemoteDataset(setting.open(url), dataset_id).build_not_found_error()
        except MissingDependencyError:
            # What lists a remote may need more than what streams from it.
            return DatasetNotFoundError(f"There is no dataset {dataset_id!r} on {url}")

    return setting.ask_first(open_here, explain)
