"""An organization of the Hugging Face Hub, laid out as the public Minari does.

The first part of a dataset's id names a dataset repository of the organization. In its root,
``namespace_metadata.json`` lists the ids of its ``datasets``; a repository without that file is
itself the dataset whose id it has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from minari_core.errors import (
    DatasetIdError,
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_core.json_values import JsonObject
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.messages import warn_caller
from minari_hub.cards.card import Card
from minari_hub.cards.readme import LARGEST as LARGEST_README
from minari_hub.cards.readme import NAME as README
from minari_hub.cards.readme import update_readme
from minari_hub.remotes.base import APPLICATION_DEFAULT, GIVE_TOKEN, MANIFEST_SUFFIX, Remote
from minari_hub.remotes.huggingface_http import HubSession
from minari_hub.transfer.bounded_http import PASSING_HTTP_ERRORS
from minari_hub.transfer.bounds import ListingClock, ReadClock, bound_listing
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
from minari_hub.transfer.web_session import StatusError
from minari_hub.untrusted.json_objects import read_json_object

NAMESPACE_FILE = "namespace_metadata.json"

_LARGEST_NAMESPACE_FILE = 8 << 20
_MOST_TRIES = 5
_DATASET = "dataset"
_DATASETS, _NAMESPACES = "datasets", "namespaces"
_MAIN = "main"


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
        self._token = get_token() if token == APPLICATION_DEFAULT else token
        # The library reads False as "send none", and None as "send the stored one".
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=self._token or False)
        # What is read goes past the library, which bounds neither the size of an answer nor the
        # time that it takes.
        self._session = HubSession(self._api.endpoint, self._token)

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files whose names have a prefix and a suffix; see `Remote.find`."""
        yield from bound_listing(self._find(prefix, suffix), self.url)

    def _find(self, prefix: str, suffix: str) -> Iterator[RemoteObject]:
        clock = ListingClock(self.url)
        for repository in self._find_repositories(prefix, clock):
            within = prefix[len(repository) + 1 :]
            folder, _, _ = within.rpartition("/")
            path = f"{self._api_path(repository)}/tree/{_MAIN}/{folder}".rstrip("/")
            try:
                for entry in self._list(path, {"recursive": "true"}, clock):
                    name = f"{repository}/{entry['path']}"
                    if (
                        entry.get("type") == "file"
                        and name.startswith(prefix)
                        and name.endswith(suffix)
                    ):
                        yield _to_object(name, entry)
            except RemoteObjectNotFoundError:
                continue
            except (KeyError, TypeError, ValueError) as error:
                if isinstance(error, MinariError):
                    raise
                raise RemoteError(
                    f"could not list {self.url}/{repository}: it sends something else than files"
                ) from error

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        """List the datasets that the repositories list; see `Remote.datasets`."""
        clock = ListingClock(self.url)
        for repository in self._find_repositories(prefix, clock):
            listed = self._read_list(repository)
            clock.note_page()
            if listed is None:
                listed = [repository] if _is_id(repository) else []
            for dataset_id in listed:
                if dataset_id.startswith(prefix):
                    yield DatasetEntry(dataset_id)

    def namespaces(self) -> Iterator[str]:
        """List the repositories, and the namespaces that they list; see `Remote.namespaces`."""
        clock = ListingClock(self.url)
        for repository in self._find_repositories("", clock):
            clock.note_page()
            with suppress(RemoteObjectNotFoundError):
                content = self._read_namespace(repository, _MAIN)
                yield repository
                yield from _list_texts(content, _NAMESPACES)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        return self._read(name, start, stop, _MAIN)

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack; see `Remote.download`."""
        return run_many(lambda file: self._fetch(file, stop), files, stop)

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
                with self._translate_errors(f"create files on {self.url}/{repository}", faults):
                    self._commit(repository, additions, f"Add {len(additions)} files", faults)
            except RemoteError as error:
                for index in indices:
                    outcomes[index] = error
            else:
                report(sum(uploads[index].size for index in indices))
        return outcomes

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one file, and list its dataset; see `Remote.create`."""
        self._create(name, content, None)

    def publish(
        self,
        name: str,
        manifest: bytes,
        metadata: Mapping[str, str],
        describe: Callable[[], Card],
    ) -> None:
        """Create a manifest, list its dataset, and show its card; see `Remote.publish`."""
        self._create(name, manifest, describe())

    def _create(self, name: str, content: bytes, card: Card | None) -> None:
        repository, _, path = name.partition("/")
        additions: dict[str, str | bytes] = {path: content}
        faults = Faults()
        try:
            with self._translate_errors(f"create {name!r} on {self.url}", faults):
                self._commit(repository, additions, f"Add {path}", faults, lists=name, card=card)
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
        card: Card | None = None,
    ) -> None:
        """Add files to a repository in one commit, if none of them is there."""
        keep_trying(
            lambda: self._commit_once(repository, additions, message, lists, card),
            _is_passing,
            faults,
        )

    def _commit_once(
        self,
        repository: str,
        additions: Mapping[str, str | bytes],
        message: str,
        lists: str,
        card: Card | None,
    ) -> None:
        repo_id = self._repo_id(repository)
        self._api.create_repo(repo_id, exist_ok=True, repo_type=_DATASET)
        for attempt in range(1, _MOST_TRIES + 1):
            head = str(self._session.get_json(self._api_path(repository))["sha"])
            there = self._session.find_paths(self._api_path(repository), head, list(additions))
            if there:
                raise RemoteObjectExistsError(f"{there[0]!r} exists on {self.url}/{repository}")
            operations = [
                CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
                for path, content in additions.items()
            ]
            operations += self._listing_operations(repository, lists, head)
            if card is not None:
                operations += self._card_operations(repository, card, head)
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
            except ValueError as error:
                # The Hub refuses the YAML of a README, such as what somebody wrote there.
                if card is None or attempt == _MOST_TRIES:
                    raise
                warn_caller(f"{self.url}/{repository} shows no card of {card.dataset_id}: {error}")
                card = None
                continue
            return

    def _card_operations(
        self, repository: str, card: Card, head: str
    ) -> Iterator[CommitOperationAdd]:
        """Return what shows a dataset on the page of its repository."""
        # One that is there was put there by somebody.
        further = {f"{card.folder}{name}": str(path) for name, path in card.files.items()}
        there = further and self._session.find_paths(
            self._api_path(repository), head, list(further)
        )
        for shown, path in further.items():
            if shown not in there:
                yield CommitOperationAdd(path_in_repo=shown, path_or_fileobj=path)
        name = f"{repository}/{README}"
        try:
            content = self._read(name, 0, LARGEST_README + 1, head)
        except RemoteObjectNotFoundError:
            content = b""
        try:
            if len(content) > LARGEST_README:
                raise ValueError(f"it has more than {LARGEST_README} bytes")
            before = content.decode("utf-8-sig")
        except ValueError as error:
            warn_caller(f"{self.url}/{name} is left as it is: {error}")
            return
        picture = None
        if card.preview is not None:
            picture = f"{card.folder}preview{card.preview.suffix.lower()}"
            if not self._session.find_paths(self._api_path(repository), head, [picture]):
                yield CommitOperationAdd(path_in_repo=picture, path_or_fileobj=str(card.preview))
        text = update_readme(before, card, picture)
        yield CommitOperationAdd(path_in_repo=README, path_or_fileobj=text.encode())

    def _listing_operations(
        self, repository: str, name: str, head: str
    ) -> list[CommitOperationAdd]:
        """Return what lists a dataset or namespace, by the name of its file, in its repository."""
        for key, suffix in ((_DATASETS, MANIFEST_SUFFIX), (_NAMESPACES, f"/{NAMESPACE_FILE}")):
            new = name.removesuffix(suffix)
            if new in ("", name, repository):
                continue
            try:
                content = self._read_namespace(repository, head)
            except RemoteObjectNotFoundError:
                content = {}
            content[key] = [*sorted({*_list_texts(content, key), new})]
            text = json.dumps(content, indent=2).encode()
            return [CommitOperationAdd(path_in_repo=NAMESPACE_FILE, path_or_fileobj=text)]
        return []

    def _read_list(self, repository: str) -> list[str] | None:
        """Read the ids that a repository lists; None if it has no list."""
        try:
            content = self._read_namespace(repository, _MAIN)
        except RemoteObjectNotFoundError:
            return None
        if not isinstance(content.get(_DATASETS, []), list):
            raise RemoteError(f"{NAMESPACE_FILE} of {self.url}/{repository} lists no datasets")
        return _list_texts(content, _DATASETS)

    def _read_namespace(self, repository: str, revision: str) -> JsonObject:
        name = f"{repository}/{NAMESPACE_FILE}"
        text = self._read(name, 0, _LARGEST_NAMESPACE_FILE + 1, revision)
        return read_json_object(text, f"{self.url}/{name}", _LARGEST_NAMESPACE_FILE)

    def _find_repositories(self, prefix: str, clock: ListingClock) -> Iterator[str]:
        """List the repositories whose files can have names that begin so."""
        first, slash, _ = prefix.partition("/")
        if slash:
            yield first
            return
        entries = self._list("api/datasets", {"author": self._organization}, clock)
        for entry in bound_listing(entries, self.url):
            organization, _, name = str(entry.get("id")).partition("/")
            if organization == self._organization and name.startswith(first):
                yield name

    def _list(
        self, path: str, query: Mapping[str, str], clock: ListingClock
    ) -> Iterator[JsonObject]:
        """List what an address of the Hub lists, page by page."""
        yield from self._session.list_pages(path, query, clock, self.url, self._ask)

    def _read(self, name: str, start: int, stop: int, revision: str) -> bytes:
        if stop <= start:
            return b""
        repository, _, path = name.partition("/")
        where = f"datasets/{self._repo_id(repository)}/resolve/{revision}/{path}"
        clock = ReadClock(stop - start, f"{name!r} of {self.url}")
        return self._ask(
            f"read {name!r} of {self.url}",
            lambda: b"".join(clock.watch(self._session.read_range(where, start, stop))),
        )

    def _fetch(self, file: PartialFile, stop: Event) -> None:
        repository, _, path = file.source.name.partition("/")
        where = f"datasets/{self._repo_id(repository)}/resolve/{_MAIN}/{path}"

        def go_on() -> None:
            # After a fault, from where it was.
            blocks = self._session.read_range(where, file.position, file.source.size)
            file.fill(lambda: next(blocks, b""), self.url)

        self._ask(f"read {file.source.name!r} of {self.url}", go_on, Faults(stop))

    def _ask(self, what: str, work: Callable[[], Result], faults: Faults | None = None) -> Result:
        """Make an idempotent request, with retries."""
        faults = faults or Faults()
        with self._translate_errors(what, faults):
            return keep_trying(work, _is_passing, faults)

    @contextmanager
    def _translate_errors(self, what: str, faults: Faults) -> Iterator[None]:
        try:
            with translate_errors(what, _choose_error, faults):
                yield
        except RemoteAccessError as error:
            hint = (
                f"it is not there, or not for everybody: {GIVE_TOKEN}"
                if self._token is None
                else "the token is wrong, or lacks the permission"
            )
            raise RemoteAccessError(f"{error}; {hint}") from error

    def _api_path(self, repository: str) -> str:
        return f"api/datasets/{self._repo_id(repository)}"

    def _repo_id(self, repository: str) -> str:
        return f"{self._organization}/{repository}"


def open_remote(url: str, token: str | None) -> HuggingFaceRemote:
    """Open ``hf://organization``."""
    return HuggingFaceRemote(url.partition("://")[2].strip("/"), token)


def _choose_error(error: Exception) -> type[RemoteError]:
    status = _read_status(error)
    if status in (401, 403):
        return RemoteAccessError
    if status == 404 or isinstance(error, EntryNotFoundError | RepositoryNotFoundError):
        return RemoteObjectNotFoundError
    return RemoteError


def _to_object(name: str, entry: JsonObject) -> RemoteObject:
    """Convert what the Hub says of a file; what is malformed raises a built-in error."""
    oid, size, large = str(entry["oid"]), entry["size"], entry.get("lfs")
    checksum = Checksum("git-sha1", oid)
    if isinstance(large, dict):
        size, checksum = large["size"], Checksum("sha256", str(large["oid"]))
    if type(size) is not int or size < 0:
        raise ValueError(f"{name!r} has {size!r} bytes")
    return RemoteObject(name, size, oid, checksum)


def _list_texts(content: JsonObject, key: str) -> list[str]:
    listed = content.get(key)
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _read_status(error: Exception) -> int | None:
    if isinstance(error, StatusError):
        return error.status
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _is_passing(error: Exception) -> bool:
    if isinstance(error, MinariError):
        return False
    status = _read_status(error)
    if status is not None:
        return status in PASSING_STATUS
    if isinstance(error, PASSING_HTTP_ERRORS):
        return True
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
