"""An organization of the Hugging Face Hub, laid out as the public Minari does.

The first part of a dataset's id names a dataset repository of the organization. In its root,
``namespace_metadata.json`` lists the ids of its ``datasets``; a repository without that file is
itself the dataset whose id it has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from threading import Event

from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from minari_core.errors import (
    DatasetIdError,
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_core.local.dataset_id import parse_dataset_id
from minari_hub.remotes.base import APPLICATION_DEFAULT, MANIFEST_SUFFIX, Remote
from minari_hub.transfer.checksums import Checksum
from minari_hub.transfer.objects import DatasetEntry, RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import (
    PASSING_STATUS,
    Faults,
    Result,
    keep_trying,
    translate_errors,
)
from minari_hub.transfer.threads import run_many
from minari_hub.untrusted.json_objects import read_json_object

NAMESPACE_FILE = "namespace_metadata.json"

_BLOCK = 1 << 20
_PIECE = 8 << 20
_LARGEST_NAMESPACE_FILE = 8 << 20
_MOST_TRIES = 5
_DATASET = "dataset"


class HuggingFaceRemote(Remote):
    """The dataset repositories of an organization or user."""

    def __init__(self, organization: str, token: str | None = None) -> None:
        """Name the organization; nothing is sent yet.

        Args:
            organization: Its name.
            token: An API token, or `APPLICATION_DEFAULT` for the one that is stored on this
                machine; None is anonymous.
        """
        self.url = f"hf://{organization}"
        self._organization = organization
        # The library reads False as "send none", and None as "send the stored one".
        given = False if token is None else None if token == APPLICATION_DEFAULT else token
        endpoint = os.environ.get("HF_ENDPOINT")
        self._api = HfApi(endpoint=endpoint, token=given)
        self._files = HfFileSystem(endpoint=endpoint, token=given, skip_instance_cache=True)

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files whose names begin and end so; see `Remote.find`."""
        for repository in self._find_repositories(prefix):
            within = prefix[len(repository) + 1 :]
            folder, _, _ = within.rpartition("/")
            with translate_errors(f"list {self.url}/{repository}", _choose_error):
                try:
                    entries = _list_all(
                        partial(
                            self._api.list_repo_tree,
                            self._repo_id(repository),
                            folder or None,
                            recursive=True,
                            repo_type=_DATASET,
                        )
                    )
                    for entry in entries:
                        name = f"{repository}/{entry.path}"
                        if (
                            isinstance(entry, RepoFile)
                            and name.startswith(prefix)
                            and name.endswith(suffix)
                        ):
                            yield _to_object(name, entry)
                except (EntryNotFoundError, RepositoryNotFoundError):
                    continue

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        """List the datasets that the repositories list; see `Remote.datasets`."""
        for repository in self._find_repositories(prefix):
            listed = self._read_list(repository)
            if listed is None:
                listed = [repository] if _is_id(repository) else []
            for dataset_id in listed:
                if dataset_id.startswith(prefix):
                    yield DatasetEntry(dataset_id)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        if stop <= start:
            return b""
        with translate_errors(f"read {name!r} of {self.url}", _choose_error):
            # Without a cache of its own it is a stream, which needs one request.
            block_size = _PIECE if start else 0
            with self._files.open(self._path(name), block_size=block_size, cache_type="none") as it:
                if start:
                    it.seek(start)
                content = it.read(stop - start)
        if not isinstance(content, bytes) or len(content) > stop - start:
            raise RemoteError(f"{self.url} sends something else than the bytes of {name!r}")
        return content

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack; see `Remote.download`."""
        return run_many(self._fetch, files, stop)

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Create files, in one commit for each repository; see `Remote.upload`."""
        by_repository: dict[str, list[int]] = {}
        for index, upload in enumerate(uploads):
            by_repository.setdefault(upload.name.partition("/")[0], []).append(index)
        outcomes: list[Exception | None] = [None] * len(uploads)
        for repository, indices in by_repository.items():
            additions = {
                uploads[index].name[len(repository) + 1 :]: str(uploads[index].path)
                for index in indices
            }
            faults = Faults()
            try:
                with translate_errors(
                    f"create files on {self.url}/{repository}", _choose_error, faults
                ):
                    self._commit(repository, additions, f"Add {len(additions)} files", faults)
            except RemoteError as error:
                for index in indices:
                    outcomes[index] = error
            else:
                report(sum(uploads[index].size for index in indices))
        return outcomes

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one file, and list its dataset; see `Remote.create`."""
        repository, _, path = name.partition("/")
        additions: dict[str, str | bytes] = {path: content}
        faults = Faults()
        try:
            with translate_errors(f"create {name!r} on {self.url}", _choose_error, faults):
                self._commit(repository, additions, f"Add {path}", faults, lists=name)
        except RemoteObjectExistsError:
            # An earlier try may have succeeded without the answer reaching us.
            if not faults.count or self.read(name, 0, len(content) + 1) != content:
                raise

    def _commit(
        self,
        repository: str,
        additions: Mapping[str, str | bytes],
        message: str,
        faults: Faults,
        lists: str = "",
    ) -> None:
        """Add files to a repository in one commit, if none of them is there."""
        keep_trying(
            lambda: self._commit_once(repository, additions, message, lists), _is_passing, faults
        )

    def _commit_once(
        self,
        repository: str,
        additions: Mapping[str, str | bytes],
        message: str,
        lists: str,
    ) -> None:
        repo_id = self._repo_id(repository)
        self._api.create_repo(repo_id, exist_ok=True, repo_type=_DATASET)
        for attempt in range(1, _MOST_TRIES + 1):
            head = self._api.dataset_info(repo_id).sha
            there = self._api.get_paths_info(
                repo_id, list(additions), revision=head, repo_type=_DATASET
            )
            if there:
                raise RemoteObjectExistsError(
                    f"{there[0].path!r} exists on {self.url}/{repository}"
                )
            operations = [
                CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
                for path, content in additions.items()
            ]
            operations += self._listing_operations(repository, lists, head)
            try:
                self._api.create_commit(
                    repo_id,
                    operations,
                    commit_message=message,
                    parent_commit=head,
                    repo_type=_DATASET,
                )
            except HfHubHTTPError as error:
                # 412 and 409: somebody else committed meanwhile.
                if _read_status(error) in (409, 412) and attempt < _MOST_TRIES:
                    continue
                raise
            return

    def _listing_operations(
        self, repository: str, manifest: str, head: str | None
    ) -> list[CommitOperationAdd]:
        """Return what lists a dataset, by the name of its manifest, in its repository."""
        dataset_id = manifest.removesuffix(MANIFEST_SUFFIX)
        if dataset_id in ("", manifest, repository):
            return []
        try:
            content = self._read_namespace(repository, head)
        except RemoteObjectNotFoundError:
            content = {}
        listed = content.get("datasets")
        known = (
            [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        )
        content["datasets"] = sorted({*known, dataset_id})
        text = json.dumps(content, indent=2).encode()
        return [CommitOperationAdd(path_in_repo=NAMESPACE_FILE, path_or_fileobj=text)]

    def _read_list(self, repository: str) -> list[str] | None:
        """Read the ids that a repository lists; None if it has no list."""
        try:
            content = self._read_namespace(repository, None)
        except RemoteObjectNotFoundError:
            return None
        listed = content.get("datasets", [])
        if not isinstance(listed, list):
            raise RemoteError(f"{NAMESPACE_FILE} of {self.url}/{repository} lists no datasets")
        return [each for each in listed if isinstance(each, str)]

    def _read_namespace(self, repository: str, revision: str | None) -> dict[str, object]:
        name = f"{repository}/{NAMESPACE_FILE}"
        with translate_errors(f"read {name!r} of {self.url}", _choose_error):
            path = self._path(name)
            with self._files.open(path, revision=revision, block_size=0, cache_type="none") as it:
                text = it.read(_LARGEST_NAMESPACE_FILE + 1)
        return dict(read_json_object(text, f"{self.url}/{name}", _LARGEST_NAMESPACE_FILE))

    def _find_repositories(self, prefix: str) -> Iterator[str]:
        """List the repositories whose files can have names that begin so."""
        first, slash, _ = prefix.partition("/")
        if slash:
            yield first
            return
        with translate_errors(f"list {self.url}", _choose_error):
            for found in _list_all(partial(self._api.list_datasets, author=self._organization)):
                organization, _, name = found.id.partition("/")
                if organization == self._organization and name.startswith(first):
                    yield name

    def _fetch(self, file: PartialFile) -> None:
        source = file.source
        with translate_errors(f"read {source.name!r} of {self.url}", _choose_error):
            start = file.position
            opened = self._files.open(
                self._path(source.name), block_size=_PIECE if start else 0, cache_type="none"
            )

        def read() -> bytes:
            with translate_errors(f"read {source.name!r} of {self.url}", _choose_error):
                block: bytes = opened.read(_PIECE if start else _BLOCK)
            return block

        with opened:
            if start:
                opened.seek(start)
            file.fill(read, self.url)

    def _repo_id(self, repository: str) -> str:
        return f"{self._organization}/{repository}"

    def _path(self, name: str) -> str:
        return f"datasets/{self._organization}/{name}"


def open_remote(url: str, token: str | None) -> HuggingFaceRemote:
    """Open ``hf://organization``."""
    return HuggingFaceRemote(url.partition("://")[2].strip("/"), token)


def _choose_error(error: Exception) -> type[RemoteError]:
    if isinstance(error, GatedRepoError) or _read_status(error) in (401, 403):
        return RemoteAccessError
    if isinstance(error, FileNotFoundError | EntryNotFoundError | RepositoryNotFoundError):
        return RemoteObjectNotFoundError
    return RemoteError


def _to_object(name: str, entry: RepoFile) -> RemoteObject:
    if entry.lfs is not None:
        return RemoteObject(
            name, entry.lfs.size, entry.blob_id, Checksum("sha256", entry.lfs.sha256)
        )
    return RemoteObject(name, entry.size, entry.blob_id, Checksum("git-sha1", entry.blob_id))


def _read_status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _list_all(request: Callable[[], Iterable[Result]]) -> list[Result]:
    """Make a request until it does not fail in passing; the library's own tries are few."""
    return keep_trying(lambda: list(request()), _is_passing, Faults())


def _is_passing(error: Exception) -> bool:
    status = _read_status(error)
    if status is not None:
        return status in PASSING_STATUS
    # The HTTP client's own errors, which differ by the library's version, stand before these.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError | TimeoutError) and not isinstance(cause, MinariError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _is_id(text: str) -> bool:
    try:
        parse_dataset_id(text)
    except DatasetIdError:
        return False
    return True
