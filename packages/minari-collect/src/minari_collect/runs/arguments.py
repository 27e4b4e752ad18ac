"""Are the arguments of a run what they should be? It is told before anything is begun."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

from gymnasium.envs.registration import EnvSpec

from minari_core.errors import DataError
from minari_core.messages import format_value


def check_seconds(name: str, value: object) -> float | None:
    """A time as Python's own number, or None.

    Raises:
        DataError: It is neither, or not above 0.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise DataError(
            f"{name} is {format_value(value)}; give a number of seconds above 0, or None"
        )
    return float(value)


def check_amount(total_episodes: int | None, total_steps: int | None) -> None:
    """Is it said, once, how much to collect?

    Raises:
        DataError: It is not.
    """
    if (total_episodes is None) == (total_steps is None):
        raise DataError("give one of total_episodes and total_steps")


def check_env(env: object) -> None:
    """Can an environment be made of it?

    Raises:
        DataError: It is None, or an environment, or something else.
    """
    rule = "an id, a spec, or a function that makes an environment"
    if env is None:
        raise DataError(f"give env: {rule}")
    if not isinstance(env, str | EnvSpec) and not callable(env):
        raise DataError(f"env is {format_value(env)}; give {rule}")


def check_callable(name: str, value: object, rule: str) -> None:
    """Can it be called, or is it None?

    Args:
        name: The name of the argument.
        value: What was given.
        rule: What to give instead.

    Raises:
        DataError: It is neither.
    """
    if value is not None and not callable(value):
        raise DataError(f"{name} is {format_value(value)}; give {rule}")


def check_callback(name: str, value: object) -> None:
    """Is it a class, or an object that can be called?

    Raises:
        DataError: It is neither.
    """
    if not callable(value):
        raise DataError(f"{name} is {format_value(value)}, which cannot be called; give a callback")


def check_mapping(name: str, value: object) -> None:
    """Is it a dict, or None?

    Raises:
        DataError: It is neither.
    """
    if value is not None and not isinstance(value, Mapping):
        raise DataError(f"{name} is {format_value(value)}; give a dict, or None")


def check_executor(executor: object) -> None:
    """Does it take calls, or is it None?

    Raises:
        DataError: It is neither.
    """
    if executor is None:
        return
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise DataError(
            f"executor is {format_value(executor)}; give an object with the interface of "
            "concurrent.futures.Executor, or None for processes of this machine"
        )
