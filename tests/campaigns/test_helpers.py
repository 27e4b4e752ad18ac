"""What the campaigns rely on: where a process is killed, and that what is wrong is found."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="forks, and bounds what it has forked")

import numpy as np

import minari
from tests.campaigns.helpers.driven import create, state_of
from tests.campaigns.helpers.file_system_calls import Call, are_calls_known, run_until
from tests.campaigns.helpers.forked import Tell, run_forked
from tests.campaigns.helpers.mutations import mutate
from tests.campaigns.helpers.operations import Operation
from tests.campaigns.helpers.reporting import Campaign
from tests.campaigns.helpers.trials import Trial
from tests.campaigns.kills import kill

pytestmark = pytest.mark.skipif(not are_calls_known(), reason="needs the calls of a process")


def write_some(folder: Path, tell: Tell) -> None:
    (folder / "a").write_text("a")
    os.mkdir(folder / "b")
    os.rename(folder / "a", folder / "b" / "c")
    tell("done")


def _is_number(wanted: int, number: int, call: Call) -> bool:
    return number == wanted


def test_a_process_is_killed_before_each_change_of_the_file_system(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    for change in range(5):
        folder = tmp_path / str(change)
        folder.mkdir()
        stop: Callable[[int, Call], bool] = partial(_is_number, change)
        ending, calls = run_until(partial(write_some, folder), stop, folder)
        assert ending.code == (-signal.SIGKILL if change < 4 else 0)
        assert [call.name for call in calls] == ["open", "write", "mkdir", "rename"][: change + 1]
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        seen.append(found)
    assert seen == [set(), {"a"}, {"a"}, {"a", "b"}, {"b", "b/c"}]


def test_a_child_that_dies_hangs_or_takes_memory_is_told_apart() -> None:
    assert run_forked(lambda tell: os.kill(os.getpid(), signal.SIGSEGV)).fate == (
        "crashes with SIGSEGV"
    )
    assert run_forked(lambda tell: signal.pause(), seconds=0.2).fate == "hangs"
    large = run_forked(lambda tell: tell(int(np.ones(30_000_000).sum())))
    assert (large.fate, large.told) == ("", [30_000_000])
    assert 200 << 20 < large.nbytes < 400 << 20
    failed = run_forked(lambda tell: 1 // 0)
    assert failed.fate == "ends with code 1"
    assert "ZeroDivisionError" in failed.errors


def test_a_mutation_follows_from_its_seed(tmp_path: Path) -> None:
    create("tt/a-v0", range(2), "columnar")
    root = Path(minari.load_dataset("tt/a-v0").spec.data_path or "")
    texts = []
    for attempt in range(2):
        for seed in range(12):
            folder = tmp_path / f"{attempt}-{seed}"
            shutil.copytree(root, folder)
            mutation = mutate(folder, random.Random(seed), [root])
            texts.append(mutation.text)
    assert texts[:12] == texts[12:]
    assert len(set(texts)) == 12


def _half_done(root: Path) -> None:
    """An update in two steps, between which a kill leaves something else."""
    storage = minari.load_dataset("tt/a-v0").storage
    storage.update_metadata({"description": "half"})
    storage.update_metadata({"description": "whole"})


@pytest.mark.parametrize(
    ("act", "finding"),
    [
        (lambda: _half_done(Path()), "neither old nor new"),
        (lambda: minari.load_dataset("tt/a-v0").storage.update_metadata({"description": "x"}), ""),
    ],
)
def test_what_is_neither_old_nor_new_is_found(
    act: Callable[[], Any], finding: str, tmp_path: Path
) -> None:
    operation = Operation("update", partial(create, "tt/a-v0", range(1), "columnar"), act)
    campaign = Campaign("kills", 1, 1, tmp_path)
    trial = Trial.prepare(operation, tmp_path / "trial")
    ending, calls = run_until(
        partial(_act_on_copy, trial, tmp_path / "counted"), lambda *_: False, tmp_path / "counted"
    )
    assert ending.fate == ""
    for change in range(len(calls)):
        kill(campaign, change, trial, change)
    kinds = {kind.removeprefix("update: ") for kind in campaign.findings if "behind" not in kind}
    assert kinds == ({finding} if finding else set())
    assert campaign.outcomes["old"]
    assert campaign.outcomes["new"]


def _act_on_copy(trial: Trial, folder: Path, tell: Tell) -> None:
    trial.copy(folder)
    trial.act(folder, tell)


def test_wrong_data_and_damage_are_seen(datasets_root: Path) -> None:
    create("tt/a-v0", range(2), "columnar")
    before = state_of(datasets_root)
    assert state_of(datasets_root) == before
    shutil.rmtree(datasets_root / "tt" / "a-v0")
    create("tt/a-v0", range(1, 3), "columnar")
    changed = state_of(datasets_root)
    assert changed.keys() == before.keys()
    assert changed != before
    (shard, *_) = (datasets_root / "tt" / "a-v0" / "data").glob("shard-*.h5")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert "damaged" in state_of(datasets_root)["tt/a-v0"]


@pytest.mark.parametrize("guards_spaces", [False, True])
def test_a_space_of_an_unknown_name_is_found_only_where_it_has_a_checksum(
    tmp_path: Path, guards_spaces: bool
) -> None:
    from tests.campaigns.mutated_files import _judge, _Template

    right = {
        "verify": ["answer", [True, [], []]],
        "contents": ["answer", {"card": 1}],
        "what is streamed": ["answer", {"card": 1}],
    }
    template = _Template("a-v0", tmp_path, True, guards_spaces, right)
    refused = ["refused", "UnknownSpaceError: of type 'Disyrete'"]
    answers = {
        "verify": ["answer", [True, [], ["its type is unknown"]]],
        "contents": refused,
        "batches": refused,
        "what is streamed": refused,
    }
    found: list[str] = []
    _judge(template, True, False, answers, lambda kind, details: found.append(kind))
    assert bool(found) == guards_spaces
