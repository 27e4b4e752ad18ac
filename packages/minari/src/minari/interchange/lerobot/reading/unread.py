"""What a dataset of LeRobot has that nothing here reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from minari.interchange.files import find_file, read_lines
from minari.interchange.layout import Loss
from minari.interchange.lerobot.files.features import INDEX_TYPES
from minari.interchange.lerobot.reading.index import Index
from minari_core.formats.public.arrow.bounded import BoundedParquet

# Statistics are counted, and what says where something lies means nothing elsewhere.
_OF_EPISODES = re.compile(
    r"episode_index|length|tasks|dataset_(from|to)_index|((data|meta/episodes|videos)/|stats/).*"
)
_OF_META = re.compile(r"(info|stats)\.json|(episodes|episodes_stats|tasks)\.jsonl|minari\..*|\..*")


def list_unread(index: Index) -> Iterator[Loss]:
    """List files of metadata, columns of episodes and columns of frames that are not read.

    Raises:
        DatasetDamagedError: A file cannot be read.
    """
    meta = index.root / "meta"
    for path in sorted(meta.iterdir()):
        is_known = path.name in ("episodes", "tasks.parquet") or _OF_META.fullmatch(path.name)
        if not is_known:
            yield Loss(f"meta/{path.name}", "a file of this name is not read")
    for name in sorted(set(_list_episode_columns(index))):
        if not _OF_EPISODES.fullmatch(name):
            yield Loss(name, "of the table of episodes such a column is not read")
    if index.episodes:
        with BoundedParquet(find_file(index.root, index.episodes[0].data)) as file:
            names = set(file.schema.names)
        for name in sorted(names - index.features.keys() - INDEX_TYPES.keys()):
            yield Loss(name, "the data has such a column, and info.json no such feature")


def _list_episode_columns(index: Index) -> Iterable[str]:
    old = index.root / "meta" / "episodes.jsonl"
    if old.is_file():
        return (
            key for said in read_lines(find_file(index.root, "meta/episodes.jsonl")) for key in said
        )
    for path in sorted((index.root / "meta" / "episodes").glob("*/*.parquet")):
        with BoundedParquet(find_file(index.root, path.relative_to(index.root).as_posix())) as file:
            return list(file.schema.names)
    return ()
