"""The keywords that describe a new dataset, the same for every function that creates one."""

# The annotations are evaluated, so that signatures show types and not their source text.

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, TypeVar, cast

import gymnasium
from gymnasium.envs.registration import EnvSpec

from minari_core.environments.reference_scores import Policy

_Creator = TypeVar("_Creator", bound=Callable[..., object])


class DatasetDetails(TypedDict, total=False):
    """Describe a new dataset: every function that creates one takes these keywords.

    All of them are optional.

    Attributes:
        algorithm_name: The algorithm that chose the actions.
        author: Who made the dataset, one or several.
        author_email: How to reach them.
        code_permalink: A link to the version of the code that made the dataset.
        description: What the dataset is about.
        eval_env: The environment to evaluate on, if it is not the one that the data comes from:
            its id, its spec, or itself.
        ref_min_score: The mean return of a random policy. It is estimated if only
            ``ref_max_score`` or ``expert_policy`` is given.
        ref_max_score: The mean return of an expert.
        expert_policy: A policy, from an observation to an action, whose mean return is taken as
            ``ref_max_score``.
        num_episodes_average_score: The number of episodes over which a mean return is taken.
        requirements: What must be installed to make the environment, as pip writes it.
        license: What others may do with the data: an SPDX identifier where there is one, as
            ``"CC-BY-4.0"``.
        citation: How to cite it, as BibTeX or text.
        doi: Its digital object identifier, as ``"10.5281/zenodo.1234567"``.
        tags: Words that it is found by.
    """

    algorithm_name: str | None
    author: str | Iterable[str] | None
    author_email: str | Iterable[str] | None
    code_permalink: str | None
    description: str | None
    eval_env: str | gymnasium.Env[Any, Any] | EnvSpec | None
    ref_min_score: float | None
    ref_max_score: float | None
    expert_policy: Policy | None
    num_episodes_average_score: int
    requirements: Iterable[str] | None
    license: str | None
    citation: str | None
    doi: str | None
    tags: str | Iterable[str] | None


DEFAULT_SCORE_EPISODES = 100
"""The ``num_episodes_average_score`` of a dataset that is created without one."""


def check_details(details: Mapping[str, object]) -> None:
    """Refuse keywords that are none of `DatasetDetails`.

    Raises:
        TypeError: There is such a keyword; the message names it.
    """
    for name in details:
        if name not in DatasetDetails.__annotations__:
            raise TypeError(
                f"unexpected keyword argument {name!r}; what describes a dataset is "
                f"{', '.join(DatasetDetails.__annotations__)}"
            )


def split_details(
    keywords: Mapping[str, Any],
) -> tuple[DatasetDetails, dict[str, Any]]:
    """Split keywords into those of `DatasetDetails` and all others."""
    names = DatasetDetails.__annotations__
    details = {name: value for name, value in keywords.items() if name in names}
    others = {name: value for name, value in keywords.items() if name not in names}
    return cast(DatasetDetails, details), others


def list_details(function: _Creator) -> _Creator:
    """Show each keyword of `DatasetDetails` in the signature of a function that takes them all."""
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.kind != each.VAR_KEYWORD]
    for name, annotation in DatasetDetails.__annotations__.items():
        default = DEFAULT_SCORE_EPISODES if name == "num_episodes_average_score" else None
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
        )
    shown = signature.replace(parameters=parameters)
    function.__signature__ = shown  # type: ignore[attr-defined]  # what `inspect` looks for
    return function
