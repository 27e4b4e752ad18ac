"""What the page shows of a dataset, against the episodes as they are read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import minari
from minari import EpisodeBuffer
from minari.viewer.data import PageData
from tests.core.helpers.recorded import Recorded, recordings, stored, views

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
FORMATS = ["columnar", "hdf5", "arrow", "parquet"]
SPACE = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (16, 12, 3), np.uint8),
        "state": spaces.Box(-np.inf, np.inf, (3,), np.float64),
        "word": spaces.Text(5),
    }
)


def create(lengths: list[int], data_format: str = "columnar") -> minari.MinariDataset:
    rng = np.random.default_rng(3)
    buffers = [
        EpisodeBuffer(
            observations={
                "camera": rng.integers(0, 255, (steps + 1, 16, 12, 3), dtype=np.uint8),
                "state": rng.standard_normal((steps + 1, 3)),
                "word": [f"w{row % 10}" for row in range(steps + 1)],
            },
            actions=np.arange(steps),
            rewards=rng.standard_normal(steps),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, dtype=bool),
            infos={"sometimes": [None, *range(steps)]},
            seed=number,
        )
        for number, steps in enumerate(lengths)
    ]
    return minari.create_dataset_from_buffers(
        "tests/shown-v0",
        buffers,
        observation_space=SPACE,
        action_space=spaces.Discrete(1000),
        data_format=data_format,
    )


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


@pytest.mark.parametrize("data_format", FORMATS)
def test_columns_frames_and_values_are_those_of_the_episode(
    data_format: str, datasets_root: Path
) -> None:
    dataset = create([1, 5, 40], data_format)
    data = PageData(dataset)

    for position, episode in enumerate(dataset):
        columns: Any = data.describe_episode(position)["columns"]
        described: Any = {column["path"]: column for column in columns}
        kinds = {path: column["kind"] for path, column in described.items()}
        assert kinds == {
            "observations/camera": "image",
            "observations/state": "numbers",
            "observations/word": "text",
            "actions": "numbers",
            "rewards": "numbers",
            "infos/sometimes": "numbers",
        }
        assert described["observations/state"]["rows"] == len(episode) + 1
        assert described["rewards"]["rows"] == len(episode)
        body, count = data.read_frames(position, "observations/camera", 1, 100)
        assert count == len(episode)
        assert body == episode.observations["camera"][1:].tobytes()
        for step in (0, len(episode)):
            values = data.read_values(position, step)
            assert values["observations/word"] == [episode.observations["word"][step]]
            assert values["observations/state"] == list(
                map(str, episode.observations["state"][step])
            )
            assert ("rewards" in values) == (step < len(episode))
        assert data.read_values(position, 0)["infos/sometimes"] == ["missing"]


@given(recordings(), st.data())
@settings(max_examples=25)
def test_every_column_of_every_space_is_thinned_out_like_its_rows(
    recorded: Recorded, drawn: st.DataObject
) -> None:
    with stored(recorded, on_disk=False) as whole:
        selection, _ = drawn.draw(views(whole.total_episodes))
        dataset = whole[selection]
        data = PageData(dataset)
        position = drawn.draw(st.integers(0, len(dataset) - 1))
        episode = dataset[position]
        groups = ("observations", "actions", "rewards", "infos", "extras")
        found = dict(leaf for group in groups for leaf in leaves(getattr(episode, group), group))
        described: Any = data.describe_episode(position)["columns"]
        assert [column["path"] for column in described] == list(found)
        for column in described:
            rows = found[column["path"]]
            assert column["rows"] == len(rows)
            if column["kind"] != "numbers":
                continue
            start = drawn.draw(st.integers(0, len(rows) - 1))
            stop = drawn.draw(st.integers(start + 1, len(rows) + 2))
            buckets = drawn.draw(st.integers(1, 6))
            ask = (position, column["path"], start, stop, buckets)
            if isinstance(rows, np.ndarray):
                series, width = data.read_series(*ask)
                expect_buckets(series, width, rows[start:stop], buckets)
            else:
                with contextlib.suppress(LookupError):
                    series, width = data.read_series(*ask)
                    expect_buckets(series, width, np.array(rows[start:stop]), buckets)


def expect_buckets(series: Any, width: int, rows: Any, buckets: int) -> None:
    assert series.shape[2] == -(-len(rows) // width) <= buckets
    for bucket in range(series.shape[2]):
        part = np.ma.filled(
            np.ma.asarray(rows[bucket * width : (bucket + 1) * width]).astype(float), np.nan
        )
        part = part.reshape(len(part), series.shape[1])
        for dim in range(series.shape[1]):
            finite = part[:, dim][np.isfinite(part[:, dim])]
            least, most, holes = series[:, dim, bucket]
            assert holes == len(part) - len(finite)
            assert np.isnan(least) if not len(finite) else least == finite.min()
            assert np.isnan(most) if not len(finite) else most == finite.max()


def test_nan_and_infinities_poison_no_bucket_and_are_counted(datasets_root: Path) -> None:
    dataset = create([9])
    buffer = EpisodeBuffer(
        observations={**dataset[0].observations, "state": np.full((10, 3), 2.0)},
        actions=np.arange(9),
        rewards=[1, np.nan, 2, np.inf, 3, -np.inf, 4, 5, 6],
        terminations=[False] * 9,
        truncations=[False] * 9,
    )
    dataset.update_dataset_from_buffer([buffer])

    series, width = PageData(dataset).read_series(1, "rewards", 0, 9, 3)

    assert width == 3
    assert series[:, 0].tolist() == [[1, 3, 4], [2, 3, 6], [1, 2, 0]]


def test_rows_beyond_the_end_are_left_out_and_none_are_an_empty_answer(datasets_root: Path) -> None:
    data = PageData(create([4]))

    series, _ = data.read_series(0, "rewards", 2, 10**9, 10)
    assert series.shape == (3, 1, 2)
    assert data.read_series(0, "rewards", 7, 9, 10)[0].shape == (3, 1, 0)
    assert data.read_frames(0, "observations/camera", 5, 9) == (b"", 0)
    assert data.read_values(0, 99) == {}
    for call in (
        lambda: data.describe_episode(1),
        lambda: data.describe_episode(-1),
        lambda: data.read_series(0, "infos/none", 0, 1, 1),
    ):
        with pytest.raises(LookupError, match=r"there is no episode|has no column"):
            call()


def test_a_final_observation_that_nobody_knows_is_not_shown(datasets_root: Path) -> None:
    buffer = EpisodeBuffer(
        observations=np.arange(3.0)[:, None],
        actions=np.arange(3),
        rewards=np.zeros(3),
        terminations=[False] * 3,
        truncations=[False] * 2 + [True],
        metadata={"final_observation_known": False},
    )
    dataset = minari.create_dataset_from_buffers(
        "tests/cut-v0",
        [buffer],
        observation_space=spaces.Box(-9, 9, (1,), np.float64),
        action_space=spaces.Discrete(9),
    )
    data = PageData(dataset)

    assert data.describe_episode(0)["final_observation_known"] is False
    assert "observations" not in data.read_values(0, 3)
    assert data.read_series(0, "observations", 0, 9, 9)[0][0].tolist() == [[0, 1, 2]]


def test_what_a_dataset_says_of_itself_is_plain_text(datasets_root: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    dataset = create([3, 4])
    dataset.storage.update_metadata({"description": hostile, "author": [hostile, "Ada"]})
    data = PageData(dataset[1:])

    described: Any = data.describe()

    assert described["total_episodes"] == 1
    assert described["total_steps"] == 4
    assert ["description", hostile] in described["facts"]
    assert ["author", f"{hostile}, Ada"] in described["facts"]
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_distributions_are_of_finite_numbers_and_say_of_how_many_episodes(
    datasets_root: Path,
) -> None:
    dataset = create([1] * 100)
    data = PageData(dataset)
    assert data.summaries.describe_distributions()["returns"] is None
    data.episodes.start()
    data.episodes.wait()

    described: Any = data.summaries.describe_columns()

    assert described["episodes"] == 64
    assert list(described["columns"]) == ["observations/state", "actions", "rewards"]
    assert [each["count"] for each in described["columns"]["observations/state"]] == [128] * 3
    distributions: Any = data.summaries.describe_distributions()
    (returns,) = distributions["returns"]
    assert returns["count"] == 100
    assert returns["max"] == max(float(episode.rewards.sum()) for episode in dataset)


def test_what_fails_in_the_background_is_told_and_not_awaited_for_ever(datasets_root: Path) -> None:
    dataset = create([30], "hdf5")
    data = PageData(dataset)
    minari.delete_dataset(dataset.id)

    data.episodes.start()
    data.episodes.wait()
    data.summaries.describe_checks(start=True)
    while (answer := data.summaries.describe_checks())["state"] == "running":
        pass

    ((severity, text),) = cast("list[tuple[str, str]]", answer["findings"])
    assert (severity, text.startswith("the checks failed: ")) == ("warning", True)
    assert data.episodes.returns is None
