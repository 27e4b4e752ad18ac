"""Datasets of many shards, which are copies of one under names of their own.

What is zero in a file takes no room in its copies, so that any machine holds terabytes of them.
``sparse_datasets.py DATASET_ID SHARDS`` makes one under `$MINARI_DATASETS_PATH`.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from workloads import ABOUT

EPISODES_A_SHARD, STEPS_AN_EPISODE = 1000, 1000
SPACES: dict[str, Any] = {
    "observation_space": spaces.Box(-np.inf, np.inf, (17,), np.float64),
    "action_space": spaces.Box(-1, 1, (6,), np.float32),
}
_BLOCK = 4096


def create_sparse(dataset_id: str, shards: int, episodes: int = EPISODES_A_SHARD) -> Path:
    """Create a dataset of a million steps a shard, which are all zero and take no room.

    Args:
        dataset_id: Its id.
        shards: How many shards it has.
        episodes: How many episodes a shard has, of a thousand steps on average.

    Returns:
        Its data folder.
    """
    return create_of_copies(dataset_id, _zero_episodes(episodes), shards)


def create_of_copies(
    dataset_id: str,
    episodes: Iterable[Any],
    shards: int,
    *,
    given: Mapping[str, Any] = SPACES,
    linked: bool = False,
) -> Path:
    """Create a dataset whose shards all have the same episodes.

    Args:
        dataset_id: Its id.
        episodes: Those of one shard.
        shards: How many shards it has.
        given: The spaces of the episodes.
        linked: Whether the shards are names of one file, so that whatever is in it takes no more
            room.

    Returns:
        Its data folder.
    """
    import minari
    from minari_core.formats.columnar.manifest import compute_snapshot_checksum

    dataset = minari.create_dataset_from_buffers(
        dataset_id, episodes, eval_env="CartPole-v1", **given, **ABOUT
    )
    dataset.compact()
    folder = Path(dataset.spec.data_path or "")
    manifest = folder / "metadata.json"
    content = json.loads(manifest.read_text())
    listing = content["columnar"]
    (entry,) = listing["shards"]
    template = folder / entry["file"]
    blocks = [] if linked else _find_blocks(template)
    for _ in range(shards):
        copy = {**entry, "file": f"shard-{uuid.uuid4().hex}.h5"}
        listing["shards"].append(copy)
        if linked:
            os.link(template, folder / copy["file"])
            continue
        with open(folder / copy["file"], "wb") as file:
            file.truncate(entry["bytes"])
            for offset, block in blocks:
                file.seek(offset)
                file.write(block)
    template.unlink()
    del listing["shards"][0]
    for key, counted in (("total_episodes", "episodes"), ("total_steps", "steps")):
        content[key] = sum(shard[counted] for shard in listing["shards"])
    del listing["crc32"]
    listing["crc32"] = compute_snapshot_checksum(listing)
    content["columnar"] = content.pop("columnar")
    manifest.write_text(json.dumps(content, separators=(",", ":")))
    return folder


def _zero_episodes(count: int) -> list[Any]:
    """Episodes of different lengths, of a thousand steps on average."""
    import minari

    lengths = np.random.default_rng(1).integers(500, 1500, count)
    lengths[-1] += count * STEPS_AN_EPISODE - lengths.sum()
    while lengths[-1] < 1:  # what is too much is taken from others
        lengths[np.argmax(lengths)] -= 1
        lengths[-1] += 1
    return [
        minari.EpisodeBuffer(
            observations=np.zeros((steps + 1, 17)),
            actions=np.zeros((steps, 6), dtype=np.float32),
            rewards=np.zeros(steps),
            terminations=np.zeros(steps, dtype=bool),
            truncations=np.zeros(steps, dtype=bool),
        )
        for steps in lengths.tolist()
    ]


def _find_blocks(path: Path) -> list[tuple[int, bytes]]:
    """Find what is not zero in a file."""
    found: list[tuple[int, bytes]] = []
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if any(block):
                found.append((file.tell() - len(block), block))
    return found


if __name__ == "__main__":
    print(create_sparse(sys.argv[1], int(sys.argv[2])), os.environ["MINARI_DATASETS_PATH"])
