"""One dataset on a remote: found by its id or URL, and its objects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from minari_core.errors import DatasetIdError, DatasetNotFoundError, RemoteObjectNotFoundError
from minari_core.files import MANIFEST_NAME
from minari_core.local.dataset_id import is_url, parse_dataset_id
from minari_core.local.finding import suggest_ids
from minari_core.local.locations import DATA_FOLDER
from minari_core.local.replacing import holds_local_dataset
from minari_hub.remotes.base import Remote
from minari_hub.remotes.setting import RemotePath, RemoteSetting, open_remote
from minari_hub.remotes.urls import Address, normalize_dataset_url, parse_dataset_url
from minari_hub.transfer.bounds import limit_listings
from minari_hub.transfer.objects import RemoteObject
from minari_hub.untrusted.summary import Summary

Answer = TypeVar("Answer")

LARGEST_MANIFEST = 256 << 20
"""The most bytes that the manifest of a dataset may have."""

# What is not there is like something that is soon found, or like nothing.
_MOST_ENTRIES = 10_000
_SUGGESTION_SECONDS = 2.0

LARGEST_LISTED_MANIFEST = 16 << 20
"""The most bytes of a manifest that are read only to show what it says."""


@dataclass(frozen=True, slots=True)
class RemoteDataset:
    """The address of a dataset on a remote, which need not have it."""

    remote: Remote
    """The remote."""
    dataset_id: str
    """The id, valid."""

    @property
    def prefix(self) -> str:
        """The prefix that the names of its objects share with no other dataset's."""
        return f"{self.dataset_id}/{DATA_FOLDER}/"

    @property
    def url(self) -> str:
        """Its full URL, spelled in one way."""
        return normalize_dataset_url(f"{self.remote.url}/{self.dataset_id}")

    @property
    def label(self) -> str:
        """Its name for a message."""
        return f"{self.dataset_id!r} on {self.remote.url}"

    def read_summary(self) -> Summary:
        """Read what its manifest says.

        Raises:
            RemoteObjectNotFoundError: It has none.
            MetadataError: The manifest is malformed.
        """
        name = self.prefix + MANIFEST_NAME
        text = self.remote.read(name, 0, LARGEST_LISTED_MANIFEST + 1)
        return Summary.from_manifest(text, f"{self.remote.url}/{name}", LARGEST_LISTED_MANIFEST)

    def find_summary(self) -> Summary | None:
        """Read what its manifest says; None if it has none.

        Raises:
            MetadataError: The manifest is malformed.
        """
        try:
            return self.read_summary()
        except RemoteObjectNotFoundError:
            return None

    def list_objects(self) -> dict[str, RemoteObject]:
        """List the objects of its data, by their names in the data folder, which are unchecked.

        What stands for a folder in a bucket is left out.
        """
        return {
            found.name[len(self.prefix) :]: found
            for found in self.remote.find(self.prefix)
            if not (found.name.endswith("/") and found.size == 0)
        }

    def build_not_found_error(self) -> DatasetNotFoundError:
        """Return the error that it is not there, which names its versions, or what is like it."""
        if not self.remote.lists_datasets:
            return DatasetNotFoundError(f"There is no dataset {self.label}")
        unversioned = parse_dataset_id(self.dataset_id).unversioned
        problem = f"Couldn't find any version for dataset {unversioned}"
        hint = self._suggest_ids(f"{unversioned}-v")
        if hint:
            problem = f"The dataset version, {self.dataset_id}, doesn't exist"
        else:
            hint = self._suggest_ids("")
        return DatasetNotFoundError(
            f"{problem} in {self.remote.label}. {self.remote.url}: "
            f"{hint or f'list_remote_datasets({self.remote.url!r}) shows which there are'}"
        )

    def _suggest_ids(self, prefix: str) -> str:
        """Say which ids with a prefix may be meant, among those that are soon found."""
        found: list[str] = []
        with suppress(OSError, ValueError), limit_listings(_SUGGESTION_SECONDS):
            for entry in islice(self.remote.datasets(prefix), _MOST_ENTRIES):
                found.append(entry.dataset_id)
        return suggest_ids(self.dataset_id, found)


def ask_for_dataset(
    wanted: str,
    remote_path: RemotePath | None,
    token: str | None,
    work: Callable[[RemoteDataset], Answer | None],
) -> Answer:
    """Ask remotes until one has a dataset; see `RemoteSetting.ask_first`.

    Args:
        wanted: Its id, or its full URL, which says the remote too.
        remote_path: The remotes, unless the URL says it.
        token: The credentials.
        work: Asks one; None says that the dataset is not there.

    Raises:
        DatasetIdError: There is no valid id.
        RemoteUrlError: The URL names no remote.
        DatasetNotFoundError: No remote has it; the message says for each which versions are there.
        MinariError: A remote that may have it has failed, and no other has it.
    """
    if is_url(wanted):
        dataset = locate(wanted, token)
        answer = work(dataset)
        if answer is None:
            raise dataset.build_not_found_error()
        return answer
    dataset_id = str(parse_dataset_id(wanted))
    setting = RemoteSetting.parse(remote_path, token)
    return setting.ask_first(
        lambda url: work(RemoteDataset(setting.open(url), dataset_id)),
        lambda url: RemoteDataset(setting.open(url), dataset_id).build_not_found_error(),
    )


def locate(url: str, token: str | None, *, local: bool = False) -> RemoteDataset:
    """Resolve the URL of a dataset to its address.

    Args:
        url: The full URL.
        token: The credentials.
        local: Whether it is the local dataset that exists, not the one on the remote.

    Raises:
        DatasetIdError: The URL does not end in a valid id.
        RemoteUrlError: The URL names no remote.
        DatasetNotFoundError: There is no such dataset.
    """
    addresses = list(parse_dataset_url(url))
    chosen = _choose_local_address(addresses) if local else _choose_remote_address(addresses, token)
    return RemoteDataset(open_remote(chosen.remote_path, token), chosen.dataset_id)


def _choose_local_address(addresses: list[Address]) -> Address:
    """Choose the address whose id is a local dataset's.

    Raises:
        DatasetIdError: Several local datasets have one of the ids.
        DatasetNotFoundError: No local dataset has one of them.
    """
    here = [each for each in addresses if holds_local_dataset(each.dataset_id)]
    if len(here) == 1:
        return here[0]
    if here:
        which = ", or ".join(
            f"{each.dataset_id!r} with remote_path={each.remote_path!r}" for each in here
        )
        raise DatasetIdError(
            f"{here[0].remote_path}/{here[0].dataset_id} may mean {len(here)} local datasets; give "
            f"{which}"
        )
    ids = ", ".join(repr(address.dataset_id) for address in addresses)
    which = f"{ids} is no" if len(addresses) == 1 else f"none of {ids} is a"
    raise DatasetNotFoundError(
        f"{which} local dataset; list_local_datasets() shows them, and download_dataset() makes "
        "a remote one local"
    )


def _choose_remote_address(addresses: list[Address], token: str | None) -> Address:
    """Choose the address that the manifest at its end confirms."""
    if len(addresses) == 1:
        return addresses[0]
    # Wherever the id begins, it is the same object.
    longest, shortest = addresses[0], addresses[-1]
    # What follows the bucket; in a folder somewhere, only its name.
    likeliest = shortest if shortest.remote_path.startswith("file:") else longest
    dataset = RemoteDataset(open_remote(likeliest.remote_path, token), likeliest.dataset_id)
    summary = dataset.find_summary()
    if summary is None:
        raise dataset.build_not_found_error()
    said = summary.metadata.get("dataset_id")
    for address in addresses:
        if address.dataset_id == said:
            return address
    return likeliest
