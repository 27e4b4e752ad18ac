"""What the workers of a ``DataLoader`` visit, where PyTorch itself is not there."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minari_core import MinariWarning, SamplingError
from minari_core.random_stream import find_loader_worker
from tests.core.helpers.recorded import VECTOR, record, stored


def enter_worker(monkeypatch: pytest.MonkeyPatch, number: int, count: int) -> None:
    """What PyTorch says in one of its workers."""
    info = SimpleNamespace(id=number, num_workers=count, seed=1, dataset=None)
    module = SimpleNamespace(get_worker_info=lambda: info)
    monkeypatch.setitem(sys.modules, "torch.utils.data", module)
    assert find_loader_worker() == (number, count)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", [0, 1])
def test_batches_that_nobody_seeded_are_refused_in_workers_that_have_others(
    number: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored(record(VECTOR, VECTOR, [9, 9], 0), on_disk=False) as dataset:
        sent = pickle.dumps(dataset.batches(4, epochs=1))
        if number < count:
            enter_worker(monkeypatch, number, count)
        batches = pickle.loads(sent)
        if number < count > 1:
            with pytest.raises(SamplingError, match=f"none of the {count} workers"):
                next(batches)
        else:
            assert sum(len(batch) for batch in batches) == 18


@pytest.mark.parametrize("count", [1, 2])
def test_what_each_worker_would_visit_again_is_refused_or_told(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored(record(VECTOR, VECTOR, [9, 9], 0), on_disk=False) as dataset:
        batches = dataset.batches(4, seed=1, epochs=1)
        enter_worker(monkeypatch, 0, count)
        copied = pickle.loads(pickle.dumps(batches))
        share = copied.share(0, count)
        if count == 1:
            assert sum(len(batch) for batch in copied) == 18
            return
        with pytest.raises(SamplingError, match="each of the 2 workers"):
            next(copied)
        with pytest.warns(MinariWarning, match="each of the 2 workers"):
            next(dataset.batches(4, seed=1))
        found = [*share, *copied.share(1, 2)]
        visited = [(batch.episode_ids, batch.time_steps) for batch in found]
        places = np.concatenate([ids * 9 + steps for ids, steps in visited])
        assert sorted(places.tolist()) == list(range(18))
