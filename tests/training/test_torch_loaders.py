"""PyTorch's DataLoader reads with workers, in several processes, and goes on after a stop."""

from __future__ import annotations

import gc
import json
import pickle
import socket
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_core import (
    MinariDataset,
    MinariWarning,
    SamplingError,
    convert_dataset,
    load_dataset,
)
from minari_core.cache.entries import list_entries
from minari_core.twins import finding
from tests.training.helpers import walks

torch: Any = pytest.importorskip("torch")

from torch.utils.data import DataLoader, DistributedSampler, WeightedRandomSampler  # noqa: E402

from minari_core.torch import BatchDataset, TransitionDataset, collate  # noqa: E402

# Three workers are as right as two where there are two processors.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

WORKERS = [
    pytest.param({}, id="no workers"),
    pytest.param({"num_workers": 2, "multiprocessing_context": "fork"}, id="fork"),
    pytest.param(
        {"num_workers": 3, "multiprocessing_context": "fork", "persistent_workers": True},
        id="fork and persist",
    ),
    pytest.param(
        {"num_workers": 2, "multiprocessing_context": "spawn", "persistent_workers": True},
        id="spawn and persist",
    ),
]


def epoch_of(loader: Any) -> list[list[tuple[int, int]]]:
    return [walks.steps_of(batch) for batch in loader]


def flat(batches: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    return [step for batch in batches for step in batch]


@pytest.mark.parametrize("workers", WORKERS)
def test_batches_and_their_order_are_the_same_with_any_workers(workers: dict[str, Any]) -> None:
    dataset = walks.of_vectors()
    alone = BatchDataset(dataset, 16, seed=7)
    data = BatchDataset(dataset, 16, seed=7)
    loader = DataLoader(data, batch_size=None, **workers)

    epochs = []
    for epoch in range(3):
        alone.set_epoch(epoch)
        data.set_epoch(epoch)
        epochs.append(epoch_of(loader))
        assert epochs[-1] == epoch_of(alone)
        assert len(epochs[-1]) == len(data) == len(loader) == -(-walks.TOTAL // 16)
        assert sorted(flat(epochs[-1])) == walks.EVERY_STEP
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_pool_order_is_that_of_an_epochs_number_with_any_workers() -> None:
    dataset = walks.of_vectors()
    pooled = BatchDataset(dataset, 16, seed=7, order="pool", pool_epochs=2)
    exact = BatchDataset(dataset, 16, seed=7)
    loader = DataLoader(pooled, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for epoch in range(4):
        pooled.set_epoch(epoch)
        exact.set_epoch(epoch)
        found = epoch_of(loader)
        assert sorted(flat(found)) == walks.EVERY_STEP
        assert (found == epoch_of(exact)) == (epoch >= 2)
    pooled.set_epoch(1)
    resumed = BatchDataset(dataset, 16, seed=7, order="pool", pool_epochs=2)
    resumed.load_state_dict(json.loads(json.dumps(pooled.state_dict(3))))
    assert epoch_of(resumed) == epoch_of(pooled)[3:]


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("workers", WORKERS)
def test_datasets_in_public_formats_are_loaded_as_columnar_ones(
    workers: dict[str, Any], on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        monkeypatch.setattr(finding, "MEMORY_NBYTES", -1)
    dataset = walks.of_vectors()
    public = convert_dataset(dataset, "walks/public-v0", data_format="hdf5")
    with pytest.warns(MinariWarning, match="an episode at a time"):
        data = BatchDataset(public, 16, seed=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        batches = epoch_of(DataLoader(data, batch_size=None, **workers))
        transitions = TransitionDataset(public[1:], columns=["observations", "actions"])
        loader = DataLoader(transitions, batch_size=16, collate_fn=collate, **workers)
        steps = flat(epoch_of(loader))
    assert batches == epoch_of(BatchDataset(dataset, 16, seed=7))
    assert len(steps) == public[1:].total_steps
    assert len(list_entries()) == on_disk


@pytest.mark.parametrize("workers", WORKERS)
def test_a_map_style_dataset_is_shuffled_by_pytorch(workers: dict[str, Any]) -> None:
    dataset = TransitionDataset(walks.of_vectors(), columns=["observations", "actions"])
    loader = DataLoader(dataset, batch_size=16, shuffle=True, collate_fn=collate, **workers)

    orders = [epoch_of(loader) for _ in range(2)]

    assert orders[0] != orders[1]
    for batches in orders:
        assert sorted(flat(batches)) == walks.EVERY_STEP
        assert {len(batch) for batch in batches[:-1]} == {16}


# After any error in a worker, PyTorch waits five seconds for each of them.
@pytest.mark.parametrize("workers", [0, 1])
def test_a_map_style_dataset_without_its_collate_says_what_to_give(workers: int) -> None:
    loader = DataLoader(TransitionDataset(walks.of_vectors()), batch_size=4, num_workers=workers)

    with pytest.raises(SamplingError, match=r"collate_fn=minari_core\.torch\.collate") as caught:
        next(iter(loader))
    # The error holds the workers, which the workers of another loader must not inherit.
    del caught
    gc.collect()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_was_read_here_before(method: str) -> None:
    dataset = walks.of_everything()
    # Chunks have been decoded by threads of this process, which no child has.
    dataset.sample_transitions(64, stack=4)
    data = BatchDataset(dataset, 8, shuffle=False, stack=4)
    loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context=method)

    for batch, wanted in zip(loader, data, strict=True):
        assert torch.equal(batch["observations"]["camera"], wanted["observations"]["camera"])
        assert torch.equal(batch["observations"]["pair"][1], wanted["observations"]["pair"][1])
        assert batch["observations"]["word"] == wanted["observations"]["word"]


def test_windows_are_loaded_with_workers() -> None:
    dataset = walks.of_vectors()
    data = BatchDataset(dataset, 8, length=5, padding="after", returns_to_go=True)

    batches = list(DataLoader(data, batch_size=None, num_workers=2))

    firsts = {tuple(window[0]) for batch in batches for window in batch["actions"].tolist()}
    assert firsts == set(walks.EVERY_STEP)
    assert all(batch["mask"][:, 0].all() for batch in batches)
    assert all(batch["returns_to_go"].dtype == torch.float64 for batch in batches)


def test_pinning_passes_on_every_part() -> None:
    # Without a GPU PyTorch warns, and pins nothing.
    data = BatchDataset(walks.of_everything(), 16, shuffle=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pinned = list(DataLoader(data, batch_size=None, num_workers=2, pin_memory=True))

    for batch, wanted in zip(pinned, data, strict=True):
        assert torch.equal(batch["observations"]["camera"], wanted["observations"]["camera"])
        assert torch.equal(batch["observations"]["pair"][0], wanted["observations"]["pair"][0])
        assert batch["observations"]["word"] == wanted["observations"]["word"]
        assert torch.equal(batch["terminations"], wanted["terminations"])


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("stop", [0, 1, 4, 7])
def test_a_stopped_run_goes_on_at_the_next_batch(before: int, after: int, stop: int) -> None:
    dataset = walks.of_vectors()
    data = BatchDataset(dataset, 16, seed=3)
    data.set_epoch(5)
    wanted = epoch_of(data)
    used = 0
    for _ in DataLoader(data, batch_size=None, num_workers=before):
        if used == stop:
            break
        used += 1
    state = json.loads(json.dumps(data.state_dict(used)))

    again = BatchDataset(load_dataset("walks/vectors-v0"), 16, seed=3)
    again.load_state_dict(state)
    loader = DataLoader(again, batch_size=None, num_workers=after)

    assert again.epoch == 5
    again.set_epoch(5)
    assert epoch_of(loader) == wanted[used:]
    for epoch in (6, 5):
        data.set_epoch(epoch)
        again.set_epoch(epoch)
        assert epoch_of(loader) == epoch_of(data)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 1), (2, 4)])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_goes_on_with_other_ranks(before: int, after: int, workers: int) -> None:
    dataset = walks.of_vectors()

    def load(data: BatchDataset) -> list[list[tuple[int, int]]]:
        return epoch_of(DataLoader(data, batch_size=None, num_workers=workers))

    def team(count: int) -> list[BatchDataset]:
        return [BatchDataset(dataset, 4, seed=3, rank=r, world_size=count) for r in range(count)]

    wanted = sorted(flat(load(BatchDataset(dataset, 4))))
    first = team(before)
    visited = flat([batch for data in first for batch in load(data)[:1]])
    # A second change, in the middle of what was left.
    state = json.loads(json.dumps(first[0].state_dict(1)))
    for count in (after, 2):
        ranks = team(count)
        for data in ranks:
            data.load_state_dict(state)
        for data in ranks:
            visited += flat(load(data)[: 1 if count == after else None])
        if count == after == 2:
            for data in ranks:
                data.load_state_dict(data.state_dict(1))
                visited += flat(load(data))
            break
        state = json.loads(json.dumps(ranks[0].state_dict(1)))
    assert sorted(visited) == wanted


def test_workers_that_persist_go_on_at_the_next_batch() -> None:
    data = BatchDataset(walks.of_vectors(), 16, seed=3)
    loader = DataLoader(data, batch_size=None, num_workers=2, persistent_workers=True)
    wanted = epoch_of(loader)

    data.load_state_dict(data.state_dict(3))

    assert epoch_of(loader) == wanted[3:]


def test_a_state_of_something_else_is_refused() -> None:
    dataset = walks.of_vectors()
    data = BatchDataset(dataset, 16, seed=3)
    state = data.state_dict(2)

    for other in (
        BatchDataset(dataset[:3], 16, seed=3),
        BatchDataset(dataset, 16, seed=4),
        BatchDataset(walks.of_vectors("walks/other-v0"), 16, seed=3),
    ):
        with pytest.raises(SamplingError, match="the state is of"):
            other.load_state_dict(state)
    with pytest.raises(SamplingError, match="at batch 8 of 7"):
        data.state_dict(8)
    with pytest.raises(SamplingError, match="is no state"):
        data.load_state_dict(state["batches"])
    assert epoch_of(data) == epoch_of(BatchDataset(dataset, 16, seed=3))


def test_arguments_that_make_no_sense_are_refused_at_once() -> None:
    dataset = walks.of_vectors()
    data = BatchDataset(dataset, 16)

    with pytest.raises(SamplingError, match="epoch is -1"):
        data.set_epoch(-1)
    with pytest.raises(SamplingError, match="epochs cannot be given"):
        BatchDataset(dataset, 16, epochs=3)
    with pytest.raises(SamplingError, match="batch_size is 0"):
        BatchDataset(dataset, 0)
    with pytest.raises(SamplingError, match="rank is 2"):
        BatchDataset(dataset, 16, rank=2, world_size=2)
    with pytest.raises(SamplingError, match="there is no column 'infos/nothing'"):
        TransitionDataset(dataset, columns=["infos/nothing"])


def test_datasets_pickle_small_and_read_the_same() -> None:
    dataset: MinariDataset = walks.of_everything()
    batches, transitions = BatchDataset(dataset, 16, seed=2), TransitionDataset(dataset)
    batches.set_epoch(4)
    wanted = epoch_of(batches), transitions[50]["rewards"]

    texts = pickle.dumps(batches), pickle.dumps(transitions)
    again, single = pickle.loads(texts[0]), pickle.loads(texts[1])

    assert max(map(len, texts)) < 20_000
    assert (epoch_of(again), single[50]["rewards"]) == wanted


def test_ranks_of_pytorchs_own_sampler_share_a_map_style_dataset() -> None:
    dataset = TransitionDataset(walks.of_vectors())
    seen = []
    for rank in range(4):
        sampler = DistributedSampler(dataset, num_replicas=4, rank=rank, seed=1)
        seen += flat(epoch_of(DataLoader(dataset, 9, sampler=sampler, collate_fn=collate)))

    assert len(seen) == walks.TOTAL
    assert sorted(seen) == walks.EVERY_STEP


def test_weights_of_pytorchs_own_sampler_choose_transitions() -> None:
    dataset = TransitionDataset(walks.of_vectors())
    weights = [1.0 if episode == 2 else 0.0 for episode, _ in walks.EVERY_STEP]
    sampler = WeightedRandomSampler(weights, 64)

    seen = flat(epoch_of(DataLoader(dataset, 16, sampler=sampler, collate_fn=collate)))

    assert {episode for episode, _ in seen} == {2}


def test_weights_are_drawn_the_same_with_any_workers() -> None:
    data = BatchDataset(walks.of_vectors(), 16, seed=5, weights=[0, 1, 0, 0, 1])
    wanted = epoch_of(data)

    assert {episode for episode, _ in flat(wanted)} == {1, 4}
    for workers in (1, 2, 3):
        assert epoch_of(DataLoader(data, batch_size=None, num_workers=workers)) == wanted


def read_as_rank(rank: int, port: int, dataset_id: str, folder: str) -> None:
    """What each process of `torch.distributed` does."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    data = BatchDataset(load_dataset(dataset_id), 8, seed=11)
    loader = DataLoader(data, batch_size=None, num_workers=2, persistent_workers=True)
    epochs = []
    for epoch in range(2):
        data.set_epoch(epoch)
        epochs.append(epoch_of(loader))
    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(2)]
    mine = torch.tensor([len(flat(epochs[0]))])
    torch.distributed.all_gather(counts, mine)
    Path(folder, f"{rank}.json").write_text(json.dumps([epochs, [int(n) for n in counts]]))
    torch.distributed.destroy_process_group()


def test_processes_of_pytorch_share_an_epoch_without_being_told_their_ranks(tmp_path: Path) -> None:
    walks.of_vectors()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    torch.multiprocessing.spawn(
        read_as_rank, args=(port, "walks/vectors-v0", str(tmp_path)), nprocs=2
    )

    read = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for epoch in range(2):
        seen = [tuple(step) for epochs, _ in read for step in flat(epochs[epoch])]
        assert sorted(seen) == walks.EVERY_STEP
    assert all(sum(counts) == walks.TOTAL for _, counts in read)
    assert read[0][0][0] != read[0][0][1]


def test_workers_take_what_they_need_only() -> None:
    """A view among workers reads its own episodes, each step once."""
    view = walks.of_vectors().filter_episodes(lambda episode: len(episode) > 5)
    data = BatchDataset(view, 10, seed=0, drop_last=True)

    seen = flat(epoch_of(DataLoader(data, batch_size=None, num_workers=3)))

    assert len(seen) == len(set(seen)) == 90
    assert {episode for episode, _ in seen} == {1, 2, 4}
    assert np.mean([episode == 4 for episode, _ in seen]) > 0.4


class EndlessDraws(torch.utils.data.IterableDataset):  # type: ignore[misc]  # torch is skipped
    """What people write by themselves: each worker draws at random from one dataset."""

    def __init__(self, dataset: MinariDataset, batches: int) -> None:
        self.dataset = dataset
        self.batches = batches

    def __iter__(self) -> Any:
        for _ in range(self.batches):
            yield self.dataset.sample_transitions(8).observations


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("seed", [None, 5])
def test_workers_that_draw_by_themselves_draw_different_batches(
    method: str, seed: int | None
) -> None:
    dataset = walks.of_vectors()
    runs = []
    for _ in range(2):
        if seed is not None:
            dataset.set_seed(seed)
        loader = DataLoader(
            EndlessDraws(dataset, 2),
            batch_size=None,
            num_workers=4,
            multiprocessing_context=method,
        )
        runs.append([batch.numpy().tobytes() for batch in loader])
    assert len(set(runs[0])) == 8
    assert (runs[0] == runs[1]) == (seed is not None)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_would_make_batches_of_batches_is_told_which_argument_to_give(
    workers: int,
) -> None:
    data = BatchDataset(walks.of_vectors(), 8)
    with pytest.raises(SamplingError, match="batch_size=None"):
        next(iter(DataLoader(data, num_workers=workers)))


class WholeEpochs(torch.utils.data.IterableDataset):  # type: ignore[misc]  # torch is skipped
    """What people write by themselves: batches that are made before the workers begin."""

    def __init__(self, batches: Any, is_shared: bool) -> None:
        self.batches = batches
        self.is_shared = is_shared

    def __iter__(self) -> Any:
        worker = torch.utils.data.get_worker_info()
        shared = self.batches.share(worker.id, worker.num_workers) if self.is_shared else None
        for batch in self.batches if shared is None else shared:
            yield torch.from_numpy(batch.observations)


class OwnEpochs(torch.utils.data.IterableDataset):  # type: ignore[misc]  # torch is skipped
    """What people write by themselves: each worker makes batches, and takes a share of them."""

    def __init__(self, dataset: MinariDataset, **options: Any) -> None:
        self.dataset = dataset
        self.options = options

    def __iter__(self) -> Any:
        worker = torch.utils.data.get_worker_info()
        batches = self.dataset.batches(8, **self.options)
        for batch in batches.share(worker.id, worker.num_workers):
            yield torch.from_numpy(batch.observations)


def rows_of(data: Any, workers: int) -> list[bytes]:
    loader = DataLoader(data, batch_size=None, num_workers=workers, multiprocessing_context="fork")
    return [row.numpy().tobytes() for batch in loader for row in batch]


@pytest.mark.parametrize("is_shared", [False, True])
def test_workers_neither_repeat_nor_double_batches_that_nobody_seeded(is_shared: bool) -> None:
    dataset = walks.of_vectors()
    data = WholeEpochs(dataset.batches(8), is_shared)

    with pytest.raises(SamplingError, match=r"nobody seeded .* of the 2 workers.*give seed="):
        rows_of(data, 2)
    # One worker has nobody to share with, and draws an order of its own each time.
    first, second = rows_of(data, 1), rows_of(data, 1)
    assert first != second
    assert sorted(first) == sorted(second)
    seeded = WholeEpochs(dataset.batches(8, seed=1), is_shared)
    assert len(rows_of(seeded, 1)) == walks.TOTAL
    if is_shared:
        assert len(rows_of(seeded, 2)) == walks.TOTAL
    else:
        with pytest.raises(SamplingError, match=r"each of the 2 workers .* visits all"):
            rows_of(seeded, 2)


class EachItsEpoch(torch.utils.data.IterableDataset):  # type: ignore[misc]  # torch is skipped
    """What people write by themselves: each worker makes batches, and visits all of them."""

    def __init__(self, dataset: MinariDataset, is_meant: bool = False, **options: Any) -> None:
        self.dataset = dataset
        self.is_meant = is_meant
        self.options = options

    def __iter__(self) -> Any:
        worker = torch.utils.data.get_worker_info()
        options = dict(self.options)
        if "rank" in options:
            options.update(rank=worker.id, world_size=worker.num_workers)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            batches = self.dataset.batches(8, **options)
            visited = list(batches.share(0, 1) if self.is_meant else batches)
        about = [str(w.message) for w in caught if "DataLoader" in str(w.message)]
        assert all(w.filename == __file__ for w in caught)
        yield len(about), np.concatenate([batch.observations for batch in visited])


def test_workers_that_each_visit_one_seeded_epoch_are_warned_once() -> None:
    dataset = walks.of_vectors()
    dataset.set_seed(3)

    def visit(workers: int = 2, **options: Any) -> tuple[set[int], list[list[Any]]]:
        data = EachItsEpoch(dataset, **options)
        found = list(DataLoader(data, None, num_workers=workers, multiprocessing_context="fork"))
        return {count for count, _ in found}, [rows.tolist() for _, rows in found]

    warned, (first, second) = visit(seed=4)
    assert warned == {1}
    assert first == second
    assert len(first) == walks.TOTAL
    assert visit(shuffle=False)[0] == {1}
    assert visit(workers=1, seed=4)[0] == {0}
    # Orders of their own, shares of one order, and what is said to be meant.
    warned, (first, second) = visit()
    assert warned == {0}
    assert first != second
    warned, (first, second) = visit(seed=4, rank=0)
    assert warned == {0}
    assert len(first) + len(second) == walks.TOTAL
    assert visit(seed=4, is_meant=True)[0] == {0}


@pytest.mark.parametrize("is_set", [False, True])
def test_workers_share_no_epoch_of_orders_of_their_own(is_set: bool) -> None:
    dataset = walks.of_vectors()
    if is_set:
        dataset.set_seed(4)

    with pytest.raises(SamplingError, match=r"the 2 processes that share an epoch need one order"):
        rows_of(OwnEpochs(dataset), 2)
    in_order = rows_of(OwnEpochs(dataset, shuffle=False), 1)
    assert sorted(rows_of(OwnEpochs(dataset, seed=4), 2)) == sorted(in_order)
    assert sorted(rows_of(OwnEpochs(dataset, shuffle=False), 2)) == sorted(in_order)


@pytest.mark.parametrize("workers", [0, 1])
def test_each_way_to_give_a_loader_whole_batches_is_right_or_refused(workers: int) -> None:
    dataset = walks.of_vectors()
    data, transitions = BatchDataset(dataset, 16), TransitionDataset(dataset)
    both = torch.utils.data.ConcatDataset([transitions, transitions])
    options: dict[str, Any] = {"num_workers": workers}

    def shape_of(data: Any, **more: Any) -> list[int]:
        return list(next(iter(DataLoader(data, **options, **more)))["rewards"].shape)

    for size in (1, 4):
        with pytest.raises(SamplingError, match="batch_size=None"):
            shape_of(data, batch_size=size, collate_fn=collate)
        with pytest.raises(SamplingError, match="batch_size=None"):
            shape_of(data, batch_size=size)
        with pytest.raises(SamplingError, match=r"collate_fn=minari_core\.torch\.collate"):
            shape_of(transitions, batch_size=size)
        with pytest.raises(SamplingError, match="give this DataLoader no collate_fn"):
            shape_of(both, batch_size=size, collate_fn=collate)
        assert shape_of(both, batch_size=size) == [size]
        assert shape_of(transitions, batch_size=size, collate_fn=collate) == [size]
    for more in ({}, {"collate_fn": collate}):
        assert shape_of(data, batch_size=None, **more) == [16]
        assert shape_of(transitions, batch_size=None, **more) == []


def test_goals_are_the_same_with_any_workers() -> None:
    dataset = walks.of_vectors()
    data = BatchDataset(dataset, 16, seed=0, goals="future", compute_reward=is_near)
    epochs = [list(DataLoader(data, batch_size=None, num_workers=count)) for count in (0, 2)]

    for one, other in zip(*epochs, strict=True):
        assert torch.equal(one["goals"], other["goals"])
        assert torch.equal(one["rewards"], other["rewards"])
        assert torch.equal(one["goals"][:, 0], one["observations"][:, 0])
        ahead = one["goals"][:, 1] - one["observations"][:, 1]
        assert torch.equal(one["rewards"], (ahead == 1).double())


def test_goals_of_single_transitions_depend_on_the_seed_of_pytorch() -> None:
    data = TransitionDataset(walks.of_vectors(), goals="future")

    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(data.__getitems__(range(walks.TOTAL))["goals"])

    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_windows_with_offsets_have_a_mask_for_each_column() -> None:
    offsets = {"observations": range(-1, 1), "actions": range(4)}
    data = BatchDataset(walks.of_vectors(), walks.TOTAL, seed=0, offsets=offsets)
    (batch,) = DataLoader(data, batch_size=None)

    assert batch["observations"].shape == (walks.TOTAL, 2, 2)
    assert batch["masks"]["actions"].shape == (walks.TOTAL, 4)
    steps = batch["time_steps"]
    assert torch.equal(batch["masks"]["observations"][:, 0], steps > 0)


def is_near(achieved: Any, goals: Any, infos: dict[str, Any]) -> Any:
    return np.abs(achieved - goals).sum(axis=-1) == 0
