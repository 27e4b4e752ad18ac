"""List the datasets of a remote, and read their metadata."""

from __future__ import annotations

from minari_core.errors import DatasetIdError, MetadataError, MinariError, RemoteError
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import (
    choose_id,
    has_prefix,
    parse_dataset_id,
    select_latest_versions,
)
from minari_core.messages import warn_caller
from minari_hub.datasets.remote_dataset import RemoteDataset, ask_for_dataset
from minari_hub.remotes.base import Remote
from minari_hub.remotes.setting import RemotePath, RemoteSetting
from minari_hub.transfer.bounds import ListingClock
from minari_hub.transfer.objects import DatasetEntry
from minari_hub.transfer.threads import map_many
from minari_hub.untrusted.summary import Summary

_READERS = 16
_MOST_NAMED = 10


def list_remote_datasets(
    remote_path: RemotePath | None = None,
    prefix: str | None = None,
    latest_version: bool = False,
    compatible_minari_version: bool = False,
    token: str | None = None,
) -> dict[str, dict[str, JsonValue]]:
    """List the datasets of one or several remotes.

    Of several remotes the first that has an id counts. One that cannot be listed, or is empty, is
    a warning that names it.

    Datasets that this project uploaded cost no request besides the listing's own; of others,
    the metadata are read, several at a time. A broken dataset is left out, and one warning
    names it.

    Args:
        remote_path: The URL of the remote, such as ``gs://bucket/prefix``, or several; None is
            ``$MINARI_REMOTE``, whose URLs are separated by white space, else `DEFAULT_REMOTES`.
        prefix: Only ids that begin with this text. One that ends in a version, as ``x-v1``,
            is not the beginning of ``x-v10``.
        latest_version: Only the highest version of each dataset; with
            ``compatible_minari_version``, of those.
        compatible_minari_version: Only datasets in a format, and a version of it, that what is
            installed here reads.
        token: The credentials; see `open_remote`.

    Returns:
        The metadata of each dataset by its id, in the order of namespaces, names and versions,
        each with the URL of the remote that has it as ``remote_path``.

    Raises:
        RemoteUrlError: The URL names no remote.
        RemoteError: No remote can be listed.
        MissingDependencyError: The only one needs an extra that is not installed.
    """
    setting = RemoteSetting.parse(remote_path, token)
    found: dict[str, Summary] = {}
    places: dict[str, str] = {}
    for remote, summaries in setting.ask_all(lambda remote: _list_remote(remote, prefix or "")):
        if not (summaries or prefix or len(setting.urls) == 1):
            warn_caller(f"{remote.url} has no datasets")
        for dataset_id, summary in summaries.items():
            if found.setdefault(dataset_id, summary) is summary:
                places[dataset_id] = remote.url
    if compatible_minari_version:
        found = {each: summary for each, summary in found.items() if summary.is_readable_here}
    ordered = (
        select_latest_versions(found) if latest_version else sorted(found, key=parse_dataset_id)
    )
    return {each: _say_where(found[each], places[each]) for each in ordered}


def get_remote_metadata(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: RemotePath | None = None,
    token: str | None = None,
) -> dict[str, JsonValue]:
    """Return the metadata of one dataset on a remote; no other dataset is looked at.

    Args:
        dataset_name: Its id, or its full URL such as ``gs://bucket/D4RL/door/human-v2``.
        dataset_id: Another name of ``dataset_name``.
        remote_path: The URL of the remote, or several, of which the first that has the dataset
            counts; None is ``$MINARI_REMOTE``, else `DEFAULT_REMOTES`.
        token: The credentials; see `open_remote`.

    Returns:
        The metadata, and the URL of the remote as ``remote_path``.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: It is not there.
        MetadataError: Its metadata are malformed.
        RemoteError: The remote cannot be read.
    """

    def read(dataset: RemoteDataset) -> dict[str, JsonValue] | None:
        summary = dataset.find_summary()
        return None if summary is None else _say_where(summary, dataset.remote.url)

    return ask_for_dataset(choose_id(dataset_name, dataset_id), remote_path, token, read)


def _say_where(summary: Summary, url: str) -> dict[str, JsonValue]:
    return {**summary.metadata, "remote_path": url}


def _list_remote(remote: Remote, prefix: str) -> dict[str, Summary]:
    """List the datasets of one remote; what is broken is left out with a warning."""
    broken: list[str] = []
    entries: dict[str, DatasetEntry] = {}
    for entry in remote.datasets(prefix):
        if has_prefix(entry.dataset_id, prefix):
            try:
                entries[str(parse_dataset_id(entry.dataset_id))] = entry
            except DatasetIdError as error:
                broken.append(str(error))
    clock = ListingClock(remote.url)
    summaries = map_many(
        lambda entry: _summary_or_error(remote, entry, clock), list(entries.values()), _READERS
    )
    out_of_reach = [summary for summary in summaries if isinstance(summary, RemoteError)]
    if out_of_reach and len(out_of_reach) == len(summaries):
        raise out_of_reach[0]
    found: dict[str, Summary] = {}
    for dataset_id, summary in zip(entries, summaries, strict=True):
        if isinstance(summary, MinariError):
            broken.append(f"{dataset_id} ({summary})")
        else:
            found[dataset_id] = summary
    if broken:
        more = f"; and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
        warn_caller(
            f"left out of the list of {remote.url}, because they are broken: "
            f"{'; '.join(broken[:_MOST_NAMED])}{more}"
        )
    return found


def _summary_or_error(
    remote: Remote, entry: DatasetEntry, clock: ListingClock
) -> Summary | MinariError:
    dataset = RemoteDataset(remote, entry.dataset_id)
    where = f"the summary of {dataset.label}"
    try:
        try:
            summary = Summary.from_attached(entry.attached, where)
        except MetadataError:
            # The manifest itself may be whole.
            summary = None
        if summary is None:
            clock.note_page()
            summary = dataset.read_summary()
        said = summary.metadata.get("dataset_id", entry.dataset_id)
        if said != entry.dataset_id:
            raise MetadataError(f"its metadata says {str(said)[:80]!r}")
    except MinariError as error:
        return error
    return summary
