"""Write the episodes of a dataset as RLDS, in TFRecord files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minari.interchange.layout import Loss, check_has_steps
from minari.interchange.rlds.examples import Values, encode_example
from minari.interchange.rlds.features import (
    Feature,
    choose_feature,
    describe_features,
    encode_leaf,
)
from minari.interchange.rlds.records import write_record
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.files import sync_file
from minari_core.json_values import JsonValue, to_json_text
from minari_core.leaves import Keys, find_leaves, join_path
from minari_core.storage.copied_metadata import metadata_for_copy

CARD, REST = "minari.json", "episode_metadata/minari"
GROUPS = {"observations": "observation", "actions": "action", "infos": "info", "extras": "extra"}
_SHARD_NBYTES = 200 << 20
_FLAGS = {name: Feature("tensor", "bool") for name in ("is_first", "is_last", "is_terminal")}


def write_folder(dataset: MinariDataset, root: Path) -> list[Loss]:
    """Write a dataset, as `write` of the layout describes it.

    Raises:
        DataError: An observation or action is of a kind that TensorFlow Datasets has not.
        DatasetWriteError: The file system refused.
    """
    check_has_steps(dataset, "rlds")
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    features: dict[str, Feature] = {}
    left_out: dict[str, str] = {}
    unknown = 0
    kept: set[str] = set()
    for number, episode in enumerate(storage.read_episodes(indices, copy=False)):
        _plan(episode, features, left_out, is_first=number == 0)
        unknown += not episode.final_observation_known
        kept.update(_list_kept(episode))
    root.mkdir()
    name = re.sub(r"\W+", "_", dataset.id.lower()).strip("_") or "dataset"
    lengths: list[int] = []
    nbytes = 0
    episodes = (
        encode_example(_encode_episode(episode, features))
        for episode in storage.read_episodes(indices, copy=False)
    )
    for path, length in _write_shards(root, episodes):
        lengths.append(length)
        nbytes += path.stat().st_size
    total = len(lengths)
    for number in range(total):
        final = root / f"{name}-train.tfrecord-{number:05d}-of-{total:05d}"
        os.rename(root / f"{number}.part", final)
    all_features = {
        **features,
        "steps/reward": _choose_reward(storage.read_rows(indices[0], "rewards", 0, 1))
        if indices
        else Feature("tensor", "float64", (), "bytes"),
        "steps/discount": Feature("tensor", "float32"),
        **{f"steps/{flag}": feature for flag, feature in _FLAGS.items()},
        REST: Feature("text"),
    }
    _write_json(root / "features.json", describe_features(all_features))
    info: dict[str, JsonValue] = {
        "description": str(storage.metadata.get("description") or ""),
        "citation": str(storage.metadata.get("citation") or ""),
        "fileFormat": "tfrecord",
        "name": name,
        "version": "1.0.0",
        "splits": [
            {
                "name": "train",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": str(nbytes),
                "shardLengths": [str(length) for length in lengths],
            }
        ],
    }
    _write_json(root / "dataset_info.json", info)
    said = {
        "version": 1,
        "metadata": metadata_for_copy(storage, indices),
        "flat_images": [name for name, feature in features.items() if feature.is_flat],
    }
    _write_json(root / CARD, said)
    losses = [Loss(what, f"{why}; it lies in {REST}") for what, why in left_out.items()]
    kept.add("truncations")
    losses += [Loss(what, f"RLDS has no place for it; it lies in {REST}") for what in sorted(kept)]
    if unknown:
        why = (
            f"nobody knows those of {unknown} episodes; by the rules of RLDS, these have a step "
            "less and no end in what is_terminal marks"
        )
        losses.append(Loss("final observations", why))
    losses.append(Loss("dataset metadata", f"RLDS has no spaces or environments; it is in {CARD}"))
    return losses


@lru_cache(maxsize=4096)
def name_leaf(group: str, keys: Keys) -> str:
    """Return the name of a leaf in an example; slashes in keys are escaped."""
    return "/".join(["steps", GROUPS[group], *map(escape_key, keys)])


def escape_key(key: object) -> str:
    """Escape the slashes of a key, which separate keys in names."""
    return str(key).replace("%", "%25").replace("/", "%2F")


def _plan(
    episode: EpisodeData, features: dict[str, Feature], left_out: dict[str, str], *, is_first: bool
) -> None:
    """Choose the features that hold all episodes."""
    there = set()
    for group in GROUPS:
        for keys, leaf in find_leaves(getattr(episode, group)):
            name, path = name_leaf(group, keys), join_path(group, keys)
            there.add(name)
            whole = group in ("observations", "actions") or len_of(leaf) == len(episode) + 1
            chosen = choose_feature(leaf) if whole else None
            if chosen is None and group in ("observations", "actions"):
                raise DataError(
                    f"{path} of episode {episode.id} is neither numbers of one shape nor text, "
                    "which is all that TensorFlow Datasets has"
                )
            if chosen is None or (not is_first and features.get(name) != chosen):
                features.pop(name, None)
                left_out[path] = "some row has none, or it is neither numbers of one shape nor text"
            elif path not in left_out:
                features[name] = chosen
    for name in set(features) - there:
        del features[name]


def _list_kept(episode: EpisodeData) -> Iterator[str]:
    """List what is known of an episode besides its steps."""
    if episode.seed is not None:
        yield "seeds"
    if episode.options is not None:
        yield "options"
    if episode.metadata:
        yield "episode metadata"


def len_of(leaf: object) -> int:
    """Return the number of rows of a leaf."""
    return len(leaf) if isinstance(leaf, np.ndarray | list) else 0


def _encode_episode(episode: EpisodeData, features: Mapping[str, Feature]) -> dict[str, Values]:
    steps = len(episode)
    if (episode.terminations | episode.truncations)[:-1].any():
        raise DataError(
            f"episode {episode.id} goes on after a step that ended it, for which RLDS has no "
            "place; cut it there"
        )
    rows = steps + 1 if episode.final_observation_known else steps
    found: dict[str, Values] = {}
    rest: dict[str, Any] = {"infos": {}, "extras": {}}
    for group in GROUPS:
        for keys, leaf in find_leaves(getattr(episode, group)):
            name = name_leaf(group, keys)
            if name not in features:
                rest[group][json.dumps(keys)] = _list_values(leaf)
                continue
            taken: Any = leaf
            if group == "actions" and rows > steps:
                taken = _add_nothing(leaf)
            elif group in ("infos", "extras") and rows == steps:
                rest[group][json.dumps(keys)] = _list_values(taken[steps:])
                taken = taken[:steps]
            found[name] = encode_leaf(taken, features[name])
    rewards = episode.rewards if rows == steps else _add_nothing(episode.rewards)
    found["steps/reward"] = encode_leaf(rewards, _choose_reward(rewards))
    # What ended the episode is not the last observation, where the one after it is not known.
    terminated = rows > steps and bool(episode.terminations[-1:].any())
    first, last, terminal = np.zeros((3, rows), np.int64)
    first[0], last[-1], terminal[-1] = 1, 1, terminated
    found["steps/is_first"], found["steps/is_last"] = first, last
    found["steps/is_terminal"] = terminal
    found["steps/discount"] = (1 - terminal).astype(np.float32)
    rest.update(
        seed=episode.seed,
        options=episode.options,
        metadata=dict(episode.metadata or {}),
        terminations=episode.terminations,
        truncations=episode.truncations,
    )
    found[REST] = [to_json_text(rest, f"episode {episode.id}").encode()]
    return found


def _list_values(leaf: Any) -> Any:
    """Return a leaf as JSON can keep it; what is missing as None."""
    if not isinstance(leaf, np.ma.MaskedArray):
        return leaf
    mask = np.ma.getmaskarray(leaf)
    return {"values": np.ma.getdata(leaf), "mask": mask}


def _add_nothing(leaf: Any) -> Any:
    if isinstance(leaf, list):
        return [*leaf, ""]
    return np.concatenate([leaf, np.zeros((1, *leaf.shape[1:]), dtype=leaf.dtype)])


def _choose_reward(rewards: Any) -> Feature:
    return Feature("tensor", "float64", np.shape(rewards)[1:], "bytes")


def _write_shards(root: Path, examples: Iterator[bytes]) -> Iterator[tuple[Path, int]]:
    number, count = 0, 0
    path = root / f"{number}.part"
    file = path.open("xb")
    try:
        for example in examples:
            if count and file.tell() + len(example) > _SHARD_NBYTES:
                file.close()
                sync_file(path)
                yield path, count
                number, count = number + 1, 0
                path = root / f"{number}.part"
                file = path.open("xb")
            write_record(file, example)
            count += 1
    finally:
        file.close()
    sync_file(path)
    yield path, count


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
