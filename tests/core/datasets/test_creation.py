"""Creating datasets from buffers, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    create_dataset_from_buffers,
    get_normalized_score,
    load_dataset,
)
from minari_core.errors import (
    DataError,
    DatasetExistsError,
    DatasetIdError,
    FormatError,
    MetadataError,
    MinariError,
    SpaceError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same, expect_same_episode
from tests.core.helpers.numbered import (
    MOVE,
    POSITION,
    create,
    ids,
    nothing_is_left,
    zero_fields,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


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
    fields = {**zero_fields(), "observations": FORMS[form], "actions": [0, 2], "rewards": [1, 2.5]}
    buffer = fields if as_dict else EpisodeBuffer(**fields)
    dataset = create("tests/forms-v0", buffer=[buffer], observation_space=STRUCTURE)
    (episode,) = dataset
    expect_same(episode.observations["position"], COLUMNS["position"])
    expect_same(episode.observations["pair"], COLUMNS["pair"])
    expect_same(episode.observations["name"], COLUMNS["name"])
    expect_same(episode.actions, np.array([0, 2]))
    expect_same(episode.rewards, np.array([1.0, 2.5]))


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
    fields = zero_fields()
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
    "too few observations": ({"observations": np.zeros((1, 2))}, "observations has 1 rows, not 3"),
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
    "an array of no rows": ({"observations": np.array(5.0)}, "observations"),
    "an array of one action": ({"actions": np.array(1)}, "actions"),
    "no actions": ({"actions": None}, "actions"),
    "a mixture of numbers": ({"actions": [True, 2]}, "actions"),
    "too few infos": ({"infos": {"x": [1]}}, r"infos\['x'\] has 1 rows, not 3"),
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
        episodes = [*good, {**zero_fields(), **changes}]
        with pytest.raises(DataError, match=message) as raised:
            create(buffer=episodes)
        if case != "options that are not JSON":
            assert f"episode {len(good)}" in str(raised.value)
        assert nothing_is_left(datasets_root)
    create()


@pytest.mark.parametrize("item", [5, None, "text", [1], {"observations": []}, {"speed": 1}])
def test_what_is_no_episode_is_refused(item: Any, datasets_root: Path) -> None:
    with pytest.raises(DataError, match="episode 1"):
        create(buffer=[simple_episode(0, 2), item])
    assert nothing_is_left(datasets_root)


def test_an_episode_that_differs_from_those_before_is_refused() -> None:
    other = {**zero_fields(), "observations": np.zeros((3, 2), np.float32)}
    with pytest.raises(DataError, match=r"episode 1: observations is float32.*float64"):
        create(buffer=[zero_fields(), other])
    wider = {**zero_fields(), "observations": np.zeros((3, 4))}
    with pytest.raises(DataError, match=r"episode 1: observations.*\(4,\).*\(2,\)"):
        create(buffer=[zero_fields(), wider])
    with pytest.raises(DataError, match=r"episode 0.*not a dict of \['name', 'pair', 'position'\]"):
        create(buffer=[{**zero_fields(), "observations": {"pair": 1}}], observation_space=STRUCTURE)


def test_an_error_of_the_callers_iterator_passes_through(datasets_root: Path) -> None:
    def broken() -> Iterator[EpisodeBuffer]:
        yield simple_episode(0, 2)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        create(buffer=broken())
    assert nothing_is_left(datasets_root)
    create()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data_format": "video"}, FormatError, "video"),
        ({"observation_space": None}, SpaceError, "observation space"),
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
    assert nothing_is_left(datasets_root)
    create()


def test_an_id_is_given_under_one_name(datasets_root: Path) -> None:
    both: dict[str, Any] = {"dataset_name": "a-v0", "dataset_id": "a-v0"}
    for names in (both, {}):
        with pytest.raises(DatasetIdError, match="dataset_name"):
            create_dataset_from_buffers(
                buffer=[], observation_space=POSITION, action_space=MOVE, **names
            )
    assert nothing_is_left(datasets_root)


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


def test_an_id_that_somebody_takes_meanwhile_is_theirs(datasets_root: Path) -> None:
    def buffers() -> Iterator[EpisodeBuffer]:
        yield simple_episode(1, 2)
        create("tests/mine-v0", buffer=[simple_episode(7, 3)])
        yield simple_episode(2, 2)

    with pytest.raises(DatasetExistsError, match="created by somebody else meanwhile"):
        create("tests/mine-v0", buffer=buffers())

    (episode,) = load_dataset("tests/mine-v0")
    assert (episode.seed, len(episode)) == (7, 3)
    assert list((datasets_root / ".staging").glob("*")) == []


class Closing(gymnasium.Env[Any, Any]):
    """Counts how often environments of its kind are closed."""

    observation_space, action_space = POSITION, MOVE
    closed = 0

    def close(self) -> None:
        type(self).closed += 1


def test_an_environment_is_closed_by_who_has_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Closing, "closed", 0)
    made: Any = lambda **_: Closing()  # noqa: E731
    spec = gymnasium.envs.registration.EnvSpec("Closing-v0", entry_point=made)
    monkeypatch.setitem(gymnasium.registry, "Closing-v0", spec)
    from_spaces: dict[str, Any] = {"observation_space": None, "action_space": None}
    create("tests/given-v0", env=Closing(), **from_spaces)
    assert Closing.closed == 0
    create("tests/made-v0", env="Closing-v0", **from_spaces)
    assert Closing.closed == 1
