"""Recover the environment that recorded a dataset, without trusting what the dataset names.

An environment spec is data: anyone can write ``"os:system"`` where an entry point belongs, and
Gymnasium would call it. So the code that runs is what the local registry has for the spec's id;
of the spec, only the arguments and limits are taken.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium
from gymnasium.envs.registration import EnvSpec

from minari_core.environments.env_specs import env_spec_fields, to_plain
from minari_core.environments.trust import TRUST_ADVICE, check_paths, take_registered_code
from minari_core.errors import EnvironmentNotRecoverableError, IncompatibleDatasetsError
from minari_core.messages import format_value, warn_caller

Environment: TypeAlias = "gymnasium.Env[Any, Any]"

_PACKAGE_OF_NAMESPACE = {"ALE": "ale_py"}
_DISTRIBUTIONS = {
    "ale_py": "ale-py",
    "gymnasium_robotics": "gymnasium-robotics",
    "highway_env": "highway-env",
}


def recover_environment(
    spec: EnvSpec,
    *,
    trust_entry_point: bool = False,
    trust_paths: bool = False,
    skip_wrappers: Collection[str] = (),
    **kwargs: Any,
) -> Environment:
    """Make the environment of a spec that a dataset holds.

    Unless the caller trusts the entry point, the spec's id must be registered here, by Gymnasium or
    by a package that the caller has imported; nothing is imported for it. Its arguments, its limit
    of steps and its wrappers are those of the spec.

    Args:
        spec: The spec that was stored.
        trust_entry_point: Also run what only the spec names: an entry point other than the
            registered one, or of an id that is not registered, and any wrapper. Only for specs
            whose author you trust as much as the author of a program that you run.
        trust_paths: Also pass on paths of files among the spec's arguments, such as ``xml_file``.
            Whatever may be one counts, as any text with a ``/``. An argument in ``kwargs``
            replaces such a path, too.
        skip_wrappers: Names of wrappers to leave out, as ``WrapperSpec.name`` has them.
        **kwargs: Override the spec's own arguments, as in ``gymnasium.make(spec, **kwargs)``.

    Raises:
        UntrustedEnvironmentError: The spec names code or files that its registration does not.
        EnvironmentNotRecoverableError: No environment of this id is registered, and the message
            says what to import; or it cannot be made, or one of its wrappers.
    """
    chosen = choose_environment(
        spec,
        trust_entry_point=trust_entry_point,
        trust_paths=trust_paths,
        skip_wrappers=skip_wrappers,
        replaced=kwargs,
    )
    return make_environment(chosen, **kwargs)


def choose_environment(
    spec: EnvSpec,
    *,
    trust_entry_point: bool = False,
    trust_paths: bool = False,
    skip_wrappers: Collection[str] = (),
    replaced: Mapping[str, object] | None = None,
) -> EnvSpec:
    """Choose what `recover_environment` makes, and make, import or run nothing.

    Args:
        spec: The spec that was stored.
        trust_entry_point: As for `recover_environment`.
        trust_paths: As for `recover_environment`.
        skip_wrappers: As for `recover_environment`.
        replaced: The arguments that the caller gives in place of the spec's.

    Returns:
        A spec that may be made.

    Raises:
        UntrustedEnvironmentError: The spec names code or files that its registration does not.
        EnvironmentNotRecoverableError: No environment of this id is registered; or one of its
            wrappers was recorded without its arguments.
    """
    spec = _leave_out_wrappers(spec, skip_wrappers)
    if not trust_entry_point:
        registered = _find_registration(spec)
        if not trust_paths:
            check_paths(spec, registered, replaced=replaced or {})
        spec = take_registered_code(spec, registered)
    elif spec.entry_point is None:
        spec = dataclasses.replace(spec, entry_point=_find_registration(spec).entry_point)
    elif spec.id not in gymnasium.registry:
        _warn_of_other_versions(spec)
    incomplete = [wrapper.name for wrapper in spec.additional_wrappers if wrapper.kwargs is None]
    if incomplete:
        raise EnvironmentNotRecoverableError(
            f"{spec.id}: it was recorded inside the wrapper {format_value(incomplete[0])}, "
            f"whose arguments are not recorded; pass skip_wrappers={format_value(incomplete)} to "
            "leave it out, and wrap the environment yourself"
        )
    return spec


def make_environment(spec: EnvSpec, **kwargs: Any) -> Environment:
    """Make the environment of a spec that `choose_environment` gave.

    Raises:
        EnvironmentNotRecoverableError: It cannot be made.
    """
    try:
        environment: Environment = gymnasium.make(spec, **kwargs)
    except Exception as error:  # whatever the environment, its wrappers and Gymnasium raise
        raise EnvironmentNotRecoverableError(
            f"{spec.id} cannot be made here: {type(error).__name__}: {error}"
        ) from error
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
            f"{'; '.join(unmet)}. The environment may not behave as it did when the dataset was "
            "recorded"
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
            "Cannot combine datasets having env_spec with those having no env_spec: some are of "
            f"{present[0].id}, while number {', '.join(map(str, without))} (from 0) has no "
            "environment spec"
        )
    first = present[0]
    for index, other in enumerate(present[1:], start=1):
        differences = _list_differences(first, other)
        if differences:
            raise IncompatibleDatasetsError(
                "The datasets to be combined have different values for `env_spec` attribute: "
                f"dataset 0 ({first.id}) and dataset {index} ({other.id}) differ in "
                f"{'; '.join(differences)}"
            )
    merged = copy.deepcopy(first)
    limits = [spec.max_episode_steps for spec in present]
    merged.max_episode_steps = max((limit for limit in limits if limit is not None), default=None)
    if None in limits:
        merged.max_episode_steps = None
    return merged


def _leave_out_wrappers(spec: EnvSpec, names: Collection[str]) -> EnvSpec:
    if isinstance(names, str):
        names = (names,)
    there = [wrapper.name for wrapper in spec.additional_wrappers]
    unknown = [name for name in names if name not in there]
    if unknown:
        raise EnvironmentNotRecoverableError(
            f"{spec.id}: skip_wrappers names {', '.join(map(format_value, unknown))}, which is "
            f"none of the recorded wrappers: {format_value(there)}"
        )
    return dataclasses.replace(
        spec,
        additional_wrappers=tuple(
            wrapper for wrapper in spec.additional_wrappers if wrapper.name not in names
        ),
    )


def _find_registration(spec: EnvSpec) -> EnvSpec:
    # Never `gymnasium.make(id)`: it imports the module of an id such as "module:Env-v0".
    registered = gymnasium.registry.get(spec.id)
    if registered is not None:
        return registered
    cause: gymnasium.error.Error | None = None
    try:
        gymnasium.spec(spec.id)
    except gymnasium.error.Error as error:
        cause = error
    advice = f". {TRUST_ADVICE}" if spec.entry_point is not None else ""
    raise EnvironmentNotRecoverableError(
        f"no environment of the id {format_value(spec.id)} is registered here "
        f"({cause or 'it is not in gymnasium.registry'}). {_explain_registration(spec)}{advice}"
    ) from cause


def _warn_of_other_versions(spec: EnvSpec) -> None:
    """Warn where the entry point of an id may by now be that of its other versions."""
    try:
        gymnasium.spec(spec.id)
    except (gymnasium.error.DeprecatedEnv, gymnasium.error.VersionNotFound) as error:
        warn_caller(
            f"{spec.id} is made from the entry point {format_value(spec.entry_point)} that the "
            f"data names, which may be that of another version by now: {error}"
        )
    except gymnasium.error.Error:
        pass


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


def _list_differences(first: EnvSpec, other: EnvSpec) -> list[str]:
    others = env_spec_fields(other)
    return [
        f"{name} ({format_value(value)} and {format_value(others[name])})"
        for name, value in env_spec_fields(first).items()
        if name != "max_episode_steps" and not _is_same(value, others[name])
    ]


def _is_same(first: object, second: object) -> bool:
    first, second = to_plain(first), to_plain(second)
    # The text too, since a NaN does not equal itself.
    return first == second or json.dumps(first, default=repr) == json.dumps(second, default=repr)


def _find_unmet(text: str) -> str | None:
    # Only here, because reading a dataset never needs it.
    from packaging.markers import InvalidMarker, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            return None
    except (InvalidRequirement, InvalidMarker, UndefinedEnvironmentName, TypeError):
        return f"Ignoring malformed requirement `{text}`"
    import importlib.metadata  # slow to import, for datasets with requirements only

    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return (
            f"Package {requirement.name} is not installed. Install it with `pip install "
            f'"{requirement}"`'
        )
    if not requirement.specifier.contains(version, prereleases=True):
        return (
            f"Installed {requirement.name} version {version} does not meet the requirement "
            f"{requirement.specifier}. We recommend to install the required version with "
            f'`pip install "{requirement}"`'
        )
    return None
