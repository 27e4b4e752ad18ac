"""Disks that fill in the middle of an operation, at many sizes.

What holds: an error of the project's own says so, and nothing has changed; with room again, the
operation can be done. Each disk is a small one of its own where this process may mount one, else
a limit on the size of any one file stands in for it.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from minari_core.errors import MinariError
from tests.campaigns.helpers.forked import Tell, run_forked
from tests.campaigns.helpers.operations import all_operations
from tests.campaigns.helpers.reporting import Campaign, say
from tests.campaigns.helpers.trials import Trial, last_line, look

NAME = "full_disks"
COUNT, SHORT_COUNT = 3000, 16
_IN_TURN = 4
_DISK = 64 << 20
_PAGE = 4096


def run(campaign: Campaign) -> None:
    """Fill, try, look, make room, and try again."""
    operations = all_operations(campaign.only)
    campaign.random(-1).shuffle(operations)
    disk = campaign.root / "disk"
    disk.mkdir()
    with _mounted(disk) as is_mounted:
        say(f"full_disks: {'a mounted disk that is filled' if is_mounted else 'a limit on files'}")
        trials: dict[str, tuple[Trial, int]] = {}
        for case in campaign.cases():
            operation = operations[case // _IN_TURN % len(operations)]
            if operation.name not in trials:
                try:
                    trial = Trial.prepare(operation, campaign.root)
                except RuntimeError as error:
                    campaign.find(case, f"{operation.name}: fails undisturbed", str(error))
                    continue
                trials[operation.name] = trial, _needed(trial, disk / "needed")
            _fill(campaign, case, *trials[operation.name], disk, is_mounted)


def _needed(trial: Trial, folder: Path) -> int:
    """The most bytes that the operation writes to one disk, in whole pages."""
    trial.copy(folder)
    before = _used(folder)
    run_forked(partial(trial.act, folder))
    after = _used(folder)
    shutil.rmtree(folder)
    # While it is under way it may hold more than in the end.
    return int(1.5 * max(after - before, 0)) + 16 * _PAGE


def _used(folder: Path) -> int:
    return sum(-(-path.lstat().st_size // _PAGE) * _PAGE + _PAGE for path in folder.rglob("*"))


def _fill(
    campaign: Campaign, case: int, trial: Trial, needed: int, disk: Path, is_mounted: bool
) -> None:
    name = trial.operation.name
    attempt = disk / f"case{case}"
    trial.copy(attempt)
    before = _visible(attempt)
    room = campaign.random(case).randrange(0, needed)
    ballast = disk / "ballast"
    if is_mounted:
        _leave_room(ballast, disk, room)
    ending = run_forked(partial(_attempt, trial, attempt, None if is_mounted else room))
    ballast.unlink(missing_ok=True)
    found: list[tuple[str, str]] = []
    outcome = "unknown"
    if ending.fate:
        found.append((last_line(ending), ending.errors[-4000:]))
    else:
        error, message, is_ours, chain = ending.told[-1]
        outcome = error or "room enough"
        if error and not is_ours:
            found.append((f"raises {error}: {_short(message)}", chain))
        if error:
            # What was sent to a remote is kept there, where the next upload goes on.
            strays = {each for each in _visible(attempt) - before if each.split("/")[0] != "remote"}
            if strays:
                found.append(("leaves files behind", f"{error}: {message}\n{sorted(strays)}"))
    looked = run_forked(lambda tell: tell(look(attempt)))
    if looked.fate:
        found.append((f"looking at it {looked.fate}: {last_line(looked)}", looked.errors))
    else:
        now = looked.told[-1]
        wrong = trial.compare(now)
        if wrong:
            found.append(("neither old nor new", wrong))
        elif outcome == "room enough" and now != trial.after:
            found.append(("no error, and it has not happened", str(now)))
        elif outcome not in ("room enough", "unknown") and now != trial.before:
            found.append((f"{outcome}, and it has happened", f"{ending.told[-1][1]}\n{now}"))
        if not wrong:
            found += trial.follow_up(attempt, now)[0]
    campaign.outcomes[outcome] += 1
    for kind, details in found:
        campaign.find(case, f"{name}: {kind}", f"{name} with room for {room} bytes\n{details}")
    shutil.rmtree(attempt, ignore_errors=True)


def _attempt(trial: Trial, folder: Path, most: int | None, tell: Tell) -> None:
    """Try in a child; tell the error, its message, whether it is of the tree, and its traceback."""
    if most is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )
    try:
        trial.act(folder, tell)
    except BaseException as error:
        told: list[Any] = [type(error).__name__, str(error), isinstance(error, MinariError)]
        tell([*told, traceback.format_exc()[-3000:]])
    else:
        tell(["", "", True, ""])


def _visible(folder: Path) -> set[str]:
    """The files outside of the hidden folder, locks apart."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if ".staging" not in path.parts and path.suffix != ".lock" and path.name != ".lock"
    }


def _short(message: str) -> str:
    words = " ".join(re.sub(r"/\S*", "…", message).split())
    return re.sub(r"[0-9a-f]{8,}|\d+", "…", words)[:100]


def _leave_room(ballast: Path, disk: Path, room: int) -> None:
    """Fill the disk but for some bytes, in whole pages."""
    free = os.statvfs(disk)
    nbytes = free.f_bavail * free.f_frsize - room // _PAGE * _PAGE
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        while nbytes > 0:
            try:
                os.posix_fallocate(descriptor, 0, nbytes)
                break
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                nbytes -= _PAGE
    finally:
        os.close(descriptor)


@contextmanager
def _mounted(disk: Path) -> Iterator[bool]:
    """Mount a small disk at a folder; whether that is allowed here."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
