"""What the answers of a file system of fsspec mean, whichever library gives them."""

from __future__ import annotations

import errno
import math
from datetime import datetime, timedelta, timezone
from threading import Event
from typing import Any

import pytest

from minari_core.errors import (
    DataError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_hub.remotes.fsspec_answers import (
    Progress,
    choose_error,
    is_hidden,
    is_passing,
    read_size,
    read_time,
    read_version,
)
from minari_hub.transfer.partial_file import TransferStoppedError


class StatusError(Exception):
    def __init__(self, status: object) -> None:
        self.status = status


class ClientPayloadError(Exception):
    """Is called like an error of aiohttp."""


class NarrowerError(ClientPayloadError):
    pass


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        *((StatusError(status), True) for status in (408, 429, 500, 502, 503, 504)),
        *((StatusError(status), False) for status in (400, 401, 403, 404, 409, 501)),
        (StatusError("503"), False),
        (OSError(errno.ECONNRESET, "reset"), True),
        (OSError("nothing known"), True),
        (ConnectionError("reset"), True),
        *((OSError(getattr(errno, name), "no"), False) for name in ("ENOSPC", "EROFS", "EFBIG")),
        (FileNotFoundError("none"), False),
        (FileExistsError("there"), False),
        (PermissionError("no"), False),
        (RemoteError("said already"), False),
        (DataError("said already"), False),
        (EOFError(), True),
        (TimeoutError(), True),
        (ClientPayloadError(), True),
        (NarrowerError(), True),
        (ValueError("no"), False),
    ],
    ids=repr,
)
def test_only_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert is_passing(error) is passes


def test_errors_become_those_of_the_tree() -> None:
    assert choose_error(FileNotFoundError()) is RemoteObjectNotFoundError
    assert choose_error(FileExistsError()) is RemoteObjectExistsError
    assert choose_error(PermissionError()) is RemoteAccessError
    assert choose_error(ValueError()) is RemoteError


@pytest.mark.parametrize(
    ("described", "size", "version", "time"),
    [
        ({}, 0, "", math.inf),
        ({"size": None, "etag": "", "mtime": None}, 0, "", math.inf),
        ({"size": -1, "mtime": "yesterday"}, 0, "yesterday", math.inf),
        ({"size": "7", "ETag": "b", "generation": 3}, 0, "b", math.inf),
        ({"size": 0, "mtime": 2.5}, 0, "2.5", 2.5),
        ({"size": 1, "etag": "a", "ETag": "b", "created": 4}, 1, "a", 4.0),
        ({"size": 9, "mtime": 5, "created": 4}, 9, "5", 5.0),
    ],
)
def test_what_is_said_of_a_file_is_read_as_far_as_it_is_known(
    described: dict[str, Any], size: int, version: str, time: float
) -> None:
    assert (read_size(described), read_version(described), read_time(described)) == (
        size,
        version,
        time,
    )


def test_a_time_without_a_zone_is_one_of_utc() -> None:
    there = datetime(2024, 5, 6, 7, 8, 9)
    known = there.replace(tzinfo=timezone.utc).timestamp()
    assert read_time({"mtime": there}) == known
    east = there.replace(tzinfo=timezone(timedelta(hours=2)))
    assert read_time({"last_modified": east}) == known - 7200


def test_hidden_are_files_and_what_is_in_hidden_folders() -> None:
    assert [is_hidden(name) for name in ("a/b", "a.b/c.", ".a/b", "a/.b", "")] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_bytes_that_are_sent_again_are_not_told_again() -> None:
    told: list[int] = []
    stop = Event()
    progress = Progress(told.append, stop)
    progress.restart()
    progress.relative_update(3)
    progress.relative_update(2)
    progress.restart()
    progress.relative_update(4)
    assert told == [3, 2]
    progress.relative_update(2)
    progress.finish(10)
    progress.finish(10)
    assert told == [3, 2, 1, 4]
    stop.set()
    with pytest.raises(TransferStoppedError):
        progress.relative_update(1)
    with pytest.raises(TransferStoppedError):
        progress.restart()
    assert told == [3, 2, 1, 4]
