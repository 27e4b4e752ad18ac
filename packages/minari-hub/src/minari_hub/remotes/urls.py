"""Parse URLs of remotes and of datasets, and open the remotes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, unquote

from minari_core.errors import DatasetIdError, MissingDependencyError, RemoteUrlError
from minari_core.local.dataset_id import parse_dataset_id
from minari_hub.remotes.base import TOKEN_VARIABLE, Remote

DEFAULT_REMOTE = "gs://minari-remote"
"""The remote that is used when neither the call nor ``MINARI_REMOTE`` names one."""
REMOTE_VARIABLE = "MINARI_REMOTE"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of remote."""

    module: str
    """The module beside this one whose ``open_remote(url, token)`` opens it."""
    extra: str = ""
    """The extra of this package that installs what the module imports."""
    takes_path: bool = True
    """Whether a URL may continue after its first name: then ``scheme://bucket/a`` has, under the
    name ``b``, what ``scheme://bucket`` has under ``a/b``."""
    same_as: str = ""
    """The scheme that means the same, and that the one spelling of a dataset's URL has."""


# The kinds by the schemes of their URLs; whatever is not here is left to fsspec.
_KINDS = {
    "file": _Kind("folder"),
    "gs": _Kind("gcs"),
    "gcp": _Kind("gcs", same_as="gs"),
    "hf": _Kind("huggingface", extra="hf", takes_path=False),
}
_OTHERS = _Kind("fsspec", extra="fsspec")


def open_remote(remote_path: str | None = None, token: str | None = None) -> Remote:
    """Open the remote of a URL; nothing is sent before it is used.

    Args:
        remote_path: Such as ``gs://bucket/prefix``, ``hf://organization``, ``file:///folder``,
            or the URL of any other file system that fsspec knows; None is ``$MINARI_REMOTE``,
            else `DEFAULT_REMOTE`.
        token: The credentials; None is ``$MINARI_REMOTE_TOKEN``, else anonymous. For
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
    scheme, _, path = url.partition("://")
    scheme = scheme.lower()
    kind = _KINDS.get(scheme, _OTHERS)
    if scheme != "file":
        first, *others = [name for name in path.split("/") if name] or [""]
        if not first:
            raise RemoteUrlError(f"remote {url!r} names no bucket")
        if others and not kind.takes_path:
            raise RemoteUrlError(
                f"remote {url!r} names more than an organization; write {scheme}://{first} and "
                "give the rest as the dataset's id, or to a listing as prefix="
            )
    try:
        module = import_module(f"minari_hub.remotes.{kind.module}")
    except ModuleNotFoundError as error:
        package = f"minari-hub[{kind.extra}]" if kind.extra else "minari-hub"
        raise MissingDependencyError(
            f"{url} needs the package {error.name}; install it with pip install {package!r}"
        ) from error
    remote: Remote = module.open_remote(f"{scheme}://{path}", token)
    return remote


def is_url(text: str) -> bool:
    """Return whether a text is a URL, which no dataset id is."""
    return _SCHEME.match(text) is not None


def normalize_dataset_url(url: str) -> str:
    """Return the one spelling that all spellings of the URL of a dataset have in common.

    Example:
        >>> normalize_dataset_url("GCP://bucket//D4RL/door/human-v2/")
        'gs://bucket/D4RL/door/human-v2'
    """
    head, _, path = url.partition("://")
    scheme = _KINDS.get(head.lower(), _OTHERS).same_as or head.lower()
    root = ""
    if scheme == "file":
        root, path = "/", quote(unquote(path.removeprefix("localhost")))
    return f"{scheme}://{root}{'/'.join(part for part in path.split('/') if part)}"


@dataclass(frozen=True, slots=True)
class Address:
    """One way to read the URL of a dataset: where the remote ends and the id begins."""

    remote_path: str
    """The URL of the remote."""
    dataset_id: str
    """The id of the dataset on it."""


def parse_dataset_url(url: str) -> Iterator[Address]:
    """Parse the URL of a dataset in every possible way, the longest id first.

    ``gs://bucket/D4RL/door/human-v2`` is ``D4RL/door/human-v2`` on ``gs://bucket``, or
    ``door/human-v2`` on ``gs://bucket/D4RL``, or ``human-v2`` on ``gs://bucket/D4RL/door``.

    Raises:
        DatasetIdError: The URL does not end in a dataset's id.
    """
    head, _, path = url.rstrip("/").partition("://")
    scheme = head.lower()
    names = path.split("/")
    stops = range(1, len(names)) if _KINDS.get(scheme, _OTHERS).takes_path else [1]
    found = False
    for stop in stops:
        dataset_id = "/".join(names[stop:])
        if scheme == "file":
            dataset_id = unquote(dataset_id)
        try:
            parse_dataset_id(dataset_id)
        except DatasetIdError:
            continue
        found = True
        yield Address(f"{head}://{'/'.join(names[:stop]) or '/'}", dataset_id)
    if not found:
        raise DatasetIdError(
            f"{url!r} does not end in a dataset id; write for example gs://bucket/D4RL/door/human-v2"
        )
