"""Read a file of demonstrations, whatever its groups are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gymnasium import spaces

from minari.interchange.demonstrations.groups import File, open_file
from minari.interchange.demonstrations.masks import read_masks
from minari.interchange.demonstrations.names import restore_structure
from minari.interchange.demonstrations.sidecar import SidecarReader
from minari.interchange.demonstrations.trajectory import Trajectory, count_rows
from minari.interchange.files import name_read_errors
from minari.interchange.layout import Contents, Loss
from minari_core import EpisodeBuffer
from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.space_json import space_from_json
from minari_core.episodes.final_observation import is_final_observation_known
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.metadata.splits import SPLITS
from minari_core.sampling.gathering.info_rows import STEP_INFOS


@dataclass(frozen=True, slots=True)
class DemonstrationFile:
    """What to look at in a file."""

    path: Path
    """The file."""
    layout: str
    """The name of its layout."""
    list_names: Callable[[File], list[str]]
    """Lists the episodes in their order."""
    read_trajectory: Callable[[File, str], Trajectory]
    """Reads one of them."""
    describe: Callable[[File], tuple[Mapping[str, JsonValue], Sequence[str]]]
    """Reads what the file says of all of them; and names what of that is left out."""
    ends_are_known: bool
    """Whether the trajectories tell terminated from truncated episodes, sidecar or not."""
    ask_for_ends: str = ""
    """What to do if they do not."""


def read_demonstrations(source: DemonstrationFile) -> Contents:
    """Read episodes one by one, the first of them for their spaces.

    Raises:
        DataError: The file has no episode, or nothing tells how episodes ended.
        DatasetDamagedError: It is no HDF5 file, or cut short.
    """
    path = source.path
    with open_file(path) as file:
        names = source.list_names(file)
        sidecar = SidecarReader(file)
        written_as = sidecar.description.get("layout", source.layout)
        if written_as != source.layout:
            raise DataError(f"{path} was written as {written_as!r}, not as {source.layout!r}")
        if not names:
            raise DataError(f"{path} has no episode")
        if not sidecar.description and not source.ends_are_known:
            raise DataError(
                f"{path} does not tell terminated from truncated episodes; {source.ask_for_ends}"
            )
        first = source.read_trajectory(file, names[0])
        described, left_out = source.describe(file)
        metadata = {**described, **sidecar.description}
        metadata.pop("layout", None)
        masks = read_masks(file, names)
    if masks:
        metadata[SPLITS] = masks
    step_infos = [key for key, rows in first.infos.items() if count_rows(rows) == first.total_steps]
    if step_infos and not sidecar.description:
        metadata[STEP_INFOS] = [*step_infos]
    observation_space = _find_space(metadata, "observation_space", first.observations)
    action_space = _find_space(metadata, "action_space", first.actions)
    losses = [Loss(name, "nothing of a dataset holds it") for name in left_out]
    if first.rewards is None:
        losses.append(Loss("rewards", "the file has none, and the dataset has zeros"))
    told = set(left_out)

    def iterate() -> Iterator[EpisodeBuffer]:
        with open_file(path) as file:
            sidecar = SidecarReader(file)
            for name in names:
                with name_read_errors(str(path)):
                    found = source.read_trajectory(file, name)
                    if found.where != first.where:
                        _check_columns(found, first)
                    _restore(found, sidecar, name, observation_space)
                new = sorted(set(found.left_out) - told)
                told.update(new)
                reason = f"nothing of a dataset holds it; it is in {found.where}, for one"
                losses.extend(Loss(what, reason) for what in new)
                yield found.to_buffer()

    return Contents(iterate(), observation_space, action_space, metadata, losses)


def _find_space(metadata: Mapping[str, JsonValue], name: str, rows: object) -> spaces.Space[Any]:
    said = metadata.get(name)
    if isinstance(said, str):
        return space_from_json(said, name)
    return infer_space(rows, discrete=False)


def _restore(
    found: Trajectory, sidecar: SidecarReader, name: str, space: spaces.Space[Any]
) -> None:
    """Give an episode the structure and what else lies beside the data."""
    if not sidecar.description:
        return
    sidecar.add(name, found)
    if not is_final_observation_known(found.metadata):
        # Its last row stands for what nobody knows.
        found.next_observations = None
    found.observations = restore_structure(found.observations, space, found.where)
    if found.next_observations is not None:
        found.next_observations = restore_structure(found.next_observations, space, found.where)


def _check_columns(found: Trajectory, first: Trajectory) -> None:
    mine, others = found.observations, first.observations
    if isinstance(mine, dict) != isinstance(others, dict):
        raise DataError(
            f"{found.where}: observations are laid out otherwise than those of {first.where}"
        )
    if isinstance(mine, dict) and mine.keys() != others.keys():
        name = min(mine.keys() ^ others.keys())
        lacking, having = (found, first) if name in others else (first, found)
        raise DataError(f"{lacking.where} has no observation {name!r}, which {having.where} has")
    if (found.rewards is None) != (first.rewards is None):
        without = found if found.rewards is None else first
        raise DataError(f"{without.where} has no rewards, which other episodes have")
