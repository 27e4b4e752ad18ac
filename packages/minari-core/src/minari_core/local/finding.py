"""Find the ids of the local datasets, and those that may be meant by an id that has none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches

from minari_core.errors import DatasetIdError, DatasetNotFoundError
from minari_core.files import make_read_error, may_not_read
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.local.folders import walk_folders
from minari_core.local.locations import dataset_folder, datasets_root
from minari_core.local.replacing import hold_off_replacements, is_replacing

_MOST_VERSIONS = 10
_MOST_NAMES = 3


def list_local_ids() -> set[str]:
    """Return the ids of all folders under the datasets' root that look like datasets.

    Raises:
        DatasetAccessError: The root may not be read.
        DatasetBusyError: No more files can be opened.
    """
    root = datasets_root()
    try:
        os.scandir(root).close()
    except OSError as error:
        if may_not_read(error):
            raise make_read_error(root, error) from error
        return set()
    may_miss = is_replacing()
    names = {name for name, is_dataset in walk_folders(root) if is_dataset}
    if may_miss or is_replacing():
        with hold_off_replacements():
            names |= {name for name, is_dataset in walk_folders(root) if is_dataset}
    return {name for name in names if _is_id(name)}


def build_not_found_error(dataset_id: str, advice: str = "") -> DatasetNotFoundError:
    """Return the error that says that there is no local dataset of an id, and what there is.

    Args:
        dataset_id: The id, valid.
        advice: What the caller can do about it, as a sentence without its full stop.
    """
    hint = suggest_ids(dataset_id, list_local_ids())
    return DatasetNotFoundError(
        f"Dataset {dataset_id} not found locally at {dataset_folder(dataset_id)}"
        f"{advice and f'. {advice}'}; {hint or 'list_local_datasets() shows which there are'}"
    )


def suggest_ids(dataset_id: str, there: Iterable[str]) -> str:
    """Say which ids may be meant by one that is not there; of nothing alike, say nothing.

    Args:
        dataset_id: The id, valid.
        there: The ids that there are; invalid ones are passed over.

    Example:
        >>> suggest_ids("door/human-v1", ["door/human-v0", "door/human-v2", "door/expert-v0"])
        'of its versions there are door/human-v0, door/human-v2'
        >>> suggest_ids("dor/human-v1", ["door/human-v0", "door/human-v2", "door/expert-v0"])
        'did you mean door/human-v2?'
    """
    wanted = parse_dataset_id(dataset_id)
    ids = sorted(parse_dataset_id(each) for each in there if _is_id(each))
    versions = [str(each) for each in ids if each.unversioned == wanted.unversioned]
    if versions:
        return f"of its versions there are {', '.join(versions[-_MOST_VERSIONS:])}"
    # Of each name the version that is wanted, else the last.
    ids.sort(key=lambda each: each.version == wanted.version)
    by_name = {each.unversioned.casefold(): str(each) for each in ids}
    name = wanted.unversioned.casefold()
    namesakes = [each for each in by_name if each.rpartition("/")[2] == wanted.name.casefold()]
    alike = [*namesakes, *get_close_matches(name, by_name, _MOST_NAMES, cutoff=0.75)]
    found = [by_name[each] for each in dict.fromkeys(alike)][:_MOST_NAMES]
    return f"did you mean {' or '.join(found)}?" if found else ""


def _is_id(name: str) -> bool:
    try:
        parse_dataset_id(name)
    except DatasetIdError:
        return False
    return True
