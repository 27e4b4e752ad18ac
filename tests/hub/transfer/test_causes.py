"""What an error of a client library comes down to."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest
import requests

from minari_core.errors import RemoteError
from minari_hub import open_remote
from minari_hub.transfer import retrying
from minari_hub.transfer.causes import describe_error, is_unresolved
from minari_hub.transfer.retrying import Faults, Patience, keep_trying


def fail(url: str, timeout: float = 5.0) -> Exception:
    try:
        requests.get(url, timeout=timeout)
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


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes | None], None]]:
    """Sets the proxy of the environment to one that answers every request so, or not at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(text: bytes) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(4096)
                    connection.sendall(text)
                    connection.close()

        def start(text: bytes | None) -> None:
            if text is not None:
                Thread(target=answer, args=(text,), daemon=True).start()
            set_proxy(monkeypatch, f"127.0.0.1:{server.getsockname()[1]}")

        yield start
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def set_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://ada:secret@{address}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere.invalid:3128", r"the name 'nowhere.invalid' of the proxy cannot be resolved \("),
        ("127.0.0.1:9", "the proxy '127.0.0.1': Connection refused; "),
    ],
)
def test_a_proxy_that_is_not_there_is_said_by_name(
    scheme: str, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxy(monkeypatch, address)
    found = describe_error(fail(f"{scheme}://remote.example/o"))

    assert re.match(said, found)
    assert found.endswith("is it the one that HTTP_PROXY or HTTPS_PROXY should name?")
    assert "remote.example" not in found
    assert "secret" not in found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            r"the proxy '127.0.0.1': Tunnel connection failed: 407 Proxy Authentication Req.*",
        ),
        (None, r".*remote\.example.*timed out.*\(through the proxy '127.0.0.1'\)"),
    ],
)
def test_a_proxy_that_refuses_or_says_nothing_is_named(
    answer: bytes | None, said: str, proxy: Callable[[bytes | None], None]
) -> None:
    proxy(answer)
    found = describe_error(fail("https://remote.example/o", timeout=0.5))

    assert re.fullmatch(said, found)
    assert "secret" not in found


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

    with pytest.raises(RemoteError, match=r"could not list gs://b: the name 'no.*tried") as caught:
        list(open_remote("gs://b").find())
    # More of it would not help.
    assert "GIVE_UP" not in str(caught.value)
