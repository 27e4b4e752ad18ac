"""The server of the page: a real one, and the command that runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import minari
from minari.viewer.server import serve
from tests.helpers.command_line import collect, in_process

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")


def open_page(address: str) -> urllib.request.OpenerDirector:
    """A browser that has opened an address, without following what is in the page."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(address, timeout=30) as response:
        assert response.status == 200
    return browser


def read(browser: urllib.request.OpenerDirector, address: str, path: str) -> bytes:
    parts = urlsplit(address)
    with browser.open(f"{parts.scheme}://{parts.netloc}{path}", timeout=30) as response:
        content: bytes = response.read()
    return content


def test_a_dataset_is_shown_until_it_is_closed(datasets_root: Path) -> None:
    dataset = collect("seen/cart-v0", episodes=3)
    with minari.view_dataset(dataset[1:], open_browser=False) as view:
        assert urlsplit(view.address).hostname == "127.0.0.1"
        browser = open_page(view.address)
        assert b"seen/cart-v0" in read(browser, view.address, "/dataset")
        assert view.address in repr(view)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(view.address.partition("?")[0], timeout=30)
        assert refused.value.code == 403
    with pytest.raises(urllib.error.URLError):
        read(browser, view.address, "/dataset")
    view.close()


def test_several_are_shown_at_once_each_with_its_own_cookie(datasets_root: Path) -> None:
    one, other = collect("seen/one-v0", episodes=1), collect("seen/other-v0", episodes=1)
    with serve(one) as first, serve(other) as second:
        browser = open_page(first)
        browser.open(second, timeout=30).close()
        assert b"seen/one-v0" in read(browser, first, "/dataset")
        assert b"seen/other-v0" in read(browser, second, "/dataset")


def test_a_port_that_is_taken_is_told(datasets_root: Path) -> None:
    dataset = collect("seen/cart-v0", episodes=1)
    with serve(dataset) as address:
        port = urlsplit(address).port
        assert port is not None
        with pytest.raises(minari.ViewerError, match=f"port {port} cannot be used"):
            minari.view_dataset(dataset, port=port, open_browser=False)
    with pytest.raises(minari.ViewerError, match="port 70000"):
        minari.view_dataset(dataset, port=70000, open_browser=False)
    with pytest.raises(minari.IncompatibleDatasetsError, match="no dataset"):
        minari.view_dataset("seen/cart-v0", open_browser=False)  # type: ignore[arg-type]  # on purpose


def test_a_dataset_may_grow_and_be_compacted_while_it_is_shown(datasets_root: Path) -> None:
    dataset = collect("seen/cart-v0", episodes=4)
    with serve(minari.load_dataset("seen/cart-v0")) as address:
        browser = open_page(address)
        before = read(browser, address, "/episode?position=3")
        dataset.update_dataset_from_buffer(list(dataset))
        dataset.compact()
        assert read(browser, address, "/episode?position=3") == before
        assert read(browser, address, "/newer") == b'{"newer": 4}'
        assert read(browser, address, "/renew") == b'{"newer": 0}'
        assert b'"total": 8' in read(browser, address, "/episodes")
        assert b'"total_episodes": 8' in read(browser, address, "/dataset")


def test_a_view_does_not_grow_while_it_is_shown(datasets_root: Path) -> None:
    dataset = collect("seen/cart-v0", episodes=4)
    with serve(minari.load_dataset("seen/cart-v0")[:2]) as address:
        browser = open_page(address)
        dataset.update_dataset_from_buffer(list(dataset))
        assert read(browser, address, "/newer") == b'{"newer": 0}'
        assert read(browser, address, "/renew") == b'{"newer": 0}'
        assert b'"total": 2' in read(browser, address, "/episodes")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("is_remote", [False, True])
def test_the_command_prints_the_address_and_ends_with_ctrl_c(
    datasets_root: Path, tmp_path: Path, is_remote: bool
) -> None:
    name = str(collect("seen/cart-v0", episodes=2).id)
    if is_remote:
        minari.upload_dataset(name, remote_path=tmp_path.as_uri())
        minari.delete_dataset(name)
        name = f"{tmp_path.as_uri()}/{name}"
    process = subprocess.Popen(
        [sys.executable, "-m", "minari", "view", name, "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(60, process.kill)
    killer.start()
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert b"seen/cart-v0" in read(open_page(address), address, "/dataset")
    assert process.stderr is not None
    hint = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    killer.cancel()

    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err
    assert f"ssh -L {urlsplit(address).port}:127.0.0.1" in hint


def test_the_command_names_what_is_not_there(datasets_root: Path) -> None:
    done = in_process("minari", "view", "not/there-v0", "--no-browser")
    assert done.code == 3
    assert "not/there-v0" in done.err
