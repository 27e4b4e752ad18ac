"""What each check finds, to the last value, against looking at all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minari.checks import elements
from minari.checks.blocks import _join
from minari.checks.elements import DuplicateElementCheck, FiniteCheck, RangeCheck
from minari.checks.episodes import DuplicateEpisodeCheck, EndCheck, SeedCheck
from minari.checks.finding import Check, Examples, Finding
from minari.checks.images import PlainImageCheck
from minari.checks.rewards import RecordedReturnCheck, RewardPartsCheck
from minari.checks.spaces import SpaceCheck
from minari_core import EpisodeData


def episode(number: int, steps: int, **columns: Any) -> EpisodeData:
    """An episode in which nothing is remarkable but what is given."""
    fields: dict[str, Any] = {
        "observations": np.zeros((steps + 1, 0)),
        "actions": np.zeros((steps, 0)),
        "rewards": np.zeros(steps),
        "terminations": np.arange(steps) == steps - 1,
        "truncations": np.zeros(steps, bool),
    }
    return EpisodeData(number, **{**fields, **columns})


def ask(check: Check, *blocks: Sequence[EpisodeData]) -> list[Finding]:
    """What a check finds in blocks of episodes."""
    for block in blocks:
        check.see(_join(list(block)))
    return list(check.finish())


def cut(rows: Any, sizes: Sequence[int]) -> list[list[EpisodeData]]:
    """Rows as the actions of episodes, each a block of its own."""
    starts = np.cumsum([0, *sizes])
    return [
        [episode(number, size, actions=rows[start : start + size])]
        for number, (start, size) in enumerate(zip(starts, sizes, strict=False))
    ]


ROWS = st.tuples(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 4)).flatmap(
    lambda drawn: st.tuples(
        st.just(drawn[0]),
        arrays.arrays(
            np.float32,
            (sum(drawn[0]), drawn[1]),
            elements=st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf, np.nan]),
        ),
    )
)


# What nothing is known of at first may be at its end later.
LATE = ([1, 3], np.array([[np.nan], [1], [1], [2]], np.float32))


@given(ROWS, st.integers(2, 4))
@example(LATE, 2)
def test_elements_are_constant_or_clipped_as_all_rows_together_are(
    drawn: tuple[list[int], Any], least: int
) -> None:
    sizes, rows = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_LEAST_ROWS", least)
        patch.setattr(elements, "_CLIPPED_SHARE", 0.5)
        found = ask(RangeCheck(), *cut(rows, sizes))
    wanted: list[tuple[str, int, str]] = []
    clipped: dict[str, list[tuple[str, int, str]]] = {"lowest": [], "highest": []}
    for element, column in enumerate(rows.T if len(rows) >= least else ()):
        known = column[~np.isnan(column)]
        if len(set(known)) == 1:
            wanted.append(("constant", element, f"is {known[0]} in all {len(rows)} rows"))
            continue
        for end, take in (("lowest", min), ("highest", max)) if len(known) else ():
            share = np.sum(column == take(known)) / len(rows)
            if share >= 0.5:
                sentence = f"has its {end} value, {take(known)}, in {share:.0%} of the rows"
                clipped[end].append(("clipped", element, sentence))
    wanted += [*clipped["lowest"], *clipped["highest"]]
    assert [(each.check, each.element, each.sentence) for each in found] == wanted
    assert {(each.severity, each.column) for each in found} <= {("note", "actions")}


def test_an_element_is_remarkable_from_a_hundred_rows_and_a_twentieth_of_them_on() -> None:
    rows = np.arange(101.0)[:, None] + np.zeros(2)
    rows[:, 1] = 7
    assert ask(RangeCheck(), *cut(rows[:99], [50, 49])) == []
    (constant,) = ask(RangeCheck(), *cut(rows[:100], [50, 50]))
    assert constant == Finding(
        check="constant",
        severity="note",
        column="actions",
        element=1,
        sentence="is 7.0 in all 100 rows",
    )
    for equal in (4, 5):
        rows = np.arange(100.0)[:, None]
        rows[10 : 10 + equal] = -1
        found = ask(RangeCheck(), *cut(rows, [60, 40]))
        assert [each.sentence for each in found] == [
            "has its lowest value, -1.0, in 5% of the rows" for _ in range(equal == 5)
        ]
    # Of whole numbers the ends are often reached, and flags are no numbers.
    assert ask(RangeCheck(), *cut(np.arange(100)[:, None] // 50, [100])) == []
    assert ask(RangeCheck(), *cut(np.ones((100, 1), bool), [100])) == []


def test_rows_as_large_as_images_have_no_elements() -> None:
    for size, wanted in ((4096, 1), (4097, 0)):
        rows = np.tile(np.arange(100.0)[:, None], size)
        rows[:, 3] = 0
        found = ask(RangeCheck(), *cut(rows.reshape(100, size, 1), [100]))
        assert [each.element for each in found] == [3] * wanted


@given(ROWS, st.integers(1, 3))
def test_elements_are_doubled_that_have_the_same_values_in_all_rows(
    drawn: tuple[list[int], Any], least: int
) -> None:
    sizes, rows = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_LEAST_DISTINCT", least)
        found = ask(DuplicateElementCheck(), *cut(rows, sizes))
    groups: dict[bytes, list[int]] = {}
    for element, column in enumerate(rows.T):
        groups.setdefault(column.tobytes(), []).append(element)
    wanted = {
        first: ", ".join(f"[{other}]" for other in others)
        for first, *others in groups.values()
        if others and len(np.unique(rows[: sizes[0], first])) >= least
    }
    assert {each.element: each.sentence for each in found} == {
        first: f"always equals {others}" for first, others in wanted.items()
    }
    assert {(each.check, each.severity, each.column) for each in found} <= {
        ("duplicated", "warning", "actions")
    }


@pytest.mark.parametrize("distinct", [19, 20])
def test_doubled_elements_of_few_values_may_be_so_by_chance(distinct: int) -> None:
    rows = (np.arange(40) % distinct)[:, None] + np.zeros((1, 2))
    assert len(ask(DuplicateElementCheck(), *cut(rows, [40]))) == (distinct == 20)


def test_values_that_are_not_finite_are_found_in_their_episodes_and_columns() -> None:
    def make(number: int, **changed: Any) -> EpisodeData:
        observations = {"x": np.zeros((3, 2)), "word": ["a"] * 3}
        infos = {"gap": np.array([np.nan, 1, 2])}
        return episode(number, 2, observations=observations, infos=infos, **changed)

    spoilt = make(1)
    spoilt.observations["x"][2, 1] = np.inf
    endless = make(2, rewards=np.array([0, -np.inf]))

    found = ask(FiniteCheck(), [make(0), spoilt], [endless])

    sentence = "has values that are NaN or infinite"
    assert found == [
        Finding(
            check="not-finite",
            severity="warning",
            column=column,
            sentence=sentence,
            episodes=1,
            examples=examples,
        )
        for column, examples in (("observations/x", (1,)), ("rewards", (2,)))
    ]
    assert ask(FiniteCheck(), [make(0), make(1)]) == []


SPACES: list[tuple[spaces.Space[Any], Any, Any]] = [
    (spaces.Box(-1, 2, (), np.float32), -1, 2),
    (spaces.Box(-1, 2, (), np.int64), -1, 2),
    (spaces.Discrete(4, start=-1), -1, 2),
    (spaces.MultiDiscrete([4]), 0, 3),
]


@pytest.mark.parametrize(("space", "low", "high"), SPACES, ids=str)
def test_values_are_outside_their_space_beyond_its_bounds(
    space: spaces.Space[Any], low: int, high: int
) -> None:
    def make(number: int, value: float) -> EpisodeData:
        rows = np.full((2, *(space.shape or ())), high, space.dtype)
        rows[0] = value
        return episode(number, 1, observations={"a": (np.zeros((2, 0)), rows)})

    whole = spaces.Dict({"a": spaces.Tuple([spaces.Text(3), space])})

    def look(*values: float) -> list[Finding]:
        check = SpaceCheck(whole, spaces.Box(0, 1, (0,)))
        return ask(check, [make(number, value) for number, value in enumerate(values)])

    assert look(low, high) == []
    for beyond in (low - 1, high + 1):
        assert look(high, beyond, low) == [
            Finding(
                check="outside-space",
                severity="warning",
                column="observations/a/1",
                sentence=f"has values outside {space}",
                episodes=1,
                examples=(1,),
            )
        ]
    if space.dtype == np.float32:
        assert look(np.nan, low) == []
        assert [each.examples for each in look(np.nan, high + 1, low)] == [(1,)]


def test_actions_are_compared_with_their_own_space() -> None:
    check = SpaceCheck(spaces.Text(2), spaces.Box(0, 1, (1,)))
    outside = episode(3, 2, observations=["a"] * 3, actions=np.array([[0.5], [1.5]]))
    assert [each.column for each in ask(check, [outside])] == ["actions"]


def test_episodes_end_and_do_so_within_their_limit() -> None:
    endless = episode(0, 3, terminations=np.zeros(3, bool))
    cut_off = episode(1, 4, terminations=np.zeros(4, bool), truncations=np.arange(4) == 3)
    whole, long = episode(2, 3), episode(3, 5)

    found = ask(EndCheck(3), [endless, cut_off], [whole, long])

    assert [str(each) for each in found] == [
        "no-end: episodes neither terminate nor are truncated (episodes 0; 1 in all)",
        "too-long: episodes have more than the environment's 3 steps (episodes 1, 3; 2 in all)",
    ]
    assert {each.severity for each in found} == {"warning"}
    assert [each.check for each in ask(EndCheck(None), [endless, long])] == ["no-end"]


def test_seeds_are_shared_by_episodes_with_the_same_options() -> None:
    given_options = [(7, None), (7, {"hard": True}), (None, None), (None, None), (8, None)]
    episodes = [
        episode(number, 1, seed=seed, options=options)
        for number, (seed, options) in enumerate(given_options)
    ]
    assert ask(SeedCheck(), episodes) == []

    found = ask(SeedCheck(), episodes, [episode(9, 1, seed=8), episode(10, 1, seed=7)])

    assert [str(each) for each in found] == [
        "seed-twice: episodes begin with the same seed and options as others "
        "(episodes 0, 4, 9, 10; 4 in all)"
    ]


def find_equal(*episodes: EpisodeData, others: Sequence[EpisodeData] = ()) -> list[Finding]:
    """What is found of equal episodes, whose ids are their places."""
    known = {each.id: each for each in episodes}
    if not others:
        return ask(DuplicateEpisodeCheck(known.__getitem__), episodes)
    there = {each.id: each for each in others}
    other = DuplicateEpisodeCheck(there.__getitem__)
    ask(other, others)
    return ask(
        DuplicateEpisodeCheck(known.__getitem__, other.keys, there.__getitem__), list(episodes)
    )


def test_equal_episodes_are_all_but_the_first() -> None:
    def make(number: int, **changed: Any) -> EpisodeData:
        columns = {
            "observations": {"x": np.array([[np.nan], [1.0], [2.0]]), "word": ["a", "b", "c"]},
            "actions": np.arange(2),
            "rewards": np.array([0.5, np.nan]),
        }
        return episode(number, 2, **{**columns, **changed})

    word = {"x": np.array([[np.nan], [1.0], [2.0]]), "word": ["a", "b", "other"]}
    different = [
        make(1, actions=np.array([0, 2])),
        make(2, rewards=np.array([0.5, 1.0])),
        make(3, observations=word),
    ]
    assert find_equal(make(0), *different) == []

    found = find_equal(make(0), *different, make(4), make(5))

    assert [str(each) for each in found] == [
        "same-episode: episodes are equal to earlier ones (episodes 4, 5; 2 in all)"
    ]
    found = find_equal(make(7), *different, make(4), others=[make(0), make(1)])
    assert [(each.severity, str(each)) for each in found] == [
        (
            "warning",
            "same-episode: episodes are equal to episodes of the other dataset "
            "(episodes 7, 4; 2 in all)",
        )
    ]
    assert find_equal(*different, others=[make(0)]) == []


@pytest.mark.parametrize(
    ("rows", "severity"),
    [
        (np.arange(3), "note"),
        (np.zeros((3, 2), bool), "note"),
        (np.arange(3.0), "warning"),
        (np.zeros((3, 8, 8), np.uint8), "warning"),
    ],
    ids=["whole", "flags", "floats", "images"],
)
def test_episodes_of_discrete_values_are_equal_by_chance(rows: Any, severity: str) -> None:
    choice = np.zeros(2, np.int64)
    pair = [episode(number, 2, observations=rows, actions=choice) for number in range(2)]
    assert [each.severity for each in find_equal(*pair)] == [severity]
    # One pair that is no chance is enough.
    sure = [
        episode(number, 2, observations=np.full(3, 0.5), actions=choice) for number in range(2, 4)
    ]
    assert [each.severity for each in find_equal(*pair, *sure)] == ["warning"]
    assert [each.severity for each in find_equal(*sure, *pair)] == ["warning"]


def images(number: int, rows: Any, **columns: Any) -> EpisodeData:
    return episode(number, len(rows) - 1, observations={"camera": rows}, **columns)


def make_pictures(count: int, shape: tuple[int, ...], plain: Sequence[int]) -> Any:
    rows = np.random.default_rng(0).integers(0, 200, (count, *shape), np.uint8)
    rows[list(plain)] = 9
    return rows


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (8, 8, 1), (8, 8, 3)])
def test_images_of_one_colour_are_counted_and_many_are_a_warning(shape: tuple[int, ...]) -> None:
    for plain, severity in (([30], "note"), ([0, 99], "warning")):
        rows = make_pictures(100, shape, plain)
        found = ask(PlainImageCheck(), [images(0, rows[:40])], [images(1, rows[40:])])
        assert found == [
            Finding(
                check="plain-image",
                severity=severity,  # type: ignore[arg-type]  # one of both
                column="observations/camera",
                sentence=f"has one colour all over in {len(plain)} of 100 images",
                episodes=len(plain),
                examples=tuple(range(len(plain))),
            )
        ]
    assert ask(PlainImageCheck(), [images(0, make_pictures(50, shape, []))]) == []


def test_an_image_with_two_colours_is_not_plain_wherever_the_other_one_is() -> None:
    for place in ((0, 0), (4, 4), (7, 7), (7, 0)):
        rows = np.full((2, 8, 8, 3), 5, np.uint8)
        rows[(slice(None), *place, 1)] = 6
        assert ask(PlainImageCheck(), [images(0, rows)]) == []
    # All channels of the first pixel are those of all others.
    rows = np.broadcast_to(np.array([1, 2, 3], np.uint8), (2, 8, 8, 3))
    (found,) = ask(PlainImageCheck(), [images(4, rows)])
    assert (found.episodes, found.examples) == (1, (4,))


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((2, 7, 8, 3), np.uint8),
        np.zeros((2, 8, 7), np.uint8),
        np.zeros((2, 64), np.uint8),
        np.zeros((2, 8, 8, 8, 8), np.uint8),
        np.zeros((2, 8, 8), np.int8),
    ],
    ids=lambda rows: f"{rows.dtype}{rows.shape}",
)
def test_what_is_no_image_has_no_colour(rows: Any) -> None:
    assert ask(PlainImageCheck(), [images(0, rows)]) == []
    assert ask(PlainImageCheck(), [episode(0, 2, actions=np.zeros((2, 8, 8), np.uint8))]) == []


def rewarded(number: int, rewards: Any, parts: Any, **infos: Any) -> EpisodeData:
    """An episode whose rewards have two parts; what the reset has is none of a step."""
    parts = np.asarray(parts, np.float64)
    halves = {
        "reward_one": np.concatenate([[99], parts / 4]),
        "reward_two": np.concatenate([[99], parts * 3 / 4]),
    }
    return episode(number, len(parts), rewards=np.asarray(rewards), infos={**halves, **infos})


@pytest.mark.filterwarnings("error::RuntimeWarning")
@given(
    st.lists(
        st.lists(st.sampled_from([-1.0, 0.0, 0.5, np.nan]), min_size=1, max_size=3),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 6),
)
def test_rewards_are_apart_from_their_parts_in_the_episodes_that_are_unusual(
    apart: list[list[float]], size: int
) -> None:
    episodes = [
        rewarded(number, np.array(steps) + np.arange(len(steps)), np.arange(len(steps)))
        for number, steps in enumerate(apart)
    ]
    blocks = [episodes[start : start + size] for start in range(0, len(episodes), size)]

    found = ask(RewardPartsCheck(), *blocks)

    # What is not a number is another check's.
    known = [[each for each in steps if not np.isnan(each)] for steps in apart]
    ends = [end for steps in known if steps for end in (min(steps), max(steps))]
    usual = float(np.median(ends)) if ends else 0.0
    far = [
        number
        for number, steps in enumerate(known)
        if any(abs(each - usual) > 1e-4 for each in steps)
    ]
    is_told = 0 < len(far) <= sum(map(bool, known)) / 2
    assert [each.examples for each in found] == ([tuple(far)] if is_told else [])
    for each in found:
        assert (each.check, each.severity, each.column) == ("reward-parts", "warning", "rewards")
        assert each.sentence.startswith("differ from the sum of the infos reward_…")


def test_rewards_have_parts_where_two_infos_of_numbers_are_called_so() -> None:
    def make(number: int, error: float) -> EpisodeData:
        return rewarded(number, [1, 2 + error], [1, 2])

    assert [each.examples for each in ask(RewardPartsCheck(), [make(0, 0), make(1, 1)])] == [(1,)]
    assert ask(RewardPartsCheck(), [make(0, 0), make(1, 5e-5)]) == []
    assert len(ask(RewardPartsCheck(), [make(0, 0), make(1, 2e-4)])) == 1
    for other in (["a", "b", "c"], np.zeros((3, 1)), np.zeros(3, int)):
        spoilt = [make(0, 0), make(1, 1)]
        for each in spoilt:
            each.infos["reward_one"] = other
        assert ask(RewardPartsCheck(), spoilt) == []
    vectors = [rewarded(0, np.ones((2, 2)), [1, 2]), rewarded(1, np.zeros((2, 2)), [1, 2])]
    assert ask(RewardPartsCheck(), vectors) == []


def test_recorded_returns_are_those_of_the_rewards_but_for_rounding() -> None:
    def make(number: int, noted: Any, rewards: Any = (300.0, 700.0)) -> EpisodeData:
        column = np.ma.masked_all(3, np.asarray(noted).dtype)
        column[2] = noted
        return episode(number, 2, rewards=np.array(rewards), infos={"episode": {"r": column}})

    small = (0.25, 0.25)
    same = [make(0, 1000), make(1, 1000.9), make(2, 0.5009, small), make(3, np.ma.masked)]
    other = [make(4, 1001.1), make(5, 998), make(6, 0.5011, small)]

    found = ask(RecordedReturnCheck(), [*same, *other[:1]], other[1:])

    assert [str(each) for each in found] == [
        "recorded-return: rewards do not sum up to the info episode/r of the last step "
        "(episodes 4, 5, 6; 3 in all)"
    ]
    assert found[0].severity == "warning"
    assert ask(RecordedReturnCheck(), same) == []
    plain: list[Any] = [np.zeros((3, 1)), np.array(["a", "b", "c"])]
    for column in plain:
        infos = {"episode": {"r": column}}
        assert ask(RecordedReturnCheck(), [episode(0, 2, rewards=np.ones(2), infos=infos)]) == []
    vectors = episode(0, 2, rewards=np.ones((2, 2)), infos={"episode": {"r": np.zeros(3)}})
    assert ask(RecordedReturnCheck(), [vectors, vectors]) == []


def test_five_examples_are_named_and_that_there_are_more() -> None:
    examples = Examples()
    examples.add([3, 4])
    examples.add([])
    examples.add([5, 6, 7, 8])
    assert (examples.count, examples.ids) == (6, [3, 4, 5, 6, 7])
    examples.add([9])
    assert (examples.count, examples.ids) == (7, [3, 4, 5, 6, 7])
    finding = Finding(check="x", severity="note", sentence="is so", episodes=7, examples=(3, 4))
    assert str(finding) == "x: is so (episodes 3, 4, …; 7 in all)"
    whole = Finding(check="x", severity="note", sentence="is so", column="rewards", element=0)
    assert str(whole) == "x: rewards[0] is so"
    assert finding.to_json() == {
        "check": "x",
        "severity": "note",
        "column": None,
        "element": None,
        "sentence": "is so",
        "episodes": 7,
        "examples": [3, 4],
    }


def test_a_block_has_the_columns_that_all_of_its_episodes_have_in_one_shape() -> None:
    def make(number: int, **infos: Any) -> EpisodeData:
        observations = {"x": np.full((3, 2), float(number)), "none": np.zeros((3, 0))}
        return episode(number, 2, observations=observations, actions=np.arange(2), infos=infos)

    block = _join(
        [
            make(4, both=np.zeros(3), one=np.zeros(3), shape=np.zeros((3, 1))),
            make(
                6, both=np.ma.array(np.ones(3), mask=[True, False, False]), shape=np.zeros((3, 2))
            ),
        ]
    )

    assert list(block.columns) == ["observations/x", "observations/none", "actions", "infos/both"]
    assert block.ids.tolist() == [4, 6]
    assert block.lengths.tolist() == [2, 2]
    assert block.rewards.tolist() == [0] * 4
    column = block.columns["observations/x"]
    assert column.rows.tolist() == [[4, 4]] * 3 + [[6, 6]] * 3
    assert column.counts.tolist() == [3, 3]
    assert column.low is not None
    assert column.high is not None
    assert (column.low.tolist(), column.high.tolist()) == ([4, 4], [6, 6])
    for name in ("observations/none", "infos/both"):
        assert block.columns[name].low is block.columns[name].high is None
    assert block.columns["infos/both"].rows.tolist() == [0, 0, 0, None, 1, 1]
    flags = np.zeros((6, 2, 2), bool)
    flags[3, 1, 0] = True
    assert block.find_episodes(flags, column.counts) == [6]
