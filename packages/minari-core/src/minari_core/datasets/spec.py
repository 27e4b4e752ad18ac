"""The description of a dataset: its id, its spaces, and the environment that it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_core.datasets.public_storage import MinariStorage
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.environments.recovery import check_requirements, recover_environment
from minari_core.errors import (
    DatasetDamagedError,
    DatasetIdError,
    EnvironmentNotRecoverableError,
    MetadataError,
)
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.storage.base import Storage


@dataclass(frozen=True, slots=True)
class MinariDatasetSpec:
    """The description of a dataset or view, without its data."""

    env_spec: EnvSpec | None
    """The environment that the data comes from."""
    total_episodes: int
    """The number of episodes in the dataset or view."""
    total_steps: int
    """The number of their steps."""
    dataset_id: str
    """The id, as in ``D4RL/door/human-v2``."""
    combined_datasets: list[str]
    """The ids of the datasets that were combined into this one."""
    observation_space: spaces.Space[Any]
    """The space of the observations."""
    action_space: spaces.Space[Any]
    """The space of the actions."""
    data_path: str | None
    """The folder that it is stored in."""
    minari_version: str | None
    """The version of what wrote the metadata; see `MinariDataset.minari_version`."""
    data_format: str = ""
    """The name of the data format."""
    namespace: str | None = field(init=False)
    """The namespace of the id, as ``D4RL/door``, or None."""
    dataset_name: str = field(init=False)
    """The name in the id, as ``human``."""
    version: int | None = field(init=False)
    """The version in the id, as 2; None of data that has no dataset id."""

    def __post_init__(self) -> None:
        """Take the id apart."""
        namespace, name, version = None, self.dataset_id, None
        with suppress(DatasetIdError):
            parsed = parse_dataset_id(self.dataset_id)
            namespace, name, version = parsed.namespace or None, parsed.name, parsed.version
        object.__setattr__(self, "namespace", namespace)
        object.__setattr__(self, "dataset_name", name)
        object.__setattr__(self, "version", version)


class DescribedDataset(ABC):
    """The metadata of a dataset or view, as properties."""

    _storage: Storage

    @property
    @abstractmethod
    def total_episodes(self) -> int:
        """The number of episodes."""

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """The number of steps of all episodes."""

    @property
    def id(self) -> str:
        """The dataset's id."""
        return str(self._storage.metadata.get("dataset_id", ""))

    @property
    def name(self) -> str:
        """The dataset's id."""
        return self.id

    @property
    def storage(self) -> MinariStorage:
        """The storage of the data, with the methods that it has in the public Minari."""
        return MinariStorage(self._storage)

    @property
    def metadata(self) -> dict[str, JsonValue]:
        """The metadata of the stored dataset, as plain JSON values."""
        return dict(self._storage.metadata)

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The space of the observations."""
        return self._storage.observation_space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of the actions."""
        return self._storage.action_space

    @cached_property
    def env_spec(self) -> EnvSpec | None:
        """The spec of the environment that the data comes from.

        Raises:
            DatasetDamagedError: What is stored is no spec of an environment.
        """
        return self._env_spec("env_spec")

    @cached_property
    def eval_env_spec(self) -> EnvSpec | None:
        """The spec of the environment to evaluate on, if the dataset names one of its own for that.

        Raises:
            DatasetDamagedError: What is stored is no spec of an environment.
        """
        return self._env_spec("eval_env_spec")

    def _env_spec(self, key: str) -> EnvSpec | None:
        text = self._storage.metadata.get(key)
        if text is None:
            return None
        if not isinstance(text, str):
            raise DatasetDamagedError(f"dataset {self.id!r}: {key} is {text!r}, not text")
        try:
            return env_spec_from_json(text)
        except MetadataError as error:
            raise DatasetDamagedError(f"dataset {self.id!r}: {key}: {error}") from error

    @property
    def combined_datasets(self) -> list[str]:
        """The ids of the datasets that were combined into this one."""
        combined = self._storage.metadata.get("combined_datasets")
        return [str(name) for name in combined] if isinstance(combined, list) else []

    @property
    def minari_version(self) -> str | None:
        """The version of what wrote the dataset's metadata, which no reader depends on.

        Of a columnar dataset that is the version of ``minari-core``, ``minari_core.__version__``,
        and not ``minari.__version__``. In the formats of the public Minari it is the version of
        the public Minari whose files these are; copies that this project writes say 0.5.4.
        """
        version = self._storage.metadata.get("minari_version")
        return None if version is None else str(version)

    @property
    def spec(self) -> MinariDatasetSpec:
        """The description of the dataset or view, without its data.

        Raises:
            DatasetDamagedError: A stored space or environment is malformed.
        """
        path = self._storage.data_path
        return MinariDatasetSpec(
            env_spec=self.env_spec,
            total_episodes=self.total_episodes,
            total_steps=self.total_steps,
            dataset_id=self.id,
            combined_datasets=self.combined_datasets,
            observation_space=self.observation_space,
            action_space=self.action_space,
            data_path=None if path is None else str(path),
            minari_version=self.minari_version,
            data_format=str(self._storage.metadata.get("data_format", "")),
        )

    def recover_environment(
        self,
        eval_env: bool = False,
        *,
        trust_entry_point: bool = False,
        trust_paths: bool = False,
        skip_wrappers: Collection[str] = (),
        **kwargs: Any,
    ) -> gymnasium.Env[Any, Any]:
        """Make the environment that the data comes from.

        Args:
            eval_env: Make the one to evaluate on, if the dataset names one of its own for that.
            trust_entry_point: Also run code that only the dataset names, and that no installed
                package has registered. Only for datasets whose author you trust as much as the
                author of a program that you run.
            trust_paths: Also pass on paths of files among the dataset's arguments, such as
                ``xml_file``. Whatever may be one counts, as any text with a ``/``. An argument in
                ``kwargs`` replaces such a path, too.
            skip_wrappers: Names of recorded wrappers to leave out, such as ``["Monitor"]``:
                those whose arguments were not recorded, or that need code which is not here.
            **kwargs: Arguments of `gymnasium.make`, which override those of the dataset.

        Raises:
            EnvironmentNotRecoverableError: The dataset names no environment, or none that is
                registered here; or it cannot be made here, which the message explains.
            UntrustedEnvironmentError: Making it would run code or open files which only the
                dataset names.
        """
        requirements = self._storage.metadata.get("requirements")
        if isinstance(requirements, list):
            check_requirements([str(requirement) for requirement in requirements])
        spec = (self.eval_env_spec if eval_env else None) or self.env_spec
        if spec is None:
            raise EnvironmentNotRecoverableError(
                f"Environment cannot be recovered when env_spec is None: dataset {self.id!r} does "
                "not say which environment it comes from"
            )
        return recover_environment(
            spec,
            trust_entry_point=trust_entry_point,
            trust_paths=trust_paths,
            skip_wrappers=skip_wrappers,
            **kwargs,
        )
