"""What files have no place for of an episode, as one text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core import EpisodeBuffer, EpisodeData
from minari_core.episodes.final_observation import take_rows
from minari_core.errors import DatasetDamagedError
from minari_core.files import name_damage
from minari_core.json_values import from_json_text, to_json_text


@dataclass(frozen=True, slots=True)
class Survey:
    """What the episodes of a dataset have in common."""

    carried: Mapping[str, bool]
    """The infos that are arrays of one dtype and shape in all episodes, and whether they have a
    value for the final observation, too."""
    all_finals_are_known: bool
    """Whether the final observation of each episode is known."""


def survey_episodes(episodes: Iterable[EpisodeData]) -> Survey:
    """Look through episodes for what arrays of all steps can carry."""
    outlines: dict[str, tuple[object, ...] | None] = {}
    all_finals_are_known = True
    for number, episode in enumerate(episodes):
        all_finals_are_known &= episode.final_observation_known
        for key in outlines.keys() | episode.infos.keys():
            outline = _outline(episode.infos.get(key)) if "/" not in key and key != "." else None
            if number and outlines.get(key) != outline:
                outline = None
            outlines[key] = outline
    carried = {key: bool(found[0]) for key, found in sorted(outlines.items()) if found is not None}
    return Survey(carried, all_finals_are_known)


class FactsWriter:
    """Writes texts, and counts what lies in them for want of another place."""

    def __init__(
        self,
        carried: Mapping[str, bool],
        *,
        with_final_rows: bool,
        with_final_observations: bool = False,
        renamed: Mapping[str, str] | None = None,
        shifted: Collection[str] = (),
    ) -> None:
        """Take what the file has arrays of.

        Args:
            carried: The infos, as `Survey.carried` gives them.
            with_final_rows: Whether the arrays have T+1 rows an episode, not T.
            with_final_observations: Whether to write the final observations that are known.
            renamed: The infos whose arrays are called otherwise, and how.
            shifted: Those among them whose T rows are all but the first, which is written.
        """
        self._carried = carried
        self._with_final_rows = with_final_rows
        self._with_final_observations = with_final_observations
        self._renamed = renamed or {}
        self._shifted = shifted
        self.kept: set[str] = set()
        """What lies in the texts."""

    def write(self, episode: EpisodeData) -> str:
        """Write what the file has no place for of an episode."""
        facts: dict[str, Any] = {}
        for name, value in (
            ("seed", episode.seed),
            ("options", episode.options),
            ("metadata", episode.metadata or None),
            ("truncated", _find_unusual_ends(episode)),
        ):
            if value is not None:
                facts[name] = value
                self.kept.add(name)
        if self._with_final_observations and episode.final_observation_known:
            steps = len(episode)
            facts["final_observation"] = take_rows(episode.observations, slice(steps, steps + 1))
            self.kept.add("final observations")
        if self._renamed:
            facts["renamed"] = dict(self._renamed)
        apart, first, last = {}, {}, {}
        for key, column in episode.infos.items():
            if key not in self._carried:
                apart[key] = replace_missing(column)
            elif key in self._shifted:
                first[key] = column[0]
            elif self._carried[key] and not self._with_final_rows:
                last[key] = column[-1]
        if first:
            facts["first_infos"] = first
        extras = {key: replace_missing(column) for key, column in episode.extras.items()}
        for name, columns in (("infos", apart), ("last_infos", last), ("extras", extras)):
            if columns:
                facts[name] = columns
                group = "extras" if name == "extras" else "infos"
                self.kept.update(f"{group}/{key}" for key in columns)
        return to_json_text(facts, f"episode {episode.id}")


def take_carried(episode: EpisodeData, key: str, rows: int) -> npt.NDArray[Any]:
    """Return the first rows of an info that arrays carry."""
    return np.asarray(np.ma.getdata(episode.infos[key])[:rows])


def add_facts(episode: EpisodeBuffer, text: str, where: str) -> EpisodeBuffer:
    """Add to an episode what a text has of it.

    Raises:
        DatasetDamagedError: The text is malformed.
    """
    with name_damage(where):
        return _add_facts(episode, from_json_text(text))


def _add_facts(episode: EpisodeBuffer, facts: Any) -> EpisodeBuffer:
    if not isinstance(facts, dict):
        raise DatasetDamagedError("it is no object")
    infos: dict[str, Any] = dict(episode.infos or {})
    for key, name in _as_object(facts.get("renamed")).items():
        infos[key] = infos.pop(name)
    for key, row in _as_object(facts.get("first_infos")).items():
        infos[key] = np.concatenate([np.asarray(row)[np.newaxis], infos[key]])
    for key, row in _as_object(facts.get("last_infos")).items():
        if key in infos:
            infos[key] = np.concatenate([infos[key], np.asarray(row)[np.newaxis]])
    observations = episode.observations
    if "final_observation" in facts:
        observations = _append(observations, facts["final_observation"])
    infos.update(_as_object(facts.get("infos")))
    truncated = facts.get("truncated")
    return replace(
        episode,
        observations=observations,
        seed=facts.get("seed") if isinstance(facts.get("seed"), int) else None,
        options=_as_object(facts.get("options")) or None,
        metadata=_as_object(facts.get("metadata")),
        infos=infos or None,
        extras=_as_object(facts.get("extras")) or None,
        truncations=episode.truncations if truncated is None else np.asarray(truncated, np.bool_),
    )


def _append(rows: Any, last: Any) -> Any:
    if isinstance(rows, dict):
        return {key: _append(part, last[key]) for key, part in rows.items()}
    return np.concatenate([rows, last])


def _find_unusual_ends(episode: EpisodeData) -> npt.NDArray[np.bool_] | None:
    """Return the flags of truncation unless they are the opposite of a termination at the end."""
    usual = np.zeros(len(episode), dtype=np.bool_)
    usual[-1] = not episode.terminations[-1]
    return None if np.array_equal(usual, episode.truncations) else episode.truncations


def _outline(column: object) -> tuple[object, ...] | None:
    """Describe an array: whether its last row is there, its dtype, and the shape of a row."""
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "biuf":
        return None
    has_last = True
    if isinstance(column, np.ma.MaskedArray):
        mask: npt.NDArray[np.bool_] = np.ma.getmaskarray(column).reshape(len(column), -1)
        if bool(mask[:-1].any()):
            return None
        has_last = not bool(mask[-1].any())
    return (has_last, column.dtype, column.shape[1:])


def replace_missing(column: Any) -> Any:
    """Write missing values as None, as an episode that is assembled by hand has them."""
    if isinstance(column, np.ma.MaskedArray):
        mask: npt.NDArray[np.bool_] = np.ma.getmaskarray(column).reshape(len(column), -1)
        gone = np.all(mask, axis=1, keepdims=True)[:, 0]
        return [None if gone[row] else column.data[row] for row in range(len(column))]
    if isinstance(column, dict):
        return {key: replace_missing(inner) for key, inner in column.items()}
    return column


def _as_object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
