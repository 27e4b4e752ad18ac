"""A dataset pickles by way of functions of modules, which every pickler can name."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import create_dataset_from_buffers
from minari_core.datasets.dataset import get_raw_storage
from minari_core.testing import simple_episode


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
@pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
def test_no_bound_method_is_in_the_pickle_of_a_dataset(data_format: str) -> None:

    dataset = create_dataset_from_buffers(
        "tests/pickled-v0",
        [simple_episode(0, 3)],
        observation_space=spaces.Box(-9, 9, (2,), np.float64),
        action_space=spaces.Discrete(9),
        data_format=data_format,
    )
    reduced = get_raw_storage(dataset).__reduce__()
    assert isinstance(reduced, tuple)
    assert not inspect.ismethod(reduced[0]), "picklers by value follow its class for ever"
    assert len(pickle.loads(pickle.dumps(dataset))) == 1
