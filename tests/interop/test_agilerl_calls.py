"""What AgileRL's Minari utilities call, in their order.

AgileRL asks for another PyTorch library than TorchRL 0.10 does, and for gigabytes: what it does
itself is tested by ``hatch run interop-agilerl:test``.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

import minari
from minari.storage.datasets_root_dir import get_dataset_path
from minari.storage.hosting import download_dataset
from minari.storage.local import load_dataset
from tests.interop.helpers.collected import collect

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_a_local_dataset_becomes_agile_rls_own_file_beside_the_datasets(data_format: str) -> None:
    wanted = collect("cart-random-v0", gymnasium.make("CartPole-v1"), data_format)
    assert Path(get_dataset_path("cart-random-v0")).exists()
    assert not Path(get_dataset_path("cart-other-v0")).exists()
    dataset = load_dataset("cart-random-v0")
    columns: dict[str, list[object]] = {
        name: []
        for name in ("observations", "next_observations", "actions", "rewards", "terminals")
    }
    for episode in dataset.iterate_episodes():
        columns["observations"].extend(episode.observations[:-1])
        columns["next_observations"].extend(episode.observations[1:])
        columns["actions"].extend(episode.actions[:])
        columns["rewards"].extend(episode.rewards[:])
        columns["terminals"].extend(episode.terminations[:])
    folder = Path(get_dataset_path("cart_agile-random-v0")) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values)

    with h5py.File(folder / "main_data.hdf5") as file:
        assert len(file["rewards"]) == wanted.total_steps
        assert np.array_equal(file["observations"][0], wanted[0].observations[0])
    # Its folder has no metadata, and is no dataset.
    assert list(minari.list_local_datasets()) == ["cart-random-v0"]
    with pytest.raises(minari.DatasetDamagedError, match="total_episodes"):
        load_dataset("cart_agile-random-v0")


def test_a_remote_dataset_is_found_and_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = collect("cart-random-v0", gymnasium.make("CartPole-v1"), "columnar")
    monkeypatch.setenv("MINARI_REMOTE", f"file://{tmp_path / 'remote'}")
    minari.upload_dataset("cart-random-v0")
    minari.delete_dataset("cart-random-v0")

    assert "cart-random-v0" in list(minari.list_remote_datasets().keys())
    assert not Path(get_dataset_path("cart-random-v0")).exists()
    download_dataset("cart-random-v0")

    found = load_dataset("cart-random-v0")
    assert found.total_steps == wanted.total_steps
