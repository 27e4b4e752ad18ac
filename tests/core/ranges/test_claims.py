"""Claims of blocks: who fetches which, who waits, and for how long."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from minari_core.ranges.blocks import Blocks
from minari_core.ranges.claims import NoClaims, open_claims, take_turns

_FIRST = 64

needs_claims = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(__import__("fcntl"), "F_OFD_SETLK"),
    reason="needs locks of open files",
)


class AtHand:
    """The blocks that are at hand."""

    def __init__(self, *blocks: int) -> None:
        self.blocks = set(blocks)

    def find(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        return np.array([block in self.blocks for block in blocks.tolist()], dtype=np.bool_)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table"
    path.write_bytes(bytes(_FIRST + 4 * 8))
    return path


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@needs_claims
def test_a_claim_is_of_the_four_bytes_of_its_block(table: Path) -> None:
    one, other = open_claims(table, _FIRST), open_claims(table, _FIRST)
    shifted = open_claims(table, _FIRST + 4)
    try:
        assert one.take(np.array([2, 5])).tolist() == [True, True]
        assert other.take(np.array([1, 2, 3, 4, 5, 6])).tolist() == [
            *(True, False, True, True, False, True)
        ]
        # Its block 1 lies where block 2 does for the others.
        assert shifted.take(np.array([1, 4, 6])).tolist() == [False, False, True]
    finally:
        for each in (one, other, shifted):
            each.close()


@needs_claims
def test_what_others_fetch_is_waited_for_and_not_fetched_again(table: Path) -> None:
    opened = count_descriptors()
    others = open_claims(table, _FIRST)
    others.take(np.array([1, 3]))
    at_hand = AtHand(4)

    turns = take_turns(open_claims(table, _FIRST), at_hand.find, np.arange(5))

    assert next(turns).tolist() == [0, 2]
    at_hand.blocks |= {0, 2}
    assert next(turns).tolist() == []
    # One of them arrives, and whoever fetched the other gives up.
    at_hand.blocks.add(1)
    others.close()
    assert next(turns).tolist() == [3]
    at_hand.blocks.add(3)
    assert next(turns, None) is None
    assert count_descriptors() == opened


@needs_claims
def test_who_has_stopped_is_not_waited_for_for_ever(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("minari_core.ranges.claims.time.monotonic", lambda: now[0])
    others = open_claims(table, _FIRST)
    others.take(np.array([1]))
    turns = take_turns(open_claims(table, _FIRST), AtHand().find, np.arange(2))

    assert next(turns).tolist() == [0]
    now[0] += 120.0
    assert next(turns).tolist() == []
    now[0] += 0.1
    assert next(turns).tolist() == [1]
    others.close()


@needs_claims
def test_the_longer_others_take_the_less_often_they_are_looked_for(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = [0.0]
    pauses: list[tuple[float, float]] = []

    def sleep(seconds: float) -> None:
        pauses.append((waited[0], seconds))
        waited[0] += seconds

    monkeypatch.setattr("minari_core.ranges.claims.time.monotonic", lambda: waited[0])
    monkeypatch.setattr("minari_core.ranges.claims.time.sleep", sleep)
    others = open_claims(table, _FIRST)
    others.take(np.array([1]))

    turns = take_turns(open_claims(table, _FIRST), AtHand().find, np.array([1]))
    while not len(next(turns)):
        pass

    assert sum(before < 1 for before, _ in pauses) > 20
    assert sum(before < 10 for before, _ in pauses) < 100
    assert len(pauses) < 320
    assert all(pause <= max(0.02, min(before / 8, 0.5)) for before, pause in pauses)
    others.close()


def test_without_claims_all_that_is_not_at_hand_is_fetched_at_once() -> None:
    turns = take_turns(NoClaims(), AtHand(1).find, np.arange(3))
    assert [turn.tolist() for turn in turns] == [[0, 2]]


def test_a_table_that_is_gone_has_no_claims(tmp_path: Path) -> None:
    claims: Any = open_claims(tmp_path / "none", 0)
    assert isinstance(claims, NoClaims)
    claims.close()
