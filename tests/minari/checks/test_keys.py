"""Episodes that share a number are found as a dictionary would find them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minari.checks.keys import EpisodeKeys

KEYS = st.lists(st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1]))


def collect(keys: list[int]) -> tuple[EpisodeKeys, dict[int, list[int]]]:
    found, twin = EpisodeKeys(), dict[int, list[int]]()
    for place, key in enumerate(keys):
        found.add(key, 10 * place)
        twin.setdefault(key, []).append(10 * place)
    return found, twin


@given(KEYS, KEYS)
def test_episodes_of_the_same_number_are_found(keys: list[int], others: list[int]) -> None:
    found, twin = collect(keys)
    assert found.group() == [ids for ids in twin.values() if len(ids) > 1]
    there, other_twin = collect(others)
    wanted = [(ids, other_twin[key]) for key, ids in twin.items() if key in other_twin]
    assert found.match(there) == wanted
