"""Fill a staging area from the cache and a remote, round by round until everything is there."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from threading import Event

from minari_core.errors import (
    DatasetDamagedError,
    DatasetWriteError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.files import sync_file
from minari_core.formats.columnar.manifest import Snapshot
from minari_core.formats.shards.file_check import check_shard
from minari_core.ranges.cached_objects import copy_cached_object
from minari_hub.datasets.remote_dataset import RemoteDataset
from minari_hub.datasets.staging import StagingArea
from minari_hub.remotes.base import Remote
from minari_hub.transfer.bounds import LEAST_RATE
from minari_hub.transfer.objects import RemoteObject
from minari_hub.transfer.partial_file import PartialFile, TransferStoppedError
from minari_hub.transfer.retrying import Patience

_MOST_IDLE_ROUNDS = 2
_MOST_DAMAGED = 3
_SPARE = 16 << 20
# What another try does not change.
_FINAL = (RemoteAccessError, RemoteObjectNotFoundError)


def fetch(
    remote: Remote,
    staging: StagingArea,
    wanted: Mapping[str, RemoteObject],
    report: Callable[[int], None],
    on_damage: Callable[[str, str], None] | None = None,
) -> None:
    """Fetch what a staging area lacks.

    The remote retries requests by itself. What it gives up on is resumed in another round, as
    long as rounds make progress.

    Args:
        remote: The remote.
        staging: Where the files go; it was prepared for them.
        wanted: The objects by their names in the data folder.
        report: Called with numbers of bytes, from any thread.
        on_damage: Called with the name of a file that arrives damaged time and again, and what
            to say of it, instead of an error; the file is left out.

    Raises:
        RemoteError: A file does not arrive, or arrives damaged time and again.
        OSError: The file system refuses.
    """
    stop = Event()
    damaged: dict[str, int] = {}
    idle = 0
    missing = {
        name: found for name, found in wanted.items() if not staging.is_done(name, found.size)
    }
    report(sum(found.size for name, found in wanted.items() if name not in missing))
    for name in missing:
        report(staging.partial_nbytes(name))
    while missing:
        with ExitStack() as open_files:
            files = {
                name: open_files.enter_context(
                    PartialFile(staging.partial_path(name), found, report, stop)
                )
                for name, found in missing.items()
            }
            began = time.monotonic()
            before = sum(file.position for file in files.values())
            errors = _fetch_once(remote, list(files.values()), stop)
            received = sum(file.position for file in files.values()) - before
            # A few bytes an hour would take for ever.
            gets_on = received > LEAST_RATE * (time.monotonic() - began)
            for name, file in files.items():
                if not file.is_complete:
                    continue
                if file.matches():
                    file.close()
                    staging.finish(name)
                    del missing[name]
                    continue
                damaged[name] = damaged.get(name, 0) + 1
                file.restart()
                if damaged[name] >= _MOST_DAMAGED:
                    message = (
                        f"{file.source.name!r} of {remote.url} arrived {damaged[name]} times "
                        f"with another checksum than the remote lists ({file.source.checksum})"
                    )
                    if on_damage is None:
                        raise RemoteError(f"{message}; nothing was installed")
                    on_damage(name, message)
                    del missing[name]
        _raise_what_is_final(errors)
        idle = 0 if gets_on else idle + 1
        if missing and idle >= _MOST_IDLE_ROUNDS:
            name, found = next(iter(missing.items()))
            raise (
                errors[0]
                if errors
                else RemoteError(
                    f"{remote.url} sends less of {found.name!r} than the {found.size} bytes that "
                    "it lists"
                )
            )
        if missing and errors:
            _pause(idle)


def take_cached_shards(staging: StagingArea, snapshot: Snapshot, label: str) -> None:
    """Copy those shards into a staging area that are whole in the cache, and as the manifest says.

    Args:
        staging: The staging area, prepared for the shards.
        snapshot: The shards, of checked names.
        label: The dataset, for error messages.

    Raises:
        OSError: The file system refuses.
    """
    for shard in {shard.file: shard for shard in snapshot.shards}.values():
        if staging.is_done(shard.file, shard.nbytes):
            continue
        target = staging.partial_path(shard.file)
        if not copy_cached_object(shard.file, shard.nbytes, target):
            continue
        try:
            check_shard(target.parent, shard, label)
        except DatasetDamagedError:
            target.unlink()
        else:
            sync_file(target)
            staging.finish(shard.file)


def check_space(
    dataset: RemoteDataset, staging: StagingArea, wanted: Mapping[str, RemoteObject]
) -> None:
    """Raise unless there is space for what a staging area lacks.

    Raises:
        DatasetWriteError: There is not.
    """
    needed = sum(found.size for found in wanted.values()) - staging.count_bytes()
    free = shutil.disk_usage(staging.data).free
    if needed + _SPARE > free:
        raise DatasetWriteError(
            f"dataset {dataset.dataset_id!r} needs {max(needed, 0):,} more bytes, and "
            f"{staging.data} has {free:,} free; free some space there, or let "
            "$MINARI_DATASETS_PATH name a folder on another disk; nothing was downloaded"
        )


def _fetch_once(remote: Remote, files: Sequence[PartialFile], stop: Event) -> list[Exception]:
    incomplete = [file for file in files if not file.is_complete]
    # An object without content needs no request.
    if not incomplete:
        return []
    outcomes = remote.download(incomplete, stop)
    return [error for error in outcomes if error is not None]


def _raise_what_is_final(errors: Sequence[Exception]) -> None:
    for error in errors:
        if isinstance(error, TransferStoppedError):
            continue
        if not isinstance(error, RemoteError) or isinstance(error, _FINAL):
            raise error


def _pause(idle: int) -> None:
    patience = Patience.from_environment()
    time.sleep(min(patience.first_wait * 2**idle, patience.longest_wait) * random.uniform(0.5, 1))
