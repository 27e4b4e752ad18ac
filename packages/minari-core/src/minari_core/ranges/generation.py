"""The blocks of a stream that are at hand, and fetching those that are not."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetChangedError, DatasetDamagedError, RemoteObjectNotFoundError
from minari_core.ranges.blocks import BLOCK_NBYTES, BlockLayout, Blocks, join_blocks, split_blocks
from minari_core.ranges.checksums import BlockChecksums
from minari_core.ranges.claims import take_turns
from minari_core.ranges.segments import Segment
from minari_core.ranges.source import ObjectVersion
from minari_core.ranges.threads import run_each

_MOST_TRIES = 3


class RenewedError(Exception):
    """An object has another version; a new generation has taken the place of this one."""


class Supplier(Protocol):
    """What a generation asks of the stream that it is of; see `minari_core.ranges.stream`."""

    layout: BlockLayout
    most_blocks: int

    def describe(self, number: int) -> str: ...

    def open_segment(self, number: int) -> Segment: ...

    def find_checksums(self, number: int, segment: Segment) -> BlockChecksums | None: ...

    def read(
        self, number: int, ranges: Sequence[tuple[int, int]], version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]: ...

    def replace_version(
        self, generation: Generation, number: int, version: ObjectVersion, error: Exception
    ) -> NoReturn: ...

    def reserve(self, nbytes: int) -> bool: ...

    def share(
        self, segment: Segment, block: int, content: memoryview, crcs: Sequence[int]
    ) -> bool: ...

    def note_held(self, generation: Generation, nbytes: int) -> None: ...


class Generation:
    """The segments that a stream reads, until they hold too much in memory and others take over.

    What was ensured in one generation stays readable for as long as anybody holds it. Thread-safe.
    """

    def __init__(self, stream: Supplier, elder: Generation | None = None) -> None:
        """Start without a segment.

        Args:
            stream: What the generation is of.
            elder: The generation whose place this one takes. What it holds in memory need not be
                fetched again until this one is replaced, too.
        """
        self._stream = stream
        self._elder = elder
        self._segments: dict[int, Segment] = {}
        self.is_whole = False
        """Whether all blocks are known to be at hand."""
        self._present = np.zeros(int(stream.layout.firsts[-1]), dtype=np.bool_)
        self._lock = threading.Lock()
        self._openings: dict[int, threading.Lock] = {}
        self._fetching: dict[int, threading.Event] = {}

    def get_contents(self, number: int) -> memoryview:
        """Return the bytes of an object, of which only what was ensured means anything."""
        return self._open(number).contents

    def forget_elder(self) -> None:
        """Let go of the generation before this one."""
        self._elder = None

    def find(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Return which blocks are known to be at hand."""
        return self._present.take(blocks)

    def has(self, blocks: Blocks) -> bool:
        """Return whether blocks are known to be at hand."""
        return bool(self.find(blocks).all())

    def look_whether_whole(self) -> None:
        """Find out whether all blocks are at hand, which takes longer the more there are."""
        # The last block of a file, for one, may have been stored and never asked for.
        missing = np.flatnonzero(~self._present)
        for number, inside in self._stream.layout.split(missing):
            segment = self._segments.get(number)
            if segment is None or not segment.find(inside).all():
                return
            self._present[inside + self._stream.layout.firsts[number]] = True
        self.is_whole = True

    def ensure(self, blocks: Blocks) -> bool:
        """Fetch those of some blocks that are not at hand.

        Args:
            blocks: Blocks, counted through all objects.

        Returns:
            Whether any had to be fetched.

        Raises:
            RenewedError: The stream has another generation now, which is to be asked instead.
        """
        fetched: list[int] = []

        def supply(job: tuple[int, Blocks]) -> None:
            number, inside = job
            segment = self._open(number)
            missing = inside[~segment.find(inside)]
            missing = self._take_over(number, segment, missing)
            if len(missing):
                fetched.append(number)
                self._fetch(number, segment, missing)
            self._present[inside + self._stream.layout.firsts[number]] = True

        missing = np.unique(blocks[~self._present[blocks]])
        while len(missing):
            claimed, others = self._claim(missing)
            try:
                run_each(supply, list(self._stream.layout.split(claimed)))
            finally:
                self._release(claimed)
            for event in others:
                event.wait()
            missing = missing[~self._present[missing]]
        return bool(fetched)

    def _claim(self, blocks: Blocks) -> tuple[Blocks, list[threading.Event]]:
        """Return those blocks that no other thread is fetching, and the ends of the others."""
        claimed: list[int] = []
        others: list[threading.Event] = []
        ended = threading.Event()
        with self._lock:
            for block in blocks.tolist():
                known = self._fetching.get(block)
                if known is None:
                    self._fetching[block] = ended
                    claimed.append(block)
                else:
                    others.append(known)
        return np.array(claimed, dtype=np.int64), others

    def _release(self, blocks: Blocks) -> None:
        with self._lock:
            ended = [self._fetching.pop(block) for block in blocks.tolist()]
        for event in ended[:1]:
            event.set()

    def _open(self, number: int) -> Segment:
        segment = self._segments.get(number)
        if segment is None:
            with self._lock:
                opening = self._openings.setdefault(number, threading.Lock())
            with opening:
                segment = self._segments.get(number)
                if segment is None:
                    segment = self._segments[number] = self._stream.open_segment(number)
        return segment

    def _take_over(self, number: int, segment: Segment, blocks: Blocks) -> Blocks:
        """Hold those blocks that the elder generation holds, and return the others."""
        elder = self._elder
        held = None if elder is None else elder._segments.get(number)
        if held is None or held.version != segment.version or not len(blocks):
            return blocks
        is_held = held.find_held(blocks)
        for block in blocks[is_held].tolist():
            start, stop = self._stream.layout.find_span(number, block)
            segment.hold(block, held.contents[start:stop])
            self._stream.note_held(self, stop - start)
        return blocks[~is_held]

    def _fetch(self, number: int, segment: Segment, blocks: Blocks) -> None:
        """Fetch blocks of one object, or wait until other processes have."""
        try:
            sums = self._stream.find_checksums(number, segment)
            claims = segment.claim(shares=self._stream.reserve(0))
            for missing in take_turns(claims, segment.find, blocks):
                self._fetch_intact(number, segment, missing, sums)
        except (DatasetChangedError, RemoteObjectNotFoundError) as error:
            self._stream.replace_version(self, number, segment.version, error)

    def _fetch_intact(
        self, number: int, segment: Segment, blocks: Blocks, sums: BlockChecksums | None
    ) -> None:
        """Fetch blocks, each until it is what was written."""
        for _ in range(_MOST_TRIES):
            if not len(blocks):
                return
            damaged = self._fetch_once(number, segment, blocks, sums)
            blocks = np.array(damaged, dtype=np.int64)
        if not len(blocks):
            return
        start, stop = self._stream.layout.find_span(number, int(blocks[0]))
        raise DatasetDamagedError(
            f"{self._stream.describe(number)}: bytes {start} to {stop} arrived {_MOST_TRIES} times "
            "with another checksum than was stored with them; ask who publishes the dataset to "
            "verify it there"
        )

    def _fetch_once(
        self, number: int, segment: Segment, blocks: Blocks, sums: BlockChecksums | None
    ) -> list[int]:
        stream = self._stream
        first = int(stream.layout.firsts[number])
        runs = join_blocks(blocks, stream.most_blocks)
        ranges = [
            (start * BLOCK_NBYTES, stream.layout.find_span(number, stop - 1)[1])
            for start, stop in runs
        ]
        damaged: list[int] = []
        for index, content in stream.read(number, ranges, segment.version):
            begin, _ = runs[index]
            pieces = split_blocks(content)
            crcs = [zlib.crc32(piece) for piece in pieces]
            wrong = [
                begin + at
                for at, (piece, crc) in enumerate(zip(pieces, crcs, strict=True))
                if sums is not None and not sums.fits(begin + at, piece, crc)
            ]
            damaged += wrong
            intact = np.setdiff1d(np.arange(begin, begin + len(pieces)), wrong)
            for start, stop in join_blocks(intact, len(intact)):
                inside = slice(start - begin, stop - begin)
                some = memoryview(content)[inside.start * BLOCK_NBYTES :][
                    : (stop - start) * BLOCK_NBYTES
                ]
                if not stream.share(segment, start, some, crcs[inside]):
                    segment.hold(start, some)
                    stream.note_held(self, len(some))
                self._present[first + start : first + stop] = True
        return damaged
