"""Messages and records byte by byte, as another library may write them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari import DatasetDamagedError
from minari.interchange.rlds.examples import decode_example, encode_example
from minari.interchange.rlds.records import _mask, iterate_records, write_record

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [sign * 2 ** (7 * digits) + more for digits in range(9) for sign in (1, -1) for more in (0, -1)]
)
FLOATS = st.floats(width=32, allow_nan=False)
TEXTS = st.binary(max_size=3) | st.sampled_from([bytes(127), bytes(128), bytes(16384)])
# Fields of other numbers, of each wire type, which a reader passes over.
OTHERS = st.sampled_from(
    [b"\x20\x96\x01", b"\x22\x01x", b"\x25abcd", b"\x21abcdefgh", b"\x28\xff\xff\x01"]
)


def varint(value: Any) -> bytes:
    """A number of 64 bits in sevens, the least first."""
    value %= 2**64
    found = b""
    while value >= 128:
        found += bytes([value % 128 + 128])
        value //= 128
    return found + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(8 * number + 2) + varint(len(content)) + content


@st.composite
def numbers(draw: st.DrawFn) -> tuple[bytes, Any]:
    """A feature of numbers, some of them packed and others one by one."""
    is_whole = draw(st.booleans())
    pieces = draw(st.lists(st.lists(NUMBERS if is_whole else FLOATS, max_size=3), max_size=3))
    content = draw(OTHERS)
    for piece in pieces:
        encoded = [varint(each) if is_whole else struct.pack("<f", each) for each in piece]
        if draw(st.booleans()):
            content += field(1, b"".join(encoded))
        else:
            content += b"".join((b"\x08" if is_whole else b"\x0d") + each for each in encoded)
        content += draw(OTHERS)
    values = [each for piece in pieces for each in piece]
    return field(3 if is_whole else 2, content), np.array(values, np.int64 if is_whole else "f4")


@st.composite
def features(draw: st.DrawFn) -> tuple[bytes, Any]:
    if draw(st.booleans()):
        return draw(numbers())
    texts = draw(st.lists(TEXTS, max_size=3))
    return field(1, draw(OTHERS) + b"".join(field(1, text) for text in texts)), texts


@given(st.dictionaries(st.text(max_size=2), features(), max_size=3), OTHERS, OTHERS)
def test_what_other_writers_write_is_read(
    named: dict[str, tuple[bytes, Any]], other: bytes, another: bytes
) -> None:
    entries = b"".join(
        field(1, another + field(1, name.encode()) + other + field(2, other + content)) + other
        for name, (content, _) in named.items()
    )
    found = decode_example(other + field(1, another + entries) + another)

    assert found.keys() == named.keys()
    for name, (_, wanted) in named.items():
        if isinstance(wanted, list):
            assert found[name] == wanted
        else:
            assert np.asarray(found[name]).dtype == wanted.dtype
            np.testing.assert_array_equal(np.asarray(found[name]), wanted)


@given(st.lists(NUMBERS, max_size=5), st.lists(TEXTS, max_size=3))
def test_what_is_written_is_the_shortest_way_to_say_it(
    whole: list[int], texts: list[bytes]
) -> None:
    packed = field(1, b"".join(map(varint, whole))) if whole else b""
    listed = field(1, b"".join(field(1, text) for text in texts))
    wanted = field(1, field(1, b"a") + field(2, field(3, packed)))
    wanted += field(1, field(1, b"b") + field(2, listed))
    found = encode_example({"b": texts, "a": np.array(whole, np.int64)})
    assert found == field(1, wanted)


def in_example(content: bytes) -> bytes:
    return field(1, field(1, field(1, b"x") + field(2, content)))


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"\x80", "a number does not end"),
        (b"\x0a", "a number does not end"),
        (b"\x80" * 10 + b"\x01", "a number is longer than 64 bits"),
        (b"\x0b", "a field has the wire type 3"),
        (b"\x0a\x02x", "a field is longer than its message"),
        (b"\x25abc", "a field is longer than its message"),
        (b"\x21abcdefg", "a field is longer than its message"),
        (in_example(field(3, field(1, b"\x80"))), "a number does not end"),
        (in_example(field(3, field(1, b"\x01\x80"))), "a number does not end"),
        (in_example(field(3, field(1, b"\x80" * 10 + b"\x01"))), "a number is longer than 64 bits"),
        (in_example(field(2, field(1, b"abc"))), "a list of float32 has a part of a number"),
        (in_example(field(2, b"\x08\x01")), "a list of float32 has a part of a number"),
    ],
)
def test_a_message_that_is_cut_short_or_malformed_is_told(message: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        decode_example(message)


def test_the_longest_number_has_ten_bytes() -> None:
    content = b"\xff" * 9 + b"\x01"
    assert np.asarray(decode_example(in_example(field(3, field(1, content))))["x"]).tolist() == [-1]
    assert decode_example(b"") == {}
    # So many bytes stand for a small one, too.
    assert np.asarray(
        decode_example(in_example(field(3, field(1, b"\x81" + b"\x80" * 8 + b"\x00"))))["x"]
    ).tolist() == [1]
    # Of a feature that has no list, there is no value.
    assert decode_example(in_example(b"")) == {"x": []}
    assert decode_example(in_example(b"\x20\x01")) == {"x": []}
    assert np.asarray(decode_example(in_example(field(3, b"")))["x"]).dtype == np.int64
    assert np.asarray(decode_example(in_example(field(2, b"")))["x"]).dtype == np.float32


def test_records_are_read_up_to_what_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    with path.open("wb") as file:
        for record in (b"one", b"", b"three"):
            write_record(file, record)
    whole = path.read_bytes()
    assert list(iterate_records(path)) == [b"one", b"", b"three"]
    path.write_bytes(b"")
    assert list(iterate_records(path)) == []

    second = 12 + 3 + 4
    for content, read, sentence in (
        (whole[: second + 11], 1, "record 1 has no whole length"),
        (whole[: second + 12], 1, "record 1 is of 0 bytes, more than there are"),
        (whole[:-1], 2, "record 2 is of 5 bytes, more than there are"),
        (whole + b"x", 3, "record 3 has no whole length"),
        (b"\x02" + whole[1:], 0, "record 0: the checksum of its length differs"),
        (whole[:-6] + b"x" + whole[-5:], 2, "record 2: its checksum differs"),
        (whole[:-1] + b"\xff", 2, "record 2: its checksum differs"),
    ):
        path.write_bytes(content)
        found: list[bytes] = []
        with pytest.raises(DatasetDamagedError) as caught:
            found.extend(iterate_records(path))
        assert (len(found), f"{path}: {sentence}") == (read, str(caught.value))
    with pytest.raises(DatasetDamagedError, match=r"none\.tfrecord cannot be read: "):
        list(iterate_records(tmp_path / "none.tfrecord"))
    # Of the bytes 1 to 9 the checksum is known: 0xE3069283.
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
    assert _mask(b"123456789") == (rotated + 0xA282EAD8) % 2**32
