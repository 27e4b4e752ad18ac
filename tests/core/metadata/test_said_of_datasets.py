"""License, citation, tags, splits and parents of datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core import (
    DatasetDamagedError,
    IncompatibleDatasetsError,
    MetadataError,
    MinariDataset,
    MinariWarning,
    combine_datasets,
    convert_dataset,
    load_dataset,
    split_dataset,
    verify_dataset,
)
from minari_core.metadata.splits import cut_splits, encode_splits, join_splits, read_splits
from tests.core.helpers.numbered import create, ids, zero_fields

FORMATS = ("columnar", "hdf5", "arrow")

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def members(dataset: Any) -> dict[str, list[int]]:
    return {name: ids(view) for name, view in dataset.splits.items()}


def parents_of(dataset: MinariDataset) -> Any:
    return dataset.metadata["parents"]


def test_what_is_said_is_kept_by_every_operation() -> None:
    said: dict[str, Any] = {
        "license": "CC-BY-4.0",
        "citation": "@misc{x}",
        "doi": "10.5281/zenodo.1234567",
        "tags": ["arm", "human"],
    }
    dataset = create("a-v0", **said)
    other = create("b-v0", **{**said, "tags": ["arm", "new"]})

    whole = convert_dataset(dataset, "c-v0", data_format="hdf5")
    assert {key: whole.metadata[key] for key in said} == said
    assert combine_datasets([dataset], "f-v0").metadata["doi"] == said["doi"]
    both = combine_datasets([dataset, other], "e-v0")
    assert both.metadata["license"] == "CC-BY-4.0"
    assert both.metadata["tags"] == ["arm", "human", "new"]


def test_a_part_and_a_combination_have_no_doi_and_this_is_said() -> None:
    said: dict[str, Any] = {"license": "MIT", "citation": "@misc{x}", "doi": "10.5281/zenodo.1"}
    dataset, other = create("a-v0", **said), create("b-v0", **said)

    with pytest.warns(MinariWarning, match="c-v0 is a part of a-v0, whose DOI it does not have"):
        part = convert_dataset(dataset[:1], "c-v0")
    with pytest.warns(MinariWarning, match="a-v0, b-v0 have a DOI, which a part or a combination"):
        both = combine_datasets([dataset, other], "d-v0")
    with pytest.warns(MinariWarning, match="a-v0 have a DOI"):
        again = combine_datasets([dataset[::-1]], "e-v0")

    for made in (part, both, again):
        assert {key: made.metadata.get(key) for key in said} == {**said, "doi": None}
        assert parents_of(made)[0]["id"] == "a-v0"


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"license": 3}, "license is 3, not text"),
        ({"doi": "12/zenodo"}, "doi is '12/zenodo', not like"),
        ({"tags": [1]}, r"tags is \[1\], not a list of texts"),
        ({"citation": " "}, "citation is ' ', not text"),
    ],
)
def test_what_is_no_license_or_citation_is_refused(details: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        create("a-v0", **details)


def test_a_doi_is_kept_without_the_address_before_it() -> None:
    dataset = create("a-v0", doi="https://doi.org/10.5281/zenodo.1234567")

    assert dataset.metadata["doi"] == "10.5281/zenodo.1234567"


@pytest.mark.parametrize("data_format", FORMATS)
def test_splits_are_views_that_adding_and_compacting_leave_as_they_are(data_format: str) -> None:
    dataset = create("a-v0", data_format=data_format)
    total = len(dataset)

    dataset.set_splits({"train": dataset[1:], "test": [0], "none": []})
    dataset.update_dataset_from_buffer([zero_fields()])
    dataset.compact()

    again = load_dataset("a-v0")
    assert members(again) == {"train": list(range(1, total)), "test": [0], "none": []}
    assert members(again[::-1])["train"] == list(range(1, total))[::-1]
    assert members(again[:1]) == {"train": [], "test": [0], "none": []}
    assert verify_dataset("a-v0").ok


def test_splits_are_shifted_by_combine_and_cut_by_convert() -> None:
    one, other = create("a-v0"), create("b-v0")
    total = len(one)
    one.set_splits({"train": [0, 1], "test": [2]})
    other.set_splits({"train": [1]})

    both = combine_datasets([one, other[::-1]], "c-v0")
    some = convert_dataset(one[[2, 0]], "d-v0")

    place = total + len(other) - 1 - 1
    assert members(both) == {"train": [0, 1, place], "test": [2]}
    assert members(some) == {"train": [1], "test": [0]}


def test_what_split_dataset_gives_can_be_stored_under_names() -> None:
    dataset = create("a-v0")

    dataset.set_splits(dict(zip(["train", "test"], split_dataset(dataset, [2, 1], 7), strict=True)))

    found = members(dataset)
    assert len(found["train"]) == 2
    assert not set(found["train"]) & set(found["test"])


def test_splits_of_other_datasets_and_episodes_that_there_are_not_are_refused() -> None:
    dataset, other = create("a-v0"), create("b-v0")

    with pytest.raises(IncompatibleDatasetsError, match="'train' is of dataset 'b-v0'"):
        dataset.set_splits({"train": other})
    with pytest.raises(MetadataError, match="split 'train' has episode 99"):
        dataset.set_splits({"train": [99]})
    assert dataset.splits == {}


def test_splits_that_are_no_ranges_are_damage_that_verify_names(tmp_path: Path) -> None:
    create("a-v0")
    file = tmp_path / "root/a-v0/data/metadata.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "splits": {"train": [[0, 10**12]]}}))

    with pytest.raises(DatasetDamagedError, match="split 'train' has"):
        _ = load_dataset("a-v0").splits
    report = verify_dataset("a-v0")
    assert not report.ok
    assert "split 'train'" in str(report.problems)


def test_a_dataset_knows_what_it_was_made_of() -> None:
    one, other = create("a-v0"), create("b-v0")

    both = combine_datasets([one[1:], other], "c-v0")
    (parent,) = parents_of(convert_dataset(both, "d-v0", data_format="hdf5"))

    first, second = parents_of(both)
    assert first["id"] == "a-v0"
    assert first["operation"] == "combine"
    assert first["episodes"] == [[1, len(one)]]
    assert "episodes" not in second
    assert first["uid"] != second["uid"] != ""
    assert (parent["id"], parent["operation"]) == ("c-v0", "convert")
    assert parent["arguments"] == {"data_format": "hdf5"}


index_sets = st.lists(st.integers(0, 30), unique=True)


@given(index_sets, index_sets)
def test_ranges_have_the_indices_that_they_were_written_of(
    one: list[int], other: list[int]
) -> None:
    encoded = encode_splits({"a": one, "b": other}, 31)

    found = read_splits({"splits": json.loads(json.dumps(encoded))}, 31)
    assert {name: split.tolist() for name, split in found.items()} == {
        "a": sorted(one),
        "b": sorted(other),
    }


@given(index_sets, index_sets, index_sets)
def test_cutting_and_joining_splits_is_what_happens_to_their_members(
    split: list[int], first: list[int], second: list[int]
) -> None:
    splits = {"a": np.array(sorted(split), dtype=np.int64)}
    parts = [(cut_splits(splits, chosen), len(chosen)) for chosen in (first, second)]

    joined = read_splits({"splits": join_splits(parts)}, len(first) + len(second))

    wanted = [place for place, index in enumerate([*first, *second]) if index in split]
    assert joined.get("a", np.zeros(0)).tolist() == wanted
