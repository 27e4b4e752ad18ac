"""The identity of a run: what it must have in common with one that resumes it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from minari_collect.runs.digest import DIGEST_VERSION, compute_digest
from minari_collect.workers.messages import Recipe
from minari_core.environments.env_specs import env_spec_to_json
from minari_core.errors import MetadataError
from minari_core.json_values import JsonValue
from minari_core.messages import format_value

COMPARED = (
    "env",
    "policy",
    "env_kwargs",
    "reset_options",
    "step_data_callback",
    "episode_metadata_callback",
)
"""The arguments that may count as the same although they look different."""

_DIGESTS = "digests"
_PYTHON = "python"
_REGISTRATION = "registration"


def identify_recipe(recipe: Recipe, *, may_import: bool) -> dict[str, JsonValue]:
    """Say in JSON what the episodes of a run depend on, beside its seed.

    Names and values are there to be read; the digests tell apart what has one name.

    Args:
        recipe: What all episodes have in common.
        may_import: Whether modules of environments may be imported here, which workers import.
    """
    collector = recipe.collector
    options = recipe.reset_options
    values = (
        recipe.env,
        recipe.policy,
        dict(recipe.env_kwargs),
        None if options is None else dict(options),
        collector["step_data_callback"],
        collector["episode_metadata_callback"],
    )
    parts: dict[str, Any] = dict(zip(COMPARED, values, strict=True))
    digests: dict[str, JsonValue] = {name: compute_digest(part) for name, part in parts.items()}
    registered = _find_spec(recipe.env, may_import)
    creator = None if registered is None else _find_creator(registered, may_import)
    digests[_REGISTRATION] = None if creator is None else compute_digest((registered, creator))
    registration: JsonValue = None
    if registered is not None and isinstance(recipe.env, str):
        registration = _list_fields(registered)
    # Another Python compiles the same function to other instructions.
    digests[_PYTHON] = f"{sys.implementation.cache_tag} {DIGEST_VERSION}"
    return {
        **{name: _describe(part) for name, part in parts.items()},
        _REGISTRATION: registration,
        "num_envs": recipe.num_envs,
        "record_infos": bool(collector["record_infos"]),
        "max_episode_steps": recipe.max_episode_steps,
        _DIGESTS: digests,
    }


def find_conflicts(
    known: Mapping[str, JsonValue], arguments: Mapping[str, JsonValue], same: Collection[str] = ()
) -> dict[str, str]:
    """Find in what the arguments of a run differ from those of one that it is to resume.

    Args:
        known: The arguments of the earlier run. What they lack was not noted, and cannot be
            compared.
        arguments: The arguments of the run. A seed that is None may be any.
        same: The arguments that count as the same, of `COMPARED`.

    Returns:
        For each argument words that go on after "was collected with".
    """
    conflicts = {
        key: _say_both(key, known[key], value)
        for key, value in arguments.items()
        if key != _DIGESTS
        and key in known
        and _name_argument(key) not in same
        and not (key in ("seed", _REGISTRATION) and None in (value, known[key]))
        and _write(known[key]) != _write(value)
    }
    before, now = known.get(_DIGESTS), arguments.get(_DIGESTS)
    if conflicts or not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return conflicts
    if before.get(_PYTHON) != now.get(_PYTHON):
        return {}
    names = dict.fromkeys(
        _name_argument(key)
        for key, digest in now.items()
        if None not in (digest, before.get(key)) and digest != before[key]
    )
    return {
        name: f"another {name} of the same name (it has other code, or holds other values)"
        for name in names
        if name not in same
    }


def say_how_to_resume(conflicts: Iterable[str]) -> str:
    """Say how to go on where arguments differ that have no bearing on the episodes; "" if none."""
    names = dict.fromkeys(map(_name_argument, conflicts))
    if not set(names) <= set(COMPARED):
        return ""
    return f"; if that makes no difference to the episodes, pass resume={list(names)}"


def _name_argument(key: str) -> str:
    return "env" if key == _REGISTRATION else key


def _say_both(key: str, known: JsonValue, value: JsonValue) -> str:
    if isinstance(known, Mapping) and isinstance(value, Mapping):
        # What they have in common would hide the difference.
        keys = [k for k in {**known, **value} if _write(known.get(k)) != _write(value.get(k))]
        known = {k: known[k] for k in keys if k in known}
        value = {k: value[k] for k in keys if k in value}
    if key == _REGISTRATION:
        key = "an env registered with"
    return f"{key} {_say(known)}, not {_say(value)}"


def _say(value: JsonValue) -> str:
    return "none" if value is None else format_value(value)


def _find_spec(env: object, may_import: bool) -> EnvSpec | None:
    """Find the spec that an id stands for, if it is registered here."""
    if not isinstance(env, str):
        return env if isinstance(env, EnvSpec) else None
    module_name, _, name = env.rpartition(":")
    try:
        if module_name and may_import:
            importlib.import_module(module_name)
        return gymnasium.spec(name)
    except Exception:  # a module raises whatever it likes, and workers may have another one
        return None


def _find_creator(spec: EnvSpec, may_import: bool) -> object:
    """Find the class or function behind a spec, if it is here."""
    entry_point = spec.entry_point
    if not isinstance(entry_point, str):
        return entry_point
    if not may_import and entry_point.partition(":")[0] not in sys.modules:
        return None
    try:
        return load_env_creator(entry_point)
    except Exception:  # as above
        return None


def _list_fields(spec: EnvSpec) -> JsonValue:
    """List the fields of a spec that JSON holds; its digest has the others."""
    fields: dict[str, JsonValue] = {
        "entry_point": _describe(spec.entry_point),
        "kwargs": {key: _describe_value(value) for key, value in spec.kwargs.items()},
        "additional_wrappers": [wrapper.name for wrapper in spec.additional_wrappers],
    }
    for name in ("max_episode_steps", "reward_threshold", "nondeterministic", "order_enforce"):
        fields[name] = _describe_value(getattr(spec, name))
    return fields


def _describe(part: Any) -> JsonValue:
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, EnvSpec):
        return _describe_spec(part)
    if isinstance(part, Mapping):
        return {str(key): _describe_value(value) for key, value in part.items()}
    return f"{getattr(part, '__module__', '')}:{getattr(part, '__qualname__', type(part).__name__)}"


def _describe_spec(spec: EnvSpec) -> str:
    try:
        return env_spec_to_json(spec)
    except MetadataError:
        return spec.id


def _describe_value(value: Any) -> JsonValue:
    try:
        described: JsonValue = json.loads(_write(value))
    except (TypeError, ValueError, RecursionError):
        return f"<{type(value).__name__}>"
    return described


def _write(value: object) -> str:
    """Write JSON that is the same for the same values, NaN included."""
    return json.dumps(value, sort_keys=True)
