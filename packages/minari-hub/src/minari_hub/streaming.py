"""Open a dataset on a remote without downloading it."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Space

from minari_core import MinariDataset, open_stream
from minari_core.errors import RemoteObjectNotFoundError
from minari_core.ranges.folder import FolderSource
from minari_core.ranges.source import RangeSource
from minari_hub.datasets.remote_dataset import RemoteDataset, ask_for_dataset
from minari_hub.ranges.object_store_source import ObjectStoreSource
from minari_hub.ranges.object_stores import needs_obstore
from minari_hub.ranges.remote import RemoteSource
from minari_hub.remotes.base import APPLICATION_DEFAULT
from minari_hub.remotes.folder import FolderRemote
from minari_hub.remotes.setting import RemotePath


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
    """

    def open_here(dataset: RemoteDataset) -> MinariDataset | None:
        try:
            return open_stream(
                make_source(dataset),
                cache_nbytes=cache_nbytes,
                observation_space=observation_space,
                action_space=action_space,
            )
        except RemoteObjectNotFoundError:
            return None

    return ask_for_dataset(dataset_name, remote_path, token, open_here)


def make_source(dataset: RemoteDataset) -> RangeSource:
    """Make what reads ranges of the objects of a dataset; nothing is sent.

    Google's buckets and web servers are read by their own clients, which go on after a fork;
    obstore does not.
    """
    remote = dataset.remote
    if isinstance(remote, FolderRemote):
        return FolderSource(remote.locate(dataset.prefix.rstrip("/")))
    if needs_obstore(remote.url):
        token = APPLICATION_DEFAULT if remote.has_machine_credentials else None
        return ObjectStoreSource(f"{remote.url}/{dataset.prefix}", token)
    return RemoteSource(remote, dataset.prefix)
