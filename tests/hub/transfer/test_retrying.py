"""How often, and for how long, a request is tried; and what becomes of work in threads."""

from __future__ import annotations

import hashlib
import logging
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Lock, current_thread

import pytest

from minari_core.errors import DataError, RemoteAccessError, RemoteError
from minari_hub.transfer import threads
from minari_hub.transfer.checksums import Checksum, compute_checksum, read_blocks
from minari_hub.transfer.objects import RemoteObject
from minari_hub.transfer.partial_file import TransferStoppedError
from minari_hub.transfer.retrying import (
    GIVE_UP_VARIABLE,
    BusyError,
    Faults,
    Patience,
    keep_trying,
    translate_errors,
)
from minari_hub.transfer.threads import (
    WORKERS,
    DaemonThreads,
    map_many,
    run_in_background,
    run_many,
    wait_until_done,
)
from minari_hub.transfer.upload_file import UploadFile


class PassingError(Exception):
    pass


class Waiting:
    """A clock that goes on by what is waited for, and by a second with each try."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(random, "uniform", lambda low, high: low + high)
        monkeypatch.setattr(Faults, "wait", lambda faults, seconds: self.wait(seconds))

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def is_passing(error: Exception) -> bool:
    return isinstance(error, PassingError | BusyError | OSError)


def test_waits_double_up_to_the_longest(waiting: Waiting) -> None:
    faults = Faults()
    work = failing(*[PassingError()] * 5)
    assert keep_trying(work, is_passing, faults, Patience(1000, 1, 5)) == "done"
    # As the clock of the test draws them, half as long again.
    assert waiting.waits == [1.5, 3.0, 6.0, 7.5, 7.5]
    assert faults.count == 5


def test_what_is_no_passing_fault_is_not_tried_again(waiting: Waiting) -> None:
    faults = Faults()
    with pytest.raises(ZeroDivisionError):
        keep_trying(failing(PassingError(), ZeroDivisionError()), is_passing, faults, Patience())
    assert (faults.count, len(waiting.waits)) == (1, 1)


@pytest.mark.parametrize(("seconds", "tries"), [(4.5, 2), (4.4, 1), (1.5, 1), (1.4, 0), (0, 0)])
def test_no_try_comes_later_than_when_it_is_given_up(
    waiting: Waiting, seconds: float, tries: int
) -> None:
    faults = Faults()
    errors = [PassingError(str(number)) for number in range(9)]
    with pytest.raises(PassingError, match=str(tries)):
        keep_trying(failing(*errors), is_passing, faults, Patience(seconds, 1, 5))
    assert faults.count == tries


def test_a_server_that_asks_to_be_left_alone_is(waiting: Waiting) -> None:
    work = failing(BusyError("later", 7.0), PassingError())
    assert keep_trying(work, is_passing, Faults(), Patience(1000, 1, 5)) == "done"
    assert waiting.waits == [8.5, 3.0]


def test_nothing_is_tried_again_once_it_is_stopped(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(PassingError, match="first"):
        keep_trying(failing(PassingError("first")), is_passing, Faults(stop))
    assert waiting.waits == []
    stop.clear()
    monkeypatch.setattr(Faults, "wait", lambda faults, seconds: stop.set())
    with pytest.raises(PassingError, match="second"):
        keep_trying(failing(PassingError("second")), is_passing, Faults(stop))


def test_a_name_that_is_not_known_is_not_tried_for_long(waiting: Waiting) -> None:
    faults = Faults()
    unknown = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(socket.gaierror):
        keep_trying(failing(*[unknown] * 99), is_passing, faults, Patience(1000, 1, 1))
    # After more than three seconds.
    assert waiting.waits == [1.5, 1.5, 1.5]
    assert faults.describe(unknown) == " (tried 4 times in 4 s)"


def test_what_was_tried_is_told_and_noted(
    waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    faults = Faults()
    error = PassingError("a fault")
    assert faults.describe(error) == ""
    waiting.now += 2
    with caplog.at_level(logging.INFO):
        faults.note(error)
    assert caplog.messages == ["a fault; trying again, for 2 s so far"]
    said = faults.describe(error)
    assert said == (
        f" (tried 2 times in 2 s; the environment variable {GIVE_UP_VARIABLE} says for how long)"
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 90.0), ("", 90.0), ("0", 0.0), ("2.5", 2.5), ("999999", 999999.0)]
)
def test_the_environment_says_when_to_give_up(
    text: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(GIVE_UP_VARIABLE)
    if text is not None:
        monkeypatch.setenv(GIVE_UP_VARIABLE, text)
    patience = Patience.from_environment()
    assert patience == Patience(seconds)
    assert patience.first_wait < patience.longest_wait


@pytest.mark.parametrize("text", ["-1", "-0.1", "1e6", "nan", "inf", "soon"])
def test_what_is_no_number_of_seconds_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GIVE_UP_VARIABLE, text)
    with pytest.raises(RemoteError, match=f"^{GIVE_UP_VARIABLE}='{text}' is not a number of sec"):
        Patience.from_environment()


def test_errors_of_others_become_this_projects_and_its_own_stay() -> None:
    faults = Faults()
    faults.note(PassingError())
    for tried, end in ((None, "wrong$"), (faults, r"wrong \(tried 2 times in 0 s; ")):
        with (
            pytest.raises(RemoteAccessError, match=f"^could not read it: {end}"),
            translate_errors("read it", lambda error: RemoteAccessError, tried),
        ):
            raise OSError("wrong")
    with (
        pytest.raises(DataError, match=r"^own$"),
        translate_errors("read it", lambda error: RemoteError, faults),
    ):
        raise DataError("own")


def test_work_on_many_items_says_of_each_what_went_wrong() -> None:
    def work(item: int) -> str:
        if item % 2:
            raise ValueError(item)
        return current_thread().name

    outcomes = run_many(work, range(20))
    assert [None if each is None else each.args for each in outcomes] == [
        (item,) if item % 2 else None for item in range(20)
    ]
    assert run_many(work, []) == []
    assert map_many(lambda item: item * 2, range(20), 3) == list(range(0, 40, 2))
    with pytest.raises(ValueError, match="3"):
        map_many(work, [2, 3, 4], 2)
    assert run_in_background(lambda: 3, Event()) == 3
    with pytest.raises(ZeroDivisionError):
        run_in_background(lambda: 1 // 0, Event())


def test_some_items_are_worked_on_at_a_time() -> None:
    lock, all_there = Lock(), Event()
    at_once = most = 0

    def work(item: int) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if most == WORKERS:
                all_there.set()
        all_there.wait(5)
        with lock:
            at_once -= 1

    assert run_many(work, range(3 * WORKERS)) == [None] * (3 * WORKERS)
    assert most == WORKERS


def test_an_interrupt_in_work_is_an_interrupt() -> None:
    def interrupt(item: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_many(interrupt, [1])


@pytest.mark.parametrize("stop", [Event(), None])
def test_an_interrupt_stops_what_is_under_way_and_cancels_what_waits(
    stop: Event | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*futures: object, timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "wait", interrupt)
    futures: list[Future[int]] = [Future(), Future()]
    with pytest.raises(KeyboardInterrupt):
        wait_until_done(futures, stop)
    assert stop is None or stop.is_set()
    assert all(future.cancelled() for future in futures)


def test_threads_are_started_as_work_comes_and_used_again() -> None:
    daemons = DaemonThreads(2)
    names: list[int] = []
    go_on, lock = Event(), Lock()

    def job() -> None:
        with lock:
            names.append(current_thread().ident or 0)
        go_on.wait(5)

    for count in (1, 2, 3, 4):
        daemons.run(job)
        deadline = time.monotonic() + 5
        while len(names) < min(count, 2) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert daemons._threads == min(count, 2)
    assert len(names) == 2
    go_on.set()
    deadline = time.monotonic() + 5
    while (len(names) < 4 or daemons._unfinished) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(names) == 4
    assert len(set(names)) == 2
    # Who has nothing to do is there for what comes next.
    daemons.run(job)
    while daemons._unfinished and time.monotonic() < deadline:
        time.sleep(0.001)
    assert set(names) == set(names[:4])


ALGORITHMS = {
    "md5": hashlib.md5(b"123456789").hexdigest(),
    "sha256": hashlib.sha256(b"123456789").hexdigest(),
    "git-sha1": hashlib.sha1(b"blob 9\0" + b"123456789").hexdigest(),
    # The value by which the algorithm is known.
    "crc32c": "e3069283",
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_content_is_known_by_its_size_and_checksum(algorithm: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"123456789")
    found = compute_checksum(path, algorithm)  # type: ignore[arg-type]
    assert found.digest == ALGORITHMS[algorithm]
    assert found.matches(path)
    listed = RemoteObject("a", 9, checksum=found)
    assert listed.matches(b"123456789")
    assert not listed.matches(b"123456780")
    assert not listed.matches(b"1234567890")
    assert not Checksum(found.algorithm, "0" * len(found.digest)).matches(path)
    assert RemoteObject("a", 7).matches(b"another")
    assert not RemoteObject("a", 7).matches(b"other")


def test_files_are_read_in_blocks_to_their_end(tmp_path: Path) -> None:
    for size in (0, 1, 1 << 20, (1 << 20) + 1):
        content = bytes(range(251)) * (size // 251 + 1)
        (tmp_path / "file").write_bytes(content[:size])
        blocks = list(read_blocks(tmp_path / "file"))
        assert b"".join(blocks) == content[:size]
        assert len(blocks) == -(-size // (1 << 20))


def test_what_is_sent_of_a_file_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    reported: list[int] = []
    stop = Event()
    with UploadFile(tmp_path / "file", reported.append, stop) as file:
        assert file.read(4) == b"0123"
        file.seek(0)
        assert file.read(3) == b"012"
        assert file.read(3) == b"345"
        assert file.read() == b"6789"
        assert file.read(None) == b""
        file.seek(0)
        assert file.read(None) == b"0123456789"
        assert reported == [4, 2, 4]
        stop.set()
        with pytest.raises(TransferStoppedError, match="stopped"):
            file.read(1)
