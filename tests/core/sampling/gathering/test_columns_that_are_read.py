"""Selecting columns reads only those columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import DatasetDamagedError, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.sampling.gathering import binding
from tests.core.helpers.recorded import IMAGE, VECTOR, Recorded, record, stored

MANY = spaces.Dict({"camera": IMAGE, "words": spaces.Text(5), "speed": VECTOR})


def damage(dataset: MinariDataset, path: str) -> None:
    """Overwrite the bytes of an array in the files of a dataset."""
    storage: Any = get_raw_storage(dataset)
    for entry in storage.snapshot.shards:
        schema = storage.snapshot.schemas[entry.schema]
        specs = schema.arrays
        file = storage.data_path / entry.file
        content = bytearray(file.read_bytes())
        for place, spec in enumerate(specs):
            if spec.path != path:
                continue
            offset, rows = entry.arrays[place]
            runs = [(offset, rows * spec.dtype.itemsize * int(np.prod(spec.row_shape)))]
            if spec.rows_per_chunk:
                table_offset, chunks = entry.arrays[place + 1]
                table = np.frombuffer(content, "<u8", 2 * chunks, table_offset).reshape(-1, 2)
                runs = [(int(start), int(size)) for start, size in table]
            for start, size in runs:
                content[start : start + size] = b"\xff" * size
        file.write_bytes(content)


def reopen(dataset: MinariDataset) -> MinariDataset:
    folder = get_raw_storage(dataset).data_path
    assert folder is not None
    return MinariDataset(ColumnarStorage.open(folder))


def a_recording() -> Recorded:
    recorded = record(MANY, VECTOR, [9, 4, 20], 1, cuts=2)
    for episode in recorded.episodes:
        for row in episode.observations:
            row["words"] = "word"
    return recorded


@pytest.mark.parametrize("assembled", [True, False])
def test_columns_that_are_not_asked_for_may_be_damaged(assembled: bool) -> None:
    recorded = a_recording()
    with stored(recorded, on_disk=True, assembled=assembled) as dataset:
        for path in ("observations/camera/frames", "observations/words/values"):
            damage(dataset, path)
        damaged = reopen(dataset)
        every: list[dict[str, Any]] = [{}, {"n_step": 3}, {"stack": 2}, {"goals": "final"}]
        for options in every:
            batch = damaged.sample_transitions(
                50,
                columns=["observations/speed", "next_observations/speed", "actions", "infos"],
                goal_column="observations/speed",
                **options,
            )
            for place, (index, step) in enumerate(
                zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
            ):
                found = batch.columns["observations/speed"][place].reshape(-1, 3)[-1]
                wanted = recorded.episodes[index].observations[step]["speed"]
                assert np.array_equal(found, wanted)
        assert damaged.sample_sequences(9, 3, columns=["rewards", "observations/speed"])
        assert damaged.statistics(["observations/speed", "rewards"])
        for column, reason in (
            ("observations/camera", r"observations/camera/frames: chunk \d+ is damaged"),
            ("next_observations/camera", r"shard-\S+: observations/camera/frames: chunk \d+"),
            ("observations/words", "hold no text"),
            ("observations", "chunk|text"),
        ):
            with pytest.raises(DatasetDamagedError, match=reason):
                damaged.sample_transitions(50, columns=[column])


def test_rewards_are_not_read_for_windows_and_steps_that_do_not_ask_for_them() -> None:
    with stored(a_recording(), on_disk=True) as dataset:
        storage: Any = get_raw_storage(dataset)

        def bound() -> set[str]:
            return set(binding._caches[storage]._gatherers)

        dataset.sample_transitions(5, columns=["actions"], n_step=4)
        dataset.sample_sequences(5, 2, columns=["actions"])
        assert bound() == {"actions"}
        dataset.sample_transitions(5, columns=["rewards"], n_step=4)
        assert bound() == {"actions", "rewards", "terminations"}


def test_a_shard_with_fewer_rows_than_it_says_is_damaged() -> None:
    with stored(a_recording(), on_disk=False) as dataset:
        storage: Any = get_raw_storage(dataset)
        reader = storage.shard(0)
        paths = [spec.path for spec in reader.schema.arrays if not spec.derived]
        reader._arrays = [
            array[:-1] if path == "actions" else array
            for path, array in zip(paths, reader._arrays, strict=True)
        ]
        with pytest.raises(DatasetDamagedError, match=r"shard 0: actions"):
            dataset.sample_transitions(5, columns=["actions"])
