"""What an earlier release has left on disk is read, resumed and recovered by this one."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minari
from minari_hub import open_remote
from tests.fixtures.earlier_release.rover import (
    ENV_ID,
    Rover,
    WithBattery,
    WithGrade,
    described,
    drive,
    hashed,
    steer,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

FIXTURES = Path(__file__).parent / "fixtures" / "earlier_release"
PUBLIC_FORMATS = ("hdf5", "arrow", "parquet")
FORMATS = ("columnar", *PUBLIC_FORMATS)


def expected(name: str) -> Any:
    return json.loads((FIXTURES / "expected" / f"{name}.json").read_text(encoding="utf-8"))


def episodes_of(data_format: str) -> list[Any]:
    episodes: list[Any] = expected("episodes" if data_format == "columnar" else "public_episodes")
    return episodes


def copy_fixture(name: str, root: Path) -> None:
    """Make a datasets root of what is stored, which itself is never written to."""
    shutil.copytree(FIXTURES / "stored" / name, root, dirs_exist_ok=True)


def leftovers(root: Path) -> list[str]:
    return [path.name for path in (root / ".staging").glob("*") if path.suffix != ".lock"]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_holds_what_was_written_and_is_sound(
    data_format: str, datasets_root: Path
) -> None:
    copy_fixture("datasets", datasets_root)

    dataset = minari.load_dataset(f"earlier/{data_format}-v0")

    assert described(dataset) == episodes_of(data_format)
    assert (len(dataset), dataset.total_steps) == (5, 32)
    assert (
        dataset.observation_space == Rover(40 if data_format == "columnar" else 8).observation_space
    )
    assert dataset.action_space == Rover.action_space
    assert minari.verify_dataset(dataset.id).problems == ()


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_is_said_of_a_dataset_is_still_said(data_format: str, datasets_root: Path) -> None:
    copy_fixture("datasets", datasets_root)
    known = expected("metadata")[data_format]

    dataset = minari.load_dataset(f"earlier/{data_format}-v0")
    listed = minari.list_local_datasets()[dataset.id]

    assert {key: dataset.metadata.get(key) for key in known} == known
    assert (listed["total_episodes"], listed["author"]) == (5, ["Ada", "Grace"])
    assert dataset.env_spec is not None
    assert dataset.env_spec.id == ENV_ID


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_can_be_added_to(data_format: str, datasets_root: Path) -> None:
    copy_fixture("datasets", datasets_root)
    dataset = minari.load_dataset(f"earlier/{data_format}-v0")
    env = minari.DataCollectorV0(
        dataset.recover_environment(), WithBattery, WithGrade, record_infos=True
    )
    drive(env, 13)
    dataset.update_dataset_from_collector_env(env)
    env.close()

    known = episodes_of(data_format)
    assert described(minari.load_dataset(dataset.id)) == [*known, known[2]]
    assert minari.verify_dataset(dataset.id).problems == ()


def test_datasets_become_one(datasets_root: Path) -> None:
    copy_fixture("datasets", datasets_root)
    datasets = [minari.load_dataset(f"earlier/{each}-v0") for each in PUBLIC_FORMATS]

    combined = minari.combine_datasets(datasets, "later/combined-v0")

    assert described(combined) == episodes_of("hdf5") * 3


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_can_be_converted_to_another_format(
    data_format: str, datasets_root: Path
) -> None:
    copy_fixture("datasets", datasets_root)
    dataset = minari.load_dataset(f"earlier/{data_format}-v0")
    other = "hdf5" if data_format == "columnar" else "columnar"

    converted = minari.convert_dataset(dataset, "later/converted-v0", data_format=other)

    assert described(converted) == episodes_of(data_format)


def test_a_namespace_is_known_with_what_is_said_of_it(datasets_root: Path) -> None:
    copy_fixture("datasets", datasets_root)

    assert minari.list_local_namespaces() == ["earlier"]
    assert minari.get_namespace_metadata("earlier") == {
        "description": "What an earlier release wrote.",
        "license": "MIT",
    }


def test_statistics_that_are_kept_beside_a_dataset_are_those_of_its_data(
    datasets_root: Path,
) -> None:
    copy_fixture("datasets", datasets_root)
    known = expected("statistics")
    dataset = minari.load_dataset("earlier/columnar-v0")

    found = dataset.statistics(("observations/position", "actions", "rewards", "infos/late"))

    assert found.keys() == known.keys()
    for name, leaf in found.items():
        assert leaf.count == known[name]["count"]
        for part in ("mean", "std", "min", "max"):
            elements = np.ravel(getattr(leaf, part))
            np.testing.assert_allclose(elements, known[name][part]["elements"], err_msg=name)


@pytest.mark.parametrize("name", ["recording", "vector_recording"])
def test_a_recording_of_a_killed_process_is_listed_and_recovered(
    name: str, datasets_root: Path
) -> None:
    copy_fixture(name, datasets_root)
    known = expected(name)

    (recording,) = minari.list_recoverable()
    dataset = minari.recover(recording.id, "later/recovered-v0")

    assert recording.env_id == ENV_ID
    assert recording.total_episodes == known["total_episodes"]
    assert recording.total_steps == known["total_steps"]
    assert described(dataset) == known["episodes"]
    assert minari.verify_dataset(dataset.id).problems == ()
    assert minari.list_recoverable() == []
    assert leftovers(datasets_root) == []


@pytest.mark.parametrize("name", ["recording", "vector_recording"])
def test_a_recording_of_a_killed_process_can_be_discarded(name: str, datasets_root: Path) -> None:
    copy_fixture(name, datasets_root)

    (recording,) = minari.list_recoverable()
    minari.discard(recording.id)

    assert minari.list_recoverable() == []
    assert leftovers(datasets_root) == []


def test_a_recording_that_was_committed_before_its_process_was_killed_is_not_offered_again(
    datasets_root: Path,
) -> None:
    copy_fixture("committed_recording", datasets_root)
    assert leftovers(datasets_root) != []

    assert minari.list_recoverable() == []

    assert leftovers(datasets_root) == []
    assert described(minari.load_dataset("earlier/committed-v0")) == expected("committed_recording")


def test_a_killed_run_goes_on_with_the_episodes_that_it_has(datasets_root: Path) -> None:
    copy_fixture("run", datasets_root)
    arguments: dict[str, Any] = {
        "total_episodes": 8,
        "record_infos": True,
        "step_data_callback": WithBattery,
        "episode_metadata_callback": WithGrade,
        "executor": ThreadPoolExecutor(1),
    }
    with pytest.raises(minari.DatasetExistsError, match="resume=True"):
        minari.collect_dataset("earlier/run-v0", Rover, steer, **arguments)
    told: list[minari.CollectProgress] = []

    dataset = minari.collect_dataset(
        "earlier/run-v0", Rover, steer, resume=True, progress=told.append, **arguments
    )

    assert told[0].episodes == 4
    # The seed, too, is the one that the run was begun with.
    assert described(dataset) == expected("run")
    assert minari.verify_dataset(dataset.id).problems == ()
    assert leftovers(datasets_root) == []


def test_a_killed_download_goes_on_with_the_bytes_that_it_has(
    datasets_root: Path, tmp_path: Path
) -> None:
    copy_fixture("download", datasets_root)
    copy_fixture("committed_recording", tmp_path / "remote")
    remote = open_remote((tmp_path / "remote").as_uri())
    dataset_id = "earlier/committed-v0"
    (journal,) = (datasets_root / ".staging").glob("download-*/journal.json")
    # What is here already is not there any more, so that it cannot be fetched again.
    fetched = list(journal.parent.rglob("*.h5"))
    for path in fetched:
        _blank(tmp_path / "remote" / dataset_id / "data" / path.name, path.stat().st_size)
    # A folder's address and its files' versions are of the machine, so they are filled in.
    text = journal.read_text(encoding="utf-8").replace("{remote}", remote.url)
    for found in remote.find(f"{dataset_id}/data/"):
        name = found.name.rpartition("/")[2]
        text = text.replace(f"{{version of {name}}}", found.version)
    journal.write_text(text, encoding="utf-8")

    minari.download_dataset(dataset_id, remote_path=remote.url)

    assert len(fetched) == 2
    assert described(minari.load_dataset(dataset_id)) == expected("committed_recording")
    assert minari.verify_dataset(dataset_id).problems == ()
    assert leftovers(datasets_root) == []


def _blank(path: Path, nbytes: int) -> None:
    """Overwrite the beginning of a file."""
    with open(path, "r+b") as file:
        file.write(bytes(nbytes))


@pytest.mark.parametrize(
    "saved",
    expected("batches"),
    ids=lambda saved: " ".join(map(str, (*saved["arguments"], len(saved["episodes"])))),
)
def test_batches_go_on_from_a_saved_state(saved: dict[str, Any], datasets_root: Path) -> None:
    copy_fixture("datasets", datasets_root)
    dataset = minari.load_dataset("earlier/columnar-v0")
    if len(saved["episodes"]) < len(dataset):
        dataset = dataset[saved["episodes"]]
    batches = dataset.batches(**saved["arguments"])

    batches.load_state_dict(saved["state"])

    assert [hashed(batch) for batch in batches] == saved["following"]
    assert len(saved["following"]) > 1
