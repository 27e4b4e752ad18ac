"""Read episodes of RLDS out of TFRecord files, which are untrusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
from gymnasium import spaces

from minari.interchange.files import find_file, read_json
from minari.interchange.layout import SOURCE_METADATA, Contents, Loss
from minari.interchange.rlds.examples import Values, decode_example
from minari.interchange.rlds.features import Feature, decode_leaf, read_features
from minari.interchange.rlds.records import iterate_records
from minari.interchange.rlds.writing import CARD, REST, escape_key
from minari_core import EpisodeBuffer
from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.space_json import space_from_json
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError
from minari_core.formats.public.files import OWN_KEY
from minari_core.json_values import JsonValue, from_json_text
from minari_core.metadata.splits import SPLITS, encode_splits
from minari_core.sampling.gathering.info_rows import STEP_INFOS

_FLAGS = ("is_first", "is_last", "is_terminal")
_GROUPS = ("observation", "action")
# What of an episode its metadata takes.
_MOST_NUMBERS = 4096
# What of `dataset_info.json` says where and how the data lies, and means nothing elsewhere.
_OF_FILES = frozenset({"fileFormat", "moduleName", "splits", "supervisedKeys", "downloadSize"})
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

LastStep = Literal["observation", "transition"]
Ends = Literal["terminated", "truncated"]


def read_folder(root: Path, last_step: LastStep, ends: Ends | None) -> Contents:
    """Read a dataset, as `read` of the layout describes it.

    Raises:
        DataError: The files contradict each other, or are no RLDS.
        DatasetDamagedError: A file cannot be read.
        DatasetNotFoundError: A file is missing.
    """
    info, where = read_json(find_file(root, "dataset_info.json")), str(root / "features.json")
    features = dict(read_features(read_json(find_file(root, "features.json")), where))
    losses = [
        Loss(name, "features of this kind are not read")
        for name, feature in features.items()
        if feature is None
    ]
    known = {name: feature for name, feature in features.items() if feature is not None}
    for group in _GROUPS:
        if not any(_is_of(name, group) for name in known):
            raise DataError(f"{where} has no feature 'steps/{group}' that can be read")
    files = list(_list_files(root, info))
    told: dict[str, str] = {}
    found = _iterate(files, known, set(features), told)
    card = read_json(find_file(root, CARD)) if (root / CARD).exists() else None
    if card is not None:
        said = card.get("metadata")
        if card.get("version") != 1 or not isinstance(said, dict) or REST not in known:
            raise DataError(f"{root / CARD} is of another version, or its episodes are missing")
        metadata = {key: value for key, value in said.items() if key != OWN_KEY}
        for name in known.keys() & _list_texts(card.get("flat_images")):
            known[name] = replace(known[name], is_flat=True)
        observations, actions = (
            space_from_json(str(said.get(name)), name)
            for name in ("observation_space", "action_space")
        )
        own = (_restore(*each, observations, actions) for each in found)
        return Contents(_tell(own, told, losses), observations, actions, metadata, losses)
    if "steps/is_terminal" not in known and ends is None:
        raise DataError(
            f"{where} has no feature 'steps/is_terminal', so that nothing says whether an episode "
            "was terminated or truncated; give ends='terminated' or ends='truncated'"
        )
    if "steps/reward" not in known:
        losses.append(Loss("rewards", "the data has none, and they are 0"))
    if last_step == "observation":
        reason = "by RLDS they mean nothing; last_step='transition' takes them for those of a step"
        losses.append(Loss("actions and rewards of last steps", reason))
    else:
        losses.append(
            Loss("final observations", "nobody knows what the last action of an episode led to")
        )
    observations, actions = (_infer(known, group) for group in _GROUPS)
    infos: list[JsonValue] = [_name_info(name) for name in known if _is_info(name, known)]
    metadata = _describe(info, files)
    if infos:
        metadata[STEP_INFOS] = infos
    episodes = (_assemble(*each, last_step, ends, told) for each in found)
    return Contents(_tell(episodes, told, losses), observations, actions, metadata, losses)


def _tell(
    episodes: Iterator[EpisodeBuffer], told: Mapping[str, str], losses: list[Loss]
) -> Iterator[EpisodeBuffer]:
    """Yield episodes, and add to losses what was met on the way."""
    yield from episodes
    losses += [Loss(what, reason) for what, reason in told.items()]


def _describe(info: Mapping[str, Any], files: Sequence[_File]) -> dict[str, JsonValue]:
    """Return what ``dataset_info.json`` says of a dataset, as metadata."""
    said: dict[str, JsonValue] = {
        name: text
        for name in ("description", "citation")
        if isinstance(text := info.get(name), str) and text.strip()
    }
    source = {key: value for key, value in info.items() if key not in {*said, *_OF_FILES}}
    if source := {key: value for key, value in source.items() if value}:
        said[SOURCE_METADATA] = source
    splits: dict[str, list[int]] = {}
    total = 0
    for file in files:
        splits.setdefault(file.split, []).extend(range(total, total + file.count))
        total += file.count
    if len(splits) > 1:
        said[SPLITS] = encode_splits(splits, total)
    return said


def _list_texts(said: object) -> set[str]:
    return {str(each) for each in said} if isinstance(said, list) else set()


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    split: str
    count: int
    """The number of records that it has to have."""


def _list_files(root: Path, info: Mapping[str, Any]) -> Iterator[_File]:
    """List the files of all splits."""
    where, splits = root / "dataset_info.json", info.get("splits")
    if info.get("fileFormat", "tfrecord") != "tfrecord" or not isinstance(splits, list):
        raise DataError(f"{where}: fileFormat is not tfrecord, or there are no splits")
    for split in splits:
        lengths = split.get("shardLengths", []) if isinstance(split, dict) else None
        template = split.get("filepathTemplate") or _TEMPLATE if isinstance(split, dict) else None
        if not isinstance(lengths, list) or not isinstance(template, str):
            raise DataError(f"{where}: a split has no shardLengths")
        for number, length in enumerate(lengths):
            fields = {
                "DATASET": str(info.get("name")),
                "SPLIT": str(split.get("name")),
                "FILEFORMAT": "tfrecord",
                "SHARD_X_OF_Y": f"{number:05d}-of-{len(lengths):05d}",
                "SHARD_INDEX": f"{number:05d}",
                "NUM_SHARDS": f"{len(lengths):05d}",
            }
            name = template
            for field, value in fields.items():
                name = name.replace(f"{{{field}}}", value)
            path = root / name
            if not str(length).isdecimal() or path.name != name or path.is_symlink():
                raise DataError(f"{where}: {name!r} with {length!r} records is no file beside it")
            if not path.is_file():
                raise DatasetNotFoundError(f"{root} has no file {name}")
            yield _File(path, str(split.get("name")), int(length))


def _iterate(
    files: Sequence[_File],
    features: Mapping[str, Feature],
    described: set[str],
    told: dict[str, str],
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield where each episode lies, its number of steps, and its leaves; tell what is no leaf."""
    episode = 0
    for file in files:
        path, count = file.path, 0
        for record in iterate_records(path):
            where = f"{path}: episode {episode}"
            try:
                values = decode_example(record)
            except ValueError as error:
                raise DatasetDamagedError(f"{where} is no tf.train.Example: {error}") from error
            steps = _count_steps(values, features, where)
            others = values.keys() - described
            told.update(dict.fromkeys(sorted(others), "features.json does not describe it"))
            leaves = {
                name: decode_leaf(
                    values.get(name),
                    feature,
                    steps if name.startswith("steps/") else 1,
                    f"{where}: {name}",
                )
                for name, feature in features.items()
            }
            yield where, steps, leaves
            episode, count = episode + 1, count + 1
        if count != file.count:
            raise DataError(f"{path} has {count} records, and dataset_info.json says {file.count}")


def _count_steps(values: Mapping[str, Values], features: Mapping[str, Feature], where: str) -> int:
    """Return the number of steps, told by a feature with one value a step."""
    for name, feature in features.items():
        if name.startswith("steps/") and (
            feature.shape == () or feature.kind != "tensor" or feature.encoding != "none"
        ):
            return len(values.get(name, ()))
    raise DataError(f"{where}: no feature has one value a step, as is_first has")


def _is_of(name: str, group: str) -> bool:
    return name == f"steps/{group}" or name.startswith(f"steps/{group}/")


def _is_info(name: str, features: Mapping[str, Feature]) -> bool:
    if not name.startswith("steps/") or name in [f"steps/{f}" for f in (*_FLAGS, "reward")]:
        return False
    if any(_is_of(name, group) for group in _GROUPS):
        # A space of text would have to know its length.
        return features[name].kind == "text"
    return True


def _name_info(name: str) -> str:
    return name.partition("/")[2]


def _infer(features: Mapping[str, Feature], group: str) -> spaces.Space[Any]:
    tree = _nest(
        {
            name: np.zeros((1, *(size or 0 for size in feature.shape)), feature.dtype)
            for name, feature in features.items()
            if _is_of(name, group) and feature.kind != "text"
        },
        group,
    )
    return infer_space(tree, discrete=False)


def _nest(leaves: Mapping[str, Any], group: str) -> Any:
    """Return the leaves of a group in dicts, as their names say."""
    if f"steps/{group}" in leaves:
        return leaves[f"steps/{group}"]
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        if _is_of(name, group):
            *parents, last = name.split("/")[2:]
            node = tree
            for key in parents:
                node = node.setdefault(key, {})
            node[last] = leaf
    return tree


def _assemble(
    where: str,
    steps: int,
    leaves: Mapping[str, Any],
    last_step: LastStep,
    ends: Ends | None,
    told: dict[str, str],
) -> EpisodeBuffer:
    """Make an episode of the steps of RLDS; tell what it has no place for."""
    length = steps - 1 if last_step == "observation" else steps
    if length < 1:
        raise DataError(f"{where} has {steps} steps, of which none is a transition")
    for flag, place in (("is_first", 0), ("is_last", steps - 1)):
        marked = np.flatnonzero(leaves.get(f"steps/{flag}", np.arange(steps) == place)).tolist()
        if marked != [place]:
            raise DataError(f"{where}: {flag} is true in the steps {marked[:5]}, not in {place}")
    terminal = leaves.get("steps/is_terminal")
    is_end = np.arange(length) == length - 1
    terminated = ends == "terminated" if terminal is None else bool(terminal[-1])
    if terminal is not None and terminal[:-1].any():
        raise DataError(f"{where}: is_terminal is true before the last step")
    numbers = {name: leaf for name, leaf in leaves.items() if not isinstance(leaf, list)}
    infos = {}
    for name, leaf in leaves.items():
        is_read = name in numbers and any(_is_of(name, group) for group in _GROUPS)
        flags = [f"steps/{flag}" for flag in (*_FLAGS, "reward")]
        if name.startswith("steps/") and not is_read and name not in flags:
            infos[_name_info(name)] = leaf
    metadata: dict[str, Any] = {}
    for name, leaf in leaves.items():
        if name.startswith("steps/"):
            continue
        if isinstance(leaf, list) or leaf.size < _MOST_NUMBERS:
            key = name.partition("/")[2] or name
            metadata[key] = leaf[0] if isinstance(leaf, list) else leaf[0].tolist()
        else:
            told[name] = f"it is one of the episode, of {leaf.size} numbers"
    if last_step == "transition":
        metadata[FINAL_OBSERVATION] = False
    rewards = np.asarray(leaves.get("steps/reward", np.zeros(steps)), dtype=np.float64)
    return EpisodeBuffer(
        observations=_nest(numbers, "observation"),
        actions=_cut(_nest(numbers, "action"), length),
        rewards=rewards[:length],
        terminations=is_end & terminated,
        truncations=is_end & (not terminated),
        infos=infos or None,
        metadata=metadata,
    )


def _cut(tree: Any, length: int) -> Any:
    if isinstance(tree, dict):
        return {key: _cut(part, length) for key, part in tree.items()}
    return tree[:length]


def _restore(
    where: str,
    steps: int,
    leaves: Mapping[str, Any],
    observations: spaces.Space[Any],
    actions: spaces.Space[Any],
) -> EpisodeBuffer:
    """Make the episode that was written, with what lies beside its steps."""
    try:
        rest: Any = from_json_text(leaves[REST][0])
        length = len(rest["terminations"])
        found = EpisodeBuffer(
            observations=_take(leaves, observations, ("steps", "observation"), steps),
            actions=_take(leaves, actions, ("steps", "action"), length),
            rewards=leaves["steps/reward"][:length],
            terminations=rest["terminations"],
            truncations=rest["truncations"],
            seed=rest["seed"],
            options=rest["options"],
            metadata=rest["metadata"],
            infos=_read_rest(leaves, rest["infos"], "info") or None,
            extras=_read_rest(leaves, rest["extras"], "extra") or None,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{where}: {REST} does not fit its steps: {error!r}") from error
    return found


def _take(
    leaves: Mapping[str, Any], space: spaces.Space[Any], path: tuple[str, ...], length: int
) -> Any:
    """Take leaves in the structure of a space."""
    if isinstance(space, spaces.Dict):
        return {
            key: _take(leaves, part, (*path, escape_key(key)), length)
            for key, part in space.items()
        }
    if isinstance(space, spaces.Tuple):
        parts = enumerate(space.spaces)
        return tuple(_take(leaves, part, (*path, str(n)), length) for n, part in parts)
    leaf = leaves["/".join(path)][:length]
    return leaf if isinstance(leaf, list) else leaf.reshape(len(leaf), *(space.shape or ()))


def _read_rest(leaves: Mapping[str, Any], rest: Mapping[str, Any], group: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}

    def put(keys: Sequence[str], leaf: Any) -> None:
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = leaf

    more = {tuple(json.loads(keys)): value for keys, value in rest.items()}
    for name, leaf in leaves.items():
        if name.startswith(f"steps/{group}/"):
            keys = tuple(map(unquote, name.split("/")[2:]))
            last = more.pop(keys, None)
            if isinstance(leaf, list):
                put(keys, [*leaf, *(last or ())])
            else:
                put(keys, leaf if last is None else np.concatenate([leaf, last]))
    for keys, value in more.items():
        is_masked = isinstance(value, dict) and value.keys() == {"values", "mask"}
        put(keys, np.ma.MaskedArray(value["values"], value["mask"]) if is_masked else value)
    return tree
