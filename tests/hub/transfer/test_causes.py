"""What an error of a client library comes down to."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import requests

from minari_core.errors import RemoteError
from minari_hub import open_remote
from minari_hub.transfer import retrying
from minari_hub.transfer.causes import describe_error, is_unresolved
from minari_hub.transfer.retrying import Faults, Patience, keep_trying


def fail(url: str) -> Exception:
    try:
        requests.get(url, timeout=5)
    except requests.RequestException as error:
        return error
    raise AssertionError("it answers")


def test_a_name_that_does_not_resolve_is_said_by_name() -> None:
    error = fail(f"http://nowhere.invalid/o?prefix={'x' * 500}")

    assert is_unresolved(error)
    assert describe_error(error).startswith("the name 'nowhere.invalid' cannot be resolved (")
    assert describe_error(error).endswith("); is there a network?")


def test_a_port_where_nobody_listens_is_said_without_the_path() -> None:
    error = fail(f"http://127.0.0.1:9/o?prefix={'x' * 500}")

    assert not is_unresolved(error)
    assert describe_error(error) == "127.0.0.1: Connection refused"


def test_a_long_message_ends_at_a_word() -> None:
    said = describe_error(ValueError("some words " * 100))

    assert len(said) <= 302
    assert said.endswith((" words …", " some …"))


def unresolved() -> str:
    raise socket.gaierror(-2, "Name or service not known")


def refused() -> str:
    raise ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize(("work", "is_tried_again"), [(unresolved, False), (refused, True)])
def test_a_name_that_is_not_known_is_given_up_soon(
    work: Callable[[], str], is_tried_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_LONGEST_UNRESOLVED", -1.0)
    faults = Faults()

    with pytest.raises(OSError, match=r"not known|refused"):
        keep_trying(work, lambda error: True, faults, Patience(0.3, 0.02, 0.1))

    assert bool(faults.count) is is_tried_again


def test_the_default_patience_does_not_wait_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://nowhere.invalid")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "999999")

    with pytest.raises(RemoteError, match=r"could not list gs://b: the name 'nowhere.invalid'"):
        list(open_remote("gs://b").find())
