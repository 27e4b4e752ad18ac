"""The dataset card: what the creator of a dataset says about it, and the metadata it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_core._version import __version__
from minari_core.datasets.details import (
    DEFAULT_SCORE_EPISODES,
    DatasetDetails,
    check_details,
)
from minari_core.environments.env_specs import (
    drop_unstorable_arguments,
    env_spec_from_json,
    env_spec_to_json,
    find_env_spec,
)
from minari_core.environments.reference_scores import (
    Policy,
    compute_reference_score,
    make_random_policy,
)
from minari_core.environments.space_json import space_to_json
from minari_core.errors import MetadataError
from minari_core.formats.columnar.manifest import normalize_metadata
from minari_core.json_values import JsonValue
from minari_core.messages import advise_text, format_value, warn_caller
from minari_core.metadata.publication import PUBLICATION_KEYS, check_publication

_WORTH_SAYING = ("algorithm_name", "author", "author_email", "code_permalink")


_SAID = (*_WORTH_SAYING, "description", "requirements", *PUBLICATION_KEYS)


def merge_metadata(
    said: Mapping[str, JsonValue],
    details: DatasetDetails,
    env_spec: EnvSpec | None,
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
) -> dict[str, JsonValue]:
    """Return the metadata of a dataset of which files of another kind say something already.

    Args:
        said: Keys of metadata; the spaces among them are passed over.
        details: What the creator of the dataset says, which goes before.
        env_spec: The environment that the data comes from; what is said if None.
        observation_space: The space of the observations.
        action_space: The space of the actions.

    Raises:
        MetadataError: A value is not JSON, or of the wrong type.
        SpaceError: A space cannot be written as JSON.
        EnvironmentNotRecoverableError: The environment spec that is said is none.
    """
    text = said.get("env_spec")
    spec = env_spec_from_json(text) if env_spec is None and isinstance(text, str) else env_spec
    known: dict[str, Any] = {name: said[name] for name in _SAID if name in said}
    card = DatasetCard(**{**known, **details})
    return normalize_metadata({**said, **card.metadata(spec, observation_space, action_space)})


class DatasetCard:
    """The description that the creator of a dataset gives of it."""

    def __init__(self, **details: Unpack[DatasetDetails]) -> None:
        """Take what is said.

        Args:
            **details: See `DatasetDetails`.

        Raises:
            TypeError: A keyword is none of `DatasetDetails`.
        """
        check_details(details)
        self._details = details

    def metadata(
        self,
        env_spec: EnvSpec | None,
        observation_space: spaces.Space[object],
        action_space: spaces.Space[object],
    ) -> dict[str, JsonValue]:
        """Return the dataset's metadata, with one warning that names all that is worth adding.

        Args:
            env_spec: The environment that the data comes from, if it is known.
            observation_space: The space of the observations.
            action_space: The space of the actions.

        Raises:
            MetadataError: A value is not JSON, or of the wrong type.
            SpaceError: A space cannot be written as JSON.
        """
        details: Mapping[str, object] = self._details
        missing = [name for name in _WORTH_SAYING if details.get(name) is None]
        if missing:
            unsaid = ", ".join(f"`{name}` is set to None" for name in missing)
            warn_caller(f"{unsaid}; whoever uses the dataset will want to know")
        metadata: dict[str, object] = {
            "minari_version": __version__,
            "observation_space": space_to_json(observation_space, "observation_space"),
            "action_space": space_to_json(action_space, "action_space"),
        }
        metadata.update(self.describe())
        eval_spec = find_env_spec(self._details.get("eval_env"), "eval_env")
        metadata["env_spec"] = _write_spec(env_spec, "env_spec")
        metadata["eval_env_spec"] = _write_spec(eval_spec, "eval_env_spec")
        metadata.update(self._scores(eval_spec or env_spec))
        return normalize_metadata(
            {key: value for key, value in metadata.items() if value is not None}
        )

    def describe(self) -> dict[str, JsonValue]:
        """Return what is said in words, as metadata; what is not said is left out.

        Raises:
            MetadataError: A value is of the wrong type.
        """
        details: Mapping[str, object] = self._details
        words: dict[str, object] = {}
        for name in ("algorithm_name", "code_permalink", "description"):
            words[name] = _check_text(name, details.get(name))
        for name in ("author", "author_email", "requirements"):
            words[name] = _check_texts(name, details.get(name))
        words.update(check_publication(details))
        return normalize_metadata(
            {name: value for name, value in words.items() if value is not None}
        )

    def _scores(self, spec: EnvSpec | None) -> Mapping[str, object]:
        lowest, highest = self._details.get("ref_min_score"), self._details.get("ref_max_score")
        expert = self._details.get("expert_policy")
        if expert is not None and highest is not None:
            raise MetadataError(
                "Can't pass a value for `expert_policy` and `ref_max_score` at the same time: each "
                "of them says what the maximum is"
            )
        episodes = self._details.get("num_episodes_average_score", DEFAULT_SCORE_EPISODES)
        given: object = episodes
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
            raise MetadataError(
                f"num_episodes_average_score is {format_value(given)}, not a whole number of at "
                "least 1"
            )
        scores: dict[str, object] = {"ref_min_score": lowest, "ref_max_score": highest}
        for name, score in scores.items():
            if isinstance(score, bool) or not isinstance(score, int | float | np.number | None):
                raise MetadataError(f"{name} is {score!r}, not a number")
        if expert is not None:
            highest = _estimate_return(spec, lambda _: expert, episodes)
        if highest is None:
            return {} if lowest is None else {"ref_min_score": lowest}
        if lowest is None and spec is not None:
            lowest = _estimate_return(spec, make_random_policy, episodes)
        return {
            "ref_min_score": lowest,
            "ref_max_score": highest,
            "num_episodes_average_score": episodes,
        }


def warn_without_spec(env_spec: EnvSpec | None) -> None:
    """Warn if the environment of a recording has no spec."""
    if env_spec is None:
        warn_caller(
            "env_spec is None, no environment spec is provided: the environment that was recorded "
            "has none that "
            "can be kept, so it cannot be recovered; register it, and make it with gymnasium.make"
        )


def _estimate_return(
    spec: EnvSpec | None,
    policy_for: Callable[[gymnasium.Env[object, object]], Policy],
    episodes: int,
) -> float:
    if spec is None:
        raise MetadataError(
            "a reference score needs an environment to run in; give env or eval_env, or give "
            "ref_min_score and ref_max_score"
        )
    environment = gymnasium.make(spec)
    try:
        return compute_reference_score(environment, policy_for(environment), episodes)
    finally:
        environment.close()


def _write_spec(spec: EnvSpec | None, key: str) -> str | None:
    if spec is None:
        return None
    spec, dropped = drop_unstorable_arguments(spec)
    try:
        text = env_spec_to_json(spec)
    except MetadataError as error:
        warn_caller(f"the dataset has no {key}, so its environment cannot be recovered: {error}")
        return None
    if dropped:
        warn_caller(
            f"the {key} of the dataset keeps no arguments of the wrappers {', '.join(dropped)}, "
            "because JSON cannot keep code; recover_environment can leave them out: "
            f"skip_wrappers={list(dropped)}"
        )
    return text


def _check_text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise MetadataError(f"{name} is {value!r}, not text{advise_text(value)}")
    return value


def _check_texts(name: str, value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, Iterable):
        raise MetadataError(f"{name} is {value!r}, not text or several texts")
    items = [value] if isinstance(value, str) else list(value)
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise MetadataError(f"{name} is {value!r}, not text or several texts")
    return sorted(texts) if isinstance(value, set | frozenset) else texts
