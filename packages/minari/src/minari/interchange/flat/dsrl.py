"""Flat HDF5 files with costs, as DSRL publishes its data of safe reinforcement learning."""

from __future__ import annotations

from pathlib import Path

from minari.interchange.flat.d4rl import read
from minari.interchange.flat.hdf5 import look_into, write_flat_file
from minari.interchange.layout import Layout, Loss
from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.sampling.gathering.info_rows import list_infos, read_step_infos

_COLUMNS = frozenset({"observations", "next_observations", "actions", "rewards", "costs"})
_COSTS = "costs"
# What Safety-Gymnasium's environments call it.
_COST = "cost"


def recognize(path: Path) -> bool:
    """Tell a file by ``costs`` beside the columns of D4RL."""
    return look_into(path) >= _COLUMNS


def write(dataset: MinariDataset, path: Path, *, costs: str | None = None) -> list[Loss]:
    """Write what D4RL's files have, ``next_observations``, and ``costs``.

    Args:
        dataset: The dataset, of which the final observation of each episode is known.
        path: The file.
        costs: The info that is the cost of a step; ``"costs"`` or ``"cost"`` if None.
    """
    storage = get_raw_storage(dataset)
    infos = list_infos(storage) if storage.total_episodes else []
    named = costs or next((name for name in (_COSTS, _COST) if name in infos), None)
    if named is None or named not in infos:
        raise DataError(
            f"{'nothing' if costs is None else repr(costs)} in the infos is the cost of a step, "
            f"which dsrl needs; name it by costs=, one of {', '.join(infos) or 'none'}"
        )
    if not all(episode.final_observation_known for episode in dataset.iterate_episodes(copy=False)):
        raise DataError("dsrl needs next observations, and the final ones are not all known")
    losses = write_flat_file(dataset, path, "dsrl", {named: _COSTS})
    if named != _COSTS or named not in read_step_infos(storage.metadata):
        losses.append(Loss(f"infos/{named}", f"of each step it is the column {_COSTS!r}"))
    return losses


LAYOUT = Layout(
    name="dsrl",
    title="flat HDF5 files with costs, as DSRL publishes them",
    recognize=recognize,
    read=read,
    write=write,
)
