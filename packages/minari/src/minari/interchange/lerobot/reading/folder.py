"""Read a dataset of LeRobot: as LeRobot reads it, or with what was written beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from minari.interchange.layout import Contents, Loss
from minari.interchange.lerobot.files.features import DONE, TRUNCATED
from minari.interchange.lerobot.files.sidecar import CARD, STEPS, Sidecar, read_sidecar
from minari.interchange.lerobot.reading.foreign import read_foreign
from minari.interchange.lerobot.reading.frames import iterate_frames
from minari.interchange.lerobot.reading.index import Index, read_index
from minari.interchange.lerobot.reading.rows import RowStream
from minari.interchange.lerobot.reading.unread import list_unread
from minari_core.environments.space_json import space_from_json
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.formats.public.files import OWN_KEY
from minari_core.sampling.gathering.info_rows import read_step_infos
from minari_core.tables.assembling import iterate_episodes
from minari_core.tables.gathering import Columns, Leaf
from minari_core.tables.reading import read_table
from minari_core.tables.source import open_table

_NO_SIDECAR = "give sidecar=False to read what LeRobot reads"


def read_folder(
    root: Path,
    ends: Literal["terminated", "truncated"] | None,
    last_frame: Literal["step", "observation"],
    *,
    use_sidecar: bool,
) -> Contents:
    """Read a dataset, as `read` of the layout describes it.

    Raises:
        DataError: The files contradict each other, or do not say what ends an episode.
        DatasetDamagedError: A file cannot be read.
    """
    index = read_index(root)
    sidecar = read_sidecar(root) if use_sidecar else None
    if sidecar is None:
        return read_foreign(index, ends, last_frame)
    if ends is not None or last_frame != "step":
        raise DataError(
            f"{root / CARD} says what ends an episode and what it led to, so that ends and "
            f"last_frame mean nothing; {_NO_SIDECAR}"
        )
    return _read_own(index, sidecar)


def _read_own(index: Index, sidecar: Sidecar) -> Contents:
    spaces = [
        space_from_json(_read_text(index, sidecar, name), name)
        for name in ("observation_space", "action_space")
    ]
    episodes = open_table(sidecar.episodes).read_columns()
    lengths = [episode.length for episode in index.episodes]
    if list(np.asarray(episodes.get("length", np.zeros(0)))) != lengths:
        raise DataError(
            f"{sidecar.episodes} describes other episodes than {index.root / 'meta/episodes'}, "
            f"which were changed since; {_NO_SIDECAR}"
        )
    episodes["episode_id"] = np.arange(len(lengths))
    losses = [
        Loss(column, "it was written as video, which loses detail")
        for name, (column, _) in sidecar.columns.items()
        if index.features.get(name, {}).get("dtype") == "video"
    ]
    losses += list_unread(index)
    losses += [
        Loss(name, f"{CARD} says nothing of such a feature")
        for name in index.features
        if name not in {*sidecar.columns, DONE, TRUNCATED}
    ]
    return Contents(
        episodes=iterate_episodes(
            _join(index, sidecar),
            episodes,
            spaces[0],
            spaces[1],
            read_step_infos(sidecar.metadata),
        ),
        observation_space=spaces[0],
        action_space=spaces[1],
        metadata={key: value for key, value in sidecar.metadata.items() if key != OWN_KEY},
        losses=losses,
    )


def _read_text(index: Index, sidecar: Sidecar, name: str) -> str:
    text = sidecar.metadata.get(name)
    if not isinstance(text, str):
        raise DatasetDamagedError(f"{index.root / CARD} has no {name}")
    return text


def _join(index: Index, sidecar: Sidecar) -> Iterator[Columns]:
    """Put the columns that LeRobot has beside those that it has not."""
    absent = [name for name in (*sidecar.columns, TRUNCATED) if name not in index.features]
    if absent:
        raise DataError(f"{index.root} has no feature {absent[0]!r}; {_NO_SIDECAR}")
    stream = RowStream(sidecar.steps)
    total = sum(episode.length for episode in index.episodes)
    if stream.total != total:
        raise DataError(
            f"{sidecar.steps} has {stream.total} rows, and the data {total}; {_NO_SIDECAR}"
        )
    try:
        for frames in iterate_frames(index, [*sidecar.columns, TRUNCATED]):
            count = len(frames["frame_index"])
            own = read_table(stream.take(count))
            columns: Columns = {
                "episode_id": frames["episode_index"],
                "step": frames["frame_index"],
                "truncated": _reshape(frames[TRUNCATED], (), TRUNCATED),
            }
            for name, (column, shape) in sidecar.columns.items():
                leaf = _reshape(frames[name], shape, f"{index.root}: {name}")
                if column in own:
                    _check_same(leaf, own[column], name, str(index.root))
                else:
                    columns[column] = leaf
            yield {**columns, **own}
    finally:
        stream.close()


def _reshape(leaf: Leaf, shape: Sequence[int], where: str) -> Leaf:
    if isinstance(leaf, list):
        return leaf
    try:
        return leaf.reshape(len(leaf), *shape)
    except ValueError as error:
        raise DataError(
            f"{where} has rows of shape {leaf.shape[1:]}, and {CARD} says {tuple(shape)}"
        ) from error


def _check_same(leaf: Leaf, own: Leaf, name: str, where: str) -> None:
    """Check that numbers are still those that are kept exactly beside them."""
    exact: Any = np.asarray(own)
    found: Any = np.asarray(leaf)
    with np.errstate(over="ignore"):
        is_same = exact.shape == found.shape and np.array_equal(
            exact.astype(found.dtype), found, equal_nan=True
        )
    if not is_same:
        raise DataError(
            f"{where}: feature {name!r} has other values than {STEPS}, which were changed since; "
            f"{_NO_SIDECAR}"
        )
