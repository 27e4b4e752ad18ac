"""Numbers that callers give are taken as they are meant, or refused with the rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core.arguments import (
    check_count,
    check_count_or_none,
    check_fraction,
    check_whole_number,
    parse_size,
)
from minari_core.errors import DataError, SamplingError
from minari_core.images import is_image
from minari_core.leaves import find_leaves, join_path


def test_whole_numbers_are_pythons_own_and_not_too_small() -> None:
    for value in (3, np.int8(3), np.array(3)):
        number = check_whole_number("n", value, 3)
        assert (number, type(number)) == (3, int)
    assert check_whole_number("n", -(10**30)) == -(10**30)
    with pytest.raises(SamplingError, match=r"^n is 2, not at least 3$"):
        check_whole_number("n", 2, 3)
    for bad in (True, 1.0, "1", None, np.True_):
        with pytest.raises(SamplingError, match=r"^n is .*, not a whole number$"):
            check_whole_number("n", bad, 0)


def test_counts_are_at_least_1_or_what_is_said() -> None:
    assert check_count("n", np.uint8(1)) == 1
    assert check_count("n", 0, 0) == 0
    with pytest.raises(DataError, match=r"^n is 0; give a whole number of at least 1$"):
        check_count("n", 0)
    with pytest.raises(DataError, match=r"^n is True; give a whole number of at least 0$"):
        check_count("n", True, 0)
    assert check_count_or_none("n", None) is None
    assert check_count_or_none("n", 1) == 1
    with pytest.raises(DataError, match=r"^n is 1.5; give a whole number of at least 1, or None$"):
        check_count_or_none("n", 1.5)
    with pytest.raises(DataError, match=r"^n is 0; give a whole number of at least 1, or None$"):
        check_count_or_none("n", 0)


def test_fractions_are_from_0_to_1() -> None:
    for value in (0, 1, 0.5, np.float32(0.5)):
        assert check_fraction("f", value) == float(value)
    for bad in (-1e-9, 1.0000001, float("nan")):
        with pytest.raises(SamplingError, match=r"^f is .*, not between 0 and 1$"):
            check_fraction("f", bad)
    for none in ("x", None, [1]):
        with pytest.raises(SamplingError, match=r"^f is .*, not a number$"):
            check_fraction("f", none)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("7", 7),
        ("7B", 7),
        ("1.5 k", 1500),
        ("2MiB", 2 * 10**6),
        ("3 gb", 3 * 10**9),
        (" 4T ", 4 * 10**12),
        ("1.", None),
        (".5k", None),
        ("-1", None),
        ("1 P", None),
        ("1kk", None),
        ("", None),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, nbytes: int | None) -> None:
    assert parse_size(text) == nbytes


@pytest.mark.parametrize(
    ("rows", "are_images"),
    [
        (np.zeros((5, 8, 9), np.uint8), True),
        (np.zeros((0, 8, 8), np.uint8), True),
        *(
            (np.zeros((5, 8, 8, channels), np.uint8), channels in (1, 3, 4))
            for channels in range(6)
        ),
        (np.zeros((5, 7, 8), np.uint8), False),
        (np.zeros((5, 8, 7, 3), np.uint8), False),
        (np.zeros((5, 8, 8), np.int8), False),
        (np.zeros((8, 8), np.uint8), False),
        (np.zeros((5, 8, 8, 3, 1), np.uint8), False),
        ([[[0] * 8] * 8], False),
    ],
)
def test_images_are_told_by_dtype_and_shape(rows: Any, are_images: bool) -> None:
    assert is_image(rows) is are_images


def test_leaves_are_found_below_dicts_and_tuples_alone() -> None:
    value = {"a": ({"b": [1]}, (2,)), "c": [{"d": 3}], "e": ()}
    assert list(find_leaves(value)) == [
        (("a", 0, "b"), [1]),
        (("a", 1, 0), 2),
        (("c",), [{"d": 3}]),
    ]
    assert list(find_leaves(5, ("x",))) == [(("x",), 5)]
    assert join_path("actions", ("a", 0, "b")) == "actions/a/0/b"
    assert join_path("rewards", ()) == "rewards"
