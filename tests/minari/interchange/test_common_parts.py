"""What layouts have in common: files, options, facts beside arrays, how exports are placed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import DataError, DatasetDamagedError, DatasetNotFoundError
from minari.interchange import files as files_module
from minari.interchange.changing import list_changing
from minari.interchange.facts import (
    FactsWriter,
    add_facts,
    replace_missing,
    survey_episodes,
    take_carried,
)
from minari.interchange.files import (
    check_readable,
    copy_shared_files,
    find_file,
    name_read_errors,
    read_json,
)
from minari.interchange.layouts import find_layout, list_layouts, recognize_layout
from minari.interchange.options import check_options, parse_options
from minari_core import EpisodeBuffer, EpisodeData
from minari_core.errors import DatasetAccessError, FormatError
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def test_files_are_found_within_their_folder(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "inside.json").write_text("{}")
    (tmp_path / "outside.json").write_text("{}")
    (root / "link.json").symlink_to(root / "inside.json")
    (root / "out.json").symlink_to(tmp_path / "outside.json")

    assert find_file(root, "inside.json") == root / "inside.json"
    assert find_file(root, "link.json") == root / "link.json"
    for name in ("out.json", "../outside.json"):
        with pytest.raises(DataError, match=f"data: {name} leads out of the folder"):
            find_file(root, name)
    for name in ("none.json", "."):
        with pytest.raises(DatasetNotFoundError, match="data has no file"):
            find_file(root, name)
    # Blobs beside the snapshots of a cache are followed, and those of no cache are not.
    for parent, is_cache in (("snapshots", True), ("shots", False)):
        folder = tmp_path / f"hub-{parent}" / parent / "1234"
        folder.mkdir(parents=True)
        blob = tmp_path / f"hub-{parent}" / "blobs" / "abc"
        blob.parent.mkdir()
        blob.write_text("{}")
        (folder / "x.json").symlink_to(blob)
        if is_cache:
            assert find_file(folder, "x.json").read_text() == "{}"
        else:
            with pytest.raises(DataError, match="links are not followed"):
                find_file(folder, "x.json")


def test_json_is_read_if_it_is_an_object_of_some_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": "é"}', encoding="utf-8")
    monkeypatch.setattr(files_module, "_LARGEST_JSON", path.stat().st_size)
    assert read_json(path) == {"a": "é"}
    monkeypatch.setattr(files_module, "_LARGEST_JSON", path.stat().st_size - 1)
    with pytest.raises(DatasetDamagedError, match="is larger than 10 bytes"):
        read_json(path)
    for text, sentence in (
        ("[]", "x.json is no JSON object"),
        ("{", "x.json cannot be read: JSON"),
    ):
        path.write_text(text)
        with pytest.raises(DatasetDamagedError, match=sentence):
            read_json(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        for read in (read_json, check_readable):
            with pytest.raises(DatasetDamagedError, match="no plain file"):
                read(tmp_path / "pipe")


def test_a_path_is_readable_if_it_is_a_folder_or_a_file_that_may_be_read(tmp_path: Path) -> None:
    check_readable(tmp_path)
    path = tmp_path / "x"
    with pytest.raises(DatasetNotFoundError, match="there is no file or folder"):
        check_readable(path)
    path.touch()
    check_readable(path)
    (tmp_path / "link").symlink_to(path)
    check_readable(tmp_path / "link")
    for error, kind, said in (
        (DataError("own"), DataError, "own"),
        (PermissionError(13, "no"), DatasetAccessError, "it"),
        (KeyError("x"), DatasetDamagedError, "it cannot be read: KeyError: 'x'"),
    ):
        with pytest.raises(kind, match=said), name_read_errors("it"):
            raise error


def test_files_with_other_names_are_replaced_by_copies(tmp_path: Path) -> None:
    folder, other = tmp_path / "a", tmp_path / "b"
    (folder / "inner").mkdir(parents=True)
    (folder / "shared").write_bytes(b"shared")
    (folder / "alone").write_bytes(b"alone")
    os.link(folder / "shared", other)
    before = (folder / "alone").stat().st_ino

    copy_shared_files(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["alone", "inner", "shared"]
    assert (folder / "shared").read_bytes() == b"shared"
    assert (folder / "shared").stat().st_nlink == other.stat().st_nlink == 1
    assert (folder / "alone").stat().st_ino == before


def write(
    path: Path,
    plain: int,
    *,
    needed: int,
    flag: bool = False,
    size: float | None = None,
    day: date | None = None,
    names: Sequence[str] = (),
    numbers: list[int] | tuple[int, ...] | None = None,
    mode: Literal["fast", "slow"] | None = None,
    either: int | str = 0,
    said: Mapping[str, str | Sequence[str]] | None = None,
) -> None:
    """Has options of all kinds."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("flag=true", True), ("flag=YES", True), ("flag=1", True),
        ("flag=false", False), ("flag=No", False), ("flag=0", False),
        ("size=2.5", 2.5), ("size=inf", float("inf")),
        ("day=2026-01-02", date(2026, 1, 2)),
        ("names=a, b ,,c", ["a", "b", "c"]), ("names=", []),
        ("numbers=1,2", ["1", "2"]),
        ("mode=slow", "slow"),
        ("either=3", 3), ("either=x", "x"),
        ("said.a=x", {"a": "x"}),
    ],
)  # fmt: skip
def test_options_are_read_by_their_kinds(text: str, value: object) -> None:
    name, _, said = text.partition("=")
    found = parse_options(write, [("needed", "7"), (name, said)], "x")
    assert found == {"needed": 7, name.partition(".")[0]: value}
    assert type(found[name.partition(".")[0]]) is type(value)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "x needs the option 'needed', which nothing in the data says"),
        (["needed=1.5"], "option 'needed' of x is '1.5', not int"),
        (["needed=1", "needed=2"], "option 'needed' of x is given twice"),
        (["needed.a=1"], "option 'needed.a' of x has no keys"),
        (["needed=1", "said=x"], "option 'said' of x has keys; give said.KEY=VALUE"),
        (["needed=1", "said.=x"], "option 'said.' of x has keys; give said.KEY=VALUE"),
        (["needed=1", "flag=maybe"], "option 'flag' of x is 'maybe', not bool"),
        (["needed=1", "mode=mad"], "option 'mode' of x is 'mad', not 'fast' or 'slow'"),
        (["needed=1", "day=soon"], "option 'day' of x is 'soon', not date"),
        (["needed=1", "plain=1"], "unexpected option 'plain' of x; it has needed, flag, size, day"),
    ],
)
def test_options_that_cannot_be_are_told(texts: list[str], sentence: str) -> None:
    pairs = [(text.partition("=")[0], text.partition("=")[2]) for text in texts]
    with pytest.raises(DataError) as caught:
        parse_options(write, pairs, "x")
    assert str(caught.value).startswith(sentence)


def test_options_of_a_program_are_checked_by_their_names() -> None:
    check_options(write, {"needed": 1, "flag": "whatever"}, "x")
    with pytest.raises(TypeError, match="x needs the option 'needed'"):
        check_options(write, {}, "x")
    with pytest.raises(TypeError, match="unexpected option 'a' of x; it has none"):
        check_options(lambda path: None, {"a": 1}, "x")
    said = [("needed", "1"), ("said.a", "x"), ("said.b", "y"), ("said.a", "z")]
    assert parse_options(write, said, "x")["said"] == {"a": ["x", "z"], "b": "y"}


def make(number: int, steps: int = 2, *, is_known: bool = True, **fields: Any) -> EpisodeData:
    plain: dict[str, Any] = {
        "observations": {"x": np.arange(steps + is_known) + 10.0 * number},
        "actions": np.zeros(steps),
        "rewards": np.zeros(steps),
        "terminations": np.arange(steps) == steps - 1,
        "truncations": np.zeros(steps, bool),
    }
    if not is_known:
        plain["metadata"] = {"final_observation_known": False}
    return EpisodeData(number, **{**plain, **fields})


def test_arrays_carry_infos_that_all_episodes_have_in_one_form() -> None:
    def masked(*mask: bool) -> Any:
        return np.ma.array([1.0, 2.0, 3.0], mask=mask)

    infos = [
        {
            "whole": np.zeros(3),
            "vector": np.zeros((3, 2)),
            "last": masked(False, False, True),
            "hole": masked(False, True, False),
            "shape": np.zeros((3, 1)),
            "dtype": np.zeros(3),
            "some": np.zeros(3),
            "text": ["a"] * 3,
            "words": np.array(["a"] * 3),
            "a/b": np.zeros(3),
            ".": np.zeros(3),
        },
        {
            "whole": masked(False, False, False),
            "vector": np.zeros((3, 2)),
            "last": masked(False, False, True),
            "hole": np.zeros(3),
            "shape": np.zeros((3, 2)),
            "dtype": np.zeros(3, int),
            "later": np.zeros(3),
            "text": ["a"] * 3,
            "words": np.array(["a"] * 3),
            "a/b": np.zeros(3),
            ".": np.zeros(3),
        },
    ]
    survey = survey_episodes(make(number, infos=each) for number, each in enumerate(infos))
    assert survey.carried == {"last": False, "vector": True, "whole": True}
    assert survey.all_finals_are_known
    assert not survey_episodes([make(0), make(1, is_known=False)]).all_finals_are_known
    assert not survey_episodes([make(0, is_known=False), make(1)]).all_finals_are_known
    vectors = np.ma.array(np.zeros((3, 2)), mask=[[False, False], [False, False], [True, True]])
    assert survey_episodes([make(0, infos={"v": vectors})]).carried == {"v": False}
    assert take_carried(make(0, infos=infos[0]), "last", 2).tolist() == [1, 2]


@pytest.mark.parametrize("with_final_rows", [False, True])
def test_facts_bring_back_what_arrays_do_not_have(with_final_rows: bool) -> None:
    infos: dict[str, Any] = {
        "whole": np.arange(3.0),
        "moved": np.arange(3) + 5,
        "note": ["a", None, "c"],
        "gap": np.ma.array(
            [[1, 2], [3, 4], [5, 6]], mask=[[True, True], [False, False], [True, True]]
        ),
    }
    whole = make(
        4,
        infos=infos,
        extras={"e": np.arange(3)},
        seed=7,
        options={"low": 0.5},
        metadata={"grade": 1},
        terminations=np.array([False, True]),
        truncations=np.array([False, True]),
    )
    carried = {"whole": True, "moved": True}
    writer = FactsWriter(
        carried,
        with_final_rows=with_final_rows,
        with_final_observations=True,
        renamed={"moved": "costs"},
        shifted={"moved"},
    )
    text = writer.write(whole)
    rows = 3 if with_final_rows else 2
    # The cost of a step stands for what it returned, which is all but the first.
    read = EpisodeBuffer(
        observations={"x": whole.observations["x"][:2]},
        actions=whole.actions,
        rewards=whole.rewards,
        terminations=whole.terminations,
        truncations=np.zeros(2, bool),
        infos={"whole": infos["whole"][:rows], "costs": np.asarray(infos["moved"])[1:]},
    )

    again = add_facts(read, text, "it")

    found: Any = again.infos
    assert found.keys() == infos.keys()
    assert np.asarray(found["whole"]).tolist() == [0, 1, 2]
    assert np.asarray(found["moved"]).tolist() == [5, 6, 7]
    assert list(found["note"]) == ["a", None, "c"]
    gap = found["gap"]
    assert [None if row is None else np.asarray(row).tolist() for row in gap] == [
        None,
        [3, 4],
        None,
    ]
    assert again.extras is not None
    assert np.asarray(again.extras["e"]).tolist() == [0, 1, 2]
    observations: Any = again.observations
    assert observations["x"].tolist() == whole.observations["x"].tolist()
    assert (again.seed, again.options, again.metadata) == (7, {"low": 0.5}, {"grade": 1})
    assert np.asarray(again.truncations).tolist() == [False, True]
    last = set() if with_final_rows else {"infos/whole"}
    assert writer.kept == last | {
        *("seed", "options", "metadata", "truncated", "final observations"),
        *("infos/note", "infos/gap", "extras/e"),
    }


def test_what_is_usual_is_no_fact() -> None:
    writer = FactsWriter({}, with_final_rows=True)
    for terminated in (True, False):
        flags = np.array([False, terminated])
        plain = make(0, terminations=flags, truncations=np.array([False, not terminated]))
        assert json.loads(writer.write(plain)) == {}
    assert writer.kept == set()
    unknown = FactsWriter({}, with_final_rows=True, with_final_observations=True)
    facts = json.loads(unknown.write(make(0, is_known=False)))
    assert facts.keys() == {"metadata"}
    for text, sentence in (
        ("[]", "it is no object"),
        ("{", "it"),
        ('{"renamed": {"a": "b"}}', "it"),
    ):
        with pytest.raises(DatasetDamagedError, match=sentence):
            add_facts(EpisodeBuffer(observations=[0]), text, "it")
    strange = add_facts(
        EpisodeBuffer(observations=[0]),
        '{"seed": "x", "options": 3, "metadata": [], "infos": 1}',
        "it",
    )
    assert (strange.seed, strange.options, strange.metadata, strange.infos) == (
        None,
        None,
        {},
        None,
    )


def test_missing_rows_are_none_in_whatever_is_nested() -> None:
    column = {
        "a": np.ma.array([1, 2], mask=[True, False]),
        "b": {"c": np.ma.array([[1, 2], [3, 4]], mask=[[True, True], [True, False]])},
        "d": np.arange(2),
        "e": ["x"],
    }
    found = replace_missing(column)
    assert found["a"] == [None, 2]
    assert found["b"]["c"][0] is None
    # A row that lacks an element is there.
    assert found["b"]["c"][1].tolist() == [3, 4]
    assert (found["d"] is column["d"], found["e"]) == (True, ["x"])


def test_layouts_are_looked_at_in_their_order(tmp_path: Path) -> None:
    names = [layout.name for layout in list_layouts()]
    assert names[:4] == ["bundle", "lerobot", "rlds", "parquet"]
    with pytest.raises(FormatError, match=f"no layout 'x'; there is {', '.join(sorted(names))}"):
        find_layout("x")
    assert recognize_layout(tmp_path) is None
    readable = ", ".join(sorted(names))
    with pytest.raises(FormatError, match=f"has no layout that is known; name one of {readable}"):
        minari.import_dataset(tmp_path, "x-v0")
    with pytest.raises(
        FormatError, match="layout 'maniskill' is read, not written; there is bundle"
    ):
        minari.export_dataset(make_dataset(), tmp_path / "out", "maniskill")


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("can_exchange", [True, False])
def test_what_was_there_stays_until_all_is_written(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr("minari.interchange.replacing.exchange_paths", lambda one, other: False)
    dataset, target = make_dataset(), tmp_path / "inner" / "out"
    minari.export_dataset(dataset, target, "parquet")
    assert sorted(list_names(target)) == ["episodes.parquet", "steps.parquet"]
    (target / "mine").touch()
    minari.export_dataset(dataset, target, "parquet", overwrite=True)
    assert list_names(target) == ["episodes.parquet", "steps.parquet"]
    (target / "mine").touch()
    rename = os.rename

    def fail(source: Any, destination: Any) -> None:
        if Path(destination) == target and ".part-" in str(source):
            raise OSError(28, "No space left on device")
        rename(source, destination)

    if not can_exchange:
        monkeypatch.setattr(os, "rename", fail)
        with pytest.raises(minari.DatasetWriteError):
            minari.export_dataset(dataset, target, "parquet", overwrite=True)
        assert "mine" in list_names(target)
    assert list_names(target.parent) == ["out"]
    with pytest.raises(minari.DatasetExistsError, match="or overwrite=True to replace it"):
        minari.export_dataset(dataset, target, "parquet")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(minari.DatasetExistsError):
        minari.export_dataset(dataset, link, "parquet")


def test_what_a_killed_export_left_is_removed_or_put_back(tmp_path: Path) -> None:
    dataset, target = make_dataset(), tmp_path / "out"
    others = [".0123.part-out", ".0123456789ab.part-other", ".0123456789ax.part-out"]
    for name in (".0123456789ab.part-out", *others):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".0123456789ab.replaced-out").write_bytes(b"whole")
    with pytest.raises(minari.DatasetExistsError):
        minari.export_dataset(dataset, target, "parquet")
    # It was moved, and nothing had taken its place.
    assert target.read_bytes() == b"whole"
    (tmp_path / ".0123456789ab.replaced-out").write_bytes(b"old")
    minari.export_dataset(dataset, target, "parquet", overwrite=True)
    assert target.is_dir()
    assert set(list_names(tmp_path)) == {"out", "root", *others}


def test_kinds_that_change_between_shards_are_told_once(tmp_path: Path) -> None:
    from tests.core.helpers.many_shards import create_many_shards

    def episode(**infos: Any) -> EpisodeBuffer:
        return EpisodeBuffer(
            observations=np.zeros((2, 2)),
            actions=np.zeros(1, np.int64),
            rewards=np.zeros(1),
            terminations=[True],
            truncations=[False],
            infos=infos,
            extras={"same": infos["either"]},
        )

    shards = [
        [episode(either=np.zeros(2), deep={"x": np.zeros(2), "y": ["a"] * 2}, gap=[None, 1])],
        [
            episode(
                either=np.zeros(2, int), deep={"x": np.zeros((2, 1)), "y": ["b"] * 2}, gap=[1, 2]
            )
        ],
    ]
    losses = list_changing(create_many_shards("many-v0", shards))
    assert [loss.what for loss in losses] == ["extras/same", "infos/deep/x", "infos/either"]
    assert {loss.reason for loss in losses} == {
        "its dtype, shape or kind differs between shards, and is one for all once imported"
    }


def test_an_import_says_where_it_comes_from_and_checks_what_is_said_first(tmp_path: Path) -> None:
    path = tmp_path / "out"
    minari.export_dataset(make_dataset(), path, "parquet")
    made = minari.import_dataset(path, "made-v0", "parquet", description="Mine.")
    parents: Any = made.metadata["parents"]
    assert [(each["file"], each["operation"]) for each in parents] == [("out", "import")]
    assert made.metadata["description"] == "Mine."
    for arguments, error in (
        (("made-v0",), minari.DatasetExistsError),
        (("no id",), minari.DatasetIdError),
    ):
        with pytest.raises(error):
            minari.import_dataset(path, *arguments)
    with pytest.raises(minari.FormatError):
        minari.import_dataset(path, "b-v0", data_format="csv")
    with pytest.raises(DatasetNotFoundError):
        minari.import_dataset(tmp_path / "none", "b-v0")
    with pytest.raises(TypeError, match="unexpected option 'colour' of layout 'parquet'"):
        minari.import_dataset(path, "b-v0", colour="red")


def test_a_parquet_folder_may_lack_episodes_and_a_file_be_read_with_them(tmp_path: Path) -> None:
    dataset = make_dataset()
    minari.export_dataset(dataset, tmp_path / "out", "parquet")
    steps, episodes = tmp_path / "steps.parquet", tmp_path / "other.parquet"
    os.rename(tmp_path / "out/episodes.parquet", episodes)
    assert recognize_layout(tmp_path / "out") is find_layout("parquet")
    os.link(tmp_path / "out/steps.parquet", steps)
    assert recognize_layout(steps) is find_layout("parquet")
    for number, path in enumerate((tmp_path / "out", steps)):
        made = minari.import_dataset(path, f"with-v{number}", episodes=str(episodes))
        assert [episode.seed for episode in made] == [episode.seed for episode in dataset]
    (tmp_path / "text").write_bytes(b"PAR")
    assert recognize_layout(tmp_path / "text") is None
    minari.export_dataset(dataset, tmp_path / "bundle", "bundle")
    with pytest.raises(DataError, match="has a dataset beside its tables"):
        minari.import_dataset(tmp_path / "bundle", "x-v0", "parquet")
    view = minari.create_dataset_from_buffers(
        "plain-v0",
        [
            EpisodeBuffer(
                observations=np.arange(3.0)[:, None],
                actions=np.zeros(2, np.int64),
                rewards=np.zeros(2),
                terminations=[False, True],
                truncations=[False, False],
            )
        ],
        observation_space=spaces.Box(-9, 9, (1,), np.float64),
        action_space=spaces.Discrete(2),
    )
    import pyarrow.parquet as parquet

    for is_next in (False, True):
        folder = tmp_path / str(is_next)
        assert minari.export_dataset(view, folder, "parquet", next_observations=is_next) == []
        names = parquet.read_schema(folder / "steps.parquet").names
        assert any(name.startswith("next_observation") for name in names) == is_next
