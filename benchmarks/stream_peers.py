"""Streams beside those of Lance and of Hugging Face's datasets, from one server in one run.

The peers are given rows of 194 bytes in the same five columns, without next observations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import MINARI
from peer import DATASETS, LANCE, Peer
from report import NOTHING, Figure
from saved import Columns, save_columns
from setting import Setting
from stream_works import BATCH_SIZE

if TYPE_CHECKING:
    from tests.helpers.object_server import ObjectServer

_SECONDS, _QUIET_SECONDS = 20, 0.5
_LANCE_SHARDS, _PARQUET_FILES = 10, 30
_ROWS_OF_A_GROUP = 10_000  # 2 MB, so that who shuffles need not read whole files
_BUCKET = "peers"

_Run = dict[str, float]


def measure_peers(
    setting: Setting, server: ObjectServer, root: Path, rows: int, read_ours: Callable[[], _Run]
) -> Iterator[Figure]:
    """Draw random batches for some seconds after the first one, from cold, by one after another.

    Args:
        setting: With whom to compare.
        server: The server.
        root: The folder of its files.
        rows: How many rows there are in each file of the peers.
        read_ours: Does the same with a stream for as long as `stretch_seconds` says.
    """
    works: dict[str, Callable[[], _Run | None]] = {MINARI: read_ours}
    works |= dict(_list_works(setting, server, root, rows))
    runs: dict[str, _Run] = {}
    for name, work in works.items():
        before = _read_settled(server)
        found = work()
        after = server.read_statistics()
        if found is not None:
            counted = {key: after[key] - before[key] for key in ("requests", "nbytes")}
            runs[name] = {**found, **counted}
    yield _compare(
        runs,
        f"samples a second, {stretch_seconds(setting)} s after the first batch of {BATCH_SIZE}",
        lambda run: f"{run['rate']:,.0f}",
        lambda run: run["rate"],
    )
    yield _compare(
        runs,
        "what it fetches for a sample, and in how many requests for a batch",
        lambda run: (
            f"{run['nbytes'] / run['samples']:,.0f} bytes, "
            f"{run['requests'] / run['samples'] * BATCH_SIZE:,.2f} requests"
        ),
        lambda run: run["samples"] / run["nbytes"],
    )
    yield _compare(
        runs,
        "how long its first batch takes",
        lambda run: f"{run['first']:.2f} s",
        lambda run: 1 / run["first"],
    )


def stretch_seconds(setting: Setting) -> int:
    """For how many seconds to read after the first batch."""
    return 1 if setting.quick else _SECONDS


def _list_works(
    setting: Setting, server: ObjectServer, root: Path, rows: int
) -> Iterator[tuple[str, Callable[[], _Run | None]]]:
    """Write what the peers read, and list what is done with it."""
    lance, datasets = setting.against(LANCE), setting.against(DATASETS)
    columns = _draw_rows(rows)
    given = {"seconds": stretch_seconds(setting), "batch_size": BATCH_SIZE}
    (root / _BUCKET).mkdir()
    if lance is not None:
        saved, target = setting.root / "rows-of-peers", str(root / _BUCKET / "steps.lance")
        save_columns(columns, saved)
        shards = 1 if setting.quick else _LANCE_SHARDS
        _ask(setting, lance, "write_shards", folder=str(saved), target=target, count=shards)
        stream = partial(_ask, setting, lance, "stream", url=f"s3://{_BUCKET}/steps.lance", **given)
        for name, neighbours in (("take of random rows", False), ("batches of neighbours", True)):
            work = partial(stream, server=server.url, neighbours=neighbours)
            yield f"{LANCE.title}, {name}", work
    if datasets is not None:
        urls = [
            f"{server.url}/{_BUCKET}/{name}" for name in _write_parquet(columns, root / _BUCKET)
        ]
        stream = partial(_ask, setting, datasets, "stream", urls=urls, **given)
        yield f"{DATASETS.title}, shuffle()", stream


def _ask(setting: Setting, peer: Peer, work: str, **given: object) -> _Run | None:
    return setting.attempt(lambda: peer.ask(work, **given))


def _draw_rows(count: int) -> Columns:
    generator = np.random.default_rng(0)
    return {
        "observations": generator.normal(size=(count, 17)),
        "actions": np.full((count, 6), 0.5),
        "rewards": np.arange(count, dtype=np.float64),
        "terminations": np.zeros(count, dtype=bool),
        "truncations": np.zeros(count, dtype=bool),
    }


def _write_parquet(columns: Mapping[str, Any], folder: Path) -> list[str]:
    """Write one file, which has many names."""
    import pyarrow as pa
    from pyarrow import parquet

    def to_arrow(column: Any) -> Any:
        flat = pa.array(column.reshape(-1))
        if column.ndim == 1:
            return flat
        return pa.FixedSizeListArray.from_arrays(flat, column.shape[1])

    names = [f"{number}.parquet" for number in range(_PARQUET_FILES)]
    table = pa.table({name: to_arrow(column) for name, column in columns.items()})
    parquet.write_table(table, folder / names[0], row_group_size=_ROWS_OF_A_GROUP)
    for name in names[1:]:
        os.link(folder / names[0], folder / name)
    return names


def _read_settled(server: ObjectServer) -> dict[str, Any]:
    """Read the statistics of a server when nobody has asked it for anything for a while."""
    found = server.read_statistics()
    while True:
        time.sleep(_QUIET_SECONDS)
        before, found = found, server.read_statistics()
        if found == before:
            return found


def _compare(
    runs: Mapping[str, _Run],
    what: str,
    describe: Callable[[_Run], str],
    rate: Callable[[_Run], float],
) -> Figure:
    others = {name: run for name, run in runs.items() if name != MINARI}
    best = max(map(rate, others.values()), default=None)
    ours = runs[MINARI]
    return Figure(
        work=f"{what}, beside peers on one server",
        minari=describe(ours),
        compared=NOTHING if best is None else f"{rate(ours) / best:.1f} × the best of the others",
        others="; ".join(f"{describe(run)} ({name})" for name, run in others.items()) or NOTHING,
        values={name: rate(run) for name, run in runs.items()},
    )
