"""The identity of a run: what it must have in common with one that resumes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from gymnasium.envs.registration import EnvSpec

from minari_collect.runs.digest import compute_digest
from minari_collect.workers.messages import Recipe
from minari_core.environments.env_specs import env_spec_to_json
from minari_core.errors import MetadataError
from minari_core.json_values import JsonValue
from minari_core.messages import format_value

DIGESTS = "digests"
_PYTHON = "python"


def identify_recipe(recipe: Recipe) -> dict[str, JsonValue]:
    """Say in JSON what the episodes of a run depend on, beside its seed.

    Names and values are there to be read; the digests tell apart what has one name.
    """
    collector = recipe.collector
    parts = {
        "env": recipe.env,
        "policy": recipe.policy,
        "env_kwargs": dict(recipe.env_kwargs),
        "reset_options": None if recipe.reset_options is None else dict(recipe.reset_options),
        "step_data_callback": collector["step_data_callback"],
        "episode_metadata_callback": collector["episode_metadata_callback"],
    }
    digests: dict[str, JsonValue] = {name: compute_digest(part) for name, part in parts.items()}
    # Another Python compiles the same function to other instructions.
    digests[_PYTHON] = sys.implementation.cache_tag
    return {
        **{name: _describe(part) for name, part in parts.items()},
        "num_envs": recipe.num_envs,
        "record_infos": bool(collector["record_infos"]),
        "max_episode_steps": recipe.max_episode_steps,
        DIGESTS: digests,
    }


def list_conflicts(known: Mapping[str, JsonValue], arguments: Mapping[str, JsonValue]) -> list[str]:
    """List in what the arguments of a run differ from those of one that it is to resume.

    Args:
        known: The arguments of the earlier run. What they lack was not noted, and cannot be
            compared.
        arguments: The arguments of the run. A seed that is None may be any.

    Returns:
        Words that go on after "was collected with".
    """
    conflicts = [
        f"{key} {_say(known[key])}, not {_say(value)}"
        for key, value in arguments.items()
        if key != DIGESTS
        and key in known
        and not (key == "seed" and None in (value, known[key]))
        and _write(known[key]) != _write(value)
    ]
    before, now = known.get(DIGESTS), arguments.get(DIGESTS)
    if conflicts or not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return conflicts
    if before.get(_PYTHON) != now.get(_PYTHON):
        return []
    return [
        f"another {key} of the same name (it has other code, or holds other values)"
        for key, digest in now.items()
        if None not in (digest, before.get(key)) and digest != before[key]
    ]


def _say(value: JsonValue) -> str:
    return "none" if value is None else format_value(value)


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
