"""The public Minari 0.5.4 reads what is written here, and the other way round.

Each side records the same environments with the same seeds and actions, and reads what both have
recorded. All four readings of a dataset are compared value by value.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minari
from minari.serialization import deserialize_space
from minari_core.environments.env_specs import env_spec_from_json
from tests.interop.helpers.comparing import expect_same, show_columns
from tests.interop.helpers.recordings import (
    EPISODES,
    FORMATS,
    read_all,
    record,
    recordings,
    write_all,
)

ROOT = Path(__file__).parents[2]
EXACT = [dataset_id for dataset_id, _, _, jpeg in recordings() if not jpeg]
LOSSY = [dataset_id for dataset_id, _, _, jpeg in recordings() if jpeg]
# The public Minari writes one row too few of actions that are images, so that it cannot write
# them at all.
NOT_WRITTEN_BY_THE_PUBLIC = {
    f"{kind}/{data_format}-jpeg-v0"
    for kind in ("image", "grey-image")
    for data_format in ("arrow", "parquet")
}


@dataclass(frozen=True)
class Side:
    """What one side has recorded, as both sides read it."""

    not_written: dict[str, str]
    ours: dict[str, Any]
    ours_failed: dict[str, str]
    publics: dict[str, Any]
    publics_failed: dict[str, str]


def public_minari(*arguments: object) -> Any:
    """Run the recordings where the public Minari is installed."""
    environment = Path(os.environ["MINARI_PUBLIC_ENVIRONMENT"])
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    answer = arguments[-1]
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-m", "tests.interop.helpers.recordings", *map(str, arguments)],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads(Path(str(answer)).read_bytes())


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    folder = tmp_path_factory.mktemp("interop")
    for name in ("here", "public"):
        (folder / name).mkdir()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        patched.setenv("MINARI_DATASETS_PATH", str(folder))
        not_written = {
            "here": write_all(folder / "here"),
            "public": public_minari("write", folder / "public", folder / "answer"),
        }
        sides: dict[str, Side] = {}
        for name, missing in not_written.items():
            here = read_all(folder / name)
            there = public_minari("read", folder / name, folder / "answer")
            sides[name] = Side(missing, *here, *there)
    return sides


def test_each_side_writes_and_reads_everything_that_the_public_minari_can(
    sides: dict[str, Side],
) -> None:
    assert "minari_core" in sys.modules
    assert sides["here"].not_written == {}
    assert sides["here"].ours_failed == {}
    assert sides["here"].publics_failed == {}
    assert set(sides["public"].not_written) == NOT_WRITTEN_BY_THE_PUBLIC
    assert set(sides["public"].ours_failed) == NOT_WRITTEN_BY_THE_PUBLIC
    assert set(sides["public"].publics_failed) == NOT_WRITTEN_BY_THE_PUBLIC


@pytest.mark.parametrize("dataset_id", EXACT + LOSSY)
def test_what_is_written_here_is_equal_in_the_public_minari(
    sides: dict[str, Side], dataset_id: str
) -> None:
    side = sides["here"]
    expect_equal(side.publics[dataset_id], side.ours[dataset_id])


@pytest.mark.parametrize("dataset_id", EXACT + LOSSY)
def test_what_the_public_minari_writes_is_equal_here(
    sides: dict[str, Side], dataset_id: str
) -> None:
    if dataset_id not in NOT_WRITTEN_BY_THE_PUBLIC:
        side = sides["public"]
        expect_equal(side.publics[dataset_id], side.ours[dataset_id])


@pytest.mark.parametrize("dataset_id", EXACT + LOSSY)
def test_both_sides_record_the_same(sides: dict[str, Side], dataset_id: str) -> None:
    # Without a seed, an environment does what it likes.
    if dataset_id not in NOT_WRITTEN_BY_THE_PUBLIC and not dataset_id.startswith("unseeded"):
        here, public = sides["here"].publics[dataset_id], sides["public"].publics[dataset_id]
        assert len(here["episodes"]) == EPISODES
        expect_equal(here, public)


@pytest.mark.parametrize("dataset_id", LOSSY)
def test_jpeg_loses_detail_and_only_where_it_is_asked_for(
    sides: dict[str, Side], dataset_id: str
) -> None:
    read = sides["here"].ours
    exact = read[dataset_id.replace("jpeg", "exact")]
    assert exact["metadata"]["jpeg_encoding"] is False
    assert read[dataset_id]["metadata"]["jpeg_encoding"] is True
    images = [_image(found["episodes"][0]["observations"]) for found in (exact, read[dataset_id])]
    assert images[0].shape == images[1].shape
    assert not np.array_equal(*images)


def test_what_the_public_minari_changes_is_remarked_and_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for data_format in FORMATS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record(f"{data_format}-v0", "cartpole", data_format, jpeg=False)
    public_minari("change", tmp_path, tmp_path / "answer")
    for data_format in FORMATS:
        report = minari.verify_dataset(f"{data_format}-v0")
        assert report.problems == ()
        assert [(remark.message, remark.episode) for remark in report.remarks] == [
            ("'description', 'further': changed by another program", None),
            ("its metadata was changed by another program", 0),
            ("its metadata was changed by another program", 1),
            (
                "it has no checksums, since another program or an earlier release has written it",
                EPISODES,
            ),
        ]


def expect_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key in ("env_spec", "eval_env_spec"):
        specs = [
            None if one[key] is None else env_spec_from_json(one[key]) for one in (found, wanted)
        ]
        assert specs[0] == specs[1]
    for one, other in zip(found["spaces"], wanted["spaces"], strict=True):
        assert deserialize_space(one) == deserialize_space(other)
    for one in (found, wanted):
        # Others keep the key that they do not know.
        one["metadata"].pop("minari_core", None)
    for key in ("metadata", "said"):
        expect_same(found[key], wanted[key], key)
    for number, pair in enumerate(zip(found["episodes"], wanted["episodes"], strict=True)):
        one, other = map(show_columns, pair)
        expect_same(one, other, f"episode {number}")


def _image(observations: Any) -> Any:
    return observations["view"] if isinstance(observations, dict) else observations
