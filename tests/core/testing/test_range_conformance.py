"""The conformance suite of sources of ranges notices every wrong answer that it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minari_core.errors import MinariError
from minari_core.ranges.source import ObjectVersion, RangeSource
from minari_core.testing import MemorySource, RangeSourceConformance


class Ledger:
    """Counts the answers of sources, of which one is wrong, and the sources that are open."""

    def __init__(self, wrong: int = -1) -> None:
        self.wrong = wrong
        self.answers = 0
        self.opened = 0
        self.closed = 0

    def is_wrong(self) -> bool:
        self.answers += 1
        return self.answers - 1 == self.wrong


class Answering(MemorySource):
    ledger = Ledger()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ledger.opened += 1

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (dict(self._objects), self.url)

    def version(self, name: str) -> ObjectVersion:
        found = super().version(name)
        return replace(found, size=found.size + 1) if self.ledger.is_wrong() else found

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        for index, content in super().read_ranges(name, ranges, version=version):
            if self.ledger.is_wrong():
                content = content[:-1] + bytes([content[-1] ^ 1])
            yield index, content

    def close(self) -> None:
        self.ledger.closed += 1


def _restore(objects: dict[str, tuple[bytes, int]], url: str) -> Answering:
    source = Answering({}, url=url)
    source._objects = objects
    return source


class Suite(RangeSourceConformance):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        return Answering(objects)

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        assert isinstance(source, MemorySource)
        source.replace(name, content)


# What is read before, or of an iterator that is given up, is not looked at, and neither is the
# version with which nothing is read.
NOT_LOOKED_AT = {
    "test_ranges_arrive_whole_and_once": 1,
    "test_what_is_missing_is_an_error_that_says_so": 1,
    "test_a_changed_object_is_an_error_and_never_a_mixture": 2,
    "test_a_pickled_source_reads_the_same": 1,
    "test_an_iterator_that_is_given_up_leaves_the_source_usable": 5,
}
TESTS = sorted(name for name in dir(Suite) if name.startswith("test_"))


@pytest.mark.parametrize("name", TESTS)
def test_each_wrong_answer_is_noticed_and_all_is_closed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(ledger: Ledger) -> Ledger:
        monkeypatch.setattr(Answering, "ledger", ledger)
        getattr(Suite(), name)(tmp_path)
        return ledger

    right = run(Ledger())
    assert right.answers
    if "many_threads" not in name:
        assert right.opened == right.closed
    unnoticed = []
    # Of hundreds of answers that are all looked at likewise, some.
    for wrong in range(0, right.answers, 1 + right.answers // 40):
        try:
            run(Ledger(wrong))
        except (AssertionError, MinariError):
            continue
        unnoticed.append(wrong)
    assert len(unnoticed) == NOT_LOOKED_AT.get(name, 0), unnoticed


class Unreplaceable(RangeSourceConformance):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        return MemorySource(objects)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda read: read[1:], "test_ranges_arrive_whole_and_once"),
        (lambda read: [*read, *read[:1]], "test_ranges_arrive_whole_and_once"),
        (
            lambda read: [(index, bytearray(content)) for index, content in read],
            "test_ranges_arrive_whole_and_once",
        ),
    ],
)
def test_a_range_that_is_missing_doubled_or_no_bytes_is_noticed(
    spoil: Any, name: str, tmp_path: Path
) -> None:
    class Spoiling(MemorySource):
        def read_ranges(self, *args: Any, **options: Any) -> Any:
            return iter(spoil(list(super().read_ranges(*args, **options))))

    class Spoiled(Suite):
        def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
            return Spoiling(objects)

    with pytest.raises(AssertionError):
        getattr(Spoiled(), name)(tmp_path)
    with pytest.raises(NotImplementedError, match="Unreplaceable does not override replace"):
        Unreplaceable().test_a_changed_object_is_an_error_and_never_a_mixture(tmp_path)
