"""An organization of the Hugging Face Hub, laid out as the public Minari does.

The first part of a dataset's id names a dataset repository of the organization. In its root,
``namespace_metadata.json`` lists the ids of its ``datasets``; a repository without that file is
itself the dataset whose id it has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

from minari_core.dataset_id import parse_dataset_id
from minari_core.errors import (
    DatasetIdError,
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_hub.checksums import Checksum
from minari_hub.part_file import PartFile
from minari_hub.remote import (
    APPLICATION_DEFAULT,
    MANIFEST_SUFFIX,
    DatasetEntry,
    Remote,
    RemoteObject,
    Upload,
)
from minari_hub.remote_json import read_json_object
from minari_hub.retrying import PASSING_STATUS, Faults, Result, keep_trying
from minari_hub.workers import run_many

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
        self._anonymous = token is None
        # The library reads False as "send none", and None as "send the stored one".
        given = False if token is None else None if token == APPLICATION_DEFAULT else token
        endpoint = os.environ.get("HF_ENDPOINT")
        self._api = HfApi(endpoint=endpoint, token=given)
        self._files = HfFileSystem(endpoint=endpoint, token=given, skip_instance_cache=True)

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """The files whose names begin and end so; see `Remote.find`."""
        for repository in self._repositories(prefix):
            within = prefix[len(repository) + 1 :]
            folder, _, _ = within.rpartition("/")
            with self._asking(f"list {self.url}/{repository}"):
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
                            yield _described(name, entry)
                except (EntryNotFoundError, RepositoryNotFoundError):
                    continue

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        """The datasets that the repositories list; see `Remote.datasets`."""
        for repository in self._repositories(prefix):
            listed = self._listed(repository)
            if listed is None:
                listed = [repository] if _is_id(repository) else []
            for dataset_id in listed:
                if dataset_id.startswith(prefix):
                    yield DatasetEntry(dataset_id)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """A part of a file; see `Remote.read`."""
        if stop <= start:
            return b""
        with self._asking(f"read {name!r} of {self.url}"):
            # Without a cache of its own it is a stream, which needs one request.
            block_size = _PIECE if start else 0
            with self._files.open(self._path(name), block_size=block_size, cache_type="none") as it:
                if start:
                    it.seek(start)
                content = it.read(stop - start)
        if not isinstance(content, bytes) or len(content) > stop - start:
            raise RemoteError(f"{self.url} sends something else than the bytes of {name!r}")
        return content

    def download(self, files: Sequence[PartFile], stop: Event) -> list[Exception | None]:
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
                with self._asking(f"create files on {self.url}/{repository}", faults):
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
            with self._asking(f"create {name!r} on {self.url}", faults):
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
                if _status(error) in (409, 412) and attempt < _MOST_TRIES:
                    continue
                raise
            return

    def _listing_operations(
        self, repository: str, manifest: str, head: str | None
    ) -> list[CommitOperationAdd]:
        """What lists a dataset, by the name of its manifest, in its repository."""
        dataset_id = manifest.removesuffix(MANIFEST_SUFFIX)
        if dataset_id in ("", manifest, repository):
            return []
        try:
            content = self._namespace(repository, head)
        except RemoteObjectNotFoundError:
            content = {}
        listed = content.get("datasets")
        known = (
            [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        )
        content["datasets"] = sorted({*known, dataset_id})
        text = json.dumps(content, indent=2).encode()
        return [CommitOperationAdd(path_in_repo=NAMESPACE_FILE, path_or_fileobj=text)]

    def _listed(self, repository: str) -> list[str] | None:
        """The ids that a repository lists; None if it has no list."""
        try:
            content = self._namespace(repository, None)
        except RemoteObjectNotFoundError:
            return None
        listed = content.get("datasets", [])
        if not isinstance(listed, list):
            raise RemoteError(f"{NAMESPACE_FILE} of {self.url}/{repository} lists no datasets")
        return [each for each in listed if isinstance(each, str)]

    def _namespace(self, repository: str, revision: str | None) -> dict[str, object]:
        name = f"{repository}/{NAMESPACE_FILE}"
        with self._asking(f"read {name!r} of {self.url}"):
            path = self._path(name)
            with self._files.open(path, revision=revision, block_size=0, cache_type="none") as it:
                text = it.read(_LARGEST_NAMESPACE_FILE + 1)
        return dict(read_json_object(text, f"{self.url}/{name}", _LARGEST_NAMESPACE_FILE))

    def _repositories(self, prefix: str) -> Iterator[str]:
        """The names of the repositories whose files can have names that begin so."""
        first, slash, _ = prefix.partition("/")
        if slash:
            yield first
            return
        with self._asking(f"list {self.url}"):
            for found in _list_all(partial(self._api.list_datasets, author=self._organization)):
                organization, _, name = found.id.partition("/")
                if organization == self._organization and name.startswith(first):
                    yield name

    def _fetch(self, file: PartFile) -> None:
        source = file.source
        with self._asking(f"read {source.name!r} of {self.url}"):
            start = file.position
            opened = self._files.open(
                self._path(source.name), block_size=_PIECE if start else 0, cache_type="none"
            )
        with opened:
            if start:
                opened.seek(start)
            while not file.is_complete:
                with self._asking(f"read {source.name!r} of {self.url}"):
                    block = opened.read(_PIECE if start else _BLOCK)
                if not block:
                    raise RemoteError(f"{source.name!r} of {self.url} ends before its size")
                file.write(block)

    def _repo_id(self, repository: str) -> str:
        return f"{self._organization}/{repository}"

    def _path(self, name: str) -> str:
        return f"datasets/{self._organization}/{name}"

    @contextmanager
    def _asking(self, what: str, faults: Faults | None = None) -> Iterator[None]:
        # The library raises its own errors, those of its HTTP client, and built-in ones.
        try:
            yield
        except MinariError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            tried = faults.summary() if faults else ""
            raise self._kind(error)(f"could not {what}: {said}{tried}") from error

    def _kind(self, error: Exception) -> type[RemoteError]:
        if isinstance(error, GatedRepoError) or _status(error) in (401, 403):
            return RemoteAccessError
        if isinstance(error, FileNotFoundError | EntryNotFoundError | RepositoryNotFoundError):
            return RemoteObjectNotFoundError
        return RemoteError


def _described(name: str, entry: RepoFile) -> RemoteObject:
    if entry.lfs is not None:
        return RemoteObject(
            name, entry.lfs.size, entry.blob_id, Checksum("sha256", entry.lfs.sha256)
        )
    return RemoteObject(name, entry.size, entry.blob_id, Checksum("git-sha1", entry.blob_id))


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _list_all(request: Callable[[], Iterable[Result]]) -> list[Result]:
    """Make a request until it does not fail in passing; the library's own tries are few."""
    return keep_trying(lambda: list(request()), _is_passing, Faults())


def _is_passing(error: Exception) -> bool:
    status = _status(error)
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
