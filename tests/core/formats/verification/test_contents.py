"""What is remarkable in values, and which files a download lacks, beside looking at each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import EpisodeBuffer, create_dataset_from_buffers
from minari_core.errors import DatasetBusyError, DatasetChangedError, DatasetDamagedError
from minari_core.formats.verification import contents
from minari_core.formats.verification.contents import ContentRemarks
from minari_core.formats.verification.episode_files import check_episode_files
from minari_core.formats.verification.report import (
    Findings,
    VerificationProblem,
    VerificationReport,
)
from minari_core.testing.examples import MOVE, POSITION

VALUES = st.sampled_from([0.0, 1.5, 1e308, np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("at_once", [1, 4, 1 << 18])
@given(
    rows=st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=9),
    hidden=st.sets(st.integers(0, 8)),
)
@settings(max_examples=60)
def test_values_that_are_not_finite_are_counted_with_the_first_episode(
    rows: list[list[float]], hidden: set[int], at_once: int
) -> None:
    array = np.array(rows).reshape(-1, 2)
    seen = [row for row in range(len(array)) if row not in hidden]
    wrong = [row for row in seen if not np.isfinite(array[row]).all()]
    remarks, findings = ContentRemarks(), Findings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_ELEMENTS_AT_ONCE", at_once)
        for column in ("x", "y"):
            remarks.note_values(
                f"file {column}",
                column,
                array,
                lambda row: row * 10,
                (lambda places: np.isin(places, list(hidden))) if column == "x" else None,
            )
    remarks.give(findings)
    found = {remark.column: remark for remark in findings.remarks}
    assert ("x" in found) == bool(wrong)
    if wrong:
        nans = int(np.isnan(array[seen]).sum())
        infinite = int(np.isinf(array[seen]).sum())
        told = f"{nans} values are NaN and {infinite} infinite; first seen here"
        assert found["x"] == VerificationProblem("file x", told, "x", wrong[0] * 10)
    assert ("y" in found) == (not np.isfinite(array).all())


def test_trees_and_ends_are_remarked_on_once_for_each_column() -> None:
    remarks, findings = ContentRemarks(), Findings()
    tree = {
        "a": np.array([np.nan, 1.0]),
        "t": (np.array([np.inf]), [np.array([-np.inf]), np.array([np.nan])]),
        "n": np.array([1, 2]),
        "m": np.ma.array([np.nan, 1.0], mask=[True, False]),
        "s": np.float64(np.nan),
        "c": np.array([complex(0, np.inf)]),
    }
    for episode in (3, 4):
        remarks.note_tree(f"file {episode}", "observations", tree, episode)
        remarks.note_early_end(f"file {episode}", episode, 7 + episode, 2)
    remarks.give(findings)
    assert [(each.column, each.file, each.episode) for each in findings.remarks] == [
        ("observations/a", "file 3", 3),
        ("observations/t/_index_0", "file 3", 3),
        ("observations/t/_index_1", "file 3", 3),
        ("observations/m", "file 3", 3),
        ("observations/c", "file 3", 3),
        (None, "file 3", 3),
    ]
    messages = [each.message for each in findings.remarks]
    assert messages[0] == "2 values are NaN and 0 infinite; first seen here"
    assert messages[2] == "2 values are NaN and 2 infinite; first seen here"
    assert messages[-1].startswith("4 steps end an episode that goes on, step 10 is the first")


def fail(error: Exception) -> None:
    raise error


def test_findings_become_problems_with_their_file_unless_nothing_can_be_said() -> None:
    findings = Findings()
    with findings.catch_errors("file", "column"):
        fail(ValueError("odd"))
    with findings.catch_errors("file"):
        fail(DatasetDamagedError("broken"))
    assert [str(each) for each in findings.problems] == [
        "file: column: ValueError: odd",
        "file: broken",
    ]
    for error in (DatasetBusyError("busy"), DatasetChangedError("changed")):
        with pytest.raises(type(error)), findings.catch_errors("file"):
            fail(error)
    with pytest.raises(DatasetBusyError), findings.catch_errors("file"):
        fail(OSError(24, "Too many open files"))
    problem = VerificationProblem("f", "m", None, 3)
    assert str(problem) == "f: m (episode 3)"
    report = VerificationReport(
        dataset_id="a",
        data_path="p",
        data_format="hdf5",
        files=1,
        total_episodes=2,
        total_steps=3,
        nbytes=4,
        problems=(problem,),
        remarks=(),
    )
    assert not report.ok
    said: Any = report.to_json()
    assert said["problems"] == [{"file": "f", "column": None, "episode": 3, "message": "m"}]
    assert (said["ok"], said["nbytes"], said["remarks"]) == (False, 4, [])


@pytest.fixture(params=["hdf5", "arrow", "parquet"])
def stored(request: pytest.FixtureRequest, datasets_root: Path) -> tuple[Path, dict[str, Any]]:
    buffer = EpisodeBuffer(
        observations=np.zeros((3, 2)),
        actions=np.zeros(2, int),
        rewards=np.zeros(2),
        terminations=[False, True],
        truncations=[False, False],
    )
    with pytest.warns(UserWarning, match="None"):
        create_dataset_from_buffers(
            "files-v0",
            [buffer] * 3,
            observation_space=POSITION,
            action_space=MOVE,
            data_format=request.param,
        )
    folder = datasets_root / "files-v0" / "data"
    return folder, {"data_format": request.param, "total_episodes": 3}


def told(folder: Path, metadata: Any) -> str:
    with pytest.raises(DatasetDamagedError) as raised:
        check_episode_files(folder, metadata, "the dataset")
    return str(raised.value)


def test_each_counted_episode_has_its_files(stored: tuple[Path, dict[str, Any]]) -> None:
    folder, metadata = stored
    check_episode_files(folder, metadata, "the dataset")
    check_episode_files(folder, {**metadata, "total_episodes": 2}, "the dataset")
    more = {**metadata, "total_episodes": 5}
    if metadata["data_format"] == "hdf5":
        assert told(folder, more) == (
            "main_data.hdf5 of the dataset has no episode 3, and its metadata counts 5"
        )
        main = folder / "main_data.hdf5"
        content = main.read_bytes()
        main.unlink()  # HDF5 may still know the file that was there
        main.write_bytes(content[:-100])
        assert told(folder, metadata).startswith("main_data.hdf5 of the dataset is cut or damaged:")
        main.unlink()
        assert told(folder, metadata) == (
            "the dataset has no main_data.hdf5, which all its episodes lie in"
        )
        return
    assert told(folder, more) == "the dataset has no data of episode 3, which its metadata counts"
    data = folder / "1" / f"part-0.{metadata['data_format']}"
    whole = data.read_bytes()
    for content in (whole[:-1], whole[:-1] + b"x", b""):
        data.write_bytes(content)
        assert told(folder, metadata) == f"1/{data.name} of the dataset is cut or damaged"
    data.write_bytes(whole)
    (folder / "1" / "metadata.json").unlink()
    assert told(folder, metadata) == (
        "the dataset has no metadata.json of episode 1, which its metadata counts"
    )
    data.unlink()
    assert "no data of episode 1" in told(folder, metadata)
    shutil.rmtree(folder / "2")
    check_episode_files(folder, {**metadata, "total_episodes": 1}, "the dataset")
