"""Decide what an environment spec may run and open: nothing that its registration does not name."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import gymnasium.wrappers
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from minari_core.environments.env_specs import to_plain
from minari_core.errors import UntrustedEnvironmentError
from minari_core.messages import format_value

_WRAPPERS = gymnasium.wrappers.__name__
# These are registered, and make whatever other environment their arguments name.
_RELAYS = frozenset({"GymV21Environment-v0", "GymV26Environment-v0"})
# An argument of such a name says where a wrapper writes, or what an environment opens.
_FILE_WORDS = frozenset(
    {"dir", "directory", "file", "filename", "folder", "path", "paths", "files"}
)
# Whatever may be a path counts as one, for a relative one may lead to what came with the data; of
# endings, all but those of versions and dtypes, because games call their files what they like.
_PATH = re.compile(
    r"[\\/]|\.\.|^\s*(?:~|[A-Za-z]:|\.\s*$)"  # separators, parents, homes, drives
    r"|\.(?!(?:(?:u?int|b?float|complex)\d+|bool_?|(?:alpha|beta|dev|post|rc)\d*)$)"
    r"(?:[A-Za-z]\w*|7z|3(?:dm|ds|mf|gp))(?:[\s.]*$|:)"  # the suffix of a file
)
TRUST_ADVICE = "Pass trust_entry_point=True if you trust the data's author to run code here"


def take_registered_code(spec: EnvSpec, registered: EnvSpec) -> EnvSpec:
    """Return the spec with the registered code, once everything else it names is checked.

    Raises:
        UntrustedEnvironmentError: It names an entry point other than the registered one, or a
            wrapper that is not Gymnasium's own, or that writes files.
    """
    if spec.id in _RELAYS:
        raise UntrustedEnvironmentError(
            f"{spec.id} makes whatever other environment its arguments name, here "
            f"{format_value(spec.kwargs)}. {TRUST_ADVICE}"
        )
    for name in ("entry_point", "vector_entry_point"):
        named, known = getattr(spec, name), getattr(registered, name)
        if named is not None and named != known:
            raise UntrustedEnvironmentError(
                f"{spec.id}: the data names the {name} {format_value(named)}, while the registered "
                f"one is {format_value(known)}. {TRUST_ADVICE}, or make the registered one with "
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


def check_paths(spec: EnvSpec, registered: EnvSpec, replaced: Mapping[str, object]) -> None:
    """Raise if an argument of the spec may be the path of a file that is not the registered one.

    Args:
        spec: The spec that was stored.
        registered: What is registered under its id.
        replaced: The arguments that the caller gives in place of the spec's.

    Raises:
        UntrustedEnvironmentError: It has such an argument.
    """
    for name, value in spec.kwargs.items():
        if name in replaced or (
            name in registered.kwargs and to_plain(registered.kwargs[name]) == to_plain(value)
        ):
            continue
        for path in _find_paths(name, value):
            raise UntrustedEnvironmentError(
                f"{spec.id}: the data gives the argument {name} {format_value(path)}, which may be "
                "a path, and what lies there may be anything. Pass trust_paths=True if you trust "
                f"the data's author to choose it, or give {name} yourself"
            )


def _find_paths(name: str, value: object) -> Iterator[object]:
    waiting = [(_names_file(name), value)]
    while waiting:
        is_of_files, value = waiting.pop()
        if isinstance(value, Mapping):
            for key, item in value.items():
                waiting += [(False, key), (is_of_files or _names_file(str(key)), item)]
        elif isinstance(value, list | tuple):
            waiting.extend((is_of_files, item) for item in value)
        elif isinstance(value, os.PathLike | bytes) or (
            isinstance(value, str) and value and (is_of_files or _may_be_path(value))
        ):
            yield value


def _may_be_path(text: str) -> bool:
    # Nothing but that tells the id of an environment in a namespace from a file in a folder.
    return text not in gymnasium.registry and _PATH.search(text) is not None


def _names_file(name: str) -> bool:
    return not _FILE_WORDS.isdisjoint(name.lower().split("_"))


def _check_wrapper(spec: EnvSpec, wrapper: WrapperSpec) -> None:
    advice = f"{TRUST_ADVICE}, or skip_wrappers={format_value([wrapper.name])} to leave it out"
    kind = _find_exported_wrapper(wrapper.entry_point)
    if kind is None:
        raise UntrustedEnvironmentError(
            f"{spec.id}: the data names the wrapper {format_value(wrapper.entry_point)}, which is "
            f"none of {_WRAPPERS}. {advice}"
        )
    writing = [name for name in inspect.signature(kind).parameters if _names_file(name)]
    if writing:
        raise UntrustedEnvironmentError(
            f"{spec.id}: the data names the wrapper {kind.__name__}, which writes files where the "
            f"data says ({', '.join(writing)}). {advice}"
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
        if name in registered and to_plain(registered[name]) == to_plain(value)
        else value
        for name, value in arguments.items()
    }
