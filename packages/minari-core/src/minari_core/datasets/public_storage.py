"""`MinariStorage`: what `MinariDataset.storage` is, with the public Minari's methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_core.environments.env_specs import env_spec_to_json
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData, EpisodeMetadata
from minari_core.episodes.new_episodes import prepare_new_episodes
from minari_core.errors import DataError, DatasetExistsError, SpaceError
from minari_core.files import holds_dataset, make_write_error
from minari_core.formats.registry import (
    check_format,
    list_formats,
    new_storage,
    open_storage,
    read_dataset_metadata,
)
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.sampling.gathering.info_rows import STEP_INFOS, check_step_infos, list_infos
from minari_core.storage.base import Storage

_PEOPLE = ("author", "author_email")


class MinariStorage:
    """A storage with the methods that the public Minari's storages have.

    Whatever `minari_core.storage.base.Storage` has besides is there as well.
    """

    data_format: str
    """The name of the format."""
    data_path: Path | None
    """The folder that the data lies in, or None if it is not on disk."""
    observation_space: spaces.Space[Any]
    """The space of the observations."""
    action_space: spaces.Space[Any]
    """The space of the actions."""
    total_episodes: int
    """The number of episodes."""
    total_steps: int
    """The number of steps of all episodes."""

    def __init__(self, storage: Storage) -> None:
        """Wrap a storage."""
        self._inner = storage

    def __repr__(self) -> str:
        """Show the storage that is wrapped."""
        return f"MinariStorage({self._inner!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    @classmethod
    def read(cls, data_path: str | os.PathLike[str]) -> MinariStorage:
        """Open the ``data`` folder of a dataset."""
        return cls(open_storage(Path(data_path)))

    @classmethod
    def read_raw_metadata(cls, data_path: str | os.PathLike[str]) -> dict[str, Any]:
        """Read the metadata of a dataset's ``data`` folder as plain JSON values."""
        return dict(read_dataset_metadata(Path(data_path)))

    @classmethod
    def new(
        cls,
        data_path: str | os.PathLike[str],
        observation_space: spaces.Space[Any] | None = None,
        action_space: spaces.Space[Any] | None = None,
        env_spec: EnvSpec | None = None,
        data_format: str = "hdf5",
        *,
        jpeg_encoding: bool = False,
    ) -> MinariStorage:
        """Create an empty storage in a folder.

        Args:
            data_path: The folder, which is made if it is not there.
            observation_space: The space of the observations; the environment's if None.
            action_space: The space of the actions; the environment's if None.
            env_spec: The environment.
            data_format: How the data is stored.
            jpeg_encoding: Store images as JPEG, which loses detail.

        Raises:
            DatasetExistsError: The folder holds a dataset.
            FormatError: There is no such format.
            SpaceError: A space is not known, or cannot be stored.
        """
        folder = Path(data_path)
        check_format(data_format)
        if holds_dataset(folder):
            raise DatasetExistsError(
                f"A dataset is already available at {folder}. Delete it or specify another path"
            )
        if observation_space is None or action_space is None:
            if env_spec is None:
                raise SpaceError(
                    "Since env_spec is not specified, you need to specify both action space and "
                    "observation space"
                )
            environment = gymnasium.make(env_spec)
            if observation_space is None:
                observation_space = environment.observation_space
            if action_space is None:
                action_space = environment.action_space
            environment.close()
        metadata: dict[str, Any] = {
            "observation_space": space_to_json(observation_space),
            "action_space": space_to_json(action_space),
            "jpeg_encoding": jpeg_encoding,
        }
        if env_spec is not None:
            metadata["env_spec"] = env_spec_to_json(env_spec)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise make_write_error(f"{folder} could not be made", error) from error
        new_storage(folder, metadata, data_format).save()
        return cls(open_storage(folder))

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata, with spaces as objects, and authors and their addresses as sets."""
        metadata: dict[str, Any] = dict(self._inner.metadata)
        metadata["observation_space"] = self._inner.observation_space
        metadata["action_space"] = self._inner.action_space
        metadata["jpeg_encoding"] = self.jpeg_encoding
        if "dataset_id" in metadata:
            metadata["dataset_size"] = self.get_size()
        else:
            # What a dataset is not made of yet says nothing of itself.
            metadata.pop("minari_version", None)
            if self._inner.total_episodes:
                metadata["dataset_size"] = self.get_size()
        for key in _PEOPLE:
            if key in metadata:
                people = metadata[key]
                metadata[key] = {people} if isinstance(people, str) else set(people)
        return metadata

    def update_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace some keys of the metadata; see `minari_core.storage.base.Storage`.

        Storages that `new` has made may be given a ``dataset_id``, which makes them a dataset. A
        ``minari_version`` that comes with it is taken to be that of what has written the data.

        Raises:
            DatasetIdError: The id is malformed.
            DataError: ``step_infos`` names an info that no episode has.
            MetadataError: A value is not JSON, or a key is one that the data depends on.
        """
        changes = dict(metadata)
        if changes.get(STEP_INFOS) is not None:
            known = list_infos(self._inner) if self._inner.total_episodes else None
            changes[STEP_INFOS] = check_step_infos(changes[STEP_INFOS], known)
        if not self._inner.metadata.get("dataset_id") and "dataset_id" in changes:
            changes["dataset_id"] = str(parse_dataset_id(changes["dataset_id"]))
            changes.pop("minari_version", None)
        self._inner.update_metadata(changes)

    def get_episodes(self, episode_indices: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Read episodes, each as a dict."""
        return map(_episode_as_dict, self._inner.read_episodes(episode_indices))

    def get_episode_metadata(self, episode_indices: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Read the metadata of episodes, each as a dict."""
        return map(_metadata_as_dict, self._inner.read_episode_metadata(episode_indices))

    def update_episode_metadata(
        self,
        metadatas: Iterable[Mapping[str, Any]],
        episode_indices: Iterable[int] | None = None,
    ) -> None:
        """Merge new values into the metadata of episodes, all or none.

        Args:
            metadatas: The new values, a dict for each episode; see
                `minari_core.storage.base.Storage.update_episode_metadata`.
            episode_indices: The indices of the episodes; all of them if None.

        Raises:
            EpisodeIndexError: There is no such episode.
            MetadataError: A value cannot be kept, or there are more or fewer dicts than indices.
        """
        self._inner.update_episode_metadata(metadatas, episode_indices)

    def update_episodes(self, episodes: Iterable[Episode | Mapping[str, Any]]) -> None:
        """Add episodes, all or none; see `MinariDataset.update_dataset_from_buffer`.

        Raises:
            DataError: A buffer has the id of a stored episode; nothing is added to those.
        """
        prepared = prepare_new_episodes(episodes, self._inner.observation_space)
        self._inner.append_episodes(_check_new(prepared, self._inner.total_episodes))

    def update_from_storage(self, storage: MinariStorage) -> None:
        """Add all episodes of another storage, and the people that it names."""
        self._inner.append_storage(storage._inner)
        mine, others = self.metadata, storage.metadata
        people = {key: mine.get(key, set()) | others.get(key, set()) for key in _PEOPLE}
        changes = {key: people[key] for key in _PEOPLE if people[key] != mine.get(key, set())}
        if changes:
            self.update_metadata(changes)

    def apply(
        self,
        function: Callable[[dict[str, Any]], Any],
        episode_indices: Iterable[int] | None = None,
    ) -> Iterator[Any]:
        """Apply a function to episodes, each as a dict, and yield what it returns."""
        if episode_indices is None:
            episode_indices = range(self._inner.total_episodes)
        return map(function, self.get_episodes(episode_indices))

    @property
    def FORMAT(self) -> str:  # noqa: N802  # the public name
        """The name of the format."""
        return self._inner.data_format

    @property
    def jpeg_encoding(self) -> bool:
        """Whether images are stored as JPEG."""
        default = self._inner.data_format in list_formats(storing_jpeg=True)
        return self._inner.metadata.get("jpeg_encoding", default) is True

    def get_size(self) -> float:
        """Return the size of the data in megabytes, to one decimal."""
        return round(self._inner.nbytes / 1e6, 1)


def _check_new(episodes: Iterable[Episode], total: int) -> Iterator[Episode]:
    for number, episode in enumerate(episodes, start=total):
        wanted = episode.id if isinstance(episode, EpisodeBuffer) else None
        # The public Minari would append the steps to that episode.
        if wanted is not None and wanted < number:
            raise DataError(
                f"an episode with id {wanted} is stored already, and stored episodes are not "
                f"added to; leave the id out to add the buffer as episode {number}"
            )
        yield episode


def _episode_as_dict(episode: EpisodeData) -> dict[str, Any]:
    names = ("id", "observations", "actions", "rewards", "terminations", "truncations", "infos")
    return {name: getattr(episode, name) for name in names}


def _metadata_as_dict(episode: EpisodeMetadata) -> dict[str, Any]:
    entry = {**episode.metadata, "id": episode.id, "total_steps": episode.total_steps}
    if episode.seed is not None:
        entry["seed"] = episode.seed
    if episode.options is not None:
        entry["options"] = episode.options
    return entry
