"""What infos may hold, and what becomes of it."""

from __future__ import annotations

import enum
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minari_collect import (
    DataCollectorV0,
    StepDataCallback,
    VectorDataCollector,
)
from minari_core.datasets.dataset import MinariDataset
from minari_core.messages import MinariWarning
from tests.collect.helpers.comparing import assert_same
from tests.collect.helpers.environments import Counter, Moment, Scripted
from tests.collect.helpers.saving import saved

_numbers = itertools.count()


pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


def recorded(
    infos: list[dict[Any, Any]],
    max_buffer_steps: int | None = None,
    dataset_id: str = "tests/callbacks-v0",
) -> MinariDataset:
    """A dataset of one episode with these infos."""
    observation = np.zeros(3, np.float32)
    env = Scripted(moments=[Moment(observation, info=info) for info in infos])
    collector = DataCollectorV0(env, record_infos=True, max_buffer_steps=max_buffer_steps)
    collector.reset()
    for _ in infos[1:]:
        collector.step(0)
    return saved(collector, dataset_id)


@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_infos_may_come_late_and_change_in_shape_and_kind(max_buffer_steps: int | None) -> None:
    infos: list[dict[Any, Any]] = [
        {},
        {"length": np.arange(1, dtype=np.int16), "kind": 1},
        {"length": np.arange(3, dtype=np.int16), "kind": "two", "late": 1.5},
        {"length": np.arange(2, dtype=np.int16), "kind": [3], "deep": {"a": {"b": 1}}},
        {"kind": None, "late": -1.5},
    ]
    shown = recorded(infos, max_buffer_steps)[0].infos

    assert [None if row is None else row.tolist() for row in shown["length"]] == [
        None,
        [0],
        [0, 1, 2],
        [0, 1],
        None,
    ]
    assert [row if row is None else np.asarray(row).tolist() for row in shown["kind"]] == [
        None,
        1,
        "two",
        [3],
        None,
    ]
    assert shown["late"].mask.tolist() == [True, True, False, True, False]
    assert shown["late"].compressed().tolist() == [1.5, -1.5]
    assert shown["deep"]["a"]["b"].mask.tolist() == [True, True, True, False, True]


class Hostile:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"do not look at {name}")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


class HostileKind(type):
    """A type that cannot be hashed."""

    def __hash__(cls) -> int:
        raise RuntimeError


class OfHostileKind(metaclass=HostileKind):
    pass


class Color(enum.IntEnum):
    RED = 1


def circular_list() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


def circular_dict() -> dict[str, Any]:
    items: dict[str, Any] = {}
    items["again"] = items
    return items


def deep_dict() -> dict[str, Any]:
    items: dict[str, Any] = {"end": 1}
    for _ in range(150):
        items = {"down": items}
    return items


# Each is made anew: test tools look at parameters, which a hostile object does not bear.
ODD: dict[str, Callable[[], Any]] = {
    "object": object,
    "hostile": Hostile,
    "of a hostile kind": OfHostileKind,
    "circular list": circular_list,
    "circular dict": circular_dict,
    "deep dict": deep_dict,
    "function": lambda: deep_dict,
    "array of objects": lambda: np.array([object()], dtype=object),
    "date": lambda: np.datetime64("2020-01-01"),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "records": lambda: np.zeros(2, dtype=[("a", int)]),
    "void": lambda: np.void(b"abc"),
    "hostile in a dict": lambda: {1: 2, "x": Hostile()},
    "hostile in a list": lambda: {"x": [Hostile()]},
    "set": lambda: {1, 2},
    "enum": lambda: Color.RED,
    "type": lambda: float,
    "error": lambda: Exception("x"),
    "complex": lambda: 1j,
    "object in a tuple": lambda: (1, (2, [3, object()])),
    "key that is no text": lambda: {("a", 1): 2},
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_recording_never_raises_because_of_an_info(kind: str, max_buffer_steps: int | None) -> None:
    odd = ODD[kind]()
    infos: list[dict[Any, Any]] = [{"good": 1}, {"good": 2, "odd": odd}, {"good": 3, "odd": 1}]
    infos += [{"good": 4}, {"odd": odd, "good": 5}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = recorded(infos, max_buffer_steps)[0].infos

    assert np.asarray(shown["good"]).tolist() == [1, 2, 3, 4, 5]


def test_what_cannot_be_stored_is_dropped_with_one_warning_that_names_the_key() -> None:
    infos: list[dict[Any, Any]] = [
        {"engine": object(), "speed": float(row), "inner": {"lock": object(), "n": row}, 3: "x"}
        for row in range(20)
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MinariWarning)
        dataset = recorded(infos, max_buffer_steps=3)

    messages = [str(warning.message) for warning in caught if "left out" in str(warning.message)]
    assert sorted(message.split(" ")[0] for message in messages) == [
        "infos['engine']",
        "infos['inner']['lock']",
        "infos[3]",
    ]
    assert_same(
        dataset[0].infos, {"speed": np.arange(20.0), "inner": {"n": np.arange(20)}}, "infos"
    )


def containing_itself(container: Any) -> Any:
    """A list or dict that is in itself, twice."""
    if isinstance(container, list):
        container += [container, (container,)]
    else:
        container |= {"a": container, "b": [container]}
    return container


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([object()]), r"an array of dtype\('O'\)$"),
        (np.zeros(2, [("a", "<i4")]), r"an array of dtype\(\[\('a', '<i4'\)\]\)$"),
        (np.zeros(2, "S2"), r"an array of dtype\('S2'\)$"),
        ([np.zeros(2, "S2")], r"an array of dtype\('S2'\)$"),
        (np.ma.MaskedArray([1, 2], [False, True]), "an array of which only a part is masked$"),
        ([object()], "a value of type object$"),
        (containing_itself([]), "a list that contains itself$"),
        (containing_itself({}), "a dict that contains itself$"),
        (nested(120), r"infos\['odd'\][][0]{,60}…: nested more than 100 deep$"),
    ],
)
def test_the_warning_of_what_is_dropped_says_what_it_is_and_is_short(
    value: Any, reason: str
) -> None:
    with pytest.warns(MinariWarning, match=rf"^infos\['odd'\].* was left out.*: {reason}"):
        dataset = recorded([{"good": 1, "odd": value}, {"good": 2}])

    assert_same(dataset[0].infos["good"], np.array([1, 2]), "infos")


def test_pythons_complex_numbers_are_kept_as_numpys_are() -> None:
    infos = [{"python": 1j, "numpy": np.complex128(1j), "list": [1j, 2]}] * 2
    shown = recorded(infos)[0].infos

    numbers = np.array([1j, 1j])
    assert_same(
        shown, {"python": numbers, "numpy": numbers, "list": np.array([[1j, 2]] * 2)}, "infos"
    )


# JSON reads the two surrogates back as the one character.
TWO_KEYS_OF_ONE_TEXT = {"\ud83d\ude00": 1, "\U0001f600": 2}


class OddKeys(StepDataCallback):
    """Adds the keys to the extras and to the infos."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        data = super().__call__(*args, **kwargs)
        data["info"] = {**data["info"], **TWO_KEYS_OF_ONE_TEXT, "in": TWO_KEYS_OF_ONE_TEXT}
        return {**data, **TWO_KEYS_OF_ONE_TEXT}


class OddInfos(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds the keys to the infos of steps."""

    def step(self, action: Any) -> Any:
        *others, info = self.env.step(action)
        return (*others, {**info, **TWO_KEYS_OF_ONE_TEXT, "in": TWO_KEYS_OF_ONE_TEXT})


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize("callback", [StepDataCallback, OddKeys])
def test_keys_that_json_cannot_keep_are_dropped_and_the_dataset_opens(
    num_envs: int, callback: type[StepDataCallback]
) -> None:
    def make() -> gymnasium.Env[Any, Any]:
        return OddInfos(Counter(4))

    collector: Any
    if num_envs == 1:
        collector = DataCollectorV0(make(), callback, record_infos=True)
        collector.reset()
        actions: Any = 0
    else:
        envs = gymnasium.vector.SyncVectorEnv([make] * num_envs)
        collector = VectorDataCollector(envs, callback, record_infos=True)
        collector.reset()
        actions = np.zeros(num_envs, np.int64)
    for _ in range(3):
        collector.step(actions)
    with pytest.warns(MinariWarning, match="not text that JSON can keep"):
        episode = saved(collector)[0]

    assert sorted(episode.infos) == ["count", "in", "\U0001f600"]
    assert episode.infos["in"][-1] == TWO_KEYS_OF_ONE_TEXT
    assert list(episode.extras or {}) == ([] if callback is StepDataCallback else ["\U0001f600"])


def test_infos_are_copied_at_once() -> None:
    array, inner = np.zeros(2), [1, {"x": np.zeros(1)}]
    env = Scripted()
    collector = DataCollectorV0(env, record_infos=True)
    for row in range(3):
        array[:] = row
        inner[0] = row
        env.tell(Moment(np.zeros(3, np.float32), info={"array": array, "inner": inner}))
        if row:
            collector.step(0)
        else:
            collector.reset()
    infos = saved(collector)[0].infos

    assert infos["array"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert [row[0] for row in infos["inner"]] == [0, 1, 2]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | st.sampled_from(
        [np.float32(1.5), np.int8(3), np.uint64(2**64 - 1), np.str_("x"), np.bool_(1)]
    )
)


arrays = st.builds(
    lambda shape, kind: np.zeros(shape, dtype=kind),
    st.lists(st.integers(0, 2), max_size=3),
    st.sampled_from(["f8", ">f4", "i2", "?", "U3", "c8", "g", "M8[s]", "S2", "O"]),
)


# Hypothesis looks at what it makes, which a hostile object does not bear.
odd_kinds = sorted(kind for kind in ODD if "hostile" not in kind)
odd_values = st.sampled_from(odd_kinds).map(lambda kind: ODD[kind]())
values = st.recursive(
    scalars | arrays | odd_values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=6,
)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    infos=st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b/c", "", ".", 7, "\ud83d\ude00", "\U0001f600"])
            | st.text(max_size=3),
            values,
        ),
        min_size=2,
        max_size=6,
    ),
    max_buffer_steps=st.none() | st.integers(1, 3),
)
def test_no_info_whatever_makes_recording_or_reading_fail(
    infos: list[dict[Any, Any]], max_buffer_steps: int | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = recorded(infos, max_buffer_steps, f"tests/any{next(_numbers)}-v0")
        episode = dataset[0]

    assert len(episode) == len(infos) - 1
    for column in episode.infos.values():
        assert isinstance(column, dict) or len(column) == len(infos)
