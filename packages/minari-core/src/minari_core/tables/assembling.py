"""Episodes assembled from columns of steps and of episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeBuffer
from minari_core.errors import DataError
from minari_core.json_values import from_json_text
from minari_core.leaves import find_leaves
from minari_core.storage.base import slice_rows
from minari_core.tables.gathering import (
    Columns,
    Leaf,
    concatenate_columns,
    join_name,
    split_name,
)
from minari_core.tables.structure import (
    append_rows,
    is_missing,
    nest,
    read_infos,
)

_REQUIRED = ("episode_id", "reward", "terminated")


def iterate_episodes(
    chunks: Iterable[Columns],
    episodes: Columns | None,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    step_infos: Sequence[str] = (),
) -> Iterator[EpisodeBuffer]:
    """Assemble episodes of rows that lie one after another.

    Args:
        chunks: The columns of steps, in the order of the rows; an episode may go on in the next.
        episodes: The columns of episodes, if there is such a table.
        observation_space: The space of the observations, whose structure they are given.
        action_space: The space of the actions, likewise.
        step_infos: The infos whose row belongs to the step, not to what it returned.

    Raises:
        DataError: A column is missing, an episode's rows do not lie in order, or an episode that is
            described has none; the message names episode and column.
    """
    known = {} if episodes is None else _list_rows(episodes)
    seen: set[object] = set()
    for key, steps in _split_episodes(chunks):
        if key in seen:
            raise DataError(f"the rows of episode {key} do not lie one after another; sort them")
        seen.add(key)
        if episodes is not None and key not in known:
            raise DataError(f"episode {key} is not in the table of episodes")
        row = None if episodes is None else _take_row(episodes, known[key])
        yield _assemble(key, steps, row, observation_space, action_space, step_infos)
    if without := known.keys() - seen:
        first = next(key for key in known if key in without)
        more = f", and neither have {len(without) - 1} others" if len(without) > 1 else ""
        raise DataError(
            f"episode {first} is in the table of episodes and has no steps{more}; leave its row out"
        )


def _list_rows(episodes: Columns) -> dict[object, int]:
    if "episode_id" not in episodes:
        raise DataError("the table of episodes has no column 'episode_id'")
    rows: dict[object, int] = {}
    for row, key in enumerate(_to_list(episodes["episode_id"])):
        if key in rows:
            raise DataError(f"episode {key} is in the table of episodes twice")
        rows[key] = row
    return rows


def _to_list(leaf: Leaf) -> list[object]:
    return leaf if isinstance(leaf, list) else list(leaf.tolist())


def _take_row(columns: Columns, row: int) -> Columns:
    return {name: leaf[row : row + 1] for name, leaf in columns.items()}


def _split_episodes(chunks: Iterable[Columns]) -> Iterator[tuple[object, Columns]]:
    """Yield the rows of one episode after another."""
    key: object = None
    parts: list[Columns] = []
    for columns in chunks:
        absent = [name for name in _REQUIRED if name not in columns]
        if absent:
            raise DataError(
                f"the table has no column {absent[0]!r}; a table of steps has episode_id, "
                "observation, action, reward, terminated and truncated"
            )
        ids = _to_list(columns["episode_id"])
        start = 0
        while start < len(ids):
            stop = _find_end(ids, start)
            if parts and ids[start] != key:
                yield key, concatenate_columns(parts)
                parts = []
            key = ids[start]
            parts.append({name: leaf[start:stop] for name, leaf in columns.items()})
            start = stop
    if parts:
        yield key, concatenate_columns(parts)


def _find_end(ids: list[object], start: int) -> int:
    stop = start + 1
    while stop < len(ids) and ids[stop] == ids[start]:
        stop += 1
    return stop


def _assemble(
    key: object,
    steps: Columns,
    row: Columns | None,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    step_infos: Sequence[str],
) -> EpisodeBuffer:
    where = f"episode {key}"
    length = len(steps["reward"])
    numbers: Any = steps.get("step", np.arange(length))
    if np.ma.is_masked(numbers) or not np.array_equal(numbers, np.arange(length)):
        raise DataError(f"{where}: its steps are not numbered from 0 to {length - 1} in order")
    if row is not None and "length" in row and _to_list(row["length"]) != [length]:
        raise DataError(
            f"{where}: it has {length} steps, and the table of episodes says length "
            f"{_to_list(row['length'])[0]}; rows are missing, or do not lie one after another"
        )
    observations = nest(steps, "observation", observation_space)
    following = _find_following(steps, observation_space)
    final = _find_final(following, row, observation_space)
    if final is not None:
        observations = append_rows(observations, final)
    if following is not None:
        _check_following(observations, following, where)
    actions = nest(steps, "action", action_space)
    for group, value in (("observation", observations), ("action", actions)):
        _refuse_missing(value, f"{where}: an {group}")
    terminations = _read_flags(steps["terminated"], f"{where}: terminated")
    truncations = np.zeros(length, dtype=bool)
    if "truncated" in steps:
        truncations = _read_flags(steps["truncated"], f"{where}: truncated")
    elif not terminations[-1]:
        truncations[-1] = True
    infos: dict[str, Any] = {}
    current = {k: v for k, v in read_infos(steps, "info").items() if k in step_infos}
    returned = {k: v for k, v in read_infos(steps, "info").items() if k not in step_infos}
    first = {} if row is None else read_infos(row, "reset_info")
    last = {} if row is None else read_infos(row, "final_info")
    infos = {
        **{name: append_rows(first.get(name), value) for name, value in returned.items()},
        **{name: append_rows(value, last.get(name)) for name, value in current.items()},
    }
    first_extras = {} if row is None else read_infos(row, "reset_extra")
    extras = {
        name: append_rows(first_extras.get(name), value)
        for name, value in read_infos(steps, "extra").items()
    }
    return EpisodeBuffer(
        observations=observations,
        actions=actions,
        rewards=_take_values(steps["reward"], f"{where}: reward"),
        terminations=terminations,
        truncations=truncations,
        infos=infos or None,
        extras=extras or None,
        **_read_facts(row, where),
    )


def _read_facts(row: Columns | None, where: str) -> dict[str, Any]:
    """Return seed, options and metadata of an episode."""
    facts: dict[str, Any] = {}
    for name in ("seed", "options", "metadata"):
        value: Any = None if row is None or name not in row else row[name][0]
        if value is None or value is np.ma.masked:
            continue
        if name == "seed":
            facts[name] = int(value)
        else:
            facts[name] = _read_json(value, f"{where}: {name}")
    return facts


def _read_json(value: object, where: str) -> object:
    if not isinstance(value, str):
        raise DataError(f"{where} is {type(value).__name__}, not JSON text")
    try:
        found = from_json_text(value)
    except ValueError as error:
        raise DataError(f"{where} is no JSON text: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where} is {type(found).__name__}, not a JSON object")
    return found


def _find_following(steps: Columns, space: spaces.Space[Any]) -> Any:
    """Return the observations that the steps led to; None if the table has none."""
    is_there = any(split_name(name)[0] == "next_observation" for name in steps)
    return nest(steps, "next_observation", space) if is_there else None


def _check_following(observations: Any, following: Any, where: str) -> None:
    """Check that what steps led to is what the next ones answered to."""
    led_to = dict(find_leaves(following))
    for keys, leaf in find_leaves(observations):
        same = _compare(leaf[1:], led_to[keys])  # type: ignore[index]  # a leaf has rows
        if not same.all():
            name, step = join_name("next_observation", keys), int(np.argmin(same))
            raise DataError(
                f"{where}: {name} of step {step} is not the observation after it; without "
                "next_observation the steps are taken as they are"
            )


def _compare(rows: Any, others: Any) -> npt.NDArray[np.bool_]:
    """Compare arrays or texts row by row; what is missing in the second is like any."""
    others = others[: len(rows)]
    if isinstance(rows, list) or isinstance(others, list):
        pairs = zip(rows, others, strict=True)
        texts = [not isinstance(other, str) or one == other for one, other in pairs]
        return np.array(texts, np.bool_)
    if rows.shape != others.shape:
        return np.zeros(len(rows), np.bool_)
    same = np.ma.filled((rows == others) | ((rows != rows) & (others != others)), True)
    return np.array(np.asarray(same).all(axis=tuple(range(1, rows.ndim))), np.bool_)


def _find_final(following: Any, row: Columns | None, space: spaces.Space[Any]) -> Any:
    """Return the final observation, one row; None where nobody knows it."""
    if row is not None and any(split_name(name)[0] == "final_observation" for name in row):
        final = nest(row, "final_observation", space)
        if not is_missing(final):
            return final
    if following is None:
        return None
    final = slice_rows(following, slice(-1, None))
    return None if is_missing(final) else final


def _refuse_missing(value: Any, what: str) -> None:
    if is_missing(value):
        raise DataError(f"{what} is missing, and each step has one")


def _read_flags(leaf: Leaf, where: str) -> Any:
    values = _take_values(leaf, where)
    if values.dtype != bool:
        raise DataError(f"{where} is {values.dtype}, not true or false")
    return values


def _take_values(leaf: Leaf, where: str) -> Any:
    if isinstance(leaf, list) or np.ma.getmaskarray(leaf).any():
        raise DataError(f"{where} is missing in some step, or no number")
    return np.asarray(leaf)
