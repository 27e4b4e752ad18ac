"""From a URL to the remote that it names, and to the dataset in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from minari_core.errors import DatasetIdError, MissingDependencyError, RemoteUrlError
from minari_core.local.dataset_id import parse_dataset_id
from minari_hub.remotes.base import Remote

DEFAULT_REMOTE = "gs://minari-remote"
"""The remote that is used when neither the call nor ``MINARI_REMOTE`` names one."""
REMOTE_VARIABLE = "MINARI_REMOTE"
TOKEN_VARIABLE = "MINARI_REMOTE_TOKEN"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_GCS_SCHEMES = frozenset({"gs", "gcp"})


def open_remote(remote_path: str | None = None, token: str | None = None) -> Remote:
    """Open the remote of a URL; nothing is sent before it is used.

    Args:
        remote_path: Such as ``gs://bucket/prefix``, ``hf://organization``, ``file:///folder``,
            or the URL of any other file system that fsspec knows; None is ``$MINARI_REMOTE``,
            else `DEFAULT_REMOTE`.
        token: What proves who asks; None is ``$MINARI_REMOTE_TOKEN``, else anonymous. For
            ``gs://`` the path of a credentials file, ``application-default`` for what
            ``gcloud auth application-default login`` left, or an access token; for ``hf://``
            the API token, or ``application-default`` for what ``hf auth login`` left.

    Raises:
        RemoteUrlError: The URL names no remote.
        MissingDependencyError: Its kind needs an extra that is not installed.
    """
    url = remote_path or os.environ.get(REMOTE_VARIABLE) or DEFAULT_REMOTE
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE) or None
    if not _SCHEME.match(url):
        raise RemoteUrlError(
            f"remote {url!r} is no URL; write for example gs://bucket/prefix, hf://organization "
            f"or {Path(url).absolute().as_uri()}"
        )
    scheme, _, place = url.partition("://")
    scheme = scheme.lower()
    if scheme == "file":
        from minari_hub.remotes.folder import FolderRemote

        return FolderRemote(_folder_of(url))
    parts = [part for part in place.split("/") if part]
    if not parts:
        raise RemoteUrlError(f"remote {url!r} names no bucket")
    if scheme in _GCS_SCHEMES:
        from minari_hub.remotes.gcs import GcsRemote

        return GcsRemote(parts[0], "/".join(parts[1:]), token)
    if scheme == "hf":
        return _open_hugging_face(parts, url, token)
    return _open_fsspec(scheme, place, token)


def is_url(text: str) -> bool:
    """Whether a text is a URL, which no dataset id is."""
    return _SCHEME.match(text) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """One way to read the URL of a dataset: where the remote ends and the id begins."""

    remote_path: str
    """The URL of the remote."""
    dataset_id: str
    """The id of the dataset on it."""


def addresses_of(url: str) -> Iterator[Address]:
    """The ways to read the URL of a dataset, the longest id first.

    ``gs://bucket/D4RL/door/human-v2`` is ``D4RL/door/human-v2`` on ``gs://bucket``, or
    ``door/human-v2`` on ``gs://bucket/D4RL``, or ``human-v2`` on ``gs://bucket/D4RL/door``.

    Raises:
        DatasetIdError: The URL does not end in a dataset's id.
    """
    head, _, place = url.rstrip("/").partition("://")
    scheme = head.lower()
    parts = place.split("/")
    # On the Hugging Face Hub, the first part of an id is a repository.
    stops = [1] if scheme == "hf" else range(1, len(parts))
    found = False
    for stop in stops:
        dataset_id = "/".join(parts[stop:])
        if scheme == "file":
            dataset_id = unquote(dataset_id)
        try:
            parse_dataset_id(dataset_id)
        except DatasetIdError:
            continue
        found = True
        yield Address(f"{head}://{'/'.join(parts[:stop]) or '/'}", dataset_id)
    if not found:
        raise DatasetIdError(
            f"{url!r} does not end in a dataset id; write for example gs://bucket/D4RL/door/human-v2"
        )


def _folder_of(url: str) -> Path:
    # It brings an HTTP client with it, which takes longer to import than the rest of the hub.
    from urllib.request import url2pathname

    split = urlsplit(url)
    if "?" in url or "#" in url:
        # Taken as a query or a fragment, it would name another folder.
        raise RemoteUrlError(
            f"remote {url!r} has a '?' or '#', which end the path of a URL; write %3F or %23 for "
            "those in a folder's name"
        )
    if split.netloc not in ("", "localhost"):
        raise RemoteUrlError(
            f"remote {url!r} names the host {split.netloc!r}; a folder here has three slashes: "
            f"file:///{split.netloc}{split.path}"
        )
    return Path(url2pathname(split.path))


def _open_hugging_face(parts: list[str], url: str, token: str | None) -> Remote:
    if len(parts) != 1:
        raise RemoteUrlError(
            f"remote {url!r} names more than an organization; write hf://{parts[0]} and give the "
            "rest as the dataset's id or as prefix="
        )
    try:
        from minari_hub.remotes.huggingface import HuggingFaceRemote
    except ModuleNotFoundError as error:
        raise _missing(error, "hf", url) from error
    return HuggingFaceRemote(parts[0], token)


def _open_fsspec(scheme: str, place: str, token: str | None) -> Remote:
    url = f"{scheme}://{place}"
    try:
        from minari_hub.remotes.fsspec import FsspecRemote
    except ModuleNotFoundError as error:
        raise _missing(error, "fsspec", url) from error
    return FsspecRemote(url, token)


def _missing(error: ModuleNotFoundError, extra: str, url: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"{url} needs the package {error.name}; install it with pip install 'minari-hub[{extra}]'"
    )
