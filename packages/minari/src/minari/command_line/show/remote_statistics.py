"""Returns and lengths of the episodes of a remote dataset, fetching only their bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minari.distributions.returns import EpisodeStatistics, sum_runs
from minari_core.columns import ArraySpec
from minari_core.errors import DatasetDamagedError, MetadataError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.episode_index import EpisodeIndex
from minari_core.formats.columnar.manifest import Snapshot, read_manifest
from minari_core.formats.shards.entry import ShardEntry
from minari_hub.datasets.remote_dataset import LARGEST_LISTED_MANIFEST, RemoteDataset
from minari_hub.transfer.threads import map_many

_LARGEST_COLUMN = 64 << 20
_READERS = 16
_LENGTHS, _REWARDS = "episodes/length", "rewards"


def fetch_statistics(dataset: RemoteDataset) -> EpisodeStatistics | None:
    """Compute returns and lengths of a remote columnar dataset.

    Args:
        dataset: A dataset on a remote; what it says is not trusted.

    Returns:
        The statistics; without the returns if the rewards have more than 64 MiB; None for a
        dataset of another format.

    Raises:
        DatasetDamagedError: What the remote has is not what the manifest says.
        MetadataError: The manifest is too large to be looked at.
        RemoteError: The remote cannot be read.
    """
    snapshot = _read_snapshot(dataset)
    if not snapshot.shards:
        return None
    counts = [(shard.rows, shard.steps, shard.episodes) for shard in snapshot.shards]
    lengths = np.asarray(_fetch_column(dataset, snapshot, _LENGTHS, "episodes"))
    if lengths.dtype.kind not in "iu":
        raise DatasetDamagedError(f"{dataset.label}: lengths of episodes are {lengths.dtype}")
    index = EpisodeIndex(lengths.astype(np.int64), counts)
    if _count_bytes(snapshot, _REWARDS) > _LARGEST_COLUMN:
        return EpisodeStatistics(index.lengths, None)
    rewards = _fetch_column(dataset, snapshot, _REWARDS, "steps")
    if rewards.dtype.kind not in "fiu":
        raise DatasetDamagedError(f"{dataset.label}: its rewards are {rewards.dtype}")
    returns = sum_runs(rewards.astype(np.float64), index.lengths) if len(rewards) else None
    return EpisodeStatistics(index.lengths, returns)


def _read_snapshot(dataset: RemoteDataset) -> Snapshot:
    text = dataset.remote.read(dataset.prefix + MANIFEST_NAME, 0, LARGEST_LISTED_MANIFEST + 1)
    if len(text) > LARGEST_LISTED_MANIFEST:
        raise MetadataError(f"{dataset.label}: its manifest is too large to be looked at")
    with tempfile.TemporaryDirectory(prefix="minari-") as folder:
        (Path(folder) / MANIFEST_NAME).write_bytes(text)
        try:
            return read_manifest(Path(folder)).snapshot
        except DatasetDamagedError as error:
            # The file that the message names is gone by now.
            reason = str(error).partition(": ")[2] or str(error)
            raise DatasetDamagedError(f"{dataset.label}: its manifest: {reason}") from error


def _locate_column(
    snapshot: Snapshot, shard: ShardEntry, path: str
) -> tuple[ArraySpec, int, int] | None:
    """Locate a contiguous array of a shard: its spec, byte offset and bytes."""
    for spec, (offset, rows) in zip(
        snapshot.schemas[shard.schema].arrays, shard.arrays, strict=True
    ):
        if spec.path == path and not spec.rows_per_chunk:
            elements = rows
            for size in spec.row_shape:
                elements *= size
            return spec, offset, elements * spec.dtype.itemsize
    return None


def _count_bytes(snapshot: Snapshot, path: str) -> int:
    located = (_locate_column(snapshot, shard, path) for shard in snapshot.shards)
    return sum(column[2] for column in located if column is not None)


def _fetch_column(
    dataset: RemoteDataset, snapshot: Snapshot, path: str, axis: str
) -> npt.NDArray[np.generic]:
    if _count_bytes(snapshot, path) > _LARGEST_COLUMN:
        raise MetadataError(f"{dataset.label}: its {path} are too large to be looked at")

    def fetch(shard: ShardEntry) -> npt.NDArray[np.generic]:
        located = _locate_column(snapshot, shard, path)
        if located is None:
            raise DatasetDamagedError(f"{dataset.label}: {shard.file} has no {path}")
        spec, offset, nbytes = located
        content = b""
        if nbytes:
            content = dataset.remote.read(dataset.prefix + shard.file, offset, offset + nbytes)
        rows: int = getattr(shard, axis)
        try:
            return np.frombuffer(content, spec.dtype).reshape(rows, *spec.row_shape)
        except ValueError as error:
            raise DatasetDamagedError(
                f"{dataset.label}: {shard.file} does not have the {rows} rows of {path} that its "
                "manifest says"
            ) from error

    wanted = [shard for shard in snapshot.shards if getattr(shard, axis)]
    pieces = map_many(fetch, wanted, _READERS)
    try:
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
    except ValueError as error:
        raise DatasetDamagedError(
            f"{dataset.label}: its shards have {path} of different shapes"
        ) from error
