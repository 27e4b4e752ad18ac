"""Replay buffers of TorchRL that lie in memory maps; needs the extra ``minari-core[torchrl]``.

TorchRL's own ``MinariExperienceReplay`` opens the file of the ``"hdf5"`` format itself, and from
its release 0.11.1 on gives zeros. This reads every format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minari_core.datasets.dataset import MinariDataset
from minari_core.episodes.episode import EpisodeData
from minari_core.episodes.final_observation import take_rows
from minari_core.errors import DataError, MissingDependencyError
from minari_core.integrations.known_steps import leave_out_unknown_step

try:
    import torch
    from tensordict import TensorDict
    from torchrl.data import LazyMemmapStorage, TensorDictReplayBuffer
except ImportError as error:
    raise MissingDependencyError(
        "minari_core.integrations.torchrl needs TorchRL: pip install 'minari-core[torchrl]'"
    ) from error

__all__ = ["replay_buffer"]

_STEPS_AT_ONCE = 1 << 14


def replay_buffer(
    dataset: MinariDataset,
    *,
    batch_size: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    infos: bool = False,
    **options: Any,
) -> TensorDictReplayBuffer:
    """Put every transition of a dataset or view into a replay buffer, in their order.

    An entry is what TorchRL calls a trajectory in its TED format: ``observation``, ``action``,
    ``episode`` (the index of the episode in the stored dataset) and ``("next", …)`` with
    ``observation``, ``reward``, ``terminated``, ``truncated`` and ``done``. Rewards and the three
    flags have shape (N, 1) (rewards that are vectors (N, k)); ``done`` is whether the episode
    ends, of whatever kind the end is. Dict and Tuple spaces become nested entries, the items of a
    Tuple under "0", "1", …. Every value keeps its dtype. A last
    step whose next observation nobody knows is left out.

    Args:
        dataset: The dataset or view. A few episodes are in memory at a time.
        batch_size: The number of transitions that ``sample()`` returns.
        scratch_dir: A folder for the memory maps; a temporary one if None.
        infos: Whether infos are entries, too, as ``info`` and ``("next", "info")``.
        **options: What else ``torchrl.data.TensorDictReplayBuffer`` takes, such as a sampler.

    Raises:
        DataError: A value cannot be a tensor: text, an info that is not in every step, and what
            has no fixed shape. The message names it.
    """
    folder = None if scratch_dir is None else os.fspath(scratch_dir)
    metadata = dataset.iterate_episode_metadata()
    transitions = sum(each.total_steps - (not each.final_observation_known) for each in metadata)
    storage = LazyMemmapStorage(transitions, scratch_dir=folder)
    buffer = TensorDictReplayBuffer(storage=storage, batch_size=batch_size, **options)
    for episodes in _read_chunks(dataset):
        entries = [_make_entry(episode, infos=infos) for episode in episodes]
        steps = sum(map(len, episodes))
        buffer.extend(TensorDict(_concatenate(entries), batch_size=[steps]))
    return buffer


def _read_chunks(dataset: MinariDataset) -> Iterator[list[EpisodeData]]:
    """Yield the episodes, as many at a time as are worth a call."""
    chunk: list[EpisodeData] = []
    steps = 0
    for whole in dataset.iterate_episodes(copy=False):
        episode = leave_out_unknown_step(whole)
        if episode is None:
            continue
        chunk.append(episode)
        steps += len(episode)
        if steps >= _STEPS_AT_ONCE:
            yield chunk
            chunk, steps = [], 0
    if chunk:
        yield chunk


def _make_entry(episode: EpisodeData, *, infos: bool) -> dict[str, Any]:
    steps = len(episode)
    terminated, truncated = episode.terminations[:, None], episode.truncations[:, None]
    done = terminated | truncated
    # Somebody may have stopped to record before the episode was over.
    done[-1] = True
    before = {"observation": episode.observations, **({"info": episode.infos} if infos else {})}
    return {
        "episode": np.full(steps, episode.id, dtype=np.int64),
        "action": episode.actions,
        **take_rows(before, slice(None, -1)),
        "next": {
            **take_rows(before, slice(1, None)),
            "reward": episode.rewards.reshape(steps, -1),
            "terminated": terminated,
            "truncated": truncated,
            "done": done,
        },
    }


def _concatenate(values: list[Any], *path: str) -> Any:
    """Concatenate rows into tensors, in dicts where values are nested."""
    first = values[0]
    if isinstance(first, tuple):
        values = [{str(i): item for i, item in enumerate(value)} for value in values]
        first = values[0]
    if isinstance(first, Mapping):
        return {key: _concatenate([value[key] for value in values], *path, key) for key in first}
    name = ".".join(path)
    if not all(isinstance(value, np.ndarray) for value in values):
        raise DataError(f"{name} is a {type(first).__name__}, which cannot be a tensor")
    if any(np.ma.is_masked(value) for value in values):
        raise DataError(f"{name} is missing in some steps, which a tensor cannot say")
    return torch.from_numpy(np.concatenate([np.ma.getdata(value) for value in values]))
