"""The names of the public Minari's ``minari.utils``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

import minari_core
from minari.dataset.minari_dataset import parse_dataset_id
from minari.serialization import deserialize_space
from minari.storage.datasets_root_dir import get_dataset_path
from minari.supported_versions import supported_dataset_versions
from minari_core import (
    EpisodeBuffer,
    EpisodeData,
    MinariDataset,
    combine_datasets,
    create_namespace,
    get_normalized_score,
    list_local_namespaces,
    split_dataset,
)
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.details import DEFAULT_SCORE_EPISODES
from minari_core.datasets.public_storage import MinariStorage
from minari_core.environments.recovery import merge_env_specs, recover_environment
from minari_core.environments.reference_scores import (
    Policy,
    compute_reference_score,
    make_random_policy,
)
from minari_core.errors import MinariError
from minari_core.messages import MinariDeprecationWarning, warn_caller

__all__ = [
    "EpisodeBuffer",
    "MinariDataset",
    "MinariStorage",
    "RandomPolicy",
    "combine_datasets",
    "create_dataset_from_buffers",
    "create_namespace",
    "deserialize_space",
    "get_average_reference_score",
    "get_dataset_path",
    "get_dataset_spec_dict",
    "get_env_spec_dict",
    "get_normalized_score",
    "list_local_namespaces",
    "parse_dataset_id",
    "split_dataset",
    "validate_datasets_to_combine",
]

_POSITIONS = (
    "eval_env",
    "algorithm_name",
    "author",
    "author_email",
    "code_permalink",
    "action_space",
    "observation_space",
    "ref_min_score",
    "ref_max_score",
    "expert_policy",
    "num_episodes_average_score",
    "description",
    "data_format",
    "requirements",
)
# Before 0.4.3, after the environment and the buffer.
_OLD_POSITIONS = ("algorithm_name", "author", "author_email", "code_permalink")


def create_dataset_from_buffers(
    dataset_name: str | None = None,
    buffer: Iterable[EpisodeBuffer | EpisodeData | Mapping[str, Any]] = (),
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    *positional: Any,
    dataset_id: str | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    step_infos: Sequence[str] = (),
    data_format: str | None = None,
    jpeg_encoding: bool = False,
    **details: Any,
) -> MinariDataset:
    """Create a dataset from episodes that the caller has put together.

    Takes further arguments by position, too, in the order of the public Minari:
    ``eval_env, algorithm_name, author, author_email, code_permalink, action_space,
    observation_space, ref_min_score, ref_max_score, expert_policy, num_episodes_average_score,
    description, data_format, requirements``.

    Args:
        dataset_name: See `minari_core.create_dataset_from_buffers`, also for what follows.
        buffer: The episodes.
        env: The environment that the data comes from.
        *positional: Arguments by position.
        dataset_id: Another name of ``dataset_name``.
        observation_space: The space of the observations.
        action_space: The space of the actions.
        step_infos: The infos whose row t says something about step t.
        data_format: How to store the data.
        jpeg_encoding: Whether to store images as JPEG, which loses detail.
        **details: What is said about the dataset.

    Raises:
        MinariError: As `minari_core.create_dataset_from_buffers`.
        TypeError: An argument is given twice, or is none.
    """
    names: tuple[str, ...] = _POSITIONS
    if isinstance(buffer, str | gymnasium.Env | EnvSpec):
        warn_caller(
            "give the buffer before the environment, or both by their names",
            MinariDeprecationWarning,
        )
        buffer, env, names = env, buffer, _OLD_POSITIONS  # type: ignore[assignment]  # swapped
    if len(positional) > len(names):
        raise TypeError(f"create_dataset_from_buffers takes {3 + len(names)} arguments by position")
    named: dict[str, Any] = {
        "observation_space": observation_space,
        "action_space": action_space,
        "data_format": data_format,
        **details,
    }
    for name, value in zip(names, positional, strict=False):
        if named.get(name) is not None:
            raise TypeError(f"create_dataset_from_buffers got multiple values for {name!r}")
        named[name] = value
    return minari_core.create_dataset_from_buffers(
        dataset_name,
        buffer,
        env,
        dataset_id=dataset_id,
        step_infos=step_infos,
        jpeg_encoding=jpeg_encoding,
        **named,
    )


class RandomPolicy:
    """A policy of uniformly random actions, with a fixed seed."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Seed the environment's space of actions."""
        self.observation_space = env.observation_space
        self.action_space = env.action_space
        self._policy = make_random_policy(env)

    def __call__(self, observation: object) -> Any:
        """Draw an action."""
        return self._policy(observation)


def get_average_reference_score(
    env: gymnasium.Env[Any, Any], policy: Policy, num_episodes: int
) -> float:
    """Return the mean return of a policy; the first reset has a fixed seed."""
    return compute_reference_score(env, policy, num_episodes)


def validate_datasets_to_combine(datasets_to_combine: Iterable[MinariDataset]) -> EnvSpec | None:
    """Return the environment spec that datasets would have together.

    Raises:
        IncompatibleDatasetsError: They come from different environments.
    """
    return merge_env_specs([dataset.env_spec for dataset in datasets_to_combine])


def get_env_spec_dict(env_spec: EnvSpec) -> dict[str, str]:
    """Describe an environment: its spec, and its spaces if it can be made here, as Markdown.

    Nothing that only the spec names is imported.
    """
    described = {"ID": env_spec.id}
    try:
        environment = recover_environment(env_spec)
    except MinariError as error:
        warn_caller(f"Failed to make env {env_spec.id}, {error}")
    else:
        described["Observation Space"] = _quote(environment.observation_space)
        described["Action Space"] = _quote(environment.action_space)
        environment.close()
    for name in ("entry_point", "max_episode_steps", "reward_threshold", "nondeterministic"):
        described[name] = str(getattr(env_spec, name))
    for name in ("order_enforce", "disable_env_checker", "kwargs", "additional_wrappers"):
        described[name] = str(getattr(env_spec, name))
    described["vector_entry_point"] = str(env_spec.vector_entry_point)
    plain = ("ID", "Observation Space", "Action Space", "max_episode_steps", "reward_threshold")
    return {key: text if key in plain else f"`{text}`" for key, text in described.items()}


def get_dataset_spec_dict(dataset_spec: Mapping[str, Any]) -> dict[str, str]:
    """Describe a dataset by its metadata, as Markdown.

    Args:
        dataset_spec: The metadata, as `minari.list_local_datasets` or `MinariStorage.metadata`
            gives them.
    """
    described = {
        "Total Steps": str(dataset_spec["total_steps"]),
        "Total Episodes": str(dataset_spec["total_episodes"]),
    }
    for key, title in (("observation_space", "Observation"), ("action_space", "Action")):
        space = dataset_spec.get(key)
        if isinstance(space, str | Mapping):
            space = deserialize_space(space)
        if space is not None:
            described[f"Dataset {title} Space"] = _quote(space)
    version, link = dataset_spec["minari_version"], dataset_spec.get("code_permalink")
    is_supported = version in supported_dataset_versions
    return {
        **described,
        "Algorithm": dataset_spec.get("algorithm_name", "Not provided"),
        "Author": _join(dataset_spec.get("author", "Not provided")),
        "Email": _join(dataset_spec.get("author_email", "Not provided")),
        "Code Permalink": f"[{link}]({link})",
        "Minari Version": f"`{version}` ({'supported' if is_supported else 'not supported'})",
        "Download": f"`minari download {dataset_spec['dataset_id']}`",
    }


def _generate_dataset_metadata(
    dataset_id: str,
    env_spec: EnvSpec | None,
    eval_env: str | gymnasium.Env[Any, Any] | EnvSpec | None,
    algorithm_name: str | None,
    author: str | Iterable[str] | None,
    author_email: str | Iterable[str] | None,
    code_permalink: str | None,
    ref_min_score: float | None,
    ref_max_score: float | None,
    expert_policy: Policy | None,
    num_episodes_average_score: int = DEFAULT_SCORE_EPISODES,
    description: str | None = None,
    requirements: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of a new dataset, for `MinariStorage.update_metadata`."""
    card = DatasetCard(
        algorithm_name=algorithm_name,
        author=author,
        author_email=author_email,
        code_permalink=code_permalink,
        description=description,
        eval_env=eval_env,
        ref_min_score=ref_min_score,
        ref_max_score=ref_max_score,
        expert_policy=expert_policy,
        num_episodes_average_score=num_episodes_average_score,
        requirements=requirements,
    )
    nothing: spaces.Space[Any] = spaces.Tuple(())
    metadata: dict[str, Any] = {
        "dataset_id": dataset_id,
        **card.metadata(env_spec, nothing, nothing),
    }
    for key in ("observation_space", "action_space", "env_spec"):
        metadata.pop(key, None)
    for key in ("author", "author_email"):
        if key in metadata:
            metadata[key] = set(metadata[key])
    return metadata


def _quote(space: spaces.Space[Any]) -> str:
    return f"`{re.sub(' +', ' ', repr(space).replace(chr(10), ''))}`"


def _join(people: str | Iterable[str]) -> str:
    return people if isinstance(people, str) else ", ".join(people)
