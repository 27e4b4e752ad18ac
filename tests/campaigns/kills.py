"""Processes that are killed before any one change of the file system, in every operation.

What holds: each dataset is as it was or as it was to be; the operation can be done again; what a
recording holds is offered once; and what is left behind is offered, or swept.
"""

from __future__ import annotations

import shutil
from functools import partial
from itertools import zip_longest
from pathlib import Path

from tests.campaigns.helpers.file_system_calls import are_calls_known, run_until
from tests.campaigns.helpers.forked import run_forked
from tests.campaigns.helpers.operations import Operation, all_operations
from tests.campaigns.helpers.reporting import Campaign, say
from tests.campaigns.helpers.trials import Trial, last_line, look

NAME = "kills"
COUNT, SHORT_COUNT = 50_000, 16
_IN_TURN = 4


def run(campaign: Campaign) -> None:
    """Kill, look, and try again; each case is one operation and one change."""
    if not are_calls_known():
        say("kills: this system does not say which calls a process makes; nothing was killed")
        return
    operations = all_operations(campaign.only)
    campaign.random(-1).shuffle(operations)
    trials: dict[str, Trial] = {}
    orders: dict[str, list[int]] = {}
    for case in campaign.cases():
        # Each operation a few times in turn, at a change where it was not killed before. After so
        # many cases that they are used up, each was killed before each of its changes.
        lap, place = divmod(case, _IN_TURN * len(operations))
        operation, turn = operations[place // _IN_TURN], lap * _IN_TURN + place % _IN_TURN
        if operation.name not in trials:
            prepared = _prepare(campaign, case, operation)
            if prepared is None:
                continue
            trials[operation.name], orders[operation.name] = prepared
        order = orders[operation.name]
        if turn >= len(order):
            if turn > max(map(len, orders.values())):
                break
            continue
        kill(campaign, case, trials[operation.name], order[turn])
    changes = sum(map(len, orders.values()))
    say(f"kills: {len(orders)} operations with {changes} changes of the file system")


def _prepare(campaign: Campaign, case: int, operation: Operation) -> tuple[Trial, list[int]] | None:
    """The trial, and its changes in a random order."""
    try:
        trial = Trial.prepare(operation, campaign.root)
    except RuntimeError as error:
        campaign.find(case, f"{operation.name}: fails undisturbed", str(error))
        return None
    attempt = campaign.root / "counted"
    trial.copy(attempt)
    ending, calls = run_until(partial(trial.act, attempt), lambda number, call: False, attempt)
    shutil.rmtree(attempt)
    if ending.fate:
        campaign.find(case, f"{operation.name}: {ending.fate} undisturbed", ending.errors)
        return None
    order = list(range(len(calls)))
    campaign.random(-2).shuffle(order)
    # Most calls write bytes into a file that nobody knows of yet; the others are rarer.
    writes = [number for number in order if "write" in calls[number].name]
    others = [number for number in order if "write" not in calls[number].name]
    pairs = zip_longest(others, writes)
    return trial, [number for pair in pairs for number in pair if number is not None]


def kill(campaign: Campaign, case: int, trial: Trial, change: int) -> None:
    """Kill one attempt before one of its changes, and look."""
    name = trial.operation.name
    attempt = campaign.root / f"case{case}"
    trial.copy(attempt)
    ending, calls = run_until(
        partial(trial.act, attempt), lambda number, call: number == change, attempt
    )
    where = f"{name}, killed before change {change}: {calls[-1] if calls else 'none'}"
    kept = attempt.with_name(f"kept{case}")
    if campaign.keep is not None:
        shutil.copytree(attempt, kept)
    found: list[tuple[str, str]] = []
    if ending.code >= 0 or ending.is_late:
        if ending.fate:
            found.append((last_line(ending), ending.errors))
        # Threads may make fewer changes another time.
        outcome = "ended before"
    else:
        outcome = _look(trial, attempt, found)
    campaign.outcomes[outcome] += 1
    for kind, details in found:
        campaign.find(case, f"{name}: {kind}", f"{where}\n{details}", kept)
    for folder in (attempt, kept):
        shutil.rmtree(folder, ignore_errors=True)


def _look(trial: Trial, attempt: Path, found: list[tuple[str, str]]) -> str:
    """What is there after a kill; adds to what is found."""
    ending = run_forked(lambda tell: tell(look(attempt)))
    if ending.fate:
        found.append((f"looking at it {ending.fate}: {last_line(ending)}", ending.errors))
        return "unknown"
    now = ending.told[-1]
    wrong = trial.compare(now)
    if wrong:
        found.append(("neither old nor new", wrong))
        return "neither old nor new"
    problems, has_happened = trial.follow_up(attempt, now)
    found += problems
    return "new" if has_happened else "old"
