"""What is sampled from a public format is what is sampled after a conversion."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    SamplingError,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
)
from minari_core.testing.expectations import expect_same
from minari_core.twins import finding

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

FORMATS = ("hdf5", "arrow", "parquet")
BOX = spaces.Box(-9, 9, (2,), np.float32)
SPACES = (
    BOX,
    spaces.Discrete(9),
    spaces.Box(0, 255, (40, 36, 3), np.uint8),
    spaces.Dict(place=BOX, pair=spaces.Tuple([spaces.Discrete(3), spaces.Text(4)])),
)
METADATA: tuple[dict[str, Any], ...] = ({}, {"score": 1.5}, {"tags": ["a"]})
Call = Callable[[MinariDataset], object]
CALLS: tuple[Call, ...] = (
    lambda dataset: dataset.sample_transitions(9),
    lambda dataset: dataset.sample_transitions(9, columns=["infos", "extras", "current_infos"]),
    lambda dataset: dataset.sample_transitions(9, include_unknown_final=True),
    lambda dataset: dataset.sample_transitions(9, n_step=2, stack=2, weights="episodes"),
    lambda dataset: dataset.sample_transitions(9, goals="future"),
    lambda dataset: dataset.sample_transitions(9, columns=["infos/sometimes", "rewards"]),
    lambda dataset: dataset.sample_sequences(5, 3, padding="before", returns_to_go=True),
    lambda dataset: dataset.sample_sequences(5, 2, columns=["infos", "observations"]),
    lambda dataset: list(dataset.batches(4, epochs=2, seed=3)),
    lambda dataset: list(dataset.batches(4, length=2, padding="after", shuffle=False)),
    lambda dataset: dataset.transition_sampler().read([0]),
    lambda dataset: dataset.statistics(("observations", "actions", "rewards", "infos")),
)


@contextmanager
def a_root(*, on_disk: bool) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setenv("MINARI_DATASETS_PATH", f"{folder}/datasets")
        patched.setenv("MINARI_CACHE_PATH", f"{folder}/cache")
        if on_disk:
            patched.setattr(finding, "MEMORY_NBYTES", -1)
        yield


def answer(dataset: MinariDataset, call: Call) -> object:
    """Return what a call gives, or the error that it raises, as plain values."""
    dataset.set_seed(7)
    try:
        return plain(call(dataset))
    except SamplingError as error:
        return str(error)


def plain(value: Any) -> Any:
    if is_dataclass(value):
        names = [item.name for item in fields(value) if item.name != "origin"]
        names += [name for name in ("episode_ids", "time_steps") if hasattr(value, name)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def expect_equal_answers(found: MinariDataset, wanted: MinariDataset) -> None:
    for number, call in enumerate(CALLS):
        expect_same(answer(found, call), answer(wanted, call), f"call {number}")


@st.composite
def buffers(draw: st.DrawFn) -> tuple[spaces.Space[Any], list[EpisodeBuffer]]:
    space = draw(st.sampled_from(SPACES))
    space.seed(draw(st.integers(0, 9)))
    has_own_infos = draw(st.booleans())
    made = []
    for _ in range(draw(st.integers(1, 5))):
        steps = draw(st.integers(1, 5))
        is_known = draw(st.booleans())
        rows = np.arange(float(steps + 1))
        infos: dict[str, Any] = {
            "speed": rows,
            "short": rows[: draw(st.integers(steps, steps + 1))],
        }
        if has_own_infos:
            infos["sometimes"] = [None if draw(st.booleans()) else row for row in rows.tolist()]
            infos["ragged"] = [np.arange(row) for row in range(steps + 1)]
        if draw(st.booleans()):
            infos["late"] = {"text": [str(row) for row in range(steps + 1)]}
        made.append(
            EpisodeBuffer(
                observations=[space.sample() for _ in range(steps + is_known)],
                actions=np.arange(steps, dtype=np.float32).reshape(-1, 1),
                rewards=np.where(rows[1:] == 3, np.nan, rows[1:]),
                terminations=rows[1:] == steps,
                truncations=np.zeros(steps, dtype=bool),
                infos=infos,
                seed=draw(st.none() | st.just(3)),
                metadata=dict(draw(st.sampled_from(METADATA))),
                extras={"own": rows} if has_own_infos else {},
            )
        )
    return space, made


@given(buffers(), st.sampled_from(FORMATS), st.booleans(), st.data())
@settings(max_examples=30)
def test_whatever_is_sampled_from_a_public_format_and_its_views_is_as_after_a_conversion(
    given_buffers: tuple[spaces.Space[Any], list[EpisodeBuffer]],
    data_format: str,
    on_disk: bool,
    data: st.DataObject,
) -> None:
    space, made = given_buffers
    with a_root(on_disk=on_disk):
        create_dataset_from_buffers(
            "a-v0",
            made,
            observation_space=space,
            action_space=spaces.Box(-9, 9, (1,), np.float32),
            step_infos=["short"] if data.draw(st.booleans()) else (),
            data_format=data_format,
        )
        dataset, converted = load_dataset("a-v0"), convert_dataset("a-v0", "b-v0")
        expect_equal_answers(dataset, converted)
        chosen = data.draw(st.lists(st.integers(0, len(made) - 1), max_size=4))
        expect_equal_answers(dataset[chosen], converted[chosen])


def with_dtypes_that_differ(data_format: str, root: Path) -> MinariDataset:
    """Make a dataset whose second episode another program wrote with wider dtypes."""
    episodes = [
        EpisodeBuffer(
            observations=np.arange(2.0 * steps + 2, dtype=np.float32).reshape(-1, 2),
            actions=np.arange(steps, dtype=np.float32).reshape(-1, 1),
            rewards=np.arange(steps, dtype=float),
            terminations=[False] * steps,
            truncations=[False] * steps,
        )
        for steps in (2, 3, 4)
    ]
    create_dataset_from_buffers(
        "a-v0",
        episodes,
        observation_space=BOX,
        action_space=spaces.Box(-9, 9, (1,), np.float32),
        data_format=data_format,
    )
    data = root / "a-v0" / "data"
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "r+") as file:
            rows = file["episode_1/observations"][()]
            del file["episode_1/observations"]
            file["episode_1/observations"] = rows.astype(np.float64) + 1e-12
    else:
        (path,) = (data / "1").glob(f"*.{data_format}")
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        number = table.schema.get_field_index("observations")
        wider = table.column(number).cast(pa.list_(pa.float64(), 2))
        table = table.set_column(number, "observations", wider)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return load_dataset("a-v0")


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_dtypes_that_differ_from_episode_to_episode_become_the_wider_one(
    data_format: str, on_disk: bool
) -> None:
    with a_root(on_disk=on_disk):
        dataset = with_dtypes_that_differ(data_format, Path(os.environ["MINARI_DATASETS_PATH"]))
        assert len({episode.observations.dtype for episode in dataset}) == 2
        expect_equal_answers(dataset, convert_dataset(dataset, "b-v0", widen=True))


@pytest.mark.parametrize("on_disk", [False, True])
def test_images_that_are_stored_as_jpeg_are_sampled_as_they_are_read(on_disk: bool) -> None:
    with a_root(on_disk=on_disk):
        space = SPACES[2]
        episode = EpisodeBuffer(
            observations=[space.sample() for _ in range(9)],
            actions=np.zeros(8, dtype=np.int64),
            rewards=np.zeros(8),
            terminations=[False] * 8,
            truncations=[False] * 8,
        )
        create_dataset_from_buffers(
            "a-v0",
            [episode],
            observation_space=space,
            action_space=spaces.Discrete(2),
            data_format="hdf5",
            jpeg_encoding=True,
        )
        expect_equal_answers(load_dataset("a-v0"), convert_dataset("a-v0", "b-v0"))


def test_a_run_is_resumed_by_another_process_at_the_very_next_batch() -> None:
    with a_root(on_disk=True):
        space = spaces.Discrete(9)
        create_dataset_from_buffers(
            "a-v0",
            [
                EpisodeBuffer(
                    observations=np.arange(6),
                    actions=np.arange(5),
                    rewards=np.arange(5.0),
                    terminations=[False] * 5,
                    truncations=[False] * 5,
                )
            ],
            observation_space=space,
            action_space=space,
            data_format="arrow",
        )
        batches = load_dataset("a-v0").batches(2, epochs=3, seed=1)
        next(batches)
        state = json.loads(json.dumps(batches.state_dict()))
        wanted = plain(list(batches))
        again = load_dataset("a-v0").batches(2, epochs=3, seed=1)
        again.load_state_dict(state)
        expect_same(plain(list(again)), wanted)
