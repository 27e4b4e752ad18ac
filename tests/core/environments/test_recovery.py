"""A dataset's environment is made again, and nothing that only the dataset names is run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from minari_core.environments.env_specs import (
    drop_unstorable_arguments,
    env_spec_from_json,
    env_spec_to_json,
)
from minari_core.environments.recovery import (
    check_requirements,
    merge_env_specs,
    recover_environment,
)
from minari_core.errors import (
    EnvironmentNotRecoverableError,
    IncompatibleDatasetsError,
    UntrustedEnvironmentError,
)

CARTPOLE = "CartPole-v1"
CARTPOLE_ENTRY_POINT = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
MODULE = "recovered_by_a_test"


class Argued(gymnasium.Env[Any, Any]):
    """An environment that insists on a tuple, and remembers its arguments."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(self, pair: tuple[int, int] = (0, 0), size: int = 1) -> None:
        if not isinstance(pair, tuple):
            raise TypeError("pair must be a tuple")
        self.arguments = (pair, size)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.int64(0), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.int64(0), 0.0, False, False, {}


@pytest.fixture
def argued() -> Iterator[str]:
    id = "tests/Argued-v0"
    gymnasium.register(id, entry_point=lambda **kwargs: Argued(**kwargs), kwargs={"pair": (2, 5)})
    yield id
    del gymnasium.registry[id]


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that leaves a file behind as soon as it is imported."""
    left_behind = tmp_path / "left_behind"
    source = f"open({str(left_behind)!r}, 'w').close()\n"
    source += "def make(*args, **kwargs):\n    raise AttributeError('made')\n"
    (tmp_path / f"{MODULE}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop(MODULE, None)
    yield left_behind
    sys.modules.pop(MODULE, None)


def _spec(**changes: Any) -> EnvSpec:
    fields = {"id": CARTPOLE, "entry_point": CARTPOLE_ENTRY_POINT, **changes}
    return EnvSpec(**fields)


def _wrapped(entry_point: str, **kwargs: Any) -> EnvSpec:
    return _spec(additional_wrappers=(WrapperSpec("Any", entry_point, kwargs),))


def test_the_environment_of_a_stored_spec_is_made_again() -> None:
    made = gymnasium.make(CARTPOLE, max_episode_steps=3)
    spec = gymnasium.wrappers.RecordEpisodeStatistics(made).spec
    assert spec is not None
    env = recover_environment(env_spec_from_json(env_spec_to_json(spec)))
    assert isinstance(env, gymnasium.wrappers.RecordEpisodeStatistics)
    assert env.spec == spec
    env.reset(seed=1)
    ends = [env.step(0)[3] for _ in range(3)]
    assert ends == [False, False, True]
    env.close()


def test_the_callers_arguments_override_those_of_the_spec(argued: str) -> None:
    spec = EnvSpec(argued, kwargs={"pair": (1, 2), "size": 3}, max_episode_steps=9)
    env: Any = recover_environment(spec, size=4, max_episode_steps=2)
    assert env.unwrapped.arguments == ((1, 2), 4)
    assert env.spec.max_episode_steps == 2


def test_a_registered_tuple_that_json_made_a_list_is_a_tuple_again(argued: str) -> None:
    env: Any = recover_environment(EnvSpec(argued, kwargs={"pair": [2, 5], "size": 3}))
    assert env.unwrapped.arguments == ((2, 5), 3)


def test_an_environment_that_a_function_makes_is_made_again() -> None:
    id = "tests/Made-v0"
    gymnasium.register(id, entry_point=lambda **kwargs: Argued(**kwargs))
    try:
        env: Any = recover_environment(gymnasium.spec(id), size=7)
        assert env.unwrapped.arguments == ((0, 0), 7)
    finally:
        del gymnasium.registry[id]


@pytest.mark.parametrize(
    "spec",
    [
        _spec(entry_point=f"{MODULE}:make"),
        _spec(entry_point=MODULE),
        _spec(vector_entry_point=f"{MODULE}:make"),
        _spec(entry_point="os:system", kwargs={"command": "touch left_behind"}),
        _wrapped(f"{MODULE}:make"),
        _wrapped(f"gymnasium.wrappers.{MODULE}:make"),
        _wrapped(f"gymnasium.wrappers:{MODULE}"),
        _wrapped(f"gymnasium_wrappers_{MODULE}:make"),
        _wrapped("gymnasium.wrappers:np"),
        _wrapped("gymnasium.wrappers:importlib"),
        _wrapped("gymnasium.wrappers:__getattr__"),
        _wrapped("gymnasium.wrappers.rendering:os"),
        _wrapped("gymnasium.wrappers.rendering:os.makedirs"),
        _wrapped("gymnasium.wrappers:JaxToTorch"),
        _wrapped("gymnasium.wrappers"),
        _wrapped(""),
        _wrapped("gymnasium.wrappers:RecordVideo", video_folder="left_behind"),
        EnvSpec("GymV21Environment-v0", kwargs={"env_id": f"{MODULE}:Env-v0"}),
        EnvSpec("GymV26Environment-v0", kwargs={"env_id": f"{MODULE}:Env-v0"}),
    ],
    ids=lambda spec: f"{spec.entry_point} {[w.entry_point for w in spec.additional_wrappers]}",
)
def test_code_that_only_the_data_names_is_refused_and_not_run(
    spec: EnvSpec, trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    with pytest.raises(UntrustedEnvironmentError, match="trust_entry_point=True"):
        recover_environment(spec)
    assert not trap.exists()
    assert set(sys.modules) == modules


@pytest.mark.parametrize("id", [f"{MODULE}:{CARTPOLE}", f"{MODULE}:Env-v0", f"{MODULE}/Env-v0"])
def test_an_id_that_would_import_a_module_is_refused(id: str, trap: Path) -> None:
    for spec, trusted in ((EnvSpec(id, f"{MODULE}:make"), False), (EnvSpec(id), True)):
        with pytest.raises(EnvironmentNotRecoverableError, match="is registered here"):
            recover_environment(spec, trust_entry_point=trusted)
        assert not trap.exists()


@pytest.mark.parametrize("id", ["Nobody/Registered-v3", "CartPole", "Unversioned"])
def test_an_id_that_is_not_registered_is_made_from_an_entry_point_that_is_trusted(id: str) -> None:
    spec = EnvSpec(id, "gymnasium.envs.classic_control:PendulumEnv", kwargs={"g": 9.5})
    with pytest.raises(EnvironmentNotRecoverableError, match="trust_entry_point=True"):
        recover_environment(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = recover_environment(spec, trust_entry_point=True)
    assert env.spec is not None
    assert (env.spec.id, env.spec.kwargs) == (id, spec.kwargs)


def test_a_trusted_entry_point_of_another_version_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="another version by now") as caught:
        recover_environment(EnvSpec("CartPole-v99", CARTPOLE_ENTRY_POINT), trust_entry_point=True)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "arguments",
    [
        {"xml_file": "humanoid.xml"},
        {"model": "/etc/passwd"},
        {"model": "~/evil"},
        {"model": "..\\evil"},
        {"model": "C:\\evil"},
        {"model": "\\\\host\\share"},
        {"model": "file:///etc/passwd"},
        {"model": "assets/evil.xml"},
        {"model": "evil/level"},
        {"model": "evil\\level"},
        {"model": "Evil/Level-v0"},
        {"model": "my levels/evil.pkl"},
        {"model": "my evil.pkl"},
        {"model": "sub/../../../etc/passwd"},
        {"model": "C:evil"},
        {"model": "evil.safetensors"},
        {"model": "evil.parquet"},
        {"model": "evil.h5"},
        {"model": "evil.7z"},
        {"model": "evil.own_kind "},
        {"model": "evil.pkl::$DATA"},
        {"model": ".."},
        {"model": "."},
        {"assets": {"evil.xml": "<mujoco/>"}},
        {"paths": {"texture": ["evil"]}},
        {"nested": {"assets": [1, {"texture_path": "evil"}]}},
        {"pair": ("evil.xml", "b")},
        {"model": Path("evil")},
    ],
    ids=str,
)
def test_a_path_that_only_the_data_names_is_not_passed_on_unless_it_is_trusted(
    arguments: dict[str, Any],
) -> None:
    got: dict[str, Any] = {}
    id = "tests/Opening-v0"

    def make(**kwargs: Any) -> Argued:
        got.update(kwargs)
        return Argued()

    gymnasium.register(id, entry_point=make, kwargs={"xml_file": "own.xml"})
    try:
        (name,) = arguments
        spec = EnvSpec(id, kwargs={"xml_file": "own.xml", **arguments})
        with pytest.raises(UntrustedEnvironmentError, match=f"trust_paths=True .*give {name} your"):
            recover_environment(spec)
        assert not got
        replacement: dict[str, Any] = {name: "mine.xml"}
        recover_environment(spec, **replacement)
        assert got == {"xml_file": "own.xml", name: "mine.xml"}
        recover_environment(spec, trust_paths=True)
        assert got == spec.kwargs
    finally:
        del gymnasium.registry[id]


def test_only_the_values_under_a_name_of_files_are_files(argued: str) -> None:
    with pytest.raises(EnvironmentNotRecoverableError) as raised:
        recover_environment(EnvSpec(argued, kwargs={"pair": {"left": {"right": 1}}}))
    assert not isinstance(raised.value, UntrustedEnvironmentError)
    with pytest.raises(UntrustedEnvironmentError, match="'left'"):
        recover_environment(EnvSpec(argued, kwargs={"pair": {"xml_file": {"right": "left"}}}))


def test_text_that_is_no_path_is_passed_on(argued: str) -> None:
    texts = [
        "",
        "sparse",
        "go to the red door.",
        "v1.5",
        "a b",
        "-v0",
        "4x4",
        "1:2",
        "the end: here",
    ]
    texts += [
        "np.int64",
        "torch.float32",
        "np.bool_",
        "1.5.beta",
        "2.0.rc1",
        "1e-3",
        "1.5B",
        argued,
    ]
    for text in texts:
        with pytest.raises(EnvironmentNotRecoverableError) as raised:
            recover_environment(EnvSpec(argued, kwargs={"reward_type": text}))
        assert not isinstance(raised.value, UntrustedEnvironmentError), text


def test_an_environment_that_raises_as_it_is_made_is_an_error_of_the_tree(argued: str) -> None:
    with pytest.raises(EnvironmentNotRecoverableError, match="TypeError: pair must be") as raised:
        recover_environment(EnvSpec(argued, kwargs={"pair": 1}))
    assert isinstance(raised.value.__cause__, TypeError)
    with pytest.raises(EnvironmentNotRecoverableError, match="cannot be made here"):
        recover_environment(_spec(), render_mode="human", no_such_argument=1)


def test_reading_a_hostile_spec_runs_nothing(trap: Path) -> None:
    spec = _spec(entry_point=f"{MODULE}:make", vector_entry_point=f"{MODULE}:make")
    assert env_spec_from_json(env_spec_to_json(spec)).entry_point == f"{MODULE}:make"
    assert not trap.exists()


def test_what_the_caller_trusts_is_run(trap: Path) -> None:
    with pytest.raises(EnvironmentNotRecoverableError, match="AttributeError: made"):
        recover_environment(_spec(entry_point=f"{MODULE}:make"), trust_entry_point=True)
    assert trap.exists()


def test_a_trusted_wrapper_is_made() -> None:
    spec = _wrapped(f"{__name__}:Doubled", factor=3)
    sys.modules.setdefault(__name__, sys.modules[Doubled.__module__])
    with pytest.raises(UntrustedEnvironmentError, match="Doubled"):
        recover_environment(spec)
    env = recover_environment(spec, trust_entry_point=True)
    assert isinstance(env, Doubled)
    assert env.factor == 3


class Doubled(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """A wrapper of a user's own."""

    def __init__(self, env: gymnasium.Env[Any, Any], factor: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, factor=factor)
        gymnasium.Wrapper.__init__(self, env)
        self.factor = factor


def test_a_wrapper_without_its_arguments_is_named() -> None:
    wrapper = WrapperSpec("TimeLimit", "gymnasium.wrappers:TimeLimit", None)
    spec = _spec(additional_wrappers=(wrapper,))
    with pytest.raises(EnvironmentNotRecoverableError, match=r"skip_wrappers=\['TimeLimit'\]"):
        recover_environment(spec)


class Monitor(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A wrapper that records no arguments."""


@pytest.mark.parametrize("trusted", [False, True])
def test_wrappers_that_cannot_be_made_are_left_out_where_they_are_named(trusted: bool) -> None:
    inner = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(CARTPOLE))
    spec = Monitor(gymnasium.wrappers.TransformReward(inner, lambda reward: 2 * float(reward))).spec
    assert spec is not None
    stored, dropped = drop_unstorable_arguments(spec)
    assert dropped == ("TransformReward",)
    stored = env_spec_from_json(env_spec_to_json(stored))
    for skipped in ([], ["Monitor"], "TransformReward"):
        with pytest.raises(EnvironmentNotRecoverableError, match="skip_wrappers="):
            recover_environment(stored, trust_entry_point=trusted, skip_wrappers=skipped)
    env = recover_environment(
        stored, trust_entry_point=trusted, skip_wrappers=["Monitor", "TransformReward"]
    )
    assert isinstance(env, gymnasium.wrappers.RecordEpisodeStatistics)
    assert env.spec == inner.spec


def test_a_wrapper_to_leave_out_must_be_there() -> None:
    with pytest.raises(EnvironmentNotRecoverableError, match="'Other', which is none of"):
        recover_environment(_spec(), skip_wrappers=["Other"])


def test_every_wrapper_of_gymnasium_that_writes_no_files_is_taken() -> None:
    for name in ("TimeLimit", "RecordEpisodeStatistics", "NormalizeObservation", "ClipAction"):
        wrapper = getattr(gymnasium.wrappers, name)
        for module in ("gymnasium.wrappers", wrapper.__module__):
            spec = _spec(additional_wrappers=(WrapperSpec(name, f"{module}:{name}", None),))
            with pytest.raises(EnvironmentNotRecoverableError, match="arguments") as raised:
                recover_environment(spec)
            assert not isinstance(raised.value, UntrustedEnvironmentError)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        (
            EnvSpec("ALE/Nothing-v5", "ale_py.env:AtariEnv"),
            "import ale_py; gymnasium.register_envs",
        ),
        (EnvSpec("Nothing-v1", "gymnasium_robotics.envs:X"), "the package gymnasium-robotics"),
        (EnvSpec("Nothing-v1", "my_own.envs:X"), "import my_own; gymnasium.register_envs"),
        (EnvSpec("Nothing-v1", "gymnasium.envs:X"), "Import the package that registers it"),
        (EnvSpec("Nothing-v1", "not a module:X"), "Import the package that registers it"),
        (EnvSpec("Nothing-v1"), "Import the package that registers it"),
        (EnvSpec("CartPole-v99"), "It provides versioned environments"),
        (EnvSpec("CartPole", CARTPOLE_ENTRY_POINT), "No registered env with id: CartPole"),
    ],
)
def test_an_environment_that_is_not_registered_is_refused_with_a_hint(
    spec: EnvSpec, hint: str
) -> None:
    with pytest.raises(EnvironmentNotRecoverableError, match=hint):
        recover_environment(spec)


@pytest.mark.skipif("LunarLander-v2" in gymnasium.registry, reason="not deprecated here")
def test_the_newer_version_of_a_deprecated_id_is_named() -> None:
    spec = EnvSpec("LunarLander-v2", "gymnasium.envs.box2d.lunar_lander:LunarLander")
    with pytest.raises(EnvironmentNotRecoverableError, match="LunarLander-v3") as raised:
        recover_environment(spec)
    assert isinstance(raised.value.__cause__, gymnasium.error.DeprecatedEnv)


def test_recovering_changes_neither_the_spec_nor_the_registry(argued: str) -> None:
    spec = EnvSpec(argued, kwargs={"pair": [2, 5]})
    registered = gymnasium.spec(argued)
    recover_environment(spec, size=5)
    assert spec == EnvSpec(argued, kwargs={"pair": [2, 5]})
    assert registered.kwargs == {"pair": (2, 5)}


def test_each_requirement_that_is_not_met_is_named_in_one_warning() -> None:
    requirements = [
        "numpy>=1.0",
        "numpy>=1000",
        "no-such-package-of-anyone==1",
        "numpy>=1000; python_version<'3'",
        "not a requirement!",
        f"gymnasium=={gymnasium.__version__}",
    ]
    with pytest.warns(UserWarning, match="may not behave") as caught:
        unmet = check_requirements(requirements)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert len(unmet) == 3
    for expected in (
        f"Installed numpy version {np.__version__} does not meet the requirement >=1000",
        'Package no-such-package-of-anyone is not installed. Install it with `pip install "no-such',
        "Ignoring malformed requirement `not a requirement!`",
    ):
        assert expected in str(caught[0].message)


def test_requirements_that_are_met_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_requirements(["numpy", "gymnasium>=0.29"]) == ()
        assert check_requirements([]) == ()


def test_merged_specs_have_the_largest_limit_of_steps() -> None:
    specs = [_spec(max_episode_steps=limit) for limit in (100, 300, 200)]
    merged = merge_env_specs(specs)
    assert merged == _spec(max_episode_steps=300)
    assert merged is not specs[1]
    assert specs[0].max_episode_steps == 100


def test_no_limit_of_steps_is_the_largest() -> None:
    specs = [_spec(max_episode_steps=100), _spec(max_episode_steps=None)]
    assert merge_env_specs(specs) == _spec(max_episode_steps=None)


def test_merging_no_specs_gives_none() -> None:
    assert merge_env_specs([]) is None
    assert merge_env_specs([None, None]) is None


def test_a_stored_spec_merges_with_the_one_it_was_stored_from() -> None:
    array = np.array([1.0, np.nan], np.float32)
    spec = _spec(kwargs={"skip": (2, 5), "limits": array})
    stored = env_spec_from_json(env_spec_to_json(spec, keep_types=False))
    assert merge_env_specs([spec, stored]) is not None


def test_specs_that_differ_are_refused_by_naming_what_differs() -> None:
    with pytest.raises(IncompatibleDatasetsError, match=r"number 1 .*has no environment spec"):
        merge_env_specs([_spec(), None])
    other = _spec(kwargs={"sutton_barto_reward": True}, reward_threshold=5.0)
    expected = r"differ in reward_threshold \(None and 5.0\); kwargs \({} and {'sutton"
    with pytest.raises(IncompatibleDatasetsError, match=expected) as raised:
        merge_env_specs([_spec(max_episode_steps=1), _spec(max_episode_steps=2), other])
    assert "max_episode_steps" not in str(raised.value)
    assert "dataset 2" in str(raised.value)
