"""Episodes of the public formats that are read without a copy."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, create_dataset_from_buffers
from minari_core.datasets.dataset import get_raw_storage
from minari_core.testing.expectations import find_arrays

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_no_array_at_any_depth_can_be_written_to(data_format: str) -> None:
    box = spaces.Box(-9, 9, (2,), np.float32)
    rows = np.ones((3, 2), np.float32)
    buffer = EpisodeBuffer(
        observations=(rows, {"deep": (rows, rows)}),
        actions={"move": np.zeros(2, np.int64)},
        rewards=np.ones(2),
        terminations=[False, True],
        truncations=[False, False],
        infos={"speed": {"left": np.ones(3)}},
    )
    dataset = create_dataset_from_buffers(
        "tests/views-v0",
        [buffer],
        observation_space=spaces.Tuple([box, spaces.Dict({"deep": spaces.Tuple([box, box])})]),
        action_space=spaces.Dict({"move": spaces.Discrete(2)}),
        data_format=data_format,
    )
    (view,) = get_raw_storage(dataset).read_episodes([0], copy=False)
    arrays = list(find_arrays((view.observations, view.actions, view.rewards, view.infos)))
    assert len(arrays) == 6
    assert not any(array.flags.writeable for array in arrays)
