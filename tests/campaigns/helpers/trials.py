"""An operation in a folder of its own, and what is there before, after, and when it went wrong."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import minari
from minari_core.local.namespaces import NAMESPACE_METADATA
from tests.campaigns.helpers.driven import at_root, seeds_of, state_of
from tests.campaigns.helpers.forked import Ending, Tell, ask, run_forked
from tests.campaigns.helpers.operations import EXPORTED, Operation, export_again

_LONG_AGO = 90 * 24 * 3600.0


@dataclass(frozen=True)
class Trial:
    """An operation, prepared."""

    operation: Operation
    prepared: Path
    """The folder that each attempt begins with a copy of."""
    before: dict[str, str]
    """What is there before; see `look`."""
    after: dict[str, str]
    """What is there when it has succeeded."""
    tidy: Counter[str]
    """The files that are there when it has succeeded and all is tidied up."""

    @classmethod
    def prepare(cls, operation: Operation, folder: Path) -> Trial:
        """Do what must be there before, and the operation once, undisturbed.

        Args:
            operation: The operation.
            folder: Where; operations that need the same before share it.
        """
        prepared = folder / f"prepared{_number(operation.prepare)}"
        done = folder / "done"
        if not prepared.exists():
            prepared.mkdir(parents=True)
            import_what_it_imports(partial(_at, prepared, operation.prepare))
        shutil.copytree(prepared, done)
        import_what_it_imports(partial(_at, done, operation.act))
        before, after = ask(partial(look, prepared)), ask(partial(look, done))
        tidy = Counter(ask(partial(tidied, done)))
        shutil.rmtree(done)
        return cls(operation, prepared, before, after, tidy)

    def copy(self, target: Path) -> None:
        """Begin an attempt."""
        shutil.copytree(self.prepared, target)

    def act(self, folder: Path, tell: Tell, *, again: bool = False) -> None:
        """Attempt the operation in this process."""
        operation = self.operation
        _at(folder, operation.again if again and operation.again else operation.act)

    def compare(self, now: Mapping[str, str]) -> str:
        """In words, what is neither as it was nor as it was to be."""
        wrong = []
        for name in sorted(self.before.keys() | self.after.keys() | now.keys()):
            was, shall, found = self.before.get(name), self.after.get(name), now.get(name)
            if found not in (was, shall):
                wrong.append(f"{name} is {found}, which was {was} and was to be {shall}")
        return "; ".join(wrong)

    def follow_up(self, folder: Path, now: Mapping[str, str]) -> tuple[list[tuple[str, str]], bool]:
        """Do what people do after a misfortune: try again, recover, tidy up.

        Returns:
            What of it goes wrong, each a kind and its details; and whether the operation had
            happened before.
        """
        problems: list[tuple[str, str]] = []
        operation = self.operation
        has_happened = dict(now) == self.after
        recordings = _try(partial(_recovered, folder), "recovering what was left", problems)
        if operation.records and recordings is not None:
            problems += _check_recordings(recordings, has_happened)
        if not has_happened and not (operation.records and operation.name.startswith("recover")):
            ending = run_forked(partial(self.act, folder, again=True))
            if ending.fate:
                problems.append((f"trying again fails: {last_line(ending)}", ending.errors))
                return problems, has_happened
            again = ask(partial(look, folder))
            if again != self.after:
                problems.append(
                    ("trying again gives something else", str(_differing(again, self.after)))
                )
        files = _try(partial(tidied, folder), "tidying up", problems)
        if files is not None:
            left = sorted(Counter(files) - self.tidy)
            for name in left:
                # What lies in a folder goes with it.
                if not any(name.startswith(f"{other}/") for other in left):
                    problems.append((f"left behind for ever: {name}", "\n".join(left)))
        return problems, has_happened


def look(folder: Path) -> dict[str, str]:
    """All that can be seen: local datasets and namespaces, what is on the remote, and exported."""
    state = state_of(folder / "datasets")
    remote = folder / "remote"
    if remote.is_dir():
        for dataset_id in minari.list_remote_datasets(remote.as_uri()):
            root = folder / "downloaded"
            with at_root(root):
                minari.download_dataset(dataset_id, remote_path=remote.as_uri(), progress=False)
            state |= {f"remote {name}": value for name, value in state_of(root).items()}
            shutil.rmtree(root)
    for path in _list_exported(folder):
        root = folder / "imported"
        with at_root(root):
            minari.import_dataset(path, "tt/again-v0")
        state[f"exported {path.name}"] = state_of(root)["tt/again-v0"]
        shutil.rmtree(root)
    return state


def _list_exported(folder: Path) -> list[Path]:
    exported = folder / EXPORTED
    return [path for path in exported.iterdir() if path.name[0] != "."] if exported.is_dir() else []


def tidied(folder: Path) -> list[str]:
    """The files that stay when all that is left is removed, and then those that outlive all data.

    A long time later, because what has no lock is left only then.
    """
    root = folder / "datasets"
    with at_root(root):
        for path in _list_exported(folder):
            export_again(path)
        then = time.time() - _LONG_AGO
        for path in [root, *root.rglob("*")]:
            os.utime(path, (then, then), follow_symlinks=False)
        minari.remove_leftovers(valuable=True)
        left = minari.list_leftovers()
        if left:
            raise RuntimeError(f"removed, and still listed: {left}")
        # What must be there is told by `look`; names that are drawn at random are alike.
        below = [*_names_below(root), *(path.name for path in folder.glob(f"{EXPORTED}/.*"))]
        names = [re.sub(r"[0-9a-f]{6,}", "…", name) for name in below]
        for dataset_id in minari.list_local_datasets():
            minari.delete_dataset(dataset_id)
        for namespace in sorted(minari.list_local_namespaces(), reverse=True):
            if (root / namespace / NAMESPACE_METADATA).exists():
                minari.delete_namespace(namespace)
        return names + [f"without any dataset: {name}" for name in _names_below(root)]


def _names_below(root: Path) -> list[str]:
    """The names of what is there, but of empty folders."""
    return [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if not path.is_dir() or any(path.iterdir())
    ]


def last_line(ending: Ending) -> str:
    """What a child's error was, in short."""
    if ending.code < 0:
        return ending.fate
    lines = [line for line in ending.errors.splitlines() if line and not line.startswith(" ")]
    text = lines[-1] if lines else ending.fate
    # Names of folders and files differ from case to case.
    return re.sub(r"[0-9a-f]{6,}", "…", re.sub(r"/\S*/", "…/", text))[:200]


_steps: list[Any] = []


def _number(step: Any) -> int:
    """A number for each step that is asked about."""
    if step not in _steps:
        _steps.append(step)
    return _steps.index(step)


def import_what_it_imports(step: Any) -> None:
    """Do a step in a child, and import what it has imported, so that later children have it."""

    def work() -> list[str]:
        before = set(sys.modules)
        step()
        return [name for name in sys.modules if name not in before]

    for name in ask(work):
        with suppress(Exception):
            importlib.import_module(name)


def _at(folder: Path, step: Any) -> None:
    with at_root(folder / "datasets"):
        step()


def _try(work: Any, what: str, problems: list[tuple[str, str]]) -> Any:
    ending = run_forked(lambda tell: tell(work()))
    if ending.fate:
        problems.append((f"{what} fails: {last_line(ending)}", ending.errors))
        return None
    return ending.told[-1]


def _recovered(folder: Path) -> list[list[int]]:
    """The seeds of what can be recovered; the recordings stay as they are."""
    copy = folder.with_name(f"{folder.name}-recovered")
    shutil.copytree(folder, copy)
    seeds = []
    with at_root(copy / "datasets"):
        for number, recording in enumerate(minari.list_recoverable()):
            if recording.total_steps:
                dataset_id = f"recovered/number{number}-v0"
                minari.recover(recording.id, dataset_id)
                seeds.append(seeds_of(dataset_id))
                report = minari.verify_dataset(dataset_id)
                if not report.ok:
                    raise RuntimeError(f"what is recovered is damaged: {report.problems[0]}")
        if minari.list_recoverable() and seeds:
            left = [each for each in minari.list_recoverable() if each.total_steps]
            if left:
                raise RuntimeError(f"recovered, and still offered: {left}")
    shutil.rmtree(copy)
    return seeds


def _check_recordings(recordings: list[list[int]], has_happened: bool) -> list[tuple[str, str]]:
    seeds = [seed for each in recordings for seed in each]
    if has_happened and seeds:
        return [("what was committed is offered again", f"the recordings have seeds {recordings}")]
    if len(seeds) != len(set(seeds)):
        return [("episodes come twice", f"the recordings have seeds {recordings}")]
    return []


def _differing(found: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (found.get(name), wanted.get(name))
        for name in found.keys() | wanted.keys()
        if found.get(name) != wanted.get(name)
    }
