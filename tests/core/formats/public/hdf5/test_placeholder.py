"""What a program finds that looks for the public Minari's file in a columnar dataset."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from gymnasium import spaces

from minari_core import EpisodeBuffer, create_dataset_from_buffers, verify_dataset
from minari_core.files import MAIN_FILE


def test_its_keys_say_how_to_convert_the_dataset(datasets_root: Path) -> None:
    buffer = EpisodeBuffer(
        observations=np.zeros((2, 3), np.float32),
        actions=[0],
        rewards=[1.0],
        terminations=[True],
        truncations=[False],
    )
    create_dataset_from_buffers(
        "some-v0",
        [buffer],
        observation_space=spaces.Box(-1, 1, (3,)),
        action_space=spaces.Discrete(2),
    )

    with h5py.File(datasets_root / "some-v0" / "data" / MAIN_FILE) as file:
        (key,) = file

    assert key.startswith("episode_")
    assert "minari convert ID NEW_ID --data-format hdf5" in key
    report = verify_dataset("some-v0")
    assert report.ok
    assert not report.remarks
