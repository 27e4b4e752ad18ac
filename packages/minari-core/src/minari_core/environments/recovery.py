"""Recover the environment that recorded a dataset, without trusting what the dataset names.

An environment spec is data: anyone can write ``"os:system"`` where an entry point belongs, and
Gymnasium would call it. So the code that runs is what the local registry has for the spec's id;
of the spec, only the arguments and limits are taken.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import gymnasium.wrappers
import numpy as np
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from minari_core.environments.env_specs import env_spec_fields
from minari_core.errors import (
    EnvironmentNotRecoverableError,
    IncompatibleDatasetsError,
    UntrustedEnvironmentError,
)
from minari_core.messages import format_value, warn_caller

Environment: TypeAlias = "gymnasium.Env[Any, Any]"

_WRAPPERS = gymnasium.wrappers.__name__
# These are registered, and make whatever other environment their arguments name.
_RELAYS = frozenset({"GymV21Environment-v0", "GymV26Environment-v0"})
# A wrapper's argument of such a name says where it writes.
_FILE_WORDS = ("dir", "file", "folder", "path")
_PACKAGE_OF_NAMESPACE = {"ALE": "ale_py"}
_DISTRIBUTIONS = {
    "ale_py": "ale-py",
    "gymnasium_robotics": "gymnasium-robotics",
    "highway_env": "highway-env",
}


def recover_environment(
    spec: EnvSpec, *, trust_entry_point: bool = False, **kwargs: Any
) -> Environment:
    """Make the environment of a spec that a dataset holds.

    The spec's id must be registered here, by Gymnasium or by a package that the caller has
    imported; nothing is imported for it. Its arguments, its limit of steps and its wrappers are
    those of the spec.

    Args:
        spec: The spec that was stored.
        trust_entry_point: Also run what only the spec names: an entry point other than the
            registered one, and any wrapper. Only for specs whose author you trust as much as
            the author of a program that you run.
        **kwargs: Override the spec's own arguments, as in ``gymnasium.make(spec, **kwargs)``.

    Raises:
        UntrustedEnvironmentError: The spec names code that its registration does not.
        EnvironmentNotRecoverableError: No environment of this id is registered; the message
            says what to import.
        gymnasium.error.DeprecatedEnv: The installed Gymnasium has only newer versions of it.
    """
    registered = _find_registration(spec)
    if not trust_entry_point:
        spec = _take_registered_code(spec, registered)
    for wrapper in spec.additional_wrappers:
        if wrapper.kwargs is None:
            raise EnvironmentNotRecoverableError(
                f"{spec.id}: it was recorded inside the wrapper {format_value(wrapper.name)}, "
                "which did not record its arguments; make the environment with "
                f"gymnasium.make({spec.id!r}) and wrap it yourself"
            )
    environment: Environment = gymnasium.make(spec, **kwargs)
    return environment


def check_requirements(requirements: Sequence[str]) -> tuple[str, ...]:
    """Warn once about the requirements of a dataset that are not met here.

    Args:
        requirements: As pip takes them, such as ``"mujoco>=3.1,<4"``.

    Returns:
        A description of each one that is not met, or that could not be checked.
    """
    unmet = tuple(
        problem for problem in (_find_unmet(text) for text in requirements) if problem is not None
    )
    if unmet:
        warn_caller(
            f"the dataset's environment asks for packages that are not there: {'; '.join(unmet)}. "
            "It may not behave as it did when the dataset was recorded"
        )
    return unmet


def merge_env_specs(specs: Sequence[EnvSpec | None]) -> EnvSpec | None:
    """Merge the environment specs of datasets that are combined.

    Args:
        specs: The datasets' specs; they may only differ in ``max_episode_steps``.

    Returns:
        A copy of the first with the largest ``max_episode_steps``, which is None (no limit)
        if any of them has none; None if no dataset has a spec.

    Raises:
        IncompatibleDatasetsError: They differ; the message says in which fields.
    """
    present = [spec for spec in specs if spec is not None]
    if not present:
        return None
    if len(present) != len(specs):
        without = [index for index, spec in enumerate(specs) if spec is None]
        raise IncompatibleDatasetsError(
            f"datasets of different environments cannot be combined: some are of "
            f"{present[0].id}, while number {', '.join(map(str, without))} (from 0) has no "
            "environment spec"
        )
    first = present[0]
    for index, other in enumerate(present[1:], start=1):
        differences = _list_differences(first, other)
        if differences:
            raise IncompatibleDatasetsError(
                f"datasets of different environments cannot be combined: dataset 0 ({first.id}) "
                f"and dataset {index} ({other.id}) differ in {'; '.join(differences)}"
            )
    merged = copy.deepcopy(first)
    limits = [spec.max_episode_steps for spec in present]
    merged.max_episode_steps = max((limit for limit in limits if limit is not None), default=None)
    if None in limits:
        merged.max_episode_steps = None
    return merged


def _find_registration(spec: EnvSpec) -> EnvSpec:
    # Never `gymnasium.make(id)`: it imports the module of an id such as "module:Env-v0".
    registered = gymnasium.registry.get(spec.id)
    if registered is not None:
        return registered
    try:
        gymnasium.spec(spec.id)
    except gymnasium.error.DeprecatedEnv:
        raise
    except gymnasium.error.Error as error:
        reason = str(error)
    else:
        reason = "it is not in gymnasium.registry"
    raise EnvironmentNotRecoverableError(
        f"no environment of the id {format_value(spec.id)} is registered here ({reason}). "
        f"{_explain_registration(spec)}"
    )


def _explain_registration(spec: EnvSpec) -> str:
    module = _PACKAGE_OF_NAMESPACE.get(spec.namespace or "")
    if module is None and isinstance(spec.entry_point, str):
        module = spec.entry_point.partition(":")[0].partition(".")[0]
    if module is None or not module.isidentifier() or module == "gymnasium":
        return "Import the package that registers it, then try again"
    package = _DISTRIBUTIONS.get(module, module)
    return (
        f"Its data says that the package {package} makes it: if you know and trust that package, "
        f"install it and run `import {module}; gymnasium.register_envs({module})` first"
    )


def _take_registered_code(spec: EnvSpec, registered: EnvSpec) -> EnvSpec:
    """Return the spec with the registered code, once everything else it names is checked."""
    if spec.id in _RELAYS:
        raise UntrustedEnvironmentError(
            f"{spec.id} makes whatever other environment its arguments name, here "
            f"{format_value(spec.kwargs)}. {_ADVICE}"
        )
    for name in ("entry_point", "vector_entry_point"):
        named, known = getattr(spec, name), getattr(registered, name)
        if named is not None and named != known:
            raise UntrustedEnvironmentError(
                f"{spec.id}: the data names the {name} {format_value(named)}, while the registered "
                f"one is {format_value(known)}. {_ADVICE}, or make the registered one with "
                f"gymnasium.make({spec.id!r})"
            )
    for wrapper in spec.additional_wrappers:
        _check_wrapper(spec, wrapper)
    return dataclasses.replace(
        spec,
        entry_point=registered.entry_point,
        vector_entry_point=registered.vector_entry_point,
        kwargs=_restore_registered_types(spec.kwargs, registered.kwargs),
    )


_ADVICE = "Pass trust_entry_point=True if you trust the data's author to run code here"


def _check_wrapper(spec: EnvSpec, wrapper: WrapperSpec) -> None:
    kind = _find_exported_wrapper(wrapper.entry_point)
    if kind is None:
        raise UntrustedEnvironmentError(
            f"{spec.id}: the data names the wrapper {format_value(wrapper.entry_point)}, which is "
            f"none of {_WRAPPERS}. {_ADVICE}, or wrap gymnasium.make({spec.id!r}) yourself"
        )
    writing = [
        name
        for name in inspect.signature(kind).parameters
        if any(word in name.split("_") for word in _FILE_WORDS)
    ]
    if writing:
        raise UntrustedEnvironmentError(
            f"{spec.id}: the data names the wrapper {kind.__name__}, which writes files where the "
            f"data says ({', '.join(writing)}). {_ADVICE}, or wrap gymnasium.make({spec.id!r}) "
            "yourself"
        )


def _find_exported_wrapper(entry_point: object) -> type | None:
    """Return the wrapper of Gymnasium's own that is meant, without importing anything."""
    if not isinstance(entry_point, str):
        return None
    module_name, _, name = entry_point.partition(":")
    if module_name != _WRAPPERS and not module_name.startswith(f"{_WRAPPERS}."):
        return None
    # Not getattr: Gymnasium imports torch and jax when some wrappers are asked for.
    kind = vars(sys.modules.get(module_name, object)).get(name)
    if not isinstance(kind, type) or not issubclass(kind, gymnasium.Wrapper):
        return None
    return kind if vars(gymnasium.wrappers).get(kind.__name__) is kind else None


def _restore_registered_types(
    arguments: dict[str, Any], registered: dict[str, Any]
) -> dict[str, Any]:
    """Restore the tuples that JSON made lists of, which some environments insist on."""
    return {
        name: registered[name]
        if name in registered and _to_plain(registered[name]) == _to_plain(value)
        else value
        for name, value in arguments.items()
    }


def _list_differences(first: EnvSpec, other: EnvSpec) -> list[str]:
    others = env_spec_fields(other)
    return [
        f"{name} ({format_value(value)} and {format_value(others[name])})"
        for name, value in env_spec_fields(first).items()
        if name != "max_episode_steps" and not _is_same(value, others[name])
    ]


def _is_same(first: object, second: object) -> bool:
    first, second = _to_plain(first), _to_plain(second)
    # The text too, since a NaN does not equal itself.
    return first == second or json.dumps(first, default=repr) == json.dumps(second, default=repr)


def _to_plain(value: object) -> object:
    """Convert a value as JSON would, so that a stored spec equals one that was not stored."""
    if isinstance(value, np.ndarray | np.generic):
        return _to_plain(value.tolist())
    if isinstance(value, WrapperSpec):
        return _to_plain(dataclasses.asdict(value))
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    return value


def _find_unmet(text: str) -> str | None:
    # Only here, because reading a dataset never needs it.
    from packaging.markers import InvalidMarker, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            return None
    except (InvalidRequirement, InvalidMarker, UndefinedEnvironmentName, TypeError):
        return f"{format_value(text)} is not a requirement"
    import importlib.metadata  # slow to import, for datasets with requirements only

    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{format_value(str(requirement))} (not installed)"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{format_value(str(requirement))} (installed: {version})"
    return None
