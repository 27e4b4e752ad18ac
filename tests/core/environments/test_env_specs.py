"""Environment specs come back from JSON, whichever Gymnasium wrote them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from hypothesis import given
from hypothesis import strategies as st

from minari_core.environments.env_specs import env_spec_from_json, env_spec_to_json
from minari_core.errors import MetadataError

if importlib.util.find_spec("ale_py") is not None:
    # Its arguments have tuples.
    gymnasium.register_envs(importlib.import_module("ale_py"))


def _has_no_callable(spec: EnvSpec) -> bool:
    return not callable(spec.entry_point) and not callable(spec.vector_entry_point)


def test_every_registered_environment_comes_back_as_it_was() -> None:
    specs = [spec for spec in gymnasium.registry.values() if _has_no_callable(spec)]
    assert len(specs) > 40
    for spec in specs:
        assert env_spec_from_json(env_spec_to_json(spec)) == spec


def test_the_spec_of_a_wrapped_environment_comes_back_as_it_was() -> None:
    env = gymnasium.make("CartPole-v1", max_episode_steps=7)
    spec = gymnasium.wrappers.RecordEpisodeStatistics(env).spec
    assert spec is not None
    assert spec.additional_wrappers
    assert env_spec_from_json(env_spec_to_json(spec)) == spec


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_gymnasium_reads_what_is_written_and_the_other_way_round(id: str) -> None:
    spec = gymnasium.spec(id)
    assert EnvSpec.from_json(env_spec_to_json(spec)) == spec
    assert env_spec_from_json(spec.to_json()) == spec


def test_tuples_and_arrays_in_the_arguments_come_back() -> None:
    array = np.array([[0.5, 1.5]], np.float32)
    arguments = {"skip": (2, (3, 4)), "deep": [{"limits": array}], "plain": [1, 2]}
    wrapper = WrapperSpec("Some", "some:Some", {"shape": (8, 8)})
    spec = EnvSpec("Some-v0", "some:Some", kwargs=arguments, additional_wrappers=(wrapper,))
    again = env_spec_from_json(env_spec_to_json(spec))
    assert again.kwargs["skip"] == (2, (3, 4))
    assert again.kwargs["plain"] == [1, 2]
    limits = again.kwargs["deep"][0]["limits"]
    assert limits.dtype == np.float32
    assert np.array_equal(limits, array)
    assert again.additional_wrappers == (wrapper,)
    plain = json.loads(env_spec_to_json(spec, keep_types=False))
    assert plain["kwargs"]["skip"] == [2, [3, 4]]
    assert set(plain) == {field.name for field in dataclasses.fields(EnvSpec) if field.init}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _values, max_size=3))
def test_any_arguments_come_back_as_they_were(arguments: dict[str, Any]) -> None:
    spec = EnvSpec("Some-v0", "some:Some", kwargs=arguments)
    assert env_spec_from_json(env_spec_to_json(spec)) == spec


def test_numpy_scalars_become_numbers_of_the_same_value() -> None:
    arguments = {
        "a": np.float32(0.1),
        "b": np.int8(3),
        "c": np.bool_(True),
        "d": np.uint64(2**64 - 1),
    }
    again = env_spec_from_json(env_spec_to_json(EnvSpec("Some-v0", "some:Some", kwargs=arguments)))
    assert again.kwargs == {"a": float(np.float32(0.1)), "b": 3, "c": True, "d": 2**64 - 1}


def test_what_is_not_finite_in_the_arguments_comes_back() -> None:
    spec = EnvSpec("Some-v0", "some:Some", kwargs={"limit": float("inf"), "start": float("nan")})
    again = env_spec_from_json(env_spec_to_json(spec))
    assert again.kwargs["limit"] == np.inf
    assert np.isnan(again.kwargs["start"])


def _factory(**kwargs: Any) -> Any:
    raise AssertionError(f"called with {kwargs}")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (EnvSpec("Some-v0", _factory), "'Some-v0': entry_point is the function .*register"),
        (EnvSpec("Some-v0", "a:B", vector_entry_point=_factory), "vector_entry_point is the"),
        (
            EnvSpec("Some-v0", "a:B", kwargs={"f": [_factory]}),
            r'kwargs\["f"\]\[0\] is the function',
        ),
        (EnvSpec("Some-v0", "a:B", kwargs={"z": 1j}), r'kwargs\["z"\] is the complex 1j'),
        (EnvSpec("Some-v0", "a:B", kwargs={"z": np.longdouble(1) / 3}), "longdouble|float128"),
        (EnvSpec("Some-v0", "a:B", kwargs={"z": np.array(["x"])}), "ndarray"),
        (EnvSpec("Some-v0", "a:B", kwargs={"z": {1: 2}}), r'kwargs\["z"\] has the key 1: not text'),
        (EnvSpec("Some-v0", "a:B", kwargs={"z": {1, 2}}), "is the set"),
        (
            EnvSpec("S-v0", "a:B", additional_wrappers=(WrapperSpec("W", "a:W", {"f": _factory}),)),
            r'additional_wrappers\[0\]\["kwargs"\]\["f"\] is the function',
        ),
    ],
)
def test_a_spec_that_cannot_be_kept_is_refused_by_naming_its_part(
    spec: EnvSpec, reason: str
) -> None:
    with pytest.raises(MetadataError, match=reason):
        env_spec_to_json(spec)


def test_arguments_that_contain_themselves_are_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(MetadataError, match="nested too deep"):
        env_spec_to_json(EnvSpec("Some-v0", "a:B", kwargs=endless))


def test_specs_of_other_releases_are_read() -> None:
    fields = {
        "id": "LunarLander-v2",
        "entry_point": "gymnasium.envs.box2d.lunar_lander:LunarLander",
        "reward_threshold": 200,
        "nondeterministic": False,
        "max_episode_steps": 1000,
        "order_enforce": True,
        "autoreset": False,
        "disable_env_checker": False,
        "apply_api_compatibility": False,
        "kwargs": {"continuous": True},
        "namespace": None,
        "name": "LunarLander",
        "version": 2,
        "additional_wrappers": [
            {"name": "W", "entry_point": "a:W", "kwargs": None, "of_the_future": 1}
        ],
        "vector_entry_point": None,
        "of_the_future": {"a": 1},
    }
    spec = env_spec_from_json(json.dumps(fields))
    assert (spec.id, spec.version, spec.max_episode_steps) == ("LunarLander-v2", 2, 1000)
    assert spec.kwargs == {"continuous": True}
    assert spec.additional_wrappers == (WrapperSpec("W", "a:W", None),)
    assert env_spec_from_json('{"id": "Old-v0"}') == EnvSpec("Old-v0")


GOOD: dict[str, Any] = {"id": "Some-v0", "entry_point": "a:B", "kwargs": {"a": [1, 2]}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "expected an object"),
        ({}, "id"),
        ({**GOOD, "id": 3}, "id must be str"),
        ({**GOOD, "id": "spaces are wrong"}, "Malformed"),
        ({**GOOD, "id": "A-v" + "9" * 5000}, "environment spec"),
        ({**GOOD, "entry_point": ["os:system"]}, "entry_point must be str"),
        ({**GOOD, "max_episode_steps": True}, "max_episode_steps must be int"),
        ({**GOOD, "max_episode_steps": 1.5}, "max_episode_steps must be int"),
        ({**GOOD, "reward_threshold": "1"}, "reward_threshold must be"),
        ({**GOOD, "kwargs": None}, "kwargs must be dict"),
        ({**GOOD, "order_enforce": 1}, "order_enforce must be bool"),
        ({**GOOD, "additional_wrappers": {}}, "additional_wrappers must be a list"),
        ({**GOOD, "additional_wrappers": [1]}, r"additional_wrappers\[0\] must be an object"),
        ({**GOOD, "additional_wrappers": [{"name": "x"}]}, r"\[0\].entry_point must be str"),
        ({**GOOD, "python_types": 1}, "python_types must be a list"),
        ({**GOOD, "python_types": [1]}, "python_types must be"),
        ({**GOOD, "python_types": [[[], "tuple"]]}, "python_types must be"),
        ({**GOOD, "python_types": [[["kwargs", "b"], "tuple"]]}, "paths to what is there"),
        ({**GOOD, "python_types": [[["kwargs", "a", 2], "tuple"]]}, "paths to what is there"),
        ({**GOOD, "python_types": [[["kwargs", "a", 0, 0], "tuple"]]}, "paths to what is there"),
        ({**GOOD, "python_types": [[["kwargs", "a"], "<f8", [3]]]}, "not of shape"),
        ({**GOOD, "python_types": [[["kwargs", "a"], "O", [2]]]}, "dtype"),
        ({**GOOD, "python_types": [[["kwargs", "a", 0], "<f8", [10**12]]]}, "elements"),
        ({**GOOD, "python_types": [[["id"], "tuple"]]}, "python_types must be"),
        ({**GOOD, "python_types": [[["kwargs"], "<f8", []]]}, "expected a number"),
    ],
)
def test_a_malformed_spec_is_refused_by_saying_what_is_wrong(fields: Any, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        env_spec_from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, None, 3])
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(MetadataError, match="JSON"):
        env_spec_from_json(text)
