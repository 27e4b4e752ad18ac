"""Entries of the cache are made once, bounded, and never taken from who uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from minari_core.cache.entries import (
    evict_entries,
    find_entries,
    list_entries,
    pin_entry,
    remove_entry,
)
from minari_core.cache.entry import CONTENTS, CacheEntry
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import DEFAULT_NBYTES, cache_limit, cache_root
from minari_core.errors import (
    CacheError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
)


class Text(str):
    """What is read from an entry; alive while it is referred to."""


def fill(contents: Path, text: str = "x" * 1000) -> None:
    (contents / "text").write_text(text)


def read(contents: Path) -> Text:
    return Text((contents / "text").read_text())


def opened(name: str, text: str = "x" * 1000) -> tuple[Text, float | None]:
    return open_entry("texts", name, f"about {name}", lambda folder: fill(folder, text), read)


def make(*names: str) -> None:
    for name in names:
        opened(name)
        path = cache_root() / "texts" / name / "entry.json"
        os.utime(path, (time.time() + 10 * len(list_entries()) - 1000,) * 2)


def names() -> list[str]:
    return [entry.id for entry in list_entries()]


def run(code: str) -> subprocess.Popen[str]:
    """Begin a process that has made an entry when it has written a line."""
    return subprocess.Popen(
        [sys.executable, "-c", dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_an_entry_is_made_once_and_described() -> None:
    assert list_entries() == []
    first, seconds = opened("a")
    again, none = opened("a", "other")
    assert (first, again, none) == ("x" * 1000, "x" * 1000, None)
    assert seconds is not None
    assert seconds > 0
    (entry,) = list_entries()
    assert (entry.id, entry.kind, entry.what) == ("texts/a", "texts", "about a")
    assert 1000 < entry.nbytes < 2000
    assert (entry.is_pinned, entry.is_in_use) == (False, True)
    assert abs(entry.made - time.time()) < 60 > abs(entry.used - time.time())


def test_what_is_open_is_in_use_until_nobody_refers_to_it() -> None:
    text, _ = opened("a")
    (entry,) = list_entries()
    with pytest.raises(DatasetBusyError, match="in use"):
        remove_entry(entry)
    assert evict_entries(0) == entry.nbytes
    assert names() == ["texts/a"]
    del text
    assert not list_entries()[0].is_in_use
    remove_entry(entry)
    assert list_entries() == []
    assert not [path for path in cache_root().rglob("*") if path.is_file()]


def test_what_was_used_least_recently_is_evicted_first_and_what_is_pinned_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make("a", "b", "c")
    (pinned,) = find_entries(["texts/a"])
    pin_entry(pinned)
    monkeypatch.setenv("MINARI_CACHE_SIZE", "4kB")
    opened("d")
    assert sorted(names()) == ["texts/a", "texts/c", "texts/d"]
    opened("c")  # used
    opened("e")
    assert sorted(names()) == ["texts/a", "texts/c", "texts/e"]
    for _ in range(2):
        pin_entry(pinned, is_pinned=False)
    evict_entries(0)
    assert names() == []


def test_an_entry_larger_than_the_cache_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINARI_CACHE_SIZE", "900")
    with pytest.raises(CacheError, match=r"about a takes about \d+ bytes .* MINARI_CACHE_SIZE"):
        opened("a")
    assert list_entries() == []
    with pytest.raises(CacheError, match="about 901 bytes"):
        open_entry("texts", "a", "it", fill, read, expected_nbytes=901)
    assert not [path for path in cache_root().rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("", DEFAULT_NBYTES),
        ("7", 7),
        ("500MB", 500 * 10**6),
        ("1.5 gb", 15 * 10**8),
        ("2GiB", 2 * 10**9),
    ],
)
def test_the_size_of_the_cache_is_set_by_a_variable(
    text: str, nbytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_SIZE", text)
    assert cache_limit() == nbytes


@pytest.mark.parametrize("text", ["much", "-1", "1 PB", "1e9"])
def test_a_size_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_SIZE", text)
    with pytest.raises(CacheError, match="MINARI_CACHE_SIZE is"):
        cache_limit()


def test_the_cache_lies_where_its_variable_says_else_at_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", "~/some")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_root() == tmp_path / "some"
    monkeypatch.delenv("MINARI_CACHE_PATH")
    assert cache_root() == tmp_path / ".minari" / "cache"


def test_what_cannot_be_opened_is_made_again() -> None:
    opened("a")
    (cache_root() / "texts" / "a" / CONTENTS / "text").unlink()
    text, seconds = opened("a")
    assert len(text) == 1000
    assert seconds is not None

    def refuse(folder: Path) -> Text:
        if (folder / "text").read_text() == "x" * 1000:
            raise DatasetDamagedError("it is cut short")
        return read(folder)

    del text
    made, _ = open_entry("texts", "a", "it", lambda folder: fill(folder, "new"), refuse)
    assert made == "new"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 99}', '{"version": 1}'])
def test_an_entry_whose_description_is_damaged_is_listed_and_made_again(content: str) -> None:
    opened("a")
    (cache_root() / "texts" / "a" / "entry.json").write_text(content)
    assert names() == ["texts/a"]
    assert opened("a")[1] is not None


def test_what_this_machine_made_just_before_it_went_down_is_made_again() -> None:
    opened("a")
    path = cache_root() / "texts" / "a" / "entry.json"
    description = json.loads(path.read_text())
    if not description["maker"][1].split()[1:]:
        pytest.skip("this system does not say when it was started")
    boot, *others = description["maker"][1].split()
    description["maker"][1] = " ".join([boot[::-1], *others])
    path.write_text(json.dumps(description))
    assert opened("a")[1] is not None
    # What was used long after it was made has reached the disk.
    description["made"] -= 3600
    path.write_text(json.dumps(description))
    assert opened("a")[1] is None


def test_a_failure_leaves_nothing_and_the_error_names_the_entry() -> None:
    def fail(contents: Path) -> None:
        fill(contents)
        raise OSError(28, "No space left on device")

    with pytest.raises(DatasetWriteError, match=r"texts.a could not be written.*No space left"):
        open_entry("texts", "a", "it", fail, read)
    assert list_entries() == []
    assert not [path for path in cache_root().rglob("*") if path.is_file()]


def test_where_nothing_can_be_written_what_is_there_is_opened_and_the_rest_an_error() -> None:
    opened("a")
    for name in ("a", "b"):
        lock = cache_root() / "texts" / f".{name}.lock"
        lock.unlink(missing_ok=True)
        lock.mkdir()
    assert opened("a", "other") == ("x" * 1000, None)
    with pytest.raises(CacheError, match=r"texts.b cannot be written"):
        opened("b")


def test_a_cache_below_a_file_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match="cannot be written"):
        opened("a")


MAKE = """
    import sys, time
    from tests.core.cache.test_entries import fill, read
    from minari_core.cache.opening import open_entry

    def make(contents):
        fill(contents, str(time.time()))
        print("making", flush=True)
        {then}

    opened, seconds = open_entry("texts", "a", "it", make, read)
    print(opened, seconds is not None, flush=True)
    sys.stdin.readline()
"""


def test_two_processes_that_want_it_at_once_make_it_once() -> None:
    both = [run(MAKE.format(then="time.sleep(0.3)")) for _ in range(2)]
    lines = [process.communicate("\n", timeout=60)[0].split() for process in both]
    assert sorted(map(len, lines)) == [2, 3]  # one of them says that it is making it
    (one, _), (other, _) = (line[-2:] for line in lines)
    assert one == other


def test_another_process_that_has_it_open_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with run(MAKE.format(then="")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "making\n"
        assert process.stdout.readline()
        (entry,) = list_entries()
        assert entry.is_in_use
        assert evict_entries(0) == entry.nbytes
        process.kill()
        process.wait(60)
    assert not list_entries()[0].is_in_use
    assert evict_entries(0) == 0


def test_what_a_killed_process_left_goes_with_the_next_entry() -> None:
    with run(MAKE.format(then="time.sleep(60)")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "making\n"
        process.kill()
        process.wait(60)
    assert list_entries() == []
    assert [path.name for path in cache_root().rglob("text")] == ["text"]
    assert opened("a")[1] is not None
    assert len(list((cache_root() / ".building").iterdir())) == 0


def test_an_entry_that_is_not_there_is_named() -> None:
    with pytest.raises(DatasetNotFoundError, match="no entry 'texts/b'"):
        find_entries(["texts/b"])


def test_an_entry_that_is_gone_meanwhile_is_removed_without_a_word() -> None:
    opened("a")
    (entry,) = list_entries()
    remove_entry(entry)
    remove_entry(entry)
    assert isinstance(entry, CacheEntry)
