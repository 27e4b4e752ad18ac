"""``minari cache``: what is kept to be faster is listed, pinned and removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import minari
from minari_core.cache.entries import list_entries
from minari_core.cache.settings import cache_root
from minari_core.twins import finding
from tests.helpers.command_line import CommandLine, collect

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture
def entry_id(monkeypatch: pytest.MonkeyPatch) -> str:
    """The columns of a dataset, which nobody uses."""
    monkeypatch.setattr(finding, "MEMORY_NBYTES", -1)
    collect("a-v0", episodes=2)
    minari.convert_dataset("a-v0", "b-v0", data_format="hdf5").sample_transitions(4)
    (entry,) = list_entries()
    hour_ago = time.time() - 3601
    os.utime(Path(entry.path) / "entry.json", (hour_ago, hour_ago))
    return entry.id


def test_it_lists_what_is_kept_with_sizes_ages_and_kinds(cli: CommandLine, entry_id: str) -> None:
    done = cli("cache")
    assert done.code == 0
    for word in (entry_id, "b-v0", "1 hour", "kB"):
        assert word in done.out
    assert f"of 32.0 GB, in {cache_root()}" in done.err
    (shown,) = cli("cache", "--json").json
    assert (shown["id"], shown["kind"], shown["what"]) == (entry_id, "columns", "b-v0")
    assert shown["nbytes"] > 1000
    assert 3600 < shown["age_seconds"] < 7200
    assert (shown["is_pinned"], shown["is_in_use"]) == (False, False)


def test_an_empty_cache_is_said(cli: CommandLine) -> None:
    done = cli("cache")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"nothing is kept in {cache_root()}\n"
    assert cli("cache", "--json").json == []
    assert cli("cache", "clear", "--yes").err == "0 items removed\n"


def test_nothing_is_removed_without_asking(cli: CommandLine, entry_id: str) -> None:
    for arguments in (("cache", "clear"), ("cache", "clear", entry_id)):
        done = cli(*arguments)
        assert done.code == 2
        assert "--yes" in done.err
    assert [entry.id for entry in list_entries()] == [entry_id]
    done = cli("cache", "clear", "--yes", "--json")
    assert done.err == "1 item removed\n"
    assert [each["id"] for each in done.json] == [entry_id]
    assert list_entries() == []


def test_what_is_pinned_or_in_use_stays(cli: CommandLine, entry_id: str) -> None:
    assert cli("cache", "pin", entry_id).err == f"{entry_id} is pinned\n"
    assert "pinned" in cli("cache").out
    assert cli("cache", "clear", "--yes").err == "0 items removed\n"
    done = cli("cache", "clear", "--yes", entry_id)
    assert done.code == 2
    assert "unpin it first" in done.err
    assert cli("cache", "unpin", entry_id).err == f"{entry_id} is not pinned\n"
    dataset = minari.load_dataset("b-v0")
    dataset.sample_transitions(4)
    assert "in use" in cli("cache").out
    assert cli("cache", "clear", "--yes").err == "0 items removed\n"
    done = cli("cache", "clear", "--yes", entry_id)
    assert done.code == 1
    assert "is in use" in done.err
    del dataset
    assert cli("cache", "clear", "--yes", entry_id).err == "1 item removed\n"


@pytest.mark.parametrize("command", ["clear", "pin", "unpin"])
def test_an_id_that_is_not_there_is_named(cli: CommandLine, command: str) -> None:
    done = cli("cache", command, "columns/0123")
    assert done.code == 3
    assert "no entry 'columns/0123'" in done.err


def test_a_size_that_is_none_is_said(
    cli: CommandLine, entry_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_SIZE", "much")
    done = cli("cache")
    assert done.code == 1
    assert "MINARI_CACHE_SIZE is 'much', which is no size" in done.err
