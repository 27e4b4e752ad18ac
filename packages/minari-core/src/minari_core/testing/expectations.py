"""Compare what was read with what was written, to the bit; for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import GraphInstance

from minari_core.episodes.episode import EpisodeData


def expect(condition: object, message: str | Callable[[], str]) -> None:
    """Fail a test unless something holds.

    Args:
        condition: What holds if it is true.
        message: What to say otherwise, or a function that says it, where writing values out would
            take long.

    Raises:
        AssertionError: It does not; with the message.
    """
    if not condition:
        raise AssertionError(message() if callable(message) else message)


def expect_raises(kinds: type[Exception], call: Callable[[], object]) -> Exception:
    """Fail a test unless a call raises, and give back what it raised.

    Raises:
        AssertionError: It did not raise, or something else.
    """
    try:
        result = call()
    except kinds as error:
        return error
    raise AssertionError(f"{kinds.__name__} was not raised; the result is {result!r}")


def expect_same(found: object, wanted: object, where: str = "value") -> None:
    """Fail a test unless two values are the same to the bit, in type, dtype and shape.

    NaN is the same as NaN, but 0.0 is not -0.0, nor 1 True or an array a list. An array without
    axes is the same as a scalar, because a row of an array is one.

    Raises:
        AssertionError: They differ; the message says where.
    """
    if isinstance(wanted, GraphInstance):
        expect(isinstance(found, GraphInstance), lambda: f"{where} is {found!r}, not a graph")
        wanted, found = tuple(wanted), tuple(found) if isinstance(found, tuple) else found
    if isinstance(wanted, np.ndarray | np.generic):
        _expect_same_array(found, wanted, where)
    elif isinstance(wanted, Mapping):
        expect(isinstance(found, Mapping), lambda: f"{where} is {found!r}, not a dict")
        parts: Mapping[object, object] = found if isinstance(found, Mapping) else {}
        expect(
            parts.keys() == wanted.keys(),
            lambda: f"{where} has keys {list(parts)}, not {list(wanted)}",
        )
        for key, value in wanted.items():
            expect_same(parts[key], value, f"{where}[{key!r}]")
    elif isinstance(wanted, list | tuple):
        expect(
            type(found) is type(wanted), lambda: f"{where} is a {type(found).__name__}: {found!r}"
        )
        items: Sequence[object] = found if isinstance(found, list | tuple) else ()
        expect(
            len(items) == len(wanted), lambda: f"{where} has {len(items)} items, not {len(wanted)}"
        )
        for index, (item, value) in enumerate(zip(items, wanted, strict=True)):
            expect_same(item, value, f"{where}[{index}]")
    else:
        same = type(found) is type(wanted) and repr(found) == repr(wanted)
        expect(same, lambda: f"{where} is {found!r}, not {wanted!r}")


def _is_same_plain(found: object, wanted: np.ndarray[Any, Any] | np.generic) -> bool:
    """Return whether two arrays without a mask have the same bytes; writing them out takes long."""
    return (
        isinstance(found, np.ndarray | np.generic)
        and not isinstance(found, np.ma.MaskedArray)
        and not isinstance(wanted, np.ma.MaskedArray)
        and found.dtype == wanted.dtype
        and found.shape == wanted.shape
        and found.tobytes() == wanted.tobytes()
    )


def _expect_same_array(found: Any, wanted: Any, where: str) -> None:
    if _is_same_plain(found, wanted):
        return
    expect(
        isinstance(found, np.ndarray | np.generic), lambda: f"{where} is {found!r}, not an array"
    )
    one, other = np.ma.getdata(found), np.ma.getdata(wanted)
    expect(one.dtype == other.dtype, lambda: f"{where} has dtype {one.dtype}, not {other.dtype}")
    expect(one.shape == other.shape, lambda: f"{where} has shape {one.shape}, not {other.shape}")
    mask = np.ma.getmaskarray(wanted)
    expect(np.array_equal(np.ma.getmaskarray(found), mask), lambda: f"{where} is masked otherwise")
    one, other = one[~mask], other[~mask]
    equal = (one == other) | ((one != one) & (other != other))
    expect(np.all(equal), lambda: f"{where} is {one}, not {other}")
    if other.dtype.kind == "f":
        signs = np.signbit(one) == np.signbit(other)
        expect(np.all(signs | (one != one)), lambda: f"{where} has other signs: {one}, not {other}")


def split_space_rows(space: spaces.Space[Any], block: Any, count: int) -> list[Any]:
    """Split the observations or actions of an episode into single values.

    Args:
        space: The space.
        block: `EpisodeData.observations` or `EpisodeData.actions`.
        count: The number of values; only empty Dict and Tuple spaces need it.
    """
    if isinstance(space, spaces.Dict):
        parts = {
            key: split_space_rows(part, block[key], count) for key, part in space.spaces.items()
        }
        return [{key: rows[index] for key, rows in parts.items()} for index in range(count)]
    if isinstance(space, spaces.Tuple):
        items = [
            split_space_rows(part, block[index], count) for index, part in enumerate(space.spaces)
        ]
        return [tuple(rows[index] for rows in items) for index in range(count)]
    rows = list(block)
    expect(len(rows) == count, f"there are {len(rows)} values of {space}, not {count}")
    return rows


def expect_same_episode(found: EpisodeData, wanted: EpisodeData, *, ids: bool = True) -> None:
    """Fail a test unless two episodes are the same to the bit.

    Args:
        found: One episode.
        wanted: The other one.
        ids: Compare their ids, too.

    Raises:
        AssertionError: They differ; the message says where.
    """
    names = list(EpisodeData.__dataclass_fields__)
    for name in names if ids else names[1:]:
        expect_same(getattr(found, name), getattr(wanted, name), name)


def find_arrays(value: object) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    """Find every array in an episode, or in a value of it."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from find_arrays(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from find_arrays(part)
    elif isinstance(value, EpisodeData):
        for name in EpisodeData.__dataclass_fields__:
            yield from find_arrays(getattr(value, name))
