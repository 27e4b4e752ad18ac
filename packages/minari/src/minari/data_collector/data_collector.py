"""`DataCollector`: a collector that creates datasets itself, as in the public Minari."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari.dataset.minari_dataset import parse_dataset_id
from minari.dataset.step_data import StepData
from minari_collect import DataCollectorV0, EpisodeMetadataCallback, StepDataCallback
from minari_core import EpisodeBuffer, MinariDataset, create_namespace, list_local_namespaces
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.creation import create_dataset_from_source
from minari_core.datasets.public_storage import MinariStorage
from minari_core.environments.reference_scores import Policy
from minari_core.local.locations import datasets_root

__all__ = [
    "AUTOSEED_BIT_SIZE",
    "DataCollector",
    "DataCollectorV0",
    "EpisodeBuffer",
    "EpisodeMetadataCallback",
    "MinariDataset",
    "MinariStorage",
    "StepData",
    "StepDataCallback",
    "create_namespace",
    "list_local_namespaces",
    "parse_dataset_id",
]

AUTOSEED_BIT_SIZE = 64
"""The number of bits of a seed that is drawn because none was given."""


class DataCollector(DataCollectorV0):
    """Record an environment; see `minari_collect.DataCollectorV0`.

    It draws a seed for each reset without one, so that every episode can be reproduced;
    ``options={"minari_autoseed": False}`` turns that off.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        step_data_callback: type[StepDataCallback] = StepDataCallback,
        episode_metadata_callback: type[EpisodeMetadataCallback] = EpisodeMetadataCallback,
        record_infos: bool = False,
        observation_space: spaces.Space[Any] | None = None,
        action_space: spaces.Space[Any] | None = None,
        data_format: str | None = None,
        *,
        jpeg_encoding: bool = False,
    ) -> None:
        """Wrap an environment.

        Args:
            env: The environment.
            step_data_callback: The callback that returns what is recorded of each step.
            episode_metadata_callback: The callback that returns the metadata of each episode.
            record_infos: Whether to record the infos, too.
            observation_space: The space of the recorded observations, if a callback changes them.
            action_space: The space of the recorded actions, if a callback changes them.
            data_format: How a dataset made of the data is stored; ``"columnar"`` if None.
            jpeg_encoding: Store images as JPEG, which loses detail, in ``"hdf5"``, ``"arrow"``
                and ``"parquet"``. Unlike the public Minari, this is not done unasked.

        Raises:
            FormatError: There is no such data format.
            SpaceError: A space cannot be stored.
        """
        super().__init__(
            env,
            step_data_callback,
            episode_metadata_callback,
            record_infos,
            observation_space=observation_space,
            action_space=action_space,
            data_format=data_format,
        )
        self._jpeg_encoding = jpeg_encoding

    @property
    def datasets_path(self) -> str:
        """The root folder of the local datasets."""
        return str(datasets_root())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and begin to record an episode; see `DataCollectorV0.reset`.

        Args:
            seed: The seed of the environment; one of 64 bits is drawn if None.
            options: The options of the environment; with ``"minari_autoseed": False`` no seed is
                drawn.
        """
        if seed is None and (not options or options.get("minari_autoseed", True)):
            seed = secrets.randbits(AUTOSEED_BIT_SIZE)
        return super().reset(seed=seed, options=options)

    def create_dataset(
        self,
        dataset_id: str,
        eval_env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
        algorithm_name: str | None = None,
        author: str | Iterable[str] | None = None,
        author_email: str | Iterable[str] | None = None,
        code_permalink: str | None = None,
        ref_min_score: float | None = None,
        ref_max_score: float | None = None,
        expert_policy: Policy | None = None,
        num_episodes_average_score: int = 100,
        description: str | None = None,
        requirements: Iterable[str] | None = None,
    ) -> MinariDataset:
        """Create a dataset of what was recorded; see `minari.create_dataset_from_collector_env`."""
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
        return create_dataset_from_source(
            dataset_id,
            self,
            self.env.spec,
            card,
            self.data_format,
            jpeg_encoding=self._jpeg_encoding,
        )

    def add_to_dataset(self, dataset: MinariDataset) -> None:
        """Add what was recorded to a dataset; see `update_dataset_from_collector_env`."""
        dataset.update_dataset_from_collector_env(self)
