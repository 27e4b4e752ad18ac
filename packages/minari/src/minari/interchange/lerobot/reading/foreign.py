"""Read a dataset that LeRobot wrote: columns of steps are found by the names of features."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari.interchange.layout import Contents, Loss
from minari.interchange.lerobot.files.features import DONE, REWARD, TRUNCATED, order_axes
from minari.interchange.lerobot.files.paths import INFO
from minari.interchange.lerobot.files.tasks import TASK
from minari.interchange.lerobot.reading.frames import iterate_frames
from minari.interchange.lerobot.reading.index import Index
from minari.interchange.lerobot.reading.unread import list_unread
from minari_core import EpisodeBuffer
from minari_core.environments.inferred_spaces import infer_space
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.metadata.splits import SPLITS, encode_splits
from minari_core.sampling.gathering.info_rows import STEP_INFOS
from minari_core.storage.base import slice_rows
from minari_core.tables.assembling import iterate_episodes
from minari_core.tables.gathering import Columns, join_name, split_name

Ends = Literal["terminated", "truncated"]
_GROUPS = ("observation", "action")
_SPLIT = re.compile(r"(\d{1,12}):(\d{1,12})")
# What of `info.json` says where and how the data lies, or is counted.
_OF_FILES = re.compile(
    r"codebase_version|features|splits|total_.*|chunks_size|.*_(path|size_in_mb)"
)
_NUMBERS = frozenset(
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
) | {"bool"}


def read_foreign(
    index: Index, ends: Ends | None, last_frame: Literal["step", "observation"]
) -> Contents:
    """Read a dataset.

    Args:
        index: The dataset.
        ends: What an episode is at its end where the data does not say.
        last_frame: What the last frame of an episode is.

    Raises:
        DataError: The data does not say what ends an episode, and ``ends`` is not given; or there
            is no observation or action.
    """
    losses = list(list_unread(index))
    columns = _name_columns(index, losses)
    where = index.root / INFO
    for group in _GROUPS:
        if not any(column.partition(".")[0] == group for column in columns.values()):
            raise DataError(f"{where} has no feature {group!r}, nor {group}.…")
    has_done, has_truncated = DONE in index.features, TRUNCATED in index.features
    if ends is None and not (has_done and has_truncated):
        missing = TRUNCATED if has_done else DONE
        raise DataError(
            f"{where} has no feature {missing!r}, so that nothing says whether an episode was "
            "terminated or truncated; give ends='terminated' or ends='truncated'"
        )
    if REWARD not in index.features:
        losses.append(Loss("rewards", "the data has none, and they are 0"))
    if last_frame == "step":
        reason = "nobody knows what the last action of an episode led to"
        losses.append(Loss("final observations", reason))
    flags = [name for name in (DONE, TRUNCATED, REWARD) if name in index.features]
    names = [*columns, *flags]
    has_many_tasks = any(len(episode.tasks) > 1 for episode in index.episodes)
    step_infos = ["timestamp", *(["task"] if has_many_tasks else [])]
    step_infos += [
        split_name(column)[1]
        for name, column in columns.items()
        if column.startswith("info.") and not name.startswith("next.")
    ]
    chunks = _convert(index, names, columns, ends, with_tasks=has_many_tasks)
    observations, actions = (_infer(index, columns, group) for group in _GROUPS)
    own = {key: value for key, value in index.info.items() if not _OF_FILES.fullmatch(key)}
    own["features"] = _list_names(index)
    metadata: dict[str, JsonValue] = {"lerobot": own, STEP_INFOS: list[JsonValue](step_infos)}
    if splits := _read_splits(index, losses):
        metadata[SPLITS] = splits
    episodes = iterate_episodes(
        chunks, _describe_episodes(index, last_frame), observations, actions, step_infos
    )
    return Contents(
        episodes=episodes if last_frame == "step" else _cut(episodes),
        observation_space=observations,
        action_space=actions,
        metadata=metadata,
        losses=losses,
    )


def _read_splits(index: Index, losses: list[Loss]) -> dict[str, JsonValue]:
    """Return splits, unless one has all episodes."""
    said, total = index.info.get("splits"), len(index.episodes)
    splits: dict[str, list[int]] = {}
    for name, text in said.items() if isinstance(said, dict) else ():
        matched = _SPLIT.fullmatch(str(text))
        start, stop = (int(number) for number in matched.groups()) if matched else (0, -1)
        if not 0 <= start <= stop <= total:
            losses.append(Loss(f"split {name}", f"{text!r} are no episodes of {total}"))
        elif stop - start < total:
            splits[name] = list(range(start, stop))
    return encode_splits(splits, total) if splits else {}


def _name_columns(index: Index, losses: list[Loss]) -> dict[str, str]:
    """Return the column of each feature that a dataset can have."""
    columns: dict[str, str] = {}
    for name, said in index.features.items():
        dtype, is_depth = said["dtype"], _is_depth(said)
        if name in (DONE, TRUNCATED, REWARD):
            continue
        if dtype not in _NUMBERS | {"string", "image", "video"} or is_depth:
            kind = "depth maps" if is_depth else f"values of type {dtype!r}"
            losses.append(Loss(name, f"{kind} are not read"))
            continue
        group, _, rest = name.partition(".")
        # Beside `action` alone, `action.…` are not parts of it.
        is_part = group in _GROUPS and not (rest and group in index.features)
        if is_part and dtype != "string":
            column = join_name(group, (rest,) if rest else ())
        else:
            column = join_name("info", (rest if rest and group in ("next", "info") else name,))
            if column in columns.values():
                column = join_name("info", (name,))
        columns[name] = column
    return columns


def _is_depth(said: Mapping[str, Any]) -> bool:
    infos = [said.get(key) for key in ("info", "video_info")]
    keys = ("is_depth_map", "video.is_depth_map")
    return any(bool(info.get(key)) for info in infos if isinstance(info, dict) for key in keys)


def _list_names(index: Index) -> dict[str, JsonValue]:
    """Return what the elements of vectors are called."""
    return {
        name: said["names"]
        for name, said in index.features.items()
        if isinstance(said.get("names"), list | dict) and said["dtype"] not in ("image", "video")
    }


def _describe_episodes(index: Index, last_frame: str) -> Columns:
    metadata: list[object] = []
    for episode in index.episodes:
        said: dict[str, object] = {}
        if len(episode.tasks) == 1:
            said[TASK] = episode.tasks[0]
        if last_frame == "step":
            said[FINAL_OBSERVATION] = False
        metadata.append(json.dumps(said))
    return {"episode_id": np.arange(len(index.episodes)), "metadata": metadata}


def _infer(index: Index, columns: Mapping[str, str], group: str) -> spaces.Space[Any]:
    """Return the widest space of what features say; whole numbers as actions are counted."""
    parts: dict[str, spaces.Space[Any]] = {}
    for name, column in columns.items():
        first, *keys = split_name(column)
        if first == group:
            found = infer_space(_take_example(index, name, group), discrete=group == "action")
            if not keys:
                return found
            parts[keys[0]] = found
    return spaces.Dict(parts)


def _take_example(index: Index, name: str, group: str) -> npt.NDArray[Any]:
    """Return rows with the dtype and shape of a feature, and its least and largest numbers."""
    said = index.features[name]
    if said["dtype"] in ("image", "video"):
        return np.zeros((1, *order_axes(said)), np.uint8)
    dtype, shape = np.dtype(said["dtype"]), tuple(said["shape"])
    if group != "action" or shape != (1,) or dtype.kind not in "iu":
        return np.zeros((1, *shape), dtype)
    ends = [np.zeros(1, dtype)]
    for frames in iterate_frames(index, [name]):
        values = np.asarray(frames[name])
        ends.append(np.array([values.min(), values.max()], dtype))
    return np.concatenate(ends)


def _convert(
    index: Index,
    names: Sequence[str],
    columns: Mapping[str, str],
    ends: Ends | None,
    *,
    with_tasks: bool,
) -> Iterator[Columns]:
    """Turn features into columns of steps."""
    lengths = np.array([episode.length for episode in index.episodes], dtype=np.int64)
    for frames in iterate_frames(index, names):
        episodes, steps = np.asarray(frames["episode_index"]), np.asarray(frames["frame_index"])
        count = len(steps)
        is_last = steps == lengths[episodes] - 1
        done = np.asarray(frames[DONE]).reshape(count) if DONE in frames else is_last
        found: Columns = {
            "episode_id": episodes,
            "step": steps,
            "reward": np.zeros(count),
        }
        if REWARD in frames:
            rewards = np.asarray(frames[REWARD], dtype=np.float64)
            found["reward"] = rewards[:, 0] if rewards.shape[1:] == (1,) else rewards
        if TRUNCATED in frames:
            truncated = np.asarray(frames[TRUNCATED]).reshape(count)
            terminated = done & ~truncated
            if DONE not in frames and ends == "truncated":
                terminated, truncated = np.zeros(count, bool), truncated | is_last
        elif ends == "terminated":
            terminated, truncated = done, is_last & ~done
        else:
            terminated, truncated = np.zeros(count, bool), done | is_last
        found["terminated"], found["truncated"] = terminated, truncated
        for name, column in columns.items():
            leaf: Any = frames[name]
            if not isinstance(leaf, list) and leaf.shape[1:] == (1,):
                is_choice = column.startswith("action") and leaf.dtype.kind in "iu"
                leaf = leaf[:, 0] if is_choice or column.startswith("info.") else leaf
            found[column] = leaf
        found["info.timestamp"] = frames["timestamp"]
        if with_tasks:
            numbers = np.asarray(frames["task_index"]).tolist()
            found["info.task"] = [index.tasks.get(number, "") for number in numbers]
        yield found


def _cut(episodes: Iterator[EpisodeBuffer]) -> Iterator[EpisodeBuffer]:
    """Make the last frame of episodes their final observation; it ends the step before."""
    for number, episode in enumerate(episodes):
        if len(episode) < 2:
            raise DataError(
                f"episode {number} has one frame, which is no step if it is the final observation"
            )
        infos = {
            key: slice_rows(rows, slice(None, -1)) for key, rows in (episode.infos or {}).items()
        }
        yield replace(
            episode,
            actions=slice_rows(episode.actions, slice(None, -1)),
            rewards=slice_rows(episode.rewards, slice(None, -1)),
            infos=infos,
            terminations=_move_flag(episode.terminations),
            truncations=_move_flag(episode.truncations),
        )


def _move_flag(flags: object) -> npt.NDArray[np.bool_]:
    values = np.array(flags, dtype=bool)
    values[-2] |= values[-1]
    return values[:-1]
