"""Datasets and views of them: creating, reading, sampling, combining, listing, deleting."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    MinariWarning,
    combine_datasets,
    create_dataset_from_buffers,
    delete_dataset,
    get_normalized_score,
    list_local_datasets,
    load_dataset,
    split_dataset,
)
from minari_core.errors import (
    DataError,
    DatasetExistsError,
    DatasetIdError,
    DatasetNotFoundError,
    EpisodeIndexError,
    FormatError,
    IncompatibleDatasetsError,
    MetadataError,
    MinariError,
    SamplingError,
    SpaceError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same, expect_same_episode

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)
MOVE = spaces.Discrete(3)
LENGTHS = (3, 1, 4, 2, 6, 5)


def create(dataset_id: str = "tests/numbers-v0", **arguments: Any) -> MinariDataset:
    described: dict[str, Any] = {
        "buffer": [simple_episode(number, steps) for number, steps in enumerate(LENGTHS)],
        "observation_space": POSITION,
        "action_space": MOVE,
        "author": "Ada",
        **arguments,
    }
    return create_dataset_from_buffers(dataset_id, **described)


def ids(dataset: MinariDataset) -> list[int]:
    return [episode.id for episode in dataset]


def cartpole(dataset_id: str, steps: int = 2, **arguments: Any) -> MinariDataset:
    fields = _fields(steps)
    fields["observations"] = np.zeros((steps + 1, 4), np.float32)
    return create_dataset_from_buffers(
        dataset_id, [EpisodeBuffer(**fields, seed=7)], **{"env": "CartPole-v1", **arguments}
    )


def _fields(steps: int = 2) -> dict[str, Any]:
    return {
        "observations": np.zeros((steps + 1, 2)),
        "actions": np.zeros(steps, dtype=np.int64),
        "rewards": np.zeros(steps),
        "terminations": np.zeros(steps, dtype=bool),
        "truncations": np.ones(steps, dtype=bool),
    }


def _nothing_is_left(root: Path) -> bool:
    return not [path for path in root.rglob("*") if path.is_file()]


# Views


def test_a_dataset_says_what_it_is() -> None:
    dataset = create()
    assert (dataset.id, dataset.name) == ("tests/numbers-v0", "tests/numbers-v0")
    assert (len(dataset), dataset.total_episodes, dataset.total_steps) == (6, 6, 21)
    assert dataset.episode_indices.tolist() == list(range(6))
    assert dataset.observation_space == POSITION
    assert dataset.action_space == MOVE
    assert dataset.metadata["author"] == ["Ada"]
    assert "tests/numbers-v0" in repr(dataset)
    assert "21" in repr(dataset)
    spec = dataset.spec
    assert (spec.dataset_id, spec.total_episodes, spec.total_steps) == (dataset.id, 6, 21)
    assert (spec.observation_space, spec.env_spec, spec.data_format) == (POSITION, None, "columnar")
    assert spec.data_path is not None
    assert Path(spec.data_path, "metadata.json").exists()


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        (slice(None), [0, 1, 2, 3, 4, 5]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [5, 4, 3, 2, 1, 0]),
        (slice(-2, None), [4, 5]),
        (slice(4, 2), []),
        (slice(0, 100, 4), [0, 4]),
        ([3, 0, 3, -1], [3, 0, 3, 5]),
        (np.array([2, 1]), [2, 1]),
        (np.array([True, False, False, True, False, False]), [0, 3]),
        ([], []),
    ],
)
def test_a_view_has_its_own_episodes_only(index: Any, wanted: list[int]) -> None:
    view = create()[index]
    assert isinstance(view, MinariDataset)
    assert ids(view) == view.episode_indices.tolist() == wanted
    assert (len(view), view.spec.total_episodes) == (len(wanted), len(wanted))
    assert view.total_steps == view.spec.total_steps == sum(LENGTHS[i] for i in wanted)
    assert [entry.id for entry in view.iterate_episode_metadata()] == wanted
    for place, number in enumerate(wanted):
        assert view[place].id == view[place - len(wanted)].id == number
    for outside in (len(wanted), -len(wanted) - 1):
        with pytest.raises(EpisodeIndexError):
            view[outside]


@pytest.mark.parametrize("index", [[6], [-7], np.array([True, False]), np.array([0.5])])
def test_an_index_that_makes_no_view_is_refused(index: Any) -> None:
    with pytest.raises(EpisodeIndexError):
        create()[index]


def test_views_of_views_are_views_of_the_dataset() -> None:
    view = create()[::-1][1:5][[3, 0]]
    assert ids(view) == [1, 4]
    assert ids(view.filter_episodes(lambda episode: len(episode) > 1)) == [4]
    assert ids(view.filter_episodes(metadata=lambda entry: entry.seed == 1)) == [1]
    both = view.filter_episodes(lambda e: e.seed == 4, metadata=lambda m: m.total_steps > 1)
    assert ids(both) == [4]
    assert ids(view.filter_episodes(lambda episode: np.bool_(False))) == []
    assert sorted(i for part in split_dataset(view, [1, 1]) for i in ids(part)) == [1, 4]


def test_only_episodes_of_the_view_can_be_iterated() -> None:
    view = create()[[4, 2]]
    assert [episode.id for episode in view.iterate_episodes([2, 2, 4])] == [2, 2, 4]
    assert [episode.id for episode in view.iterate_episodes(iter([4]))] == [4]
    for foreign in ([0], [-1], [2, 6]):
        with pytest.raises(EpisodeIndexError, match=str(foreign[-1])):
            list(view.iterate_episodes(foreign))
    (episode,) = view.iterate_episodes([2], copy=False)
    assert not episode.observations.flags.writeable


def test_sampling_depends_on_the_seed_alone() -> None:
    dataset = create()
    dataset.set_seed(3)
    first = [episode.id for episode in dataset.sample_episodes(4)]
    assert len(set(first)) == 4
    again = load_dataset("tests/numbers-v0")
    again.set_seed(3)
    assert [episode.id for episode in again.sample_episodes(4)] == first
    assert [e.id for e in again.sample_episodes(6)] == [e.id for e in dataset.sample_episodes(6)]


def test_more_than_there_is_cannot_be_sampled() -> None:
    view = create()[:2]
    assert view.sample_episodes(0) == []
    assert sorted(episode.id for episode in view.sample_episodes(2)) == [0, 1]
    for count in (3, -1):
        with pytest.raises(SamplingError, match=f"{count}.* 2"):
            view.sample_episodes(count)


def test_splits_are_disjoint_and_depend_on_the_seed() -> None:
    dataset = create()
    first = [ids(part) for part in split_dataset(dataset, iter([2, 0, 3]), seed=1)]
    assert [len(part) for part in first] == [2, 0, 3]
    assert len({number for part in first for number in part}) == 5
    assert [ids(part) for part in split_dataset(dataset, [2, 0, 3], seed=1)] == first
    for sizes in ([4, 3], [-1, 2]):
        with pytest.raises(SamplingError, match=r"\["):
            split_dataset(dataset, sizes)


def test_a_condition_on_metadata_reads_no_step() -> None:
    dataset = create()
    (shard,) = Path(str(dataset.spec.data_path)).glob("*.h5")
    content = bytearray(shard.read_bytes())
    layout = dataset.metadata | json.loads((shard.parent / "metadata.json").read_text())
    arrays = layout["columnar"]["shards"][0]["arrays"]
    # Observations lie first, and options and metadata last: text that is no text is not read.
    steps_end = arrays[5][0]
    content[arrays[0][0] : steps_end] = b"\xff" * (steps_end - arrays[0][0])
    shard.write_bytes(content)
    spoiled = load_dataset("tests/numbers-v0")
    assert np.isnan(spoiled[0].observations).all()
    kept = spoiled.filter_episodes(
        metadata=lambda entry: entry["name"] == "episode 4" and entry.options == {"number": 4}
    )
    assert kept.episode_indices.tolist() == [4]


def test_indices_outside_the_stored_dataset_are_refused() -> None:
    dataset = create()
    assert ids(MinariDataset(dataset.storage, [5, 0])) == [5, 0]
    for indices in ([6], [-1], range(4, 8)):
        with pytest.raises(EpisodeIndexError, match="6"):
            MinariDataset(dataset.storage, indices)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0.9], r"\[0\.9\] are not the indices"),
        (np.array([0.0, 1.0]), "are not the indices"),
        ([True, False], r"is a mask.*dataset\[mask\]"),
        (np.ones(6, dtype=bool), r"is a mask.*dataset\[mask\]"),
        (["0"], "are not the indices"),
        ([[0], [1]], "are not the indices"),
        ([[0], [1, 2]], r"\[\[0\], \[1, 2\]\]"),
        (iter([None]), "are not the indices"),
    ],
)
def test_what_is_no_list_of_whole_numbers_chooses_no_episodes(indices: Any, message: str) -> None:
    dataset = create()
    with pytest.raises(EpisodeIndexError, match=message):
        dataset.iterate_episodes(indices)
    if not isinstance(indices, Iterator):
        with pytest.raises(EpisodeIndexError, match=message):
            MinariDataset(dataset.storage, indices)
    assert ids(MinariDataset(dataset.storage, [])) == ids(dataset[[]]) == []
    with pytest.raises(EpisodeIndexError, match=r"\[1, 2\]"):
        dataset[[[0], [1, 2]]]  # type: ignore[list-item]  # what a caller may do


def test_a_storage_reads_no_part_of_an_episode() -> None:
    storage = create().storage
    for read in (storage.read_episodes, storage.read_episode_metadata):
        with pytest.raises(EpisodeIndexError, match=r"0\.9 is not a whole number"):
            list(read([0.9]))


@pytest.mark.parametrize("count", [1.5, "2", None, True, np.float64(1)])
def test_a_number_of_episodes_is_whole(count: Any) -> None:
    dataset = create()
    with pytest.raises(SamplingError, match=r"n_episodes .* not a whole number"):
        dataset.sample_episodes(count)
    with pytest.raises(SamplingError, match="not a whole number"):
        dataset.shards(count)
    assert len(dataset.sample_episodes(np.int8(2))) == 2  # type: ignore[arg-type]  # it has no stub


@pytest.mark.parametrize("seed", [-1, 0.5, "x"])
def test_a_seed_is_a_whole_number_of_at_least_0(seed: Any) -> None:
    dataset = create()
    with pytest.raises(SamplingError, match="seed is"):
        dataset.set_seed(seed)
    with pytest.raises(SamplingError, match="seed is"):
        split_dataset(dataset, [1], seed=seed)
    dataset.set_seed(2**100)


def test_fractions_are_no_sizes_of_a_split() -> None:
    with pytest.raises(SamplingError, match=r"\[0\.8, 0\.2\].*round\(f \* 6\)"):
        split_dataset(create(), [0.8, 0.2])  # type: ignore[list-item]  # what a caller may do
    with pytest.raises(SamplingError, match=r"3.*each part"):
        split_dataset(create("tests/b-v0"), 3)  # type: ignore[arg-type]  # the same


# Adding


def test_episodes_can_be_added_from_an_iterator() -> None:
    dataset = create()
    dataset.update_dataset_from_buffer(simple_episode(n, 2) for n in (6, 7))
    assert (len(dataset), dataset.total_steps) == (8, 25)
    assert ids(load_dataset(dataset.id)) == list(range(8))
    dataset.update_dataset_from_buffer([])
    dataset.update_dataset_from_buffer(iter(dataset[6:]))
    assert [episode.seed for episode in dataset[8:]] == [6, 7]


@pytest.mark.parametrize("index", [slice(0, 2), slice(1, 3), [4, 0], slice(0, 0), slice(None)])
def test_what_is_added_through_a_view_joins_the_view_and_nothing_else_does(index: Any) -> None:
    dataset = create()
    view = dataset[index]
    assert isinstance(view, MinariDataset)
    before = ids(view)
    view.update_dataset_from_buffer([simple_episode(6, 2)])
    assert ids(view) == [*before, 6]
    assert ids(dataset) == list(range(6))
    assert dataset.total_steps == 21


def test_an_addition_that_fails_changes_nothing() -> None:
    dataset = create()
    bad = simple_episode(7, 2)
    bad.actions = np.zeros(5, np.int64)
    with pytest.raises(DataError, match="episode 1: actions"):
        dataset.update_dataset_from_buffer([simple_episode(6, 2), bad])
    other = simple_episode(7, 2)
    other.observations = np.zeros((3, 2), np.float32)
    with pytest.raises(DataError, match=r"observations.*float32.*float64"):
        dataset.update_dataset_from_buffer([other])
    assert ids(dataset) == ids(load_dataset(dataset.id)) == list(range(6))


def test_compacting_keeps_episodes_and_views() -> None:
    dataset = create()
    for number in range(6, 40):
        dataset.update_dataset_from_buffer([simple_episode(number, 2)])
    view = dataset[[39, 3]]
    before = list(dataset)
    dataset.compact()
    for found, wanted in zip(dataset, before, strict=True):
        expect_same_episode(found, wanted)
    assert [episode.seed for episode in view] == [39, 3]
    assert len(list(Path(str(dataset.spec.data_path)).glob("*.h5"))) == 1


# Creating


STRUCTURE = spaces.Dict(
    position=POSITION, pair=spaces.Tuple([spaces.Discrete(5), spaces.Text(3)]), name=spaces.Text(5)
)


def _structured(row: int) -> dict[str, Any]:
    return {
        "position": np.array([row, 0.5]),
        "pair": (np.int64(row), "ab"),
        "name": "x" * row,
    }


ROWS = [_structured(row) for row in range(3)]
COLUMNS = {
    "position": np.stack([row["position"] for row in ROWS]),
    "pair": (np.arange(3), ["ab"] * 3),
    "name": ["", "x", "xx"],
}
FORMS: dict[str, Any] = {
    "a list of dicts": ROWS,
    "a dict of columns": COLUMNS,
    "a dict of lists": {
        "position": [row["position"] for row in ROWS],
        "pair": [row["pair"] for row in ROWS],
        "name": ("", "x", "xx"),
    },
    "a dict of numpy's columns": {**COLUMNS, "name": np.array(COLUMNS["name"])},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_dict", [True, False])
def test_every_form_of_rows_gives_the_same_episode(form: str, as_dict: bool) -> None:
    fields = {**_fields(), "observations": FORMS[form], "actions": [0, 2], "rewards": [1, 2.5]}
    buffer = fields if as_dict else EpisodeBuffer(**fields)
    dataset = create("tests/forms-v0", buffer=[buffer], observation_space=STRUCTURE)
    (episode,) = dataset
    expect_same(episode.observations["position"], COLUMNS["position"])
    expect_same(episode.observations["pair"], COLUMNS["pair"])
    expect_same(episode.observations["name"], COLUMNS["name"])
    expect_same(episode.actions, np.array([0, 2]))
    expect_same(episode.rewards, np.array([1.0, 2.5]))


def test_a_buffer_that_grows_step_by_step_is_an_episode() -> None:
    observation = np.zeros(2)
    for first in ([{"p": np.zeros(2), "t": (0, "a")}], {"p": np.zeros(2), "t": (0, "a")}):
        buffer = EpisodeBuffer(observations=first, infos={"x": [0]})
        for step in range(1, 3):
            observation[:] = step
            buffer.add_step_data(
                {
                    "observation": {"p": observation, "t": (step, "b")},
                    "action": step,
                    "reward": step,
                    "terminated": False,
                    "truncated": step == 2,
                    "info": {"x": step, "y": observation} if step == 2 else None,
                }
            )
        space = spaces.Dict(p=POSITION, t=spaces.Tuple([spaces.Discrete(9), spaces.Text(2)]))
        name = f"tests/grown-v{int(isinstance(first, list))}"
        (episode,) = create(name, buffer=[buffer], observation_space=space)
        expect_same(episode.observations["p"], np.array([[0.0, 0], [1, 1], [2, 2]]))
        expect_same(episode.observations["t"], (np.arange(3), ["a", "b", "b"]))
        assert episode.infos["x"].tolist() == [0, None, 2]
        expect_same(episode.infos["y"][2].data, np.array([2.0, 2.0]))


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (spaces.Sequence(spaces.Discrete(3)), [(), (1,), (1, 2)]),
        (spaces.Text(3), ["", "a", "bb"]),
        (spaces.Tuple([MOVE, MOVE]), [(0, 1), (1, 2), (2, 0)]),
    ],
)
def test_a_buffer_grows_by_values_of_any_space(space: spaces.Space[Any], values: list[Any]) -> None:
    buffer = EpisodeBuffer(observations=[values[0]])
    for value in values[1:]:
        buffer.add_step_data(
            {"observation": value, "action": 0, "reward": 0, "terminated": 0, "truncated": 0}
        )
    assert buffer.observations == values
    (episode,) = create("tests/any-v0", buffer=[buffer], observation_space=space)
    assert len(episode) == 2


def test_a_step_without_its_parts_is_refused_before_anything_is_appended() -> None:
    buffer = EpisodeBuffer(observations=[0])
    with pytest.raises(DataError, match="truncated"):
        buffer.add_step_data({"observation": 1, "action": 0, "reward": 1.0, "terminated": True})
    assert (buffer.observations, len(buffer)) == ([0], 0)


def test_episodes_of_a_dataset_make_another_dataset() -> None:
    dataset = create()
    copied = create("tests/copied-v0", buffer=iter(dataset[::-1]))
    for found, wanted in zip(copied, dataset[::-1], strict=True):
        expect_same_episode(found, wanted, ids=False)
    assert ids(copied) == list(range(6))


def test_a_dataset_may_be_empty() -> None:
    dataset = create(buffer=[])
    assert (len(dataset), dataset.total_steps, list(dataset)) == (0, 0, [])
    assert dataset.sample_episodes(0) == []
    dataset.update_dataset_from_buffer([simple_episode(0, 2)])
    assert ids(load_dataset(dataset.id)) == [0]


def test_numbers_are_kept_as_they_are() -> None:
    fields = _fields()
    fields["observations"] = np.array([[np.nan, -0.0], [np.inf, 1e300], [-np.inf, 0.1]])
    fields["rewards"] = np.array([np.nan, np.inf])
    box = spaces.Box(-1, 1, (2,), np.float32)
    (episode,) = create("tests/kept-v0", buffer=[fields], observation_space=box)
    expect_same(episode.observations, fields["observations"])
    expect_same(episode.rewards, fields["rewards"])
    lists = {**fields, "observations": [[np.nan, -0.0], (np.inf, 1e300), [-np.inf, 0.1]]}
    (episode,) = create("tests/kept-v1", buffer=[lists], observation_space=box)
    expect_same(episode.observations, fields["observations"])
    for number, values in enumerate([[0, 0.1, 1], [0.1, 0, 1], [np.float64(0.1), 0, 1]]):
        mixed = {**fields, "observations": values}
        one = spaces.Box(-1, 1, (), np.float32)
        (episode,) = create(f"tests/mixed-v{number}", buffer=[mixed], observation_space=one)
        expect_same(episode.observations, np.array(values))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "too few observations": ({"observations": np.zeros((2, 2))}, "observations has 2 rows, not 3"),
    "too many actions": ({"actions": np.zeros(3, np.int64)}, "actions has 3 rows, not 2"),
    "too few flags": ({"truncations": [True]}, "truncations has 1 rows, not 2"),
    "no flag": ({"terminations": [0, 2]}, "terminations"),
    "flags of text": ({"terminations": ["a", "b"]}, "terminations"),
    "ragged flags": ({"terminations": [[1], [1, 0]]}, "terminations"),
    "no rewards": ({"rewards": None}, "rewards"),
    "one reward": ({"rewards": 1.0}, "rewards"),
    "rewards of text": ({"rewards": ["1", "2"]}, "rewards"),
    "rewards that a float cannot hold": ({"rewards": [2**53 + 1, 1]}, "rewards"),
    "rewards that are complex": ({"rewards": np.array([1j, 0])}, "rewards"),
    "rewards that are masked": ({"rewards": np.ma.array([1.0, 2], mask=[False, True])}, "rewards"),
    "a shape that changes": (
        {"observations": [np.zeros(2), np.zeros(2), np.zeros(3)]},
        "observations",
    ),
    "a dtype that changes": (
        {"observations": [np.zeros(2), np.zeros(2, np.float32), np.zeros(2)]},
        "observations",
    ),
    "observations of text": ({"observations": np.array([["a", "b"]] * 3)}, "observations"),
    "objects": ({"observations": np.full((3, 2), None)}, "observations"),
    "masked observations": (
        {"observations": np.ma.array(np.zeros((3, 2)), mask=np.eye(3, 2) > 0)},
        "observations",
    ),
    "one observation": ({"observations": 5.0}, "observations"),
    "no actions": ({"actions": None}, "actions"),
    "a mixture of numbers": ({"actions": [True, 2]}, "actions"),
    "too few infos": ({"infos": {"x": [1, 2]}}, r"infos\['x'\] has 2 rows, not 3"),
    "one info": ({"infos": {"x": 5}}, r"infos\['x'\]"),
    "infos of lists": ({"infos": [{}, {}, {}]}, "infos"),
    "extras of another length": ({"extras": {"x": np.zeros(9)}}, r"extras\['x'\]"),
    "a negative seed": ({"seed": -1}, "seed"),
    "a seed that is a fraction": ({"seed": 1.5}, "seed"),
    "options that are no dict": ({"options": [1]}, "options"),
    "options that are not JSON": ({"options": {"x": object()}}, "options"),
    "metadata that is no dict": ({"metadata": 5}, "metadata"),
    "no steps": (
        {name: np.zeros((0,)) for name in ("actions", "rewards", "terminations", "truncations")},
        "no steps",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_episode_is_refused_by_its_number_and_column(case: str, datasets_root: Path) -> None:
    changes, message = REFUSED[case]
    for good in ([], [simple_episode(0, 2)]):
        episodes = [*good, {**_fields(), **changes}]
        with pytest.raises(DataError, match=message) as raised:
            create(buffer=episodes)
        if case != "options that are not JSON":
            assert f"episode {len(good)}" in str(raised.value)
        assert _nothing_is_left(datasets_root)
    create()


@pytest.mark.parametrize("item", [5, None, "text", [1], {"observations": []}, {"speed": 1}])
def test_what_is_no_episode_is_refused(item: Any, datasets_root: Path) -> None:
    with pytest.raises(DataError, match="episode 1"):
        create(buffer=[simple_episode(0, 2), item])
    assert _nothing_is_left(datasets_root)


def test_an_episode_that_differs_from_those_before_is_refused() -> None:
    other = {**_fields(), "observations": np.zeros((3, 2), np.float32)}
    with pytest.raises(DataError, match=r"episode 1: observations is float32.*float64"):
        create(buffer=[_fields(), other])
    wider = {**_fields(), "observations": np.zeros((3, 4))}
    with pytest.raises(DataError, match=r"episode 1: observations.*\(4,\).*\(2,\)"):
        create(buffer=[_fields(), wider])
    with pytest.raises(DataError, match=r"episode 0.*not a dict of \['name', 'pair', 'position'\]"):
        create(buffer=[{**_fields(), "observations": {"pair": 1}}], observation_space=STRUCTURE)


def test_an_error_of_the_callers_iterator_passes_through(datasets_root: Path) -> None:
    def broken() -> Iterator[EpisodeBuffer]:
        yield simple_episode(0, 2)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        create(buffer=broken())
    assert _nothing_is_left(datasets_root)
    create()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data_format": "video"}, FormatError, "video"),
        ({"observation_space": None}, SpaceError, "observation_space"),
        ({"author": 5}, MetadataError, "author"),
        ({"algorithm_name": ["x"]}, MetadataError, "algorithm_name"),
        ({"ref_min_score": float("nan"), "ref_max_score": 1.0}, MetadataError, "ref_min_score"),
        ({"ref_min_score": "low", "ref_max_score": 1.0}, MetadataError, "ref_min_score"),
        ({"ref_max_score": 1.0, "expert_policy": lambda _: 0}, MetadataError, "expert_policy"),
        ({"expert_policy": lambda _: 0}, MetadataError, "environment"),
        ({"num_episodes_average_score": 0}, MetadataError, "num_episodes_average_score"),
        ({"num_episodes_average_score": 2.5}, MetadataError, "2.5, not a whole number"),
        ({"num_episodes_average_score": "x"}, MetadataError, "'x', not a whole number"),
        ({"requirements": 3}, MetadataError, "requirements"),
    ],
)
def test_a_bad_description_is_refused_before_anything_is_written(
    arguments: dict[str, Any], error: type[MinariError], message: str, datasets_root: Path
) -> None:
    with pytest.raises(error, match=message):
        create("tests/numbers-v0", **arguments)
    assert _nothing_is_left(datasets_root)
    create()


def test_an_id_is_given_under_one_name(datasets_root: Path) -> None:
    both: dict[str, Any] = {"dataset_name": "a-v0", "dataset_id": "a-v0"}
    for names in (both, {}):
        with pytest.raises(DatasetIdError, match="dataset_name"):
            create_dataset_from_buffers(
                buffer=[], observation_space=POSITION, action_space=MOVE, **names
            )
    assert _nothing_is_left(datasets_root)


def test_an_id_that_is_taken_is_refused() -> None:
    create()
    for taken in ("tests/numbers-v0", "tests/numbers-v0/inner-v0"):
        with pytest.raises(DatasetExistsError, match="numbers-v0"):
            create(taken)
    assert ids(load_dataset("tests/numbers-v0")) == list(range(6))


def test_numbers_of_numpy_in_a_description_become_json() -> None:
    dataset = create(ref_min_score=np.float32(1), ref_max_score=np.int64(3), author=("a", "b"))
    assert (dataset.metadata["ref_min_score"], dataset.metadata["ref_max_score"]) == (1.0, 3)
    assert dataset.metadata["author"] == ["a", "b"]
    scores = get_normalized_score(dataset, np.array([[1.0], [2.0], [5.0]]))
    expect_same(scores, np.array([[0.0], [0.5], [2.0]]))
    assert get_normalized_score(dataset, 3) == 1


def test_a_normalized_score_needs_two_different_scores() -> None:
    with pytest.raises(MetadataError, match="ref_max_score"):
        get_normalized_score(create(), 1.0)
    with pytest.raises(MetadataError, match="equal"):
        get_normalized_score(create("tests/equal-v0", ref_min_score=1, ref_max_score=1), 1.0)


def test_reference_scores_are_measured_in_the_environment() -> None:
    dataset = cartpole("tests/scores-v0", expert_policy=lambda _: 1, num_episodes_average_score=3)
    lowest, highest = (dataset.metadata[f"ref_{name}_score"] for name in ("min", "max"))
    assert isinstance(lowest, float)
    assert isinstance(highest, float)
    assert highest < 15 < 500
    assert dataset.metadata["num_episodes_average_score"] == 3
    given = cartpole("tests/scores-v1", ref_max_score=500, num_episodes_average_score=3)
    assert given.metadata["ref_min_score"] == lowest


# Combining


def test_a_combination_has_the_episodes_of_its_parts() -> None:
    first, other = create(), create("tests/other-v0", buffer=[simple_episode(9, 2)])
    combined = combine_datasets([first[::-1], other, first[[1]]], "tests/all-v0")
    assert [episode.seed for episode in combined] == [5, 4, 3, 2, 1, 0, 9, 1]
    assert combined.combined_datasets == [first.id, other.id, first.id]
    assert combined.spec.combined_datasets == tuple(combined.combined_datasets)
    wanted = [*first[::-1], *other, first[1]]
    for found, episode in zip(combined, wanted, strict=True):
        expect_same_episode(found, episode, ids=False)


def test_combining_copies_nothing_and_outlives_its_sources() -> None:
    first, other = create(), create("tests/other-v0")
    inodes = {
        path.stat().st_ino
        for dataset in (first, other)
        for path in Path(str(dataset.spec.data_path)).glob("*.h5")
    }
    combined = combine_datasets([first, other, first], new_dataset_id="tests/all-v0")
    shards = list(Path(str(combined.spec.data_path)).glob("*.h5"))
    assert {path.stat().st_ino for path in shards} == inodes
    wanted = [*first, *other, *first]
    for dataset in (first, other):
        delete_dataset(dataset.id)
    for found, episode in zip(load_dataset("tests/all-v0"), wanted, strict=True):
        expect_same_episode(found, episode, ids=False)
    delete_dataset("tests/all-v0")


def test_a_dataset_that_is_combined_may_grow_afterwards() -> None:
    first = create()
    combined = combine_datasets([first], "tests/all-v0")
    first.update_dataset_from_buffer([simple_episode(6, 2)])
    first.compact()
    combined.update_dataset_from_buffer([simple_episode(7, 2)])
    assert [episode.seed for episode in combined] == [0, 1, 2, 3, 4, 5, 7]
    assert [episode.seed for episode in first] == [0, 1, 2, 3, 4, 5, 6]


def test_what_cannot_be_combined_is_refused_by_what_differs(datasets_root: Path) -> None:
    first = create()
    moves = create("tests/moves-v0", action_space=spaces.Discrete(4))
    wider = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    seen = create("tests/seen-v0", observation_space=wider)
    for other, name in ((moves, "action_space"), (seen, "observation_space")):
        with pytest.raises(IncompatibleDatasetsError, match=name):
            combine_datasets([first, other], "tests/all-v0")
    with pytest.raises(IncompatibleDatasetsError, match="nothing"):
        combine_datasets([], "tests/all-v0")
    assert not (datasets_root / "tests" / "all-v0").exists()


def test_datasets_to_combine_may_come_from_an_iterator() -> None:
    first, other = create(), create("tests/other-v0", buffer=[simple_episode(9, 2)])
    combined = combine_datasets(iter((first[:1], other)), "tests/all-v0")
    assert [episode.seed for episode in combined] == [0, 9]


@pytest.mark.parametrize("kind", ["a dataset", "an id", "ids", "nothing", "a number"])
def test_what_is_no_list_of_datasets_is_not_combined(kind: str, datasets_root: Path) -> None:
    given: dict[str, Any] = {
        "a dataset": create(),
        "an id": "tests/numbers-v0",
        "ids": ["tests/numbers-v0"],
        "nothing": None,
        "a number": 5,
    }
    with pytest.raises(IncompatibleDatasetsError, match="list of datasets, as load_dataset"):
        combine_datasets(given[kind], "tests/all-v0")
    assert not (datasets_root / "tests" / "all-v0").exists()


def test_a_combination_takes_the_largest_step_limit() -> None:
    limits = [gymnasium.make("CartPole-v1", max_episode_steps=n) for n in (20, 900, 300)]
    parts = [cartpole(f"tests/part-v{n}", env=env) for n, env in enumerate(limits)]
    spec = combine_datasets(parts, "tests/all-v0").env_spec
    assert spec is not None
    assert spec.max_episode_steps == 900
    assert [episode.seed for episode in load_dataset("tests/all-v0")] == [7, 7, 7]


# Local datasets


def test_local_datasets_are_listed_by_number_of_version() -> None:
    assert list_local_datasets() == {}
    for name in ("b-v10", "b-v2", "tests/a/x-v0", "tests/a/x-v1", "tests-v0", "c-v0-v1"):
        create(name, buffer=[])
    listed = list_local_datasets()
    assert set(listed) == {"b-v10", "b-v2", "tests/a/x-v0", "tests/a/x-v1", "tests-v0", "c-v0-v1"}
    assert list(listed).index("b-v2") < list(listed).index("b-v10")
    latest = list_local_datasets(latest_version=True)
    assert set(latest) == {"b-v10", "tests/a/x-v1", "tests-v0", "c-v0-v1"}
    assert set(list_local_datasets(prefix="tests/")) == {"tests/a/x-v0", "tests/a/x-v1"}
    assert set(list_local_datasets(True, "tests/a/x")) == {"tests/a/x-v1"}
    assert listed["b-v2"]["total_episodes"] == 0


def test_what_is_no_dataset_is_passed_over(datasets_root: Path) -> None:
    create("tests/good-v0")
    (datasets_root / "file.txt").write_text("x")
    (datasets_root / "empty").mkdir()
    (datasets_root / "foreign-v0" / "data" / "x").mkdir(parents=True)
    (datasets_root / "tests" / "half-v0" / "data").mkdir(parents=True)
    (datasets_root / "no version" / "data").mkdir(parents=True)
    (datasets_root / "no version" / "data" / "metadata.json").write_text("{}")
    (datasets_root / ".hidden-v0" / "data").mkdir(parents=True)
    (datasets_root / ".hidden-v0" / "data" / "metadata.json").write_text("{}")
    os.symlink(datasets_root, datasets_root / "loop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        listed = list_local_datasets(prefix="tests")
    assert list(listed) == ["tests/good-v0"]
    with pytest.raises(DatasetNotFoundError, match="half-v0"):
        load_dataset("tests/half-v0")


@pytest.mark.parametrize("text", ["{", "[]", "", '{"total_steps": "x"}', '{"dataset_id": "a-v0"}'])
def test_a_damaged_dataset_is_warned_about_by_name(text: str, datasets_root: Path) -> None:
    create("tests/good-v0")
    create("tests/bad-v1")
    (datasets_root / "tests" / "bad-v1" / "data" / "metadata.json").write_text(text)
    with pytest.warns(MinariWarning, match="tests/bad-v1") as caught:
        listed = list_local_datasets()
    assert [warning.category for warning in caught].count(MinariWarning) == 1
    assert list(listed) == ["tests/good-v0"]


def test_only_a_dataset_is_deleted(datasets_root: Path) -> None:
    create("tests/a-v0/b-v0")
    create("tests/c-v0")
    (datasets_root / "tests" / "notes-v0").mkdir()
    for name in ("tests/a-v0", "tests/notes-v0", "tests/none-v0"):
        with pytest.raises(DatasetNotFoundError, match=name):
            delete_dataset(name)
    for name in ("tests", "../x-v0", "", "tests/", "tests/c"):
        with pytest.raises(DatasetIdError):
            delete_dataset(name)
    delete_dataset("tests/c-v0")
    assert list(list_local_datasets()) == ["tests/a-v0/b-v0"]
    assert (datasets_root / "tests").is_dir()
    create("tests/c-v0")


def test_a_namespace_that_is_called_data_is_no_dataset(datasets_root: Path) -> None:
    try:
        create("tests-v0/data/inner-v0")
    except DatasetIdError:
        return
    assert list(list_local_datasets()) == ["tests-v0/data/inner-v0"]
    with pytest.raises(DatasetNotFoundError):
        delete_dataset("tests-v0")
    assert ids(load_dataset("tests-v0/data/inner-v0")) == list(range(6))


def test_a_deleted_dataset_can_be_created_again_under_an_object_that_reads_it() -> None:
    dataset = create()
    first = dataset[0]
    delete_dataset(dataset.id)
    again = create(buffer=[simple_episode(40, 3)])
    expect_same_episode(first, first)
    assert [episode.seed for episode in again] == [40]
    with pytest.raises(MinariError):
        dataset.update_dataset_from_buffer([simple_episode(1, 2)])
    assert [episode.seed for episode in load_dataset(again.id)] == [40]


def test_a_copied_folder_under_another_id_is_not_listed_as_what_it_was(datasets_root: Path) -> None:
    create("tests/a-v0")
    shutil.copytree(datasets_root / "tests" / "a-v0", datasets_root / "tests" / "b-v0")
    with pytest.warns(MinariWarning, match=r"tests/b-v0.*tests/a-v0"):
        assert list(list_local_datasets()) == ["tests/a-v0"]


def test_the_public_names_are_those_that_are_named() -> None:
    for name in minari_core.__all__:
        assert getattr(minari_core, name) is not None
