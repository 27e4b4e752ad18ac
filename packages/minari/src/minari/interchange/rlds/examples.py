"""``tf.train.Example`` messages: lists of bytes, float32 or int64 by name, in protobuf's format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = list[bytes] | npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""The values of a feature."""

_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def encode_example(features: Mapping[str, Values]) -> bytes:
    """Encode an example.

    Args:
        features: Lists of bytes, and arrays of float32 or int64, shape (N,).
    """
    entries = [
        _frame(1, _encode_name(name) + _frame(2, _encode_values(features[name])))
        for name in sorted(features)
    ]
    return _frame(1, b"".join(entries))


def decode_example(message: bytes) -> dict[str, Values]:
    """Decode an example.

    Raises:
        ValueError: It is none.
    """
    found: dict[str, Values] = {}
    for start, stop in _take(message, 0, len(message), 1):
        for begin, end in _take(message, start, stop, 1):
            name = b"".join(message[a:b] for a, b in _take(message, begin, end, 1)).decode()
            places = list(_take(message, begin, end, 2))
            if len(places) == 1:
                found[name] = _decode_values(message, *places[0])
            else:
                joined = b"".join(message[a:b] for a, b in places)
                found[name] = _decode_values(joined, 0, len(joined))
    return found


# Most numbers in an example are small: lengths, flags and tags.
_SMALL = [bytes([value]) for value in range(0x80)]


@lru_cache(maxsize=4096)
def _encode_name(name: str) -> bytes:
    return _frame(1, name.encode())


def _frame(number: int, content: bytes) -> bytes:
    return _SMALL[number << 3 | _BYTES] + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL[value]
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _encode_values(values: Values) -> bytes:
    if isinstance(values, list):
        return _frame(_BYTES_LIST, b"".join([_frame(1, value) for value in values]))
    if values.dtype == np.float32:
        content = values.astype("<f4", copy=False).tobytes()
        return _frame(_FLOAT_LIST, _frame(1, content) if len(values) else b"")
    content = _encode_varints(values.astype(np.int64, copy=False).view(np.uint64))
    return _frame(_INT64_LIST, _frame(1, content) if len(values) else b"")


def _encode_varints(values: npt.NDArray[np.uint64]) -> bytes:
    if values.max(initial=0) < 0x80:
        return values.astype(np.uint8).tobytes()
    digits = (values[:, None] >> np.arange(0, 70, 7, dtype=np.uint64)[None, :9]) & np.uint64(0x7F)
    digits = np.concatenate([digits, (values >> np.uint64(63))[:, None]], axis=1).astype(np.uint8)
    used = np.maximum(10 - np.argmax(digits[:, ::-1] != 0, axis=1), 1)
    used[~digits.any(axis=1)] = 1
    places = np.arange(10)[None, :]
    digits |= np.where(places < used[:, None] - 1, 0x80, 0).astype(np.uint8)
    found: bytes = digits[places < used[:, None]].tobytes()
    return found


def _decode_varints(content: bytes) -> npt.NDArray[np.int64]:
    if content.isascii():
        return np.frombuffer(content, dtype=np.uint8).astype(np.int64)
    digits = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(digits < 0x80)
    if not len(ends) or ends[-1] != len(digits) - 1:
        raise ValueError("a number does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 9:
        raise ValueError("a number is longer than 64 bits")
    places = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    parts = (digits & 0x7F).astype(np.uint64) << (7 * places).astype(np.uint64)
    return np.bitwise_or.reduceat(parts, starts).view(np.int64)


def _decode_values(message: bytes, start: int, stop: int) -> Values:
    for number, wire, begin, end in _iterate_fields(message, start, stop):
        if wire != _BYTES or number not in (_BYTES_LIST, _FLOAT_LIST, _INT64_LIST):
            continue
        if number == _BYTES_LIST:
            return [message[a:b] for a, b in _take(message, begin, end, 1)]
        parts: list[Any] = []
        for inner, kind, a, b in _iterate_fields(message, begin, end):
            if inner != 1:
                continue
            if number == _INT64_LIST:
                parts.append(_decode_varints(message[a:b]))
            elif kind in (_BYTES, _SHORT) and (b - a) % 4 == 0:
                parts.append(np.frombuffer(message, "<f4", (b - a) // 4, a).astype(np.float32))
            else:
                raise ValueError("a list of float32 has a part of a number")
        if len(parts) == 1:
            only: npt.NDArray[Any] = parts[0]
            return only
        empty = np.zeros(0, dtype=np.int64 if number == _INT64_LIST else np.float32)
        joined: npt.NDArray[Any] = np.concatenate([empty, *parts])
        return joined
    return []


def _take(message: bytes, start: int, stop: int, number: int) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the fields of a number begin and end."""
    for found, wire, begin, end in _iterate_fields(message, start, stop):
        if found == number and wire == _BYTES:
            yield begin, end


def _iterate_fields(message: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number and type of each field in a part of a message, and where it begins and ends."""
    while place < stop:
        key, place = _read_varint(message, place, stop)
        wire = key & 7
        start = place
        if wire == _VARINT:
            _, place = _read_varint(message, place, stop)
        elif wire == _BYTES:
            length, start = _read_varint(message, place, stop)
            place = start + length
        elif wire in (_LONG, _SHORT):
            place += 8 if wire == _LONG else 4
        else:
            raise ValueError(f"a field has the wire type {wire}")
        if place > stop:
            raise ValueError("a field is longer than its message")
        yield key >> 3, wire, start, place


def _read_varint(message: bytes, place: int, stop: int) -> tuple[int, int]:
    if place < stop and message[place] < 0x80:
        return message[place], place + 1
    value = 0
    for shift in range(0, 70, 7):
        if place >= stop:
            raise ValueError("a number does not end")
        digit = message[place]
        place += 1
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            return value, place
    raise ValueError("a number is longer than 64 bits")
