"""Remote datasets: list, download and upload them.

* `list_remote_datasets`: the ids on a remote, with their metadata;
* `get_remote_metadata`: the metadata of one dataset there;
* `download_dataset`: a dataset into the local root, resumed where it stopped and checked
  before it is seen;
* `ensure_downloaded`: the same, unless it is here;
* `list_remote_namespaces`, `download_namespace_metadata`, `upload_namespace`: namespaces there,
  and what is said of them;
* `verify_remote_dataset`: whether a dataset there is sound, object by object;
* `stream_dataset`: a dataset there, read without a download;
* `upload_dataset`: a local dataset to a remote, the manifest last, so that a reader finds
  the whole dataset or none of it;
* `list_leftovers` and `remove_leftovers`: what killed downloads and uploads left;
* `open_remote`: what these are built on, for other uses of a remote.

A remote is chosen by its URL: ``gs://bucket/prefix`` (or ``gcp://``), ``hf://organization``,
``file:///a/folder``, ``https://host/folder``, or whatever ``fsspec`` opens; several are asked in
their order. The package depends on ``minari_core`` and never on ``minari_collect``; the libraries
of a remote are imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minari_core.lazy_names import load_lazily
from minari_hub._version import __version__

if TYPE_CHECKING:
    from minari_hub.datasets.download import download_dataset, ensure_downloaded
    from minari_hub.datasets.leftovers import list_leftovers, remove_leftovers
    from minari_hub.datasets.listing import get_remote_metadata, list_remote_datasets
    from minari_hub.datasets.uploading.upload import upload_dataset
    from minari_hub.datasets.verifying import verify_remote_dataset
    from minari_hub.remotes.base import DEFAULT_REMOTES, Remote
    from minari_hub.remotes.namespaces import (
        download_namespace_metadata,
        list_remote_namespaces,
        upload_namespace,
    )
    from minari_hub.remotes.setting import open_remote
    from minari_hub.streaming import stream_dataset
    from minari_hub.transfer.objects import RemoteObject

__all__ = [
    "DEFAULT_REMOTES",
    "Remote",
    "RemoteObject",
    "__version__",
    "download_dataset",
    "download_namespace_metadata",
    "ensure_downloaded",
    "get_remote_metadata",
    "list_leftovers",
    "list_remote_datasets",
    "list_remote_namespaces",
    "open_remote",
    "remove_leftovers",
    "stream_dataset",
    "upload_dataset",
    "upload_namespace",
    "verify_remote_dataset",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "minari_hub.datasets.download": ("download_dataset", "ensure_downloaded"),
            "minari_hub.datasets.leftovers": ("list_leftovers", "remove_leftovers"),
            "minari_hub.datasets.listing": ("get_remote_metadata", "list_remote_datasets"),
            "minari_hub.remotes.namespaces": (
                "download_namespace_metadata",
                "list_remote_namespaces",
                "upload_namespace",
            ),
            "minari_hub.streaming": ("stream_dataset",),
            "minari_hub.datasets.uploading.upload": ("upload_dataset",),
            "minari_hub.datasets.verifying": ("verify_remote_dataset",),
            "minari_hub.remotes.base": ("DEFAULT_REMOTES", "Remote"),
            "minari_hub.remotes.setting": ("open_remote",),
            "minari_hub.transfer.objects": ("RemoteObject",),
        },
    )
