"""From whole episodes to the flat arrays of a shard, a column at a time over all episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from gymnasium import spaces

from minari_core.columns import (
    FIXED_SPACES,
    Array,
    Column,
    FixedColumn,
    JsonColumn,
    MaskedColumn,
    Schema,
    StructColumn,
    TupleColumn,
    column_for_values,
    fixed_column,
)
from minari_core.columns.dynamic import encode_dynamic, freeze
from minari_core.columns.fixed import as_numeric_array
from minari_core.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import DataError
from minari_core.json_values import is_plain_key
from minari_core.shard_data import ShardData

Episode: TypeAlias = EpisodeBuffer | EpisodeData
Encoded: TypeAlias = tuple[Column, list[list[Array]]]

LENGTH_DTYPE = np.dtype("<i8")
SEED_DTYPE = np.dtype("<u8")
_REWARD_DTYPE = np.dtype("<f8")
_FLAG_DTYPE = np.dtype("?")
_DICTS = ("infos", "extras", "options", "metadata")


def encode_episodes(
    episodes: Sequence[Episode],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
    dropped: dict[str, str],
) -> ShardData:
    """Encode whole episodes.

    Args:
        episodes: At least one episode.
        observation_space: The space that gives the structure of the observations.
        action_space: The space that gives the structure of the actions.
        dropped: Gets the names of infos that no column can hold, with the reason.

    Raises:
        DataError: An episode's columns disagree in length, dtype or shape; the message names
            the episode (counted from 0 in ``episodes``) and the column.
    """
    lengths = _lengths(episodes)
    rows = [length + 1 for length in lengths]
    parts: dict[str, Encoded] = {
        "observations": encode_blocks(
            observation_space, [episode.observations for episode in episodes], rows, "observations"
        ),
        "actions": encode_blocks(
            action_space, [episode.actions for episode in episodes], lengths, "actions"
        ),
        "rewards": _encode_rewards([episode.rewards for episode in episodes], lengths),
        "terminations": _encode_flags(
            [episode.terminations for episode in episodes], lengths, "terminations"
        ),
        "truncations": _encode_flags(
            [episode.truncations for episode in episodes], lengths, "truncations"
        ),
        "infos": _encode_infos([episode.infos for episode in episodes], rows, "infos", dropped),
        "extras": _encode_infos([episode.extras for episode in episodes], rows, "extras", dropped),
        "episodes": encode_entries(
            lengths,
            [episode.seed for episode in episodes],
            [episode.options for episode in episodes],
            [episode.metadata for episode in episodes],
            dropped,
        ),
    }
    return ShardData(
        schema=Schema({name: column for name, (column, _) in parts.items()}),
        pieces=[pieces for _, part in parts.values() for pieces in part],
        rows=sum(rows),
        steps=sum(lengths),
        episodes=len(episodes),
    )


def encode_blocks(
    space: spaces.Space[object], blocks: Sequence[object], counts: Sequence[int], where: str
) -> Encoded:
    """Encode one block of rows an episode, structured like the space.

    Args:
        space: The space of one row.
        blocks: For each episode the rows: an array, a list of values, or a dict or tuple of them.
        counts: How many rows each episode must have.
        where: The column's name for error messages.
    """
    if isinstance(space, spaces.Dict):
        dicts = [_transposed_dict(block, space, where, i) for i, block in enumerate(blocks)]
        fields = {
            key: encode_blocks(part, [block[key] for block in dicts], counts, f"{where}[{key!r}]")
            for key, part in space.spaces.items()
        }
        struct = StructColumn({key: column for key, (column, _) in fields.items()})
        return struct, [pieces for _, part in fields.values() for pieces in part]
    if isinstance(space, spaces.Tuple):
        tuples = [_transposed_tuple(block, space, where, i) for i, block in enumerate(blocks)]
        items = [
            encode_blocks(part, [block[place] for block in tuples], counts, f"{where}[{place}]")
            for place, part in enumerate(space.spaces)
        ]
        return TupleColumn(tuple(column for column, _ in items)), [
            pieces for _, part in items for pieces in part
        ]
    if isinstance(space, FIXED_SPACES):
        return _encode_fixed(space, blocks, counts, where)
    values: list[object] = []
    for index, block in enumerate(blocks):
        rows = _as_list(block, where, index)
        _check_count(len(rows), counts[index], where, index)
        values += rows
    column = column_for_values(space, values)
    return column, [[array] for array in column.encode(values, where)]


def encode_entries(
    lengths: Sequence[int],
    seeds: Sequence[int | None],
    options: Sequence[Mapping[str, object] | None],
    metadata: Sequence[Mapping[str, object] | None],
    dropped: dict[str, str],
) -> Encoded:
    """Encode the entries of episodes: length, seed, options, metadata."""
    fields: dict[str, Column] = {"length": FixedColumn(LENGTH_DTYPE)}
    arrays: list[Array] = [np.array(lengths, dtype=LENGTH_DTYPE)]
    if any(seed is not None for seed in seeds):
        fields["seed"] = MaskedColumn(FixedColumn(SEED_DTYPE))
        present = np.array([seed is not None for seed in seeds])
        arrays += [present, np.array([seed or 0 for seed in seeds], dtype=SEED_DTYPE)]
    if any(option is not None for option in options):
        column = MaskedColumn(JsonColumn())
        fields["options"] = column
        arrays += column.encode(options, "options")
    described = encode_dynamic(
        [freeze(dict(values)) if values else None for values in metadata],
        "metadata",
        dropped,
        lists_are_json=True,
    )
    if described is not None:
        fields["metadata"] = described[0]
        arrays += described[1]
    return StructColumn(fields), [[array] for array in arrays]


def check_seed(seed: int | None) -> None:
    """Raise unless a seed fits the 64 bits that an episode's entry has for it.

    Raises:
        DataError: It is not a whole number, is negative, or 2**64 or more.
    """
    if seed is None:
        return
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer):
        raise DataError(f"seed {seed!r} is a {type(seed).__name__}, not a whole number")
    if not 0 <= seed < 2**64:
        raise DataError(f"seed {seed} is not between 0 and 2**64 - 1, so it cannot be recorded")


def _lengths(episodes: Sequence[Episode]) -> list[int]:
    """The steps of each episode, once all of them are sound.

    Asking what types there are at all is quicker than asking each episode, and enough to know
    that nearly all batches are sound.
    """
    kinds = set(map(type, episodes))
    dicts_or_none = (dict, type(None))
    if kinds <= {EpisodeBuffer, EpisodeData} and all(
        {type(getattr(episode, name)) for episode in episodes} <= set(dicts_or_none)
        for name in _DICTS
    ):
        seeds = [episode.seed for episode in episodes if episode.seed is not None]
        rewards = [episode.rewards for episode in episodes]
        if set(map(type, seeds)) <= {int} and set(map(type, rewards)) <= {np.ndarray, list}:
            lengths = [len(episode) for episode in episodes]
            if min(lengths) > 0 and (not seeds or (min(seeds) >= 0 and max(seeds) < 2**64)):
                return lengths
    return [_length(episode, index) for index, episode in enumerate(episodes)]


def _length(episode: Episode, index: int) -> int:
    if not isinstance(episode, EpisodeBuffer | EpisodeData):
        raise DataError(
            f"episode {index} is a {type(episode).__name__}, not an EpisodeBuffer, an EpisodeData "
            "or a dict"
        )
    try:
        length = len(episode)
    except TypeError as error:
        raise DataError(
            f"episode {index}: rewards {episode.rewards!r} is no array or list"
        ) from error
    if length == 0:
        raise DataError(f"episode {index} has no steps; an episode has at least one")
    try:
        check_seed(episode.seed)
    except DataError as error:
        raise DataError(f"episode {index}: {error}") from error
    for name in _DICTS:
        value = getattr(episode, name)
        if value is not None and not isinstance(value, Mapping):
            hint = ", each key with its rows" if name in ("infos", "extras") else ""
            raise DataError(
                f"episode {index}: {name} is a {type(value).__name__}, not a dict{hint}"
            )
    return length


def _check_count(found: int, wanted: int, where: str, index: int) -> None:
    if found != wanted:
        rule = "one a step and one of the reset" if where.startswith("obs") else "one a step"
        raise DataError(f"episode {index}: {where} has {found} rows, not {wanted} ({rule})")


def _as_list(block: object, where: str, index: int) -> list[object]:
    if isinstance(block, np.ndarray) and block.ndim:
        return block.tolist() if block.dtype.kind in "UO" else list(block)
    if isinstance(block, list | tuple):
        return list(block)
    raise DataError(f"episode {index}: {where} is a {type(block).__name__}, not a list of rows")


def _transposed_dict(
    block: object, space: spaces.Dict, where: str, index: int
) -> Mapping[str, object]:
    if isinstance(block, list) and all(isinstance(row, Mapping) for row in block):
        rows = [row for row in block if isinstance(row, Mapping) and row.keys() == space.keys()]
        if len(rows) == len(block):
            return {key: [row[key] for row in rows] for key in space.spaces}
    if isinstance(block, Mapping) and block.keys() == space.spaces.keys():
        return block
    found = sorted(map(str, block)) if isinstance(block, Mapping) else type(block).__name__
    raise DataError(
        f"episode {index}: {where} is {found}, not a dict of {sorted(space.spaces)} as its space"
    )


def _transposed_tuple(
    block: object, space: spaces.Tuple[Any], where: str, index: int
) -> Sequence[object]:
    size = len(space.spaces)
    if isinstance(block, tuple) and len(block) == size:
        return block
    if isinstance(block, list) and all(isinstance(r, tuple) and len(r) == size for r in block):
        return [[row[place] for row in block] for place in range(size)]
    raise DataError(f"episode {index}: {where} is not a tuple of {size} as its space")


def _encode_fixed(
    space: spaces.Space[object], blocks: Sequence[object], counts: Sequence[int], where: str
) -> Encoded:
    arrays = _uniform(blocks, counts)
    if arrays is None:
        arrays = _checked_arrays(space, blocks, counts, where)
    dtype, shape = arrays[0].dtype, arrays[0].shape[1:]
    return fixed_column(dtype, shape), [arrays]


def _uniform(blocks: Sequence[object], counts: Sequence[int]) -> list[Array] | None:
    """The blocks, if they are arrays of one dtype and shape with as many rows as they must have.

    Asking what there is at all is quicker than asking each block.
    """
    if set(map(type, blocks)) != {np.ndarray}:
        return None
    arrays = cast("list[Array]", list(blocks))
    if arrays[0].dtype.kind not in "biufc":
        return None
    dimensions = {array.ndim for array in arrays}
    if len({array.dtype for array in arrays}) > 1 or len(dimensions) > 1 or 0 in dimensions:
        return None
    if 1 not in dimensions and len({array.shape[1:] for array in arrays}) > 1:
        return None
    return arrays if list(map(len, arrays)) == list(counts) else None


def _checked_arrays(
    space: spaces.Space[object], blocks: Sequence[object], counts: Sequence[int], where: str
) -> list[Array]:
    """The blocks as arrays of one dtype and shape, or an error that names the first that is not."""
    arrays = [
        block if isinstance(block, np.ndarray) else _stack(space, block, where, index)
        for index, block in enumerate(blocks)
    ]
    dtype, shape = arrays[0].dtype, arrays[0].shape[1:]
    for index, (array, count) in enumerate(zip(arrays, counts, strict=True)):
        if np.ma.is_masked(array):
            raise DataError(f"episode {index}: {where} is a masked array with missing values")
        if array.dtype.kind not in "biufc":
            raise DataError(f"episode {index}: {where} has dtype {array.dtype}, which is no number")
        if array.ndim == 0 or len(array) != count:
            _check_count(len(array) if array.ndim else 0, count, where, index)
        if array.dtype != dtype or array.shape[1:] != shape:
            raise DataError(
                f"episode {index}: {where} is {array.dtype} of shape {array.shape[1:]} a row, but "
                f"{dtype} of shape {shape} in the episodes before; convert them to one dtype"
            )
    return arrays


def _stack(space: spaces.Space[object], block: object, where: str, index: int) -> Array:
    """A list of rows as one array, if all have one dtype and shape."""
    if not isinstance(block, list | tuple):
        raise DataError(
            f"episode {index}: {where} is a {type(block).__name__}, not an array or list"
        )
    column = column_for_values(space, block)
    try:
        if isinstance(column, FixedColumn) and len(block) > 0:
            first = as_numeric_array(block[0], where)
            dtypes = {row.dtype for row in block if isinstance(row, np.ndarray | np.generic)}
            if len(dtypes) > 1:
                raise DataError(f"{where} changes dtype between rows: {sorted(map(str, dtypes))}")
            if not dtypes:
                whole = as_numeric_array(block, where)
                if whole.dtype.kind in "fc":
                    # A Python float has 64 bits, whatever its space says.
                    return whole
            column = FixedColumn(column.dtype, first.shape)
        return column.encode(block, where)[0]
    except DataError as error:
        raise DataError(f"episode {index}: {error}") from error


def _encode_rewards(blocks: Sequence[object], counts: Sequence[int]) -> Encoded:
    ready = _uniform(blocks, counts)
    if ready is not None and ready[0].dtype == _REWARD_DTYPE:
        return FixedColumn(_REWARD_DTYPE, ready[0].shape[1:]), [ready]
    pieces: list[Array] = []
    for index, (block, count) in enumerate(zip(blocks, counts, strict=True)):
        array = as_numeric_array(block, f"episode {index}: rewards")
        if array.dtype.kind == "b":
            array = array.astype(_REWARD_DTYPE)
        if array.dtype != _REWARD_DTYPE:
            array = FixedColumn(_REWARD_DTYPE, array.shape).exact(
                array, f"episode {index}: rewards"
            )
        _check_count(len(array), count, "rewards", index)
        pieces.append(array)
    shapes = {piece.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise DataError(f"rewards have different shapes a step: {sorted(shapes)}")
    return FixedColumn(_REWARD_DTYPE, pieces[0].shape[1:]), [pieces]


def _encode_flags(blocks: Sequence[object], counts: Sequence[int], where: str) -> Encoded:
    ready = _uniform(blocks, counts)
    if ready is not None and ready[0].dtype == _FLAG_DTYPE and ready[0].ndim == 1:
        return FixedColumn(_FLAG_DTYPE), [ready]
    pieces: list[Array] = []
    for index, (block, count) in enumerate(zip(blocks, counts, strict=True)):
        # True beside 1 is no loss here, where only two values are allowed.
        array = as_numeric_array(block, f"episode {index}: {where}", mixed=True)
        if array.ndim != 1:
            raise DataError(f"episode {index}: {where} has shape {array.shape}, not ({count},)")
        _check_count(len(array), count, where, index)
        if array.dtype != _FLAG_DTYPE:
            if not np.isin(array, (0, 1)).all():
                raise DataError(f"episode {index}: {where} has values other than 0 and 1")
            array = array.astype(_FLAG_DTYPE)
        pieces.append(array)
    return FixedColumn(_FLAG_DTYPE), [pieces]


def _encode_infos(
    blocks: Sequence[Mapping[str, object] | None],
    counts: Sequence[int],
    where: str,
    dropped: dict[str, str],
) -> Encoded:
    """Encode dicts of rows; an episode without a key has no value in any of its rows."""
    keys = dict.fromkeys(key for block in blocks if block for key in block)
    for key in [key for key in keys if not is_plain_key(key)]:
        dropped.setdefault(f"{where}[{key!r}]", "its key is not text that JSON can keep")
        del keys[key]
    fields: dict[str, Column] = {}
    pieces: list[list[Array]] = []
    for key in keys:
        columns = [block.get(key) if block else None for block in blocks]
        name = f"{where}[{key!r}]"
        encoded = _encode_info(columns, counts, name, dropped)
        if encoded is not None:
            fields[key] = encoded[0]
            pieces += encoded[1]
    return StructColumn(fields), pieces


def _encode_info(
    columns: Sequence[object], counts: Sequence[int], name: str, dropped: dict[str, str]
) -> Encoded | None:
    arrays = [
        column
        for column in columns
        if type(column) is np.ndarray and column.ndim > 0 and column.dtype.kind in "biufc"
    ]
    if len(arrays) == len(columns) and len({(a.dtype, a.shape[1:]) for a in arrays}) == 1:
        for index, (array, count) in enumerate(zip(arrays, counts, strict=True)):
            _check_info_rows(len(array), count, name, index)
        return fixed_column(arrays[0].dtype, arrays[0].shape[1:]), [arrays]
    values: list[object] = []
    for index, (column, count) in enumerate(zip(columns, counts, strict=True)):
        values += _info_rows(column, count, name, index)
    encoded = encode_dynamic(values, name, dropped)
    return None if encoded is None else (encoded[0], [[array] for array in encoded[1]])


def _info_rows(column: object, count: int, name: str, index: int) -> Iterable[object]:
    """One frozen value a row, None where there is none."""
    if column is None:
        return [None] * count
    if isinstance(column, Mapping):
        parts = {key: list(_info_rows(part, count, name, index)) for key, part in column.items()}
        rows = [{key: part[row] for key, part in parts.items()} for row in range(count)]
        return [{key: value for key, value in row.items() if value is not None} for row in rows]
    if isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim):
        _check_info_rows(len(column), count, name, index)
        return [freeze(row) for row in column]
    raise DataError(
        f"episode {index}: {name} is one {type(column).__name__}, not an array or list of {count} "
        "rows"
    )


def _check_info_rows(found: int, wanted: int, name: str, index: int) -> None:
    if found != wanted:
        raise DataError(
            f"episode {index}: {name} has {found} rows, not {wanted} "
            "(one a step and one of the reset)"
        )
