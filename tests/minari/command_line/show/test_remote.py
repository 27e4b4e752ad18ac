"""What is shown of a dataset on a remote: its returns, fetched alone, against reading all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.command_line.show import remote_statistics
from minari.command_line.show.remote_statistics import fetch_statistics
from minari.distributions.returns import compute_statistics
from minari_core.errors import DatasetDamagedError, MetadataError
from minari_core.formats.columnar.manifest import compute_snapshot_checksum
from minari_hub.datasets.remote_dataset import RemoteDataset
from minari_hub.remotes.folder import open_remote
from tests.core.helpers.many_shards import create_many_shards
from tests.helpers.command_line import CommandLine

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


def episode(number: int, steps: int, width: int = 0) -> minari.EpisodeBuffer:
    rewards = np.arange(steps * max(width, 1), dtype=np.float64) + number
    return minari.EpisodeBuffer(
        observations=np.zeros((steps + 1, 2)),
        actions=np.zeros(steps, np.int64),
        rewards=rewards.reshape(steps, width) if width else rewards,
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
    )


def publish(tmp_path: Path, width: int = 0) -> tuple[minari.MinariDataset, RemoteDataset]:
    shards = [[episode(0, 3, width), episode(1, 1, width)], [episode(2, 4, width)]]
    dataset = create_many_shards("many/rewards-v0", shards)
    url = (tmp_path / "remote").as_uri()
    minari.upload_dataset(dataset.id, remote_path=url)
    return dataset, RemoteDataset(open_remote(url, None), str(dataset.id))


@pytest.mark.parametrize("width", [0, 1, 3])
def test_returns_and_lengths_are_those_of_the_dataset(tmp_path: Path, width: int) -> None:
    dataset, remote = publish(tmp_path, width)
    wanted = compute_statistics(dataset, lambda done, total: None)

    found = fetch_statistics(remote)

    assert found is not None
    assert found.lengths.tolist() == wanted.lengths.tolist() == [3, 1, 4]
    assert found.returns is not None
    assert wanted.returns is not None
    assert found.returns.tolist() == wanted.returns.tolist()


def test_columns_of_more_than_so_many_bytes_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, remote = publish(tmp_path, width=2)
    rewards, lengths = 8 * 2 * 8, 3 * 8
    for limit, has_returns in ((rewards, True), (rewards - 1, False), (lengths, False)):
        monkeypatch.setattr(remote_statistics, "_LARGEST_COLUMN", limit)
        found = fetch_statistics(remote)
        assert found is not None
        assert found.lengths.tolist() == [3, 1, 4]
        assert (found.returns is not None) == has_returns
    monkeypatch.setattr(remote_statistics, "_LARGEST_COLUMN", lengths - 1)
    with pytest.raises(MetadataError, match="its episodes/length are too large to be looked at"):
        fetch_statistics(remote)
    size = (tmp_path / "remote/many/rewards-v0/data/metadata.json").stat().st_size
    monkeypatch.undo()
    monkeypatch.setattr(remote_statistics, "LARGEST_LISTED_MANIFEST", size)
    assert fetch_statistics(remote) is not None
    monkeypatch.setattr(remote_statistics, "LARGEST_LISTED_MANIFEST", size - 1)
    with pytest.raises(MetadataError, match="its manifest is too large to be looked at"):
        fetch_statistics(remote)


def change(tmp_path: Path, changed: Callable[[Any], object]) -> None:
    path = tmp_path / "remote/many/rewards-v0/data/metadata.json"
    content = json.loads(path.read_text())
    changed(content["columnar"])
    content["columnar"]["crc32"] = compute_snapshot_checksum(content["columnar"])
    path.write_text(json.dumps(content))


def test_a_shard_that_has_other_bytes_than_its_manifest_says_is_damage(tmp_path: Path) -> None:
    _, remote = publish(tmp_path)
    shards = sorted((tmp_path / "remote").rglob("*.h5"))
    whole = [shard.read_bytes() for shard in shards]
    shards[1].write_bytes(whole[1][:100])
    with pytest.raises((DatasetDamagedError, minari.RemoteError), match=shards[1].name):
        fetch_statistics(remote)
    shards[1].write_bytes(whole[1])
    path = tmp_path / "remote/many/rewards-v0/data/metadata.json"
    path.write_text(path.read_text().replace('"crc32":', '"crc33":'))
    with pytest.raises(
        DatasetDamagedError, match=r"'many/rewards-v0' on file://.*: its manifest: "
    ):
        fetch_statistics(remote)


def test_a_manifest_whose_offsets_lie_outside_is_damage(tmp_path: Path) -> None:
    _, remote = publish(tmp_path)

    def move(listing: Any) -> None:
        for array in listing["shards"][0]["arrays"]:
            array[0] += 1 << 20

    change(tmp_path, move)
    with pytest.raises((DatasetDamagedError, minari.RemoteError)):
        fetch_statistics(remote)


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_nothing_is_said_of_returns_that_there_are_not(
    data_format: str, cli: CommandLine, remote: str
) -> None:
    minari.create_dataset_from_buffers(
        "none-v0",
        [],
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
    )
    assert cli("upload", "none-v0", "--data-format", data_format).code == 0

    done = cli("show", "none-v0", "--remote", remote)

    assert done.code == 0
    assert ("returns and lengths are not shown" in done.err) == (data_format == "hdf5")
    assert "Lengths" not in done.out
    shown = cli("show", "none-v0", "--remote", remote, "--json").json
    assert (shown["returns"], shown["lengths"], shown["place"]) == (None, None, remote)
    files = [
        path for path in Path(remote.removeprefix("file://")).rglob("data/*") if path.is_file()
    ]
    assert shown["nbytes"] == sum(path.stat().st_size for path in files)
    local = cli("show", "none-v0", "--json").json
    assert (local["returns"], local["lengths"]) == (None, None)
    assert cli("show", "none-v0").code == 0
