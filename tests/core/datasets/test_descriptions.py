"""What is said of datasets: cards, scores, ids, and the storages that the public Minari knows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import MinariDataset, create_dataset_from_buffers, get_normalized_score
from minari_core.datasets.card import DatasetCard, merge_metadata, warn_without_spec
from minari_core.datasets.combining import check_datasets
from minari_core.datasets.details import split_details
from minari_core.datasets.public_storage import MinariStorage
from minari_core.datasets.selection import as_episode_indices, select_indices
from minari_core.datasets.source import check_source
from minari_core.datasets.spec import MinariDatasetSpec
from minari_core.environments.env_specs import find_env_spec
from minari_core.errors import (
    DataError,
    DatasetExistsError,
    DatasetIdError,
    EpisodeIndexError,
    IncompatibleDatasetsError,
    MetadataError,
    RecordingError,
    SpaceError,
)
from minari_core.messages import MinariWarning
from minari_core.testing import simple_episode
from tests.core.helpers.recorded import DESCRIBED, VECTOR, record, stored

BOX, DISCRETE = spaces.Box(-np.inf, np.inf, (2,), np.float64), spaces.Discrete(3)
SAID: Any = DESCRIBED


def describe(**details: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return DatasetCard(**{**SAID, **details}).metadata(
            find_env_spec("CartPole-v1"), BOX, DISCRETE
        )


def test_what_is_worth_saying_is_asked_for_in_one_warning() -> None:
    with pytest.warns(MinariWarning) as caught:
        metadata = DatasetCard(author="Ann", algorithm_name="x").metadata(None, BOX, DISCRETE)
    assert [str(each.message) for each in caught] == [
        "`author_email` is set to None, `code_permalink` is set to None; whoever uses the dataset "
        "will want to know"
    ]
    assert metadata["author"] == ["Ann"]
    assert "env_spec" not in metadata
    with pytest.warns(MinariWarning, match=r"env_spec is None, no environment spec is provided"):
        warn_without_spec(None)
    warn_without_spec(find_env_spec("CartPole-v1"))


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"ref_max_score": 3}, {"ref_max_score": 3, "num_episodes_average_score": 2}),
        ({"ref_min_score": 1, "ref_max_score": 3}, {"ref_min_score": 1, "ref_max_score": 3}),
        ({"ref_min_score": 1}, {"ref_min_score": 1}),
        ({}, {}),
        ({"expert_policy": lambda _: 1, "ref_min_score": 0.5}, {"ref_min_score": 0.5}),
    ],
)
def test_reference_scores_are_kept_or_estimated(
    details: dict[str, Any], said: dict[str, Any]
) -> None:
    found = describe(**details, num_episodes_average_score=2)
    assert {key: found[key] for key in said} == said
    has_highest = "ref_max_score" in details or "expert_policy" in details
    assert ("num_episodes_average_score" in found) is has_highest
    assert ("ref_max_score" in found) is has_highest
    assert ("ref_min_score" in found) is bool(details)
    if "expert_policy" in details:
        # Who always pushes to one side keeps a pole up for less than a dozen steps.
        assert 5 < found["ref_max_score"] < 12
    if said == {"ref_max_score": 3, "num_episodes_average_score": 2}:
        assert 8 < found["ref_min_score"] < 100


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"expert_policy": lambda _: 1, "ref_max_score": 3}, "`expert_policy` and `ref_max_score`"),
        ({"ref_min_score": True}, "^ref_min_score is True, not a number$"),
        ({"ref_max_score": "3"}, "^ref_max_score is '3', not a number$"),
        ({"num_episodes_average_score": 0}, "^num_episodes_average_score is 0, not a whole number"),
        ({"num_episodes_average_score": True}, "is True, not a whole number of at least 1$"),
        ({"num_episodes_average_score": 1.0}, "is 1.0, not a whole number"),
        ({"description": 3}, "^description is 3, not text$"),
        ({"algorithm_name": Path("x")}, "not text; give str"),
        ({"author": 3}, "^author is 3, not text or several texts$"),
        ({"requirements": ["x", 3]}, "^requirements is .*, not text or several texts$"),
    ],
)
def test_a_description_of_another_kind_is_refused(details: dict[str, Any], said: str) -> None:
    with pytest.raises(MetadataError, match=said):
        describe(**details)


def test_several_texts_may_be_given_as_one_or_many_or_a_set() -> None:
    found = describe(author={"b", "a"}, requirements=("x", "y"), author_email="one")
    assert (found["author"], found["requirements"], found["author_email"]) == (
        *(["a", "b"], ["x", "y"], ["one"]),
    )
    with pytest.raises(MetadataError, match=r"a reference score needs an environment to run in"):
        DatasetCard(**SAID, expert_policy=lambda _: 1).metadata(None, BOX, DISCRETE)


def test_what_files_say_stays_where_nothing_else_is_said() -> None:
    said: Any = {"author": ["Bob"], "description": "old", "observation_space": "other", "more": 1}
    details: Any = {**SAID, "description": "new"}
    merged = merge_metadata(said, details, None, BOX, DISCRETE)
    assert (merged["author"], merged["description"], merged["more"]) == (
        *([SAID["author"]], "new", 1),
    )
    without: Any = {key: value for key, value in SAID.items() if key != "author"}
    assert merge_metadata(said, without, None, BOX, DISCRETE)["author"] == ["Bob"]
    assert '"Box"' in str(merged["observation_space"])
    assert split_details({"author": "a", "other": 1}) == ({"author": "a"}, {"other": 1})


def make(dataset_id: str = "few/x-v2", **details: Any) -> MinariDataset:
    return create_dataset_from_buffers(
        dataset_id,
        [simple_episode(0, 3), simple_episode(1, 2)],
        **{"observation_space": BOX, "action_space": DISCRETE, **SAID, **details},
    )


def test_a_score_is_0_at_the_lowest_and_1_at_the_highest() -> None:
    dataset = make(ref_min_score=2.0, ref_max_score=6)
    found = get_normalized_score(dataset, [[2, 6], [4, 10]])
    assert found.dtype == np.float64
    assert found.tolist() == [[0.0, 1.0], [0.5, 2.0]]
    assert get_normalized_score(dataset, 3) == 0.25
    with pytest.raises(MetadataError, match=r"dataset 'few/y-v0' has equal reference scores, 2.0"):
        get_normalized_score(make("few/y-v0", ref_min_score=2.0, ref_max_score=2.0), 3)
    said = "Reference score not provided for dataset few/z-v0.*ref_min_score is 1, and ref_max"
    with pytest.raises(MetadataError, match=said):
        get_normalized_score(make("few/z-v0", ref_min_score=1), 3)
    with pytest.raises(IncompatibleDatasetsError, match=r"'x' is no dataset"):
        get_normalized_score("x", 3)  # type: ignore[arg-type]  # from a caller


def test_a_spec_takes_its_id_apart() -> None:
    spec = make().spec
    assert (spec.namespace, spec.dataset_name, spec.version) == ("few", "x", 2)
    assert (spec.total_episodes, spec.total_steps, spec.data_format) == (2, 5, "columnar")
    make_spec: Any = MinariDatasetSpec
    for dataset_id, wanted in (("x-v2", (None, "x", 2)), ("no id", (None, "no id", None))):
        bare = make_spec(None, 0, 0, dataset_id, [], BOX, DISCRETE, None, None)
        assert (bare.namespace, bare.dataset_name, bare.version) == wanted


def test_indices_and_masks_select_episodes() -> None:
    indices = np.array([5, 6, 7])
    for given, wanted in (
        ([2, 0, -1], [7, 5, 7]),
        ([True, False, True], [5, 7]),
        ([], []),
        (np.array([1], np.uint8), [6]),
    ):
        assert select_indices(indices, given).tolist() == wanted
    for bad, said in (
        ([3], r"index 3 is out of bounds .*\(3 episodes\)$"),
        ([True], r"\(3 episodes\)$"),
        ([0.0], r"^an array of float64 and shape \(1,\) chooses no episodes; give numbers or"),
        ([[0]], r"^an array of int64 and shape \(1, 1\) chooses no episodes"),
        ([[0], [1, 2]], "chooses no episodes: "),
    ):
        with pytest.raises(EpisodeIndexError, match=said):
            select_indices(indices, bad)
    assert as_episode_indices(iter([3, 1])).tolist() == [3, 1]
    assert as_episode_indices(np.array([2], np.uint8)).dtype == np.int64
    assert as_episode_indices([]).dtype == np.int64
    assert as_episode_indices([]).shape == (0,)
    none: list[tuple[Any, str]] = [
        ([True, False], r"is a mask, where the indices of episodes belong; dataset\[mask\] is a"),
        (3, "^3 are not the indices of episodes; give whole numbers, such as"),
        ([1.5], r"^\[1.5\] are not the indices of episodes"),
    ]
    for given_indices, told in none:
        with pytest.raises(EpisodeIndexError, match=told):
            as_episode_indices(given_indices)


def test_lists_of_datasets_are_checked() -> None:
    with stored(record(VECTOR, VECTOR, [2], 0), on_disk=False) as dataset:
        assert check_datasets(iter([dataset, dataset]), "combine") == [dataset, dataset]
        for bad in (dataset, "x-v0", 3):
            with pytest.raises(IncompatibleDatasetsError, match=r"is no list of datasets; give a"):
                check_datasets(bad, "combine")
        with pytest.raises(IncompatibleDatasetsError, match=r"'x' is no dataset"):
            check_datasets([dataset, "x"], "combine")
        with pytest.raises(IncompatibleDatasetsError, match=r"^there is nothing to mix: the list"):
            check_datasets([], "mix")


class Source:
    def finished_episodes(self) -> None: ...

    def forget_episodes(self) -> None: ...


class Half:
    def finished_episodes(self) -> None: ...


class Wrapper:
    def __init__(self, env: object) -> None:
        self.env = env


def test_what_records_nothing_is_told_from_a_wrapper_of_what_does() -> None:
    source: Any = Source()
    assert check_source(source) is source
    with pytest.raises(
        RecordingError,
        match=r"^collector_env is a wrapper around a Source; pass the collector itself, which is "
        r"collector_env\.env\.env$",
    ):
        check_source(Wrapper(Wrapper(source)))
    for bad in (None, 3, Half(), Wrapper(Half())):
        with pytest.raises(RecordingError, match=r"^collector_env is .*, which records nothing"):
            check_source(bad)


def test_a_storage_of_the_public_minari_is_made_and_described(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    storage = MinariStorage.new(folder, BOX, DISCRETE, find_env_spec("CartPole-v1"))
    assert storage.FORMAT == "hdf5"
    assert storage.jpeg_encoding is False
    assert storage.metadata["observation_space"] == BOX
    assert "minari_version" not in storage.metadata
    assert "dataset_size" not in storage.metadata
    with pytest.raises(DatasetExistsError, match=f"^A dataset is already available at {folder}"):
        MinariStorage.new(folder, BOX, DISCRETE)
    with pytest.raises(SpaceError, match=r"Since env_spec is not specified, you need to specify"):
        MinariStorage.new(tmp_path / "other", BOX)
    assert not (tmp_path / "other").exists()
    spec = find_env_spec("CartPole-v1")
    of_env = MinariStorage.new(tmp_path / "env", None, DISCRETE, spec, "columnar")
    assert of_env.observation_space.shape == (4,)
    assert of_env.action_space == DISCRETE
    assert of_env.jpeg_encoding is False
    assert MinariStorage.new(tmp_path / "jpeg", BOX, DISCRETE, jpeg_encoding=True).jpeg_encoding

    storage.update_episodes([simple_episode(0, 3), simple_episode(1, 2)])
    assert storage.metadata["dataset_size"] == round(storage.nbytes / 1e6, 1)
    with pytest.raises(DatasetIdError):
        storage.update_metadata({"dataset_id": "no id"})
    storage.update_metadata({"dataset_id": "few/x-v0", "author": ["Bob", "Ann"], "more": 1})
    assert storage.metadata["author"] == {"Ann", "Bob"}
    assert storage.metadata["dataset_id"] == "few/x-v0"
    again = MinariStorage.read(folder)
    assert MinariStorage.read_raw_metadata(folder)["author"] == ["Bob", "Ann"]
    assert repr(again).startswith("MinariStorage(")
    with pytest.raises(AttributeError, match=r"none"):
        _ = again.none


def test_episodes_of_a_storage_are_dicts_that_are_read_and_added_to(tmp_path: Path) -> None:
    storage, other = (MinariStorage.new(tmp_path / name, BOX, DISCRETE) for name in "ab")
    storage.update_episodes([simple_episode(0, 3), simple_episode(1, 2)])
    assert list(storage.apply(lambda episode: len(episode["rewards"]))) == [3, 2]
    assert list(storage.apply(lambda episode: episode["id"], [1])) == [1]
    storage.update_episode_metadata([{"note": "x"}], [1])
    first, second = storage.get_episode_metadata([0, 1])
    assert (first["id"], first["total_steps"], "note" in first) == (0, 3, False)
    assert (second["id"], second["note"]) == (1, "x")
    with pytest.raises(DataError, match=r"^an episode with id 1 is stored already.* as episode 2$"):
        storage.update_episodes([replace(simple_episode(1, 2), id=1)])
    storage.update_episodes([replace(simple_episode(2, 2), id=2)])
    storage.update_metadata({"dataset_id": "a-v0", "author": ["Ann"]})
    other.update_metadata({"dataset_id": "b-v0", "author": ["Bob"], "author_email": ["b"]})
    other.update_from_storage(storage)
    assert other.total_episodes == 3
    assert other.metadata["author"] == {"Ann", "Bob"}
    assert other.metadata["author_email"] == {"b"}
