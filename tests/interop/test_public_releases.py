"""The public releases since 0.4 and this project read each other's datasets.

Each release lies in an environment of its own, with the libraries of its time. What cannot be:
a release before 0.5 reads nothing of a later one, so that nothing written here is for it; 0.5.0
reads no arrays of more than one dimension in the infos of Arrow, which it looks for in another way
than all later releases.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari import convert_dataset, load_dataset, verify_dataset
from minari.serialization import deserialize_space
from minari_core.environments.space_json import is_same_space
from tests.interop.helpers.comparing import expect_same, show_columns
from tests.interop.helpers.releases import (
    EPISODES,
    SHORT,
    STEPS,
    list_tasks,
    make_short_columns,
    name_dataset,
    read_all,
    write_all,
)

ROOT = Path(__file__).parents[2]
OLD = ("0.4.0", "0.4.3")
NEW = ("0.5.0", "0.5.2", "0.5.3", "0.5.4")
FORMATS = ("hdf5", "arrow", "parquet")
# It stores small images of episodes as JPEG, and gives the bytes of the files for them.
GARBLED = {("0.5.3", "uint8-box-hdf5-v0"), ("0.5.3", "tuple-hdf5-v0")}
# Infos of these kinds have arrays of two dimensions.
SAMPLED = {name_dataset(kind, "arrow") for kind in ("discrete", "int8 box", "scalar box", "text")}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


def run_release(version: str, work: str, folder: Path, answer: Path) -> Any:
    """Run the recordings where a release is installed."""
    environment = Path(os.environ["MINARI_RELEASES"], version)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        pytest.skip(f"the public Minari {version} is not installed in {environment}")
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-m", "tests.interop.helpers.releases", work, str(folder), str(answer)],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads(answer.read_bytes())


@cache
def record_release(version: str, root: Path) -> tuple[set[str], dict[str, Any], dict[str, str]]:
    """Record under a release: what it has written and could read, and what it could not read."""
    folder = root / version
    folder.mkdir()
    failures = run_release(version, "write", folder, root / f"{version}.written")
    read, not_read = run_release(version, "read", folder, root / f"{version}.read")
    formats = ("hdf5",) if version in OLD else FORMATS if version >= "0.5.3" else FORMATS[:2]
    tasks = [
        name for name in list_tasks(formats) if version not in OLD or not name.startswith("short")
    ]
    return set(tasks) - set(failures), read, not_read


@cache
def record_here(root: Path) -> tuple[Path, dict[str, Any]]:
    folder = root / "here"
    folder.mkdir()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        patched.setenv("MINARI_DATASETS_PATH", str(folder))
        assert write_all(folder, FORMATS) == {}
        read, failures = read_all(folder)
    assert failures == {}
    return folder, read


def expect_equal(found: dict[str, Any], wanted: dict[str, Any], name: str) -> None:
    assert found["steps"] == wanted["steps"], name
    for one, other in zip(found["spaces"], wanted["spaces"], strict=True):
        assert is_same_space(deserialize_space(one), deserialize_space(other)), name
    for number, pair in enumerate(zip(found["episodes"], wanted["episodes"], strict=True)):
        one, other = map(show_columns, pair)
        expect_same(one, other, f"{name}: episode {number}")


@pytest.mark.parametrize("version", OLD + NEW)
def test_what_a_release_writes_is_equal_here(
    version: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, read, not_read = record_release(version, root)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root / version))
    here, failures = read_all(root / version)
    assert written >= {name_dataset(kind, "hdf5") for kind in ("cartpole", "text", "disc")}
    assert written & set(failures) == set()
    compared = 0
    for name in sorted(written):
        if not name.startswith("short"):
            assert name not in not_read
            assert len(here[name]["episodes"]) == EPISODES
            if (version, name) not in GARBLED:
                expect_equal(here[name], read[name], name)
                compared += 1
            assert verify_dataset(name).problems == (), name
    assert compared >= 10


@pytest.mark.parametrize("version", NEW)
def test_columns_of_a_release_that_are_a_row_short_are_read_and_converted(
    version: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, *_ = record_release(version, root)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root / version))
    for data_format in FORMATS:
        for short, (rows, info_rows) in SHORT.items():
            name = name_dataset(f"short-{short}", data_format)
            if name not in written:
                assert data_format != "hdf5"
                assert short != "observations" or version < "0.5.3"
                continue
            wanted = make_short_columns(rows, info_rows)
            dataset = load_dataset(name)
            copies = [
                convert_dataset(dataset, f"{copy}/{name}", data_format=copy)
                for copy in ("columnar", "hdf5")
            ]
            for each in (dataset, *copies):
                assert verify_dataset(each.id).problems == ()
                (episode,) = each
                assert episode.final_observation_known is (rows == 1)
                for column in ("rewards", "terminations", "truncations"):
                    expect_same(getattr(episode, column), wanted[column], f"{name}: {column}")
                # In Arrow, 0.5.0 stores what is Discrete in 32 bits.
                assert episode.actions.tolist() == wanted["actions"].tolist()
                for key, values in wanted["observations"].items():
                    assert episode.observations[key].tolist() == values.tolist()
                for found, infos in (
                    (episode.infos["count"], wanted["infos"]["count"]),
                    (episode.infos["inner"]["speed"], wanted["infos"]["inner"]["speed"]),
                ):
                    assert len(found) == STEPS + 1
                    missing = [False] * len(infos) + [True] * (STEPS + 1 - len(infos))
                    assert np.ma.getmaskarray(found).tolist() == missing
                    assert found[: len(infos)].tolist() == infos.tolist()


@pytest.mark.parametrize("version", NEW)
def test_a_release_reads_what_is_written_here_for_it_and_refuses_the_rest(
    version: str, root: Path
) -> None:
    folder, here = record_here(root)
    there, failures = run_release(version, "read", folder, root / f"here.{version}")
    for name, dataset in here.items():
        metadata = json.loads((folder / name / "data" / "metadata.json").read_bytes())
        if metadata["minari_version"] > version or (version, name) in {
            ("0.5.0", sampled) for sampled in SAMPLED
        }:
            assert name in failures
            continue
        assert name not in failures, failures[name]
        if not name.startswith("short"):
            expect_equal(dataset, there[name], name)
    assert version != NEW[-1] or failures == {}
    for name in (name_dataset(kind, "hdf5") for kind in ("cartpole", "text", "disc")):
        assert name in there
