"""The exact ranges of splits, and which of them are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core.errors import DatasetDamagedError, MetadataError
from minari_core.metadata.parents import describe_parent, describe_source
from minari_core.metadata.splits import cut_splits, encode_splits, join_splits, read_splits


def read(ranges: Any) -> list[int]:
    return list(map(int, read_splits({"splits": {"a": ranges}}, 10)["a"]))


@pytest.mark.parametrize(
    ("indices", "ranges"),
    [
        ([], []),
        ([0], [[0, 1]]),
        ([9], [[9, 10]]),
        ([3, 1, 2, 2], [[1, 4]]),
        ([0, 2, 3, 5], [[0, 1], [2, 4], [5, 6]]),
        (range(10), [[0, 10]]),
    ],
)
def test_indices_are_written_as_ranges_and_read_back(indices: Any, ranges: Any) -> None:
    assert encode_splits({"a": indices}, 10) == {"a": ranges}
    assert read(ranges) == sorted(set(indices))


@pytest.mark.parametrize(("indices", "wrong"), [([-1, 3], -1), ([3, 10], 10), ([10], 10)])
def test_the_episode_that_there_is_not_is_named(indices: list[int], wrong: int) -> None:
    with pytest.raises(MetadataError, match=rf"^split 'a' has episode {wrong}, .* 0 to 9$"):
        encode_splits({"a": indices}, 10)


@pytest.mark.parametrize("value", [1.5, True, np.True_, "1", None])
def test_what_is_no_index_is_refused(value: Any) -> None:
    with pytest.raises(MetadataError, match=r"^split 'a' has .* no index of an episode$"):
        encode_splits({"a": [0, value]}, 10)


@pytest.mark.parametrize("name", ["", " "])
def test_a_split_has_a_name(name: str) -> None:
    with pytest.raises(MetadataError, match="give it a name"):
        encode_splits({name: [1]}, 10)


def test_ranges_that_touch_are_ranges() -> None:
    assert read([[0, 2], [2, 3]]) == [0, 1, 2]


@pytest.mark.parametrize(
    "ranges",
    [
        [[0, 11]], [[2, 2]], [[3, 2]], [[-1, 2]], [[0, 2], [1, 3]], [[4, 5], [0, 1]], [[0]],
        [[0, 1, 2]], [0, 1], "all", {"a": 1}, [[0.0, 1]], [None],
    ],
)  # fmt: skip
def test_what_is_no_range_is_damage(ranges: Any) -> None:
    with pytest.raises(DatasetDamagedError, match=r"^split 'a' has .* no range of the 10 episodes"):
        read(ranges)


def test_splits_that_are_not_there_are_none_and_others_are_objects() -> None:
    assert read_splits({}, 3) == read_splits({"splits": None}, 3) == {}
    with pytest.raises(DatasetDamagedError, match=r"metadata 'splits' is \[\], not an object"):
        read_splits({"splits": []}, 3)


def test_a_copy_has_the_members_that_are_copied_where_they_are_by_then() -> None:
    splits = read_splits({"splits": {"a": [[0, 3]], "b": [[5, 6]], "c": [[7, 10]]}}, 10)
    assert cut_splits(splits, [9, 2, 8, 0, 3]) == {"a": [[1, 2], [3, 4]], "c": [[0, 1], [2, 3]]}


def test_joined_splits_are_shifted_by_the_episodes_before_them() -> None:
    parts: Any = [({"a": [[1, 3]]}, 3), ({}, 4), ({"a": [[0, 1]], "b": [[1, 2]]}, 2)]
    assert join_splits(parts) == {"a": [[1, 3], [7, 8]], "b": [[8, 9]]}
    assert join_splits(parts[:1] + parts[2:]) == {"a": [[1, 4]], "b": [[4, 5]]}


def test_a_parent_says_which_episodes_were_taken_unless_all_were_in_order() -> None:
    def describe(indices: list[int]) -> Any:
        return describe_parent("x-v0", "u", 3, indices, "filter", {"seed": 0, "name": None})

    whole = describe([0, 1, 2])
    assert whole.pop("minari_version")
    assert whole == {
        "id": "x-v0",
        "uid": "u",
        "total_episodes": 3,
        "operation": "filter",
        "arguments": {"seed": 0},
    }
    assert describe([2, 0])["episodes"] == [[0, 1], [2, 3]]
    assert describe([1, 0, 2])["episodes"] == [[0, 3]]
    source: Any = describe_source("a.hdf5", "import", {"env": None, "count": 0})
    assert source.pop("minari_version")
    assert source == {"file": "a.hdf5", "operation": "import", "arguments": {"count": 0}}
