"""Everything that changes what is on disk, as small pieces of work to be interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces

import minari
from minari_core.local.locations import datasets_root
from tests.campaigns.helpers.driven import FORMATS, checkpoint, create, new_collector
from tests.campaigns.helpers.forked import run_forked
from tests.fixtures.earlier_release.rover import WithBattery, WithGrade, drive, steer

Step = Callable[[], object]

EXPORTED = "exported"
"""The folder beside the datasets' root that exports are written into."""
EXPORTS = {
    "lerobot": "lerobot",
    "rlds": "rlds",
    "parquet": "parquet",
    "bundle": "bundle",
    "robomimic": "robomimic.hdf5",
    "isaaclab": "isaaclab.hdf5",
    "ogbench": "ogbench.npz",
    "d4rl": "d4rl.hdf5",
}
"""The layouts, and what is called so in the folder."""


@dataclass(frozen=True)
class Operation:
    """A change, and what must be there before."""

    name: str
    prepare: Step
    """Done once, undisturbed."""
    act: Step
    """The change."""
    records: bool = False
    """Whether it records episodes, which a recording may keep when it is interrupted."""
    again: Step | None = None
    """How to do it after it was interrupted, if otherwise."""


def all_operations(only: str = "") -> list[Operation]:
    """Each operation in each format that it can be done in, if its name has a part."""
    return [operation for operation in _operations() if only in operation.name]


def _operations() -> Iterator[Operation]:
    for each in FORMATS:
        prepare = partial(_two, each)
        yield Operation(f"create in {each}", prepare, partial(_record, each), records=True)
        yield Operation(f"checkpoint in {each}", prepare, partial(_add, each), records=True)
        yield Operation(f"create from buffers in {each}", prepare, partial(_from_buffers, each))
        yield Operation(f"add buffers in {each}", prepare, partial(_add_buffers, each))
        yield Operation(f"combine in {each}", prepare, partial(_combine, each))
        yield Operation(f"save a split in {each}", prepare, partial(_save_split, each))
        yield Operation(f"save what a filter leaves in {each}", prepare, partial(_filter, each))
        other = "hdf5" if each == "columnar" else "columnar"
        yield Operation(f"convert {each} to {other}", prepare, partial(_convert, other))
        yield Operation(f"update metadata in {each}", prepare, _update_metadata)
        yield Operation(f"update episode metadata in {each}", prepare, _update_episodes)
        yield Operation(f"delete in {each}", prepare, partial(minari.delete_dataset, "tt/a-v0"))
        yield Operation(
            f"recover in {each}",
            _left_behind,
            partial(_recover, each),
            records=True,
        )
        uploaded = partial(_uploaded, each)
        yield Operation(f"upload of {each}", prepare, _upload)
        yield Operation(f"download of {each}", partial(uploaded, False), _download)
        yield Operation(f"forced download of {each}", partial(uploaded, True), _force_download)
    two = partial(_two, "columnar")
    yield Operation("checkpoint that widens a column", two, _add_wider, records=True)
    seven = _seven_checkpoints
    yield Operation("checkpoint that joins shards", seven, partial(_add, "columnar"), records=True)
    yield Operation("add buffers and join shards", seven, partial(_add_buffers, "columnar"))
    yield Operation("collect and join shards", two, _collect_many, again=_collect_many_again)
    yield Operation("compact", two, lambda: minari.load_dataset("tt/a-v0").compact())
    yield Operation("keep statistics", two, lambda: minari.load_dataset("tt/a-v0").statistics())
    yield Operation("discard", _left_behind, _discard)
    yield Operation("collect with workers", two, _collect, again=partial(_collect, resume=True))
    yield Operation("create from arrays", two, _from_arrays)
    yield Operation("import a flat file", _flat_file, _import_flat)
    for layout in EXPORTS:
        one = partial(_from_buffers, "columnar", "tt/a-v0")
        yield Operation(f"export as {layout}", one, partial(_export, layout))
        yield Operation(f"import of {layout}", partial(_exported, layout), partial(_import, layout))
    yield Operation("create a namespace", two, partial(minari.create_namespace, "deep", "Deep."))
    named = _named
    yield Operation(
        "update a namespace", named, partial(minari.update_namespace_metadata, "deep", "New.")
    )
    yield Operation("delete a namespace", named, partial(minari.delete_namespace, "deep"))


def _two(data_format: str) -> None:
    """``tt/a-v0``, written in three steps, and ``tt/b-v0``."""
    create("tt/a-v0", range(2), data_format)
    checkpoint("tt/a-v0", range(2, 3), data_format)
    checkpoint("tt/a-v0", range(3, 4), data_format)
    create("tt/b-v0", range(10, 12), data_format)


def _seven_checkpoints() -> None:
    """``tt/a-v0``, whose next checkpoint joins all its shards, and ``tt/b-v0``."""
    create("tt/a-v0", range(1), "columnar")
    for seed in range(1, 7):
        checkpoint("tt/a-v0", range(seed, seed + 1), "columnar")
    create("tt/b-v0", range(10, 12), "columnar")


def _record(data_format: str) -> None:
    with new_collector(data_format, max_buffer_steps=4) as env:
        for seed in (4, 5):
            drive(env, seed)
        minari.create_dataset_from_collector_env("tt/new-v0", env)


def _add(data_format: str) -> None:
    with new_collector(data_format, max_buffer_steps=4) as env:
        for seed in (4, 5):
            drive(env, seed)
        minari.load_dataset("tt/a-v0").update_dataset_from_collector_env(env)


def _add_wider() -> None:
    """Add episodes of wider actions, for which the dataset's are written anew."""
    with new_collector(max_buffer_steps=4) as env:
        for seed in (4, 5):
            observation, _ = env.reset(seed=seed)
            is_over = False
            while not is_over:
                direction, force = steer(observation)
                action = direction, force.astype(np.float64)
                observation, _, terminated, truncated, _ = env.step(action)
                is_over = terminated or truncated
        minari.load_dataset("tt/a-v0").update_dataset_from_collector_env(env)


def _buffer(seed: int) -> minari.EpisodeBuffer:
    steps = 3 + seed
    return minari.EpisodeBuffer(
        seed=seed,
        observations=np.arange((steps + 1) * 2, dtype=np.float64).reshape(-1, 2) + seed,
        actions=np.arange(steps),
        rewards=np.full(steps, float(seed)),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        infos={"count": np.arange(steps + 1)},
    )


def _from_buffers(data_format: str, dataset_id: str = "tt/new-v0") -> None:
    minari.create_dataset_from_buffers(
        dataset_id,
        [_buffer(4), _buffer(5)],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(100),
        data_format=data_format,
    )


def _add_buffers(data_format: str) -> None:
    episodes = list(minari.load_dataset("tt/b-v0"))
    minari.load_dataset("tt/a-v0").update_dataset_from_buffer(episodes)


def _combine(data_format: str) -> None:
    datasets = [minari.load_dataset("tt/a-v0"), minari.load_dataset("tt/b-v0")[1:]]
    minari.combine_datasets(datasets, "tt/new-v0", data_format=data_format)


def _save_split(data_format: str) -> None:
    part, _ = minari.split_dataset(minari.load_dataset("tt/a-v0"), [2, 2], seed=1)
    minari.combine_datasets([part], "tt/new-v0", data_format=data_format)


def _filter(data_format: str) -> None:
    some = minari.load_dataset("tt/a-v0").filter_episodes(lambda episode: len(episode) > 2)
    minari.combine_datasets([some], "tt/new-v0", data_format=data_format)


def _convert(data_format: str) -> None:
    minari.convert_dataset(minari.load_dataset("tt/a-v0"), "tt/new-v0", data_format=data_format)


def _update_metadata() -> None:
    minari.load_dataset("tt/a-v0").storage.update_metadata({"description": "new"})


def _update_episodes() -> None:
    """Change what is said of some episodes, also by what public formats keep beside the rest."""
    changes = [{"grade": 7, "further": "é"}, {"seed": 70, "deep": {"list": [1, (2,)]}}]
    minari.load_dataset("tt/a-v0").storage.update_episode_metadata(changes, [3, 1])


def _left_behind() -> None:
    """``tt/b-v0``, and a recording whose process was killed in the middle of an episode."""
    create("tt/b-v0", range(10, 12), "columnar")

    def record(tell: object) -> None:
        env = new_collector(max_buffer_steps=3)
        drive(env, 4)
        drive(env, 8)
        env.reset(seed=9, options={"length": 9})
        for _ in range(7):
            env.step(env.action_space.sample())
        os.kill(os.getpid(), signal.SIGKILL)

    ending = run_forked(record)
    if ending.code != -signal.SIGKILL:
        raise RuntimeError(f"the recording ended otherwise:\n{ending.errors}")


def _recover(data_format: str) -> None:
    (recording,) = minari.list_recoverable()
    minari.recover(recording.id, "tt/new-v0", data_format=data_format)


def _discard() -> None:
    (recording,) = minari.list_recoverable()
    minari.discard(recording.id)


def _remote() -> str:
    """A folder beside the datasets' root, which is copied with it."""
    return (datasets_root().parent / "remote").as_uri()


def _uploaded(data_format: str, is_here: bool) -> None:
    """``tt/a-v0`` on a remote; here is none, or another one."""
    _two(data_format)
    _upload()
    minari.delete_dataset("tt/a-v0")
    if is_here:
        create("tt/a-v0", range(20, 22), data_format)


def _upload() -> None:
    Path(_remote().removeprefix("file://")).mkdir(exist_ok=True)
    minari.upload_dataset("tt/a-v0", remote_path=_remote(), progress=False)


def _download() -> None:
    minari.download_dataset("tt/a-v0", remote_path=_remote(), progress=False)


def _force_download() -> None:
    minari.download_dataset("tt/a-v0", True, remote_path=_remote(), progress=False)


def _collect_many(resume: bool = False) -> None:
    """Collect so many small shards that they are joined when they are published."""
    # On a full disk each attempt of an episode waits for seconds.
    _collect(resume, total_episodes=18, max_attempts=1)


def _collect_many_again() -> None:
    _collect_many(resume=True)


def _collect(resume: bool = False, total_episodes: int = 4, max_attempts: int = 3) -> None:
    minari.collect_dataset(
        "tt/new-v0",
        "EarlierRelease/Rover-v0",
        total_episodes=total_episodes,
        episodes_per_task=1,
        workers=1,
        max_attempts=max_attempts,
        seed=3,
        resume=resume,
        record_infos=True,
        progress=False,
        step_data_callback=WithBattery,
        episode_metadata_callback=WithGrade,
    )


def _arrays() -> dict[str, Any]:
    return {
        "observations": np.arange(40.0).reshape(20, 2),
        "next_observations": np.arange(2.0, 42.0).reshape(20, 2),
        "actions": np.arange(20),
        "rewards": np.linspace(0, 1, 20),
        "terminals": np.arange(20) % 5 == 4,
    }


def _from_arrays() -> None:
    minari.create_dataset_from_arrays(
        "tt/new-v0",
        **_arrays(),
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(100),
    )


def _flat_file() -> None:
    _two("columnar")
    with h5py.File(datasets_root().parent / "flat.hdf5", "w") as file:
        for name, values in _arrays().items():
            file[name] = values


def _import_flat() -> None:
    minari.import_flat_hdf5(
        datasets_root().parent / "flat.hdf5",
        "tt/new-v0",
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(100),
    )


def export_again(path: Path) -> None:
    """Replace what an export wrote, by which the next one tidies up."""
    (layout,) = (layout for layout, name in EXPORTS.items() if name == path.name)
    _export(layout, overwrite=True)


def _export(layout: str, folder: str = EXPORTED, overwrite: bool = False) -> None:
    options: dict[str, Any] = {"fps": 10, "task": "walk"} if layout == "lerobot" else {}
    path = datasets_root().parent / folder / EXPORTS[layout]
    dataset = minari.load_dataset("tt/a-v0")
    minari.export_dataset(dataset, path, layout, overwrite=overwrite, **options)


def _exported(layout: str) -> None:
    _from_buffers("columnar", "tt/a-v0")
    _export(layout, "files")


def _import(layout: str) -> None:
    minari.import_dataset(datasets_root().parent / "files" / EXPORTS[layout], "tt/new-v0", layout)


def _named() -> None:
    _two("columnar")
    minari.create_namespace("deep", "Deep.")
