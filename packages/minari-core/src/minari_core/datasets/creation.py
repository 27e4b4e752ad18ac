"""Create datasets from episodes, and from what a collector has recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_core.datasets.card import DatasetCard, warn_without_spec
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.details import DatasetDetails, list_details
from minari_core.datasets.source import EpisodeSource, check_source
from minari_core.environments.env_specs import find_env_spec
from minari_core.episodes import Episode
from minari_core.episodes.new_episodes import prepare_new_episodes
from minari_core.errors import DataError, SpaceError
from minari_core.formats.registry import check_format
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.sampling.gathering.info_rows import (
    STEP_INFOS,
    check_step_infos,
    list_infos,
    read_step_infos,
    watch_step_infos,
)
from minari_core.storage.base import Storage


@list_details
def create_dataset_from_buffers(
    dataset_name: str | None = None,
    buffer: Iterable[Episode | Mapping[str, Any]] = (),
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    *,
    dataset_id: str | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    step_infos: Sequence[str] = (),
    data_format: str | None = None,
    jpeg_encoding: bool = False,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset from episodes that the caller has put together.

    Structures, dtypes and lengths are validated. Values are stored as they are, even outside the
    bounds of their space, and so are the flags of an episode.

    Args:
        dataset_name: The id of the new dataset, ``(namespace/…)name-vN``.
        buffer: The episodes, as `EpisodeBuffer`, `EpisodeData`, or dicts with the same keys. Each
            has ``observations`` (T+1 rows; T where nobody knows the final one, which a warning
            says), ``actions``, ``rewards``, ``terminations`` and ``truncations`` (T rows each),
            and may have ``infos`` (T+1 rows a key, or T without that of the final observation),
            ``seed``, ``options``, ``metadata`` and ``extras``. Rows are arrays or lists; for Dict
            and Tuple spaces dicts and tuples of them. They may come from a generator, and are
            taken a few at a time.
        env: The environment that the data comes from: its id, its spec, or itself.
        dataset_id: Another name of ``dataset_name``.
        observation_space: The space of the observations; the environment's if None.
        action_space: The space of the actions; the environment's if None.
        step_infos: The infos whose row t says something about step t and not about the
            observation that it returned; samplers read them so. Episodes that were read do not
            carry this; the metadata of their dataset's storage has it.
        data_format: How to store the data; ``"columnar"`` if None.
        jpeg_encoding: Store images as JPEG, which loses detail, where the format can.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DatasetIdError: The id is malformed, or given twice.
        DatasetExistsError: The id is taken.
        SpaceError: The spaces are neither given nor known from the environment.
        DataError: An episode does not fit its spaces, or goes on after a termination or
            truncation; the message names it. Or ``step_infos`` names an info that none has.
        MetadataError: Some metadata is not JSON, or of the wrong type.
        DatasetWriteError: The file system refused. As with every error, nothing is left behind.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    card = DatasetCard(**details)
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    observations, actions = find_spaces(env, observation_space, action_space)
    metadata = card.metadata(find_env_spec(env), observations, actions)
    marked = check_step_infos(step_infos)
    if jpeg_encoding:
        metadata["jpeg_encoding"] = True
    if marked:
        metadata[STEP_INFOS] = list(marked)
    return publish_episodes(new_id, metadata, chosen_format, buffer, observations, marked)


def publish_episodes(
    dataset_id: str,
    metadata: Mapping[str, JsonValue],
    data_format: str,
    buffer: Iterable[Episode | Mapping[str, Any]],
    observation_space: spaces.Space[Any],
    step_infos: Sequence[str] = (),
) -> MinariDataset:
    """Create a dataset of metadata that is complete, and of episodes of a caller.

    Args:
        dataset_id: The id of the new dataset.
        metadata: Its metadata.
        data_format: How to store the data.
        buffer: The episodes, as `create_dataset_from_buffers` takes them.
        observation_space: The space of the observations.
        step_infos: The infos that the caller said belong to steps, which must be there.

    Raises:
        DataError: As `create_dataset_from_buffers` does; so are the other errors.
    """
    marked = read_step_infos(metadata)
    episodes = prepare_new_episodes(watch_step_infos(buffer, marked), observation_space)

    def fill(storage: Storage) -> None:
        storage.append_episodes(episodes)
        if step_infos and storage.total_episodes:
            check_step_infos(step_infos, list_infos(storage))

    return MinariDataset(publish(dataset_id, metadata, data_format, fill))


def create_dataset_from_source(
    dataset_id: str,
    source: EpisodeSource,
    env_spec: EnvSpec | None,
    card: DatasetCard,
    data_format: str | None = None,
    *,
    jpeg_encoding: bool = False,
) -> MinariDataset:
    """Create a dataset from what a source, such as a collector, has recorded.

    The source is told to forget its episodes once the dataset is complete, and not before.

    Args:
        dataset_id: The id of the new dataset.
        source: The source of the episodes.
        env_spec: The environment that they come from.
        card: What is said about the dataset.
        data_format: How to store the data; ``"columnar"`` if None.
        jpeg_encoding: Store images as JPEG, which loses detail, where the format can.

    Raises:
        DatasetExistsError: The id is taken.
        DataError: Nothing was recorded.
        DatasetWriteError: The file system refused; the source still has the episodes.
    """
    check_id_is_free(dataset_id)
    chosen_format = check_format(data_format)
    recorded = check_source(source).finished_episodes()
    if recorded.total_episodes == 0:
        raise DataError(
            f"nothing was recorded for dataset {dataset_id!r}; step the environment first"
        )
    warn_without_spec(env_spec)
    metadata = card.metadata(env_spec, recorded.observation_space, recorded.action_space)
    if jpeg_encoding:
        metadata["jpeg_encoding"] = True
    folder = publish(
        dataset_id, metadata, chosen_format, lambda storage: storage.append_storage(recorded)
    )
    source.forget_episodes()
    return MinariDataset(folder)


def find_spaces(
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None,
    observation_space: spaces.Space[Any] | None,
    action_space: spaces.Space[Any] | None,
) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """Return the spaces: those that are given, else the environment's.

    Raises:
        SpaceError: One is neither given nor known from an environment.
    """
    if observation_space is not None and action_space is not None:
        return observation_space, action_space
    if env is None:
        raise SpaceError(
            "Both observation space and action space must be provided, if env is None; got "
            f"{observation_space} and {action_space}"
        )
    if not isinstance(env, str):
        find_env_spec(env)  # refuses what is none
    environment = env if isinstance(env, gymnasium.Env) else _make_environment(env)
    try:
        return (
            environment.observation_space if observation_space is None else observation_space,
            environment.action_space if action_space is None else action_space,
        )
    finally:
        if environment is not env:
            environment.close()


def _make_environment(env: str | EnvSpec) -> gymnasium.Env[Any, Any]:
    try:
        return gymnasium.make(env)
    except Exception as error:  # an environment raises whatever it likes
        name = env.id if isinstance(env, EnvSpec) else env
        raise SpaceError(
            f"environment {name!r} cannot be made here, so that its spaces are not known: "
            f"{type(error).__name__}: {error}; give observation_space and action_space, or "
            "another env"
        ) from error
