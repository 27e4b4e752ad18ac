"""Open the source of the byte ranges of a dataset, by the URL of its remote."""

from __future__ import annotations

from minari_core.local.locations import DATA_FOLDER
from minari_core.ranges.folder import FolderSource
from minari_core.ranges.source import RangeSource
from minari_hub.ranges.object_stores import OBJECT_STORES
from minari_hub.ranges.remote import RemoteSource
from minari_hub.remotes.folder import FolderRemote
from minari_hub.remotes.urls import open_url

_GOOGLE = frozenset({"gs", "gcp"})
_WEB = frozenset({"http", "https"})


def open_source(remote_url: str, dataset_id: str, token: str | None) -> RangeSource:
    """Open what reads ranges of the objects of a dataset; nothing is sent.

    Args:
        remote_url: The URL of the remote, checked.
        dataset_id: The id, valid.
        token: The credentials for that remote, as `minari_hub.open_remote` takes them.

    Raises:
        RemoteUrlError: The URL names no remote, or the token is not for it.
        MissingDependencyError: Its kind needs an extra that is not installed.
    """
    scheme = remote_url.partition("://")[0].lower()
    url = f"{remote_url.rstrip('/')}/{dataset_id}/{DATA_FOLDER}"
    # Each imports what it needs alone: the libraries of the remotes take seconds.
    if scheme in _WEB:
        from minari_hub.ranges.http_source import HttpSource

        return HttpSource(url, token)
    if scheme in _GOOGLE:
        from minari_hub.ranges.gcs_source import GcsSource

        return GcsSource(url, token)
    if scheme == "hf":
        from minari_hub.ranges.hub_source import HubSource

        return HubSource(url, token)
    if scheme in OBJECT_STORES:
        from minari_hub.ranges.object_store_source import ObjectStoreSource

        return ObjectStoreSource(url, token)
    remote = open_url(remote_url, token)
    if isinstance(remote, FolderRemote):
        return FolderSource(remote.locate(f"{dataset_id}/{DATA_FOLDER}"))
    return RemoteSource(remote, f"{dataset_id}/{DATA_FOLDER}/")
