"""Creating a dataset from what a collector has recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from minari_collect.collectors.base import EpisodeCollector
from minari_collect.collectors.single import DataCollectorV0
from minari_collect.collectors.vector import VectorDataCollector
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.creation import create_dataset_from_source
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.source import checked_source
from minari_core.environments.reference_scores import Policy
from minari_core.errors import RecordingError
from minari_core.local.dataset_id import choose_id
from minari_core.messages import shown


def create_dataset_from_collector_env(
    dataset_name: str | None = None,
    collector_env: DataCollectorV0 | VectorDataCollector | None = None,
    *,
    dataset_id: str | None = None,
    algorithm_name: str | None = None,
    author: str | Iterable[str] | None = None,
    author_email: str | Iterable[str] | None = None,
    code_permalink: str | None = None,
    description: str | None = None,
    eval_env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    ref_min_score: float | None = None,
    ref_max_score: float | None = None,
    expert_policy: Policy | None = None,
    num_episodes_average_score: int = 100,
    requirements: Iterable[str] | None = None,
) -> MinariDataset:
    """Create a dataset from the episodes that a collector has recorded.

    The data is moved, not copied. The collector's buffers are cleared once the dataset is
    complete and durable, and not before; it can go on collecting for
    `MinariDataset.update_dataset_from_collector_env`. An episode that is still going on is ended
    as truncated.

    Args:
        dataset_name: The id of the new dataset, ``(namespace/…)name-vN``.
        collector_env: The collector, of one environment or of many.
        dataset_id: Another name of ``dataset_name``.
        algorithm_name: The algorithm that chose the actions.
        author: Who made the dataset, one or several.
        author_email: How to reach them.
        code_permalink: A link to the version of the code that made the dataset.
        description: What the dataset is about.
        eval_env: The environment to evaluate on, if it is another one.
        ref_min_score: The mean return of a random policy. It is estimated if only
            ``ref_max_score`` or ``expert_policy`` is given.
        ref_max_score: The mean return of an expert.
        expert_policy: A policy whose mean return is taken as ``ref_max_score``.
        num_episodes_average_score: Over how many episodes a mean return is taken.
        requirements: What must be installed to make the environment, as pip writes it.

    Returns:
        The new dataset.

    Raises:
        DatasetIdError: The id is malformed, or given twice.
        DatasetExistsError: The id is taken.
        DataError: Nothing was recorded.
        MetadataError: Some metadata is not JSON, or of the wrong type.
        RecordingError: No collector is given, or it is closed.
        DatasetWriteError: The file system refused. As with every error, the collector still has
            its episodes, no dataset is left behind, and trying again is safe.
    """
    new_id = choose_id(dataset_name, dataset_id)
    collector = checked_source(collector_env)
    if not isinstance(collector, EpisodeCollector):
        raise RecordingError(
            f"collector_env is {shown(collector)}, not an environment wrapped in DataCollectorV0 "
            "or environments wrapped in VectorDataCollector"
        )
    described = DatasetCard(
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
        new_id, collector, collector.recorded_spec, described, collector.data_format
    )
