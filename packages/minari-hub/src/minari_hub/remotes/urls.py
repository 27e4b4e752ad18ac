"""Parse URLs of remotes and of datasets, and open the remotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, unquote

from minari_core.errors import DatasetIdError, MissingDependencyError, RemoteUrlError
from minari_core.local.dataset_id import is_url, parse_dataset_id
from minari_hub.remotes.base import TOKEN_VARIABLE, Remote


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
    token: str = "(?!)"
    """A pattern of the tokens that are for this kind, and so for no other."""


# A credentials file, or an access token.
_GOOGLE_TOKEN = r".+\.json|ya29\.\S+"
# The kinds by the schemes of their URLs; whatever is not here is left to fsspec.
_KINDS = {
    "file": _Kind("folder"),
    "gs": _Kind("gcs", token=_GOOGLE_TOKEN),
    "gcp": _Kind("gcs", token=_GOOGLE_TOKEN, same_as="gs"),
    "http": _Kind("web"),
    "https": _Kind("web"),
    "hf": _Kind("huggingface", extra="hf", takes_path=False, token=r"hf_\S+"),
}
_OTHERS = _Kind("fsspec", extra="fsspec")


def check_url(url: str) -> None:
    """Check that a URL is that of a remote, as far as its text says.

    Raises:
        RemoteUrlError: It is not.
    """
    if not is_url(url):
        raise RemoteUrlError(
            f"remote {url!r} is no URL; write for example gs://bucket/prefix, hf://organization "
            f"or {Path(url).absolute().as_uri()}"
        )
    scheme, path = _split(url)
    if scheme == "file":
        return
    _check_no_secret(scheme, path)
    first, *others = [name for name in path.split("/") if name] or [""]
    if not first:
        raise RemoteUrlError(f"remote {url!r} names no bucket")
    if others and not _KINDS.get(scheme, _OTHERS).takes_path:
        raise RemoteUrlError(
            f"remote {url!r} names more than an organization; write {scheme}://{first} and "
            "give the rest as the dataset's id, or to a listing as prefix="
        )


def _check_no_secret(scheme: str, path: str) -> None:
    if scheme in ("http", "https") and ("@" in path.partition("/")[0] or "?" in path):
        # Not with its text, in which there may be a secret.
        raise RemoteUrlError(
            f"a URL of {scheme}:// is that of a folder, without credentials or a query; give a "
            f"bearer token as token=, or set {TOKEN_VARIABLE}"
        )


def open_url(url: str, token: str | None) -> Remote:
    """Open the remote of a URL that is checked; nothing is sent.

    Raises:
        RemoteUrlError: The URL names no remote all the same.
        MissingDependencyError: Its kind needs an extra that is not installed.
    """
    scheme, path = _split(url)
    kind = _KINDS.get(scheme, _OTHERS)
    try:
        module = import_module(f"minari_hub.remotes.{kind.module}")
    except ImportError as error:
        package = f"minari-hub[{kind.extra}]" if kind.extra else "minari-hub"
        which = "the" if isinstance(error, ModuleNotFoundError) else "another version of the"
        raise MissingDependencyError(
            f"{url} needs {which} package {error.name}; install it with pip install {package!r}"
        ) from error
    remote: Remote = module.open_remote(f"{scheme}://{path}", token)
    return remote


def takes_token(url: str) -> bool:
    """Return whether a remote of this kind takes a token at all."""
    return _split(url)[0] != "file"


def is_token_of(url: str, token: str) -> bool | None:
    """Return whether a token looks like one for the remote of a URL; None if like that of none."""
    kinds = {kind.module for kind in _KINDS.values() if re.fullmatch(kind.token, token)}
    return _KINDS.get(_split(url)[0], _OTHERS).module in kinds if kinds else None


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
        RemoteUrlError: It has credentials or a query, and is one of the web.
    """
    head, _, path = url.rstrip("/").partition("://")
    scheme = head.lower()
    _check_no_secret(scheme, path)
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


def _split(url: str) -> tuple[str, str]:
    """Split a URL into its scheme, in lower case, and its path."""
    scheme, _, path = url.partition("://")
    return scheme.lower(), path
