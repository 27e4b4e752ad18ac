"""Files that are filled piece by piece end up as if they had been written at once."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from pathlib import Path
from threading import Event
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.errors import RemoteError
from minari_hub.transfer.checksums import Algorithm, Checksum, compute_checksum, start_hasher
from minari_hub.transfer.objects import RemoteObject
from minari_hub.transfer.partial_file import PartialFile, TransferStoppedError

pieces = st.lists(st.binary(min_size=1, max_size=400) | st.just(b"x" * 200_000), max_size=8)
algorithms = st.sampled_from(get_args(Algorithm))


def described(content: bytes, algorithm: str) -> RemoteObject:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        return RemoteObject("name", len(content), "1", compute_checksum(path, algorithm))  # type: ignore[arg-type]


@given(pieces, algorithms, st.data())
def test_a_file_that_is_cut_off_anywhere_ends_up_the_same(
    parts: list[bytes], algorithm: str, data: st.DataObject
) -> None:
    content = b"".join(parts)
    source = described(content, algorithm)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        cuts = data.draw(st.sets(st.integers(0, len(parts))))
        file = PartialFile(path, source)
        for number, part in enumerate(parts):
            if number in cuts:
                file.close()
                file = PartialFile(path, source)
            assert file.position == sum(map(len, parts[:number]))
            file.write(part)
        assert file.is_complete
        assert file.matches()
        file.close()
        assert path.read_bytes() == content


@given(st.binary(min_size=1, max_size=100), algorithms, st.data())
def test_another_content_never_matches(content: bytes, algorithm: str, data: st.DataObject) -> None:
    source = described(content, algorithm)
    other = bytearray(content)
    other[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with (
        tempfile.TemporaryDirectory() as folder,
        PartialFile(Path(folder) / "part", source) as file,
    ):
        file.write(bytes(other))
        assert not file.matches()
        assert not source.matches(bytes(other))
        file.restart()
        assert file.position == 0
        file.write(content)
        assert file.matches()


def test_more_than_there_is_is_refused_and_what_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    source = RemoteObject("name", 4)
    with PartialFile(tmp_path / "part", source) as file:
        file.write(b"123")
        with pytest.raises(RemoteError, match="more"):
            file.write(b"45")
        assert file.position == 3
    (tmp_path / "part").write_bytes(b"too long")
    with PartialFile(tmp_path / "part", source) as file:
        assert file.position == 0


def test_a_transfer_that_was_stopped_takes_no_more(tmp_path: Path) -> None:
    stop = Event()
    with PartialFile(tmp_path / "part", RemoteObject("name", 4), stop=stop) as file:
        file.write(b"12")
        stop.set()
        with pytest.raises(TransferStoppedError):
            file.write(b"34")
    assert (tmp_path / "part").read_bytes() == b"12"


def test_what_is_reported_adds_up_to_what_is_there(tmp_path: Path) -> None:
    reported: list[int] = []
    with PartialFile(tmp_path / "part", RemoteObject("name", 10), reported.append) as file:
        file.write(b"12345")
        file.restart()
        file.write(b"1234567890")
    assert sum(reported) == 10


def test_the_checksums_are_those_that_others_compute() -> None:
    content = b"123456789"
    # The check values of the catalogue of CRC algorithms, and of git hash-object.
    assert described(content, "crc32c").checksum == Checksum("crc32c", "e3069283")
    assert described(b"", "git-sha1").checksum == Checksum(
        "git-sha1", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    )
    assert described(content, "sha256").checksum == Checksum(
        "sha256", hashlib.sha256(content).hexdigest()
    )
    hasher = start_hasher("md5", 9)
    hasher.update(content)
    assert hasher.hexdigest() == hashlib.md5(content).hexdigest()
    assert zlib.crc32(content) == 0xCBF43926
