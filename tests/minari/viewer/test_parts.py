"""The parts of the page's data by themselves: to the last value, and at their bounds."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer
from minari.distributions.returns import compute_statistics
from minari.replay.replaying import Trust
from minari.viewer import data as data_module
from minari.viewer import listing as listing_module
from minari.viewer import summaries as summaries_module
from minari.viewer.background import BackgroundTask
from minari.viewer.columns import EpisodeColumn, choose_kind, to_text, to_texts
from minari.viewer.data import REPLAY, PageData
from minari.viewer.listing import EpisodeList, Query, QueryError, to_plain
from minari.viewer.reader import EpisodeReader
from minari_core.datasets.dataset import get_raw_storage
from minari_core.json_values import JsonObject
from tests.core.helpers.many_shards import create_many_shards
from tests.minari.viewer.test_data import create

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
FORMATS = ["columnar", "hdf5"]


def know(dataset: minari.MinariDataset) -> PageData:
    data = PageData(dataset)
    data.episodes.start()
    data.episodes.wait()
    return data


def make(number: int, steps: int, **fields: Any) -> EpisodeBuffer:
    plain: dict[str, Any] = {
        "observations": np.zeros((steps + 1, 1)),
        "actions": np.zeros(steps, np.int64),
        "rewards": np.arange(steps) + float(number),
        "terminations": np.arange(steps) == (steps - 1 if number % 2 else -1),
        "truncations": np.arange(steps) == (steps - 1 if number % 3 else -1),
        "seed": 10 * number,
        "metadata": {"grade": number},
    }
    return EpisodeBuffer(**{**plain, **fields})


def store(episodes: list[EpisodeBuffer], **described: Any) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        "tests/parts-v0",
        episodes,
        **{
            "observation_space": spaces.Box(-1, 1, (1,), np.float64),
            "action_space": spaces.Discrete(2),
            **described,
        },
    )


def test_a_task_is_done_once_when_it_is_asked_for() -> None:
    may_end = threading.Event()
    runs: list[bool] = []

    def run() -> JsonObject:
        may_end.wait()
        runs.append(threading.current_thread().daemon)
        return {"found": len(runs)}

    task = BackgroundTask(run)
    assert task.describe() == {"state": "idle"}
    assert task.describe(start=True) == {"state": "running"}
    assert task.describe(start=True) == {"state": "running"}
    may_end.set()
    while task.describe()["state"] == "running":
        pass
    assert task.describe(start=True) == {"state": "done", "found": 1}
    assert runs == [True]

    at_once = BackgroundTask(run)
    at_once.run()
    assert at_once.describe(start=True) == {"state": "done", "found": 2}
    assert len(runs) == 2


def test_columns_say_how_many_elements_a_row_has() -> None:
    for kind, shape, dims in (("numbers", (2, 3), 6), ("numbers", (), 1), ("image", (8, 8), 0)):
        column = EpisodeColumn("x/y", "x", ("y",), kind, shape, "float64", 4)
        assert column.to_json() == {
            "path": "x/y",
            "role": "x",
            "kind": kind,
            "shape": list(shape),
            "dtype": "float64",
            "rows": 4,
            "dims": dims,
        }
    pictures = np.zeros((2, 8, 8), np.uint8)
    assert [
        choose_kind(leaf)
        for leaf in (pictures, np.ma.array(pictures), np.zeros(2, bool), np.array(["a"]))
    ] == ["image", "numbers", "numbers", "text"]


def test_values_are_told_exactly_or_cut_short() -> None:
    row = np.ma.array([[1.5, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    assert to_texts(row, "numbers") == ["1.5", "missing", "3.0", "4.0"]
    assert to_texts(row, "numbers", 2) == ["1.5", "missing"]
    assert to_texts(np.int8(3), "numbers") == ["3"]
    assert to_texts([1, 2], "text", 1) == ["[1, 2]"]
    assert to_text("x" * 2000) == "x" * 2000
    assert to_text("x" * 2001) == "x" * 2000 + "…"
    assert [to_plain(each) for each in (np.float32(0.5), np.nan, -np.inf)] == [0.5, "nan", "-inf"]


def test_a_dataset_is_described_by_what_is_said_of_it(datasets_root: Path) -> None:
    dataset = store([make(1, 2)], description="Short.")
    dataset.storage.update_metadata({"tags": ["a", 3], "empty": [], "none": None, "text": ""})

    described: Any = PageData(dataset).describe()

    facts = dict(described.pop("facts"))
    assert described == {
        "id": "tests/parts-v0",
        "location": str(datasets_root / "tests/parts-v0/data"),
        "total_episodes": 1,
        "total_steps": 2,
        "observation_space": "Box(-1.0, 1.0, (1,), float64)",
        "action_space": "Discrete(2)",
        "environment": None,
        "load": "import minari\n\ndataset = minari.load_dataset('tests/parts-v0')",
    }
    assert (facts["tags"], facts["description"]) == ("a, 3", "Short.")
    assert not facts.keys() & {"empty", "none", "text", "dataset_id", "action_space", "total_steps"}


@pytest.mark.parametrize("spec", ["{", None])
def test_an_environment_is_named_or_said_to_be_unreadable(
    datasets_root: Path, spec: str | None
) -> None:
    from tests.helpers.command_line import collect

    dataset = collect("tests/cart-v0", episodes=1)
    assert PageData(dataset).describe()["environment"] == "CartPole-v1"
    manifest = datasets_root / "tests/cart-v0/data/metadata.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "env_spec": spec}))
    told = PageData(minari.load_dataset("tests/cart-v0")).describe()["environment"]
    assert told is None if spec is None else str(told).startswith("its spec cannot be read: ")


def test_an_episode_is_described_by_what_is_known_of_it(datasets_root: Path) -> None:
    options = {"low": 0.5}
    data = PageData(store([make(0, 1, seed=None), make(1, 2, seed=2**63, options=options)])[[1, 0]])

    first, second = (dict(data.describe_episode(position)) for position in range(2))

    assert first["columns"] == [column.to_json() for column in data.list_columns(0)]
    assert {key: first[key] for key in first if key != "columns"} == {
        "position": 0,
        "id": 1,
        "length": 2,
        "seed": str(2**63),
        "options": str(options),
        "metadata": {"grade": "1"},
        "final_observation_known": True,
    }
    assert (second["seed"], second["options"], second["id"]) == (None, None, 0)
    assert [data.find_position(name) for name in (0, 1, 2)] == [1, 0, None]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_view_of_all_episodes_grows_and_others_do_not(
    data_format: str, datasets_root: Path
) -> None:
    dataset = create([1, 2], data_format)
    whole, view = PageData(minari.load_dataset(dataset.id)), PageData(dataset[:1])
    assert (whole.count_newer(), view.count_newer()) == (0, 0)
    assert whole.renew() is whole
    other = minari.load_dataset(dataset.id)
    other.update_dataset_from_buffer([*other])

    assert (whole.count_newer(), view.count_newer()) == (2, 0)
    assert view.renew() is view
    closed: list[bool] = []
    whole.replays.close = lambda: closed.append(True)  # type: ignore[method-assign]  # is noted
    renewed = whole.renew()
    assert closed == [True]
    assert len(renewed.episodes.indices) == 4
    assert renewed.count_newer() == 0


def test_series_are_read_in_pieces_and_as_many_elements_as_are_asked_for(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(44.0).reshape(11, 4)
    data = PageData(
        store(
            [make(1, 10, observations=rows)],
            observation_space=spaces.Box(-99, 99, (4,), np.float64),
        )
    )
    for at_once in (1, 7, 16, 1 << 20):
        monkeypatch.setattr(data_module, "_ELEMENTS_AT_ONCE", at_once)
        series, width = data.read_series(0, "observations", -5, 10**6, 4)
        assert (width, series.shape) == (3, (3, 4, 4))
        assert series[0].tolist() == rows[::3].T.tolist()
        assert series[1].tolist() == rows[[2, 5, 8, 10]].T.tolist()
        assert not series[2].any()
    series, width = data.read_series(0, "observations", 2, 4, 0, 2)
    assert (width, series[0].tolist(), series[1].tolist()) == (2, [[8], [9]], [[12], [13]])
    series, width = data.read_series(0, "observations", 2, 4, 2, 9)
    assert (width, series.shape) == (1, (3, 4, 2))
    monkeypatch.setattr(data_module, "MOST_BUCKETS", 3)
    assert data.read_series(0, "observations", 0, 11, 11)[1] == 4
    assert data.read_series(0, "observations", 4, 2, 3)[0].shape == (3, 4, 0)

    texts = data.read_texts(0, "observations", -1, 2, 3)
    assert texts == [["0.0", "1.0", "2.0"], ["4.0", "5.0", "6.0"]]
    assert data.read_texts(0, "observations", 10, 99) == [[str(each) for each in rows[10]]]
    assert data.read_texts(0, "observations", 5, 2) == []


def test_an_answer_holds_so_many_images_and_at_least_one(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PageData(create([5]))
    nbytes = 16 * 12 * 3
    for most, frames in ((3 * nbytes, 3), (3 * nbytes - 1, 2), (nbytes - 1, 1), (1, 1)):
        monkeypatch.setattr(data_module, "_MOST_FRAME_NBYTES", most)
        body, count = data.read_frames(0, "observations/camera", 1, 6)
        assert (count, len(body)) == (frames, frames * nbytes)

    class Frames:
        shape = (6, 16, 12, 3)

        def __len__(self) -> int:
            return self.shape[0]

        def read(self, start: int, stop: int) -> Any:
            return np.zeros((stop - start, *self.shape[1:]), np.uint8)

    data.replays.get = lambda episode: Frames()  # type: ignore[method-assign, assignment, return-value]  # as many
    monkeypatch.setattr(data_module, "_MOST_FRAME_NBYTES", 3 * nbytes)
    assert data.read_frames(0, REPLAY, 0, 2)[1] == 2
    assert data.read_frames(0, REPLAY, 0, 6)[1] == 3
    assert data.read_frames(0, REPLAY, 5, 9)[1] == 1
    assert data.read_frames(0, REPLAY, 7, 9) == (b"", 0)


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
@pytest.mark.parametrize("data_format", ["hdf5", "shards"])
def test_a_list_is_read_in_pieces_across_shards(
    at_once: int, data_format: str, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "_ENTRIES_AT_ONCE", at_once)
    monkeypatch.setattr(listing_module, "_STEPS_AT_ONCE", at_once)
    buffers = [make(number, 1 + number % 3) for number in range(9)]
    for number in (2, 5):
        buffers[number].metadata = {"word": f"w{number}"}
    for buffer in buffers:
        buffer.observations = np.zeros((len(buffer.rewards) + 1, 2))  # type: ignore[arg-type]  # an array
    if data_format == "hdf5":
        dataset = store(
            buffers,
            data_format="hdf5",
            observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        )
    else:
        dataset = create_many_shards("tests/many-v0", [buffers[:2], buffers[2:3], buffers[3:]])

    answer: Any = know(dataset).episodes.answer(Query())

    assert answer["keys"] == ["id", "length", "return", "end", "grade", "word", "seed"] or set(
        answer["keys"]
    ) == {"id", "length", "return", "end", "grade", "word", "seed"}
    assert (answer["progress"], answer["failure"]) == (1.0, None)
    assert (answer["of"], answer["unread"], answer["start"]) == (9, None, 0)
    ends = ("neither", "terminated", "truncated", "both")
    for number, row in enumerate(answer["rows"]):
        steps = 1 + number % 3
        assert row == {
            "position": number,
            "id": number,
            "length": steps,
            "return": float(sum(range(steps)) + steps * number),
            "seed": str(10 * number),
            "end": ends[number % 2 + 2 * (number % 3 > 0)],
            "metadata": {"word": f"w{number}"} if number in (2, 5) else {"grade": str(number)},
        }
    episodes = know(dataset).episodes
    for conditions, found in (
        ("grade>=6", [6, 7, 8]),
        ("word=w5", [5]),
        ("word!=w5", [0, 1, 2, 3, 4, 6, 7, 8]),
        ("grade=2", []),
        ("seed=20 seed=20", [2]),
        ("end=both", [1, 5, 7]),
        ("END=both", None),
    ):
        if found is None:
            with pytest.raises(QueryError, match="episodes have no 'END'"):
                episodes.answer(Query(conditions=conditions))
        else:
            rows: Any = episodes.answer(Query(conditions=conditions))["rows"]
            assert [row["id"] for row in rows] == found


def test_a_list_knows_its_rows_and_counts_them(datasets_root: Path) -> None:
    flags = [make(number, 1, metadata={"good": number % 2 == 0}) for number in range(4)]
    episodes = know(store(flags)).episodes

    assert episodes.find_row(Query(sort="id", descending=True), 0) == 3
    assert episodes.find_row(Query(conditions="id>1"), 1) is None
    for word, found in (("true", [0, 2]), ("False", [1, 3]), ("1", [0, 2])):
        rows: Any = episodes.answer(Query(conditions=f"good={word}"))["rows"]
        assert [row["id"] for row in rows] == found
    answer: Any = episodes.answer(Query(start=1, count=2))
    assert [row["id"] for row in answer["rows"]] == [1, 2]
    assert (answer["total"], answer["start"]) == (4, 1)
    assert episodes.answer(Query(start=4))["rows"] == []
    with pytest.raises(QueryError, match="'x' is no condition"):
        episodes.answer(Query(conditions="id>1 x id>1"))
    orders = {key: episodes.answer(Query(sort=key)) for key in ("id", "length", "return", "seed")}
    for key, wanted in orders.items():
        assert episodes.answer(Query(sort=key)) == wanted
    assert (Query().count, Query().start, Query().descending) == (100, 0, False)


def test_five_hundred_rows_are_the_most_of_an_answer(datasets_root: Path) -> None:
    dataset = store([make(number, 1) for number in range(3)])
    listing = EpisodeList(dataset[[0, 1, 2] * 167 + [0, 1]])
    assert len(listing.answer(Query(count=10**9))["rows"]) == 500  # type: ignore[arg-type]  # a list
    assert listing.answer(Query(count=10**9))["total"] == 503
    # Views may have episodes in any order, and several times.
    view = EpisodeList(dataset[[2, 0, 2]])
    rows: Any = view.answer(Query())["rows"]
    assert [(row["position"], row["id"]) for row in rows] == [(1, 0), (0, 2), (2, 2)]


def test_what_is_being_read_is_to_be_asked_for_again(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    episodes = EpisodeList(store([make(0, 1)]))
    monkeypatch.setattr(listing_module, "compute_statistics", lambda *_: may_go_on.wait() and 1 / 0)
    episodes.start()
    with pytest.raises(QueryError, match="return is being read; ask again when it is"):
        episodes.answer(Query(sort="return"))
    may_go_on.set()
    episodes.wait()
    assert episodes.describe_state()["failure"] == "division by zero"
    assert episodes.describe_state()["progress"] == 1.0
    with pytest.raises(QueryError, match=r"episodes have no 'return'.*; they have id, length$"):
        episodes.answer(Query(sort="return"))
    episodes.start()


def test_reading_tells_how_far_it_is(datasets_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = EpisodeList(store([make(number, 2) for number in range(4)]))
    seen: list[float] = []
    compute = compute_statistics

    def note_statistics(dataset: Any, progress: Any) -> Any:
        found = compute(dataset, progress)
        seen.append(episodes._progress)
        progress(2, 8)
        seen.append(episodes._progress)
        return found

    read = listing_module._read_entries

    def note_entries(storage: Any) -> Any:
        for entry in read(storage):
            yield entry
            seen.append(episodes._progress)

    monkeypatch.setattr(listing_module, "compute_statistics", note_statistics)
    monkeypatch.setattr(listing_module, "_read_entries", note_entries)
    monkeypatch.setattr(listing_module, "_ENTRIES_AT_ONCE", 1)
    assert episodes.describe_state()["progress"] == 0
    episodes.start()
    episodes.wait()
    assert seen == pytest.approx([0.8, 0.8, 0.8, 0.85, 0.9, 0.95])


def test_an_episode_is_read_once_while_it_is_looked_at(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = get_raw_storage(create([1, 2, 3], "hdf5"))
    read: list[int] = []
    original = storage.read_episodes

    def note(indices: Any, **how: Any) -> Any:
        read.extend(indices)
        return original(indices, **how)

    monkeypatch.setattr(storage, "read_episodes", note)
    reader = EpisodeReader(storage, np.array([2, 1, 0]))
    for position in (0, 1, 0, 2, 2, 1, 2):
        column = reader.get_column(position, "rewards")
        assert len(reader.read_rows(column, position, 0, 99)) == 3 - position
    # The two of last are kept.
    assert read == [2, 1, 0]
    reader.read_rows(reader.get_column(0, "rewards"), 0, 0, 1)
    assert read == [2, 1, 0, 2]
    for position in (-1, 3):
        with pytest.raises(LookupError, match=f"there is no episode {position} among 3"):
            reader.get_index(position)
    with pytest.raises(LookupError, match="episode 1 has no column 'x'"):
        reader.get_column(1, "x")


def test_numbers_are_floats_and_nan_where_there_are_none(datasets_root: Path) -> None:
    infos = {
        "gap": [None, 1.5, np.inf],
        "wide": np.arange(900).reshape(3, 300),
        "ragged": [np.zeros(1), np.zeros(2), np.zeros(3)],
    }
    storage = get_raw_storage(store([make(0, 2, infos=infos)]))
    reader = EpisodeReader(storage, np.array([0]))

    def read(name: str, *range_and_elements: int) -> Any:
        return reader.read_numbers(reader.get_column(0, f"infos/{name}"), 0, *range_and_elements)

    np.testing.assert_array_equal(read("gap", 0, 3), [[np.nan], [1.5], [np.nan]])
    assert read("wide", 1, 3).shape == (2, 256)
    assert read("wide", 1, 3, 2).tolist() == [[300, 301], [600, 601]]
    column = reader.get_column(0, "infos/ragged")
    assert (column.kind, column.shape, column.dtype, column.rows) == ("text", (), "", 3)
    with pytest.raises(LookupError, match="infos/ragged has values of different shapes"):
        read("ragged", 0, 3)


def test_distributions_are_of_the_first_elements_of_some_episodes(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries_module, "_MOST_NUMBERS", 24)
    rewards = np.arange(60.0).reshape(10, 6)
    episodes = [make(number, 10, rewards=rewards + number) for number in range(2)]
    data = know(store(episodes))

    described: Any = data.summaries.describe_columns()

    # Of both the same rows, so that there are 24 numbers of six elements.
    found = described["columns"]["rewards"]
    assert (described["episodes"], len(found)) == (2, 6)
    assert [(each["count"], each["min"], each["max"]) for each in found] == [
        (6, element, 13.0 + element) for element in range(6)
    ]
    assert described["columns"]["observations"][0]["count"] == 22
    distributions: Any = data.summaries.describe_distributions()
    assert [each["min"] for each in distributions["returns"]] == rewards.sum(axis=0).tolist()
    assert distributions["lengths"]["count"] == 2
    empty: Any = know(minari.load_dataset("tests/parts-v0")[:0]).summaries.describe_distributions()
    assert empty["lengths"] is None
    unknown = know(
        minari.create_dataset_from_buffers(
            "tests/unknown-v0",
            [make(0, 1, rewards=[np.nan])],
            observation_space=spaces.Box(-1, 1, (1,), np.float64),
            action_space=spaces.Discrete(2),
        )
    )
    assert unknown.summaries.describe_distributions()["returns"] == [None]
    assert unknown.summaries.describe_columns()["columns"]["rewards"] == [None]  # type: ignore[call-overload, index]  # a dict


def test_statistics_are_of_the_first_elements_and_failures_in_own_words(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(900.0).reshape(3, 300)
    dataset = store(
        [make(0, 2, observations=rows)],
        observation_space=spaces.Box(-np.inf, np.inf, (300,), np.float64),
    )
    data = PageData(dataset, Trust(), lambda error: f"told: {error}")
    assert data.summaries.describe_statistics() == {"state": "idle"}
    data.summaries.check()

    found: Any = data.summaries.describe_statistics()
    assert (found["state"], found["failure"]) == ("done", None)
    (column,) = [each for each in found["columns"] if each["path"] == "observations"]
    assert (column["rows"], column["elements"]) == (3, 300)
    assert len(column["statistics"]) == 256
    assert column["statistics"][1] == [301.0, rows[:, 1].std(), 1.0, 601.0, 0]
    checks: Any = data.summaries.describe_checks()
    assert checks["state"] == "done"

    failing = PageData(dataset[:0], Trust(), lambda error: f"told: {error}")
    failing.summaries.check()
    told: Any = failing.summaries.describe_statistics()
    assert told["failure"].startswith("told: ")
    assert told["columns"] == []
