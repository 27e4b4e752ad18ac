"""The metadata of namespaces on a remote: ``namespace_metadata.json`` beside their datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from minari_core import get_namespace_metadata, list_local_namespaces
from minari_core.errors import (
    DatasetIdError,
    MetadataError,
    NamespaceError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_core.json_values import JsonObject
from minari_core.local.namespaces import (
    NAMESPACE_METADATA,
    namespace_hierarchy,
    write_namespace_metadata,
)
from minari_core.messages import warn_caller
from minari_hub.remotes.base import Remote
from minari_hub.remotes.setting import RemotePath, RemoteSetting
from minari_hub.untrusted.json_objects import read_json_object

_LARGEST_NBYTES = 8 << 20
# A repository of the Hugging Face Hub keeps these in the same file.
_LISTS = ("datasets", "namespaces")


def list_remote_namespaces(
    remote_path: RemotePath | None = None, token: str | None = None
) -> list[str]:
    """List the namespaces of one or several remotes, also those without datasets, sorted.

    Args:
        remote_path: As `minari_hub.list_remote_datasets` takes it.
        token: The credentials; see `minari_hub.open_remote`.

    Raises:
        RemoteUrlError: The URL names no remote.
        RemoteError: No remote can be listed.
        MissingDependencyError: The only one needs an extra that is not installed.
    """
    setting = RemoteSetting.parse(remote_path, token)
    names: set[str] = set()
    for remote, found in setting.ask_all(_list_namespaces):
        if not (found or len(setting.urls) == 1):
            warn_caller(f"{remote.url} has no namespaces")
        names |= found
    return sorted(names)


def download_namespace_metadata(
    namespace: str,
    overwrite: bool = False,
    *,
    remote_path: RemotePath | None = None,
    token: str | None = None,
) -> None:
    """Download what is said of a namespace; it is created here if it is not there yet.

    Args:
        namespace: Its name.
        overwrite: Whether to replace what is said of it here.
        remote_path: The URL of the remote, or several, of which the first that has the namespace
            counts; None is ``$MINARI_REMOTE``, else `minari_hub.DEFAULT_REMOTES`.
        token: The credentials; see `minari_hub.open_remote`.

    Raises:
        DatasetIdError: The name is malformed.
        NamespaceError: No remote has such a namespace.
        MetadataError: What the remote has is no JSON object.
        RemoteError: The remote cannot be read.
    """
    namespace_hierarchy(namespace)  # checks the name
    if not overwrite and namespace in list_local_namespaces():
        warn_caller(
            f"Skipping update for namespace {namespace!r} due to existing local metadata. Set "
            "overwrite=True to overwrite local data."
        )
        return

    setting = RemoteSetting.parse(remote_path, token)

    def read(url: str) -> JsonObject | None:
        try:
            return _read(setting.open(url), namespace)
        except RemoteObjectNotFoundError:
            return None

    def explain(url: str) -> NamespaceError:
        remote = setting.open(url)
        return NamespaceError(
            f"The namespace {namespace!r} doesn't exist in {remote.label}. {remote.url} has no "
            f"{namespace}/{NAMESPACE_METADATA}"
        )

    content = setting.ask_first(read, explain)
    write_namespace_metadata(namespace, content)


def upload_namespace(
    namespace: str, token: str | None = None, *, remote_path: RemotePath | None = None
) -> None:
    """Upload what is said of a namespace and its parents; nothing on the remote is replaced.

    Args:
        namespace: Its name.
        token: The credentials; see `minari_hub.open_remote`.
        remote_path: The URL of the remote; None is ``$MINARI_REMOTE``, if that is one URL.

    Raises:
        DatasetIdError: The name is malformed.
        RemoteUrlError: No remote is named, or several are.
        NamespaceError: There is no such namespace here.
        RemoteError: The remote cannot be reached, or refuses.
    """
    namespace_hierarchy(namespace)  # checks the name
    if namespace not in list_local_namespaces():
        raise NamespaceError(
            f"Namespace {namespace!r} does not exist locally; list_local_namespaces() shows which "
            "there are"
        )
    get_namespace_metadata(namespace)
    remote = RemoteSetting.parse(remote_path, token).open_only("an upload goes to")
    if namespace not in publish_namespaces(remote, namespace):
        warn_caller(f"Upload aborted. Namespace {namespace!r} is already in remote.")


def publish_namespaces(remote: Remote, namespace: str) -> list[str]:
    """Create the metadata of a namespace and its parents on a remote, where they are missing.

    Returns:
        The namespaces whose metadata were created.

    Raises:
        RemoteError: The remote cannot be reached, or refuses.
    """
    created: list[str] = []
    here = set(list_local_namespaces())
    for name in namespace_hierarchy(namespace) if namespace else ():
        path = f"{name}/{NAMESPACE_METADATA}"
        if name not in here or _has(remote, path):
            continue
        content = json.dumps(get_namespace_metadata(name)).encode("ascii")
        try:
            remote.create(path, content, {})
        except RemoteObjectExistsError:  # of somebody else, just now
            continue
        created.append(name)
    return created


def fetch_new_namespaces(remote: Remote, namespace: str) -> dict[str, JsonObject]:
    """Read what a remote says of a namespace and its parents, of those that are not here.

    A dataset is of use without that, so that what cannot be read is a warning.
    """
    return dict(_fetch(remote, namespace)) if namespace else {}


def _fetch(remote: Remote, namespace: str) -> Iterator[tuple[str, JsonObject]]:
    here = set(list_local_namespaces())
    for name in namespace_hierarchy(namespace):
        if name not in here:
            try:
                yield name, _read(remote, name)
            except RemoteObjectNotFoundError:
                continue
            except (RemoteError, MetadataError) as error:
                warn_caller(f"what is said of the namespace {name!r} is not downloaded: {error}")


def _list_namespaces(remote: Remote) -> set[str]:
    """List the namespaces that have metadata or datasets, and their parents."""
    listed = {*remote.namespaces()}
    listed |= {each.dataset_id.rpartition("/")[0] for each in remote.datasets()}
    names: set[str] = set()
    for each in listed - {""}:
        # A name that is none is that of no namespace either.
        with suppress(DatasetIdError):
            names |= {*namespace_hierarchy(each)}
    return names


def _read(remote: Remote, namespace: str) -> JsonObject:
    path = f"{namespace}/{NAMESPACE_METADATA}"
    text = remote.read(path, 0, _LARGEST_NBYTES + 1)
    content = read_json_object(text, f"{remote.url}/{path}", _LARGEST_NBYTES)
    lists = _LISTS if remote.url.startswith("hf:") else ()
    return {key: value for key, value in content.items() if key not in lists}


def _has(remote: Remote, path: str) -> bool:
    try:
        remote.read(path, 0, 1)
    except RemoteObjectNotFoundError:
        return False
    return True
