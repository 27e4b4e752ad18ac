"""What pages of others try in a browser that holds the cookie of the page, and do not get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

import minari
from minari.viewer.server import serve
from tests.browser.conftest import FOREIGN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
SAME_SITE = "127.0.0.1"
"""Another port of the same host is another origin, but the same site to cookies."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Visit:
    """A browser in which the page was opened, and which has gone on to a page of another server."""

    page: Page
    """Where it is."""
    own: str
    """The origin of the dataset's page."""
    address: str
    """The address of the dataset's page, with the token."""
    is_same_site: bool
    """Whether the other server has the same host, and gets the cookie along."""

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    def ask(self, path: str) -> dict[str, str]:
        """Ask as the dataset's own page does, which is opened beside the other one."""
        page = self.context.new_page()
        page.goto(self.own)
        answer: dict[str, str] = page.evaluate(
            "async (path) => await (await fetch(path)).json()", path
        )
        page.close()
        return answer

    @property
    def text(self) -> str:
        """What the page that it is on says."""
        self.page.wait_for_load_state()
        said: str = self.page.inner_text("body")
        return said

    def navigate(self, action: str, *arguments: object) -> tuple[int, bool]:
        """Leave the other page for the dataset's; return the status and whether a cookie went."""
        with self.page.expect_response(lambda found: found.url.startswith(self.own)) as response:
            self.page.evaluate(action, [self.own, *arguments])
        has_cookie = "cookie" in response.value.request.all_headers()
        return response.value.status, has_cookie


@pytest.fixture(params=[SAME_SITE, FOREIGN])
def visit(
    browser: Browser, dataset: minari.MinariDataset, request: pytest.FixtureRequest
) -> Iterator[Visit]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    context = browser.new_context()
    context.set_default_timeout(60_000)
    with serve(dataset) as address:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#plots[data-step]")
        page.goto(f"http://{request.param}:{server.server_port}/")
        own = address.partition("/?")[0]
        yield Visit(page, own, address, is_same_site=request.param == SAME_SITE)
        context.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_another_origin_gets_nothing(visit: Visit) -> None:
    outcomes = visit.page.evaluate(
        """async (own) => {
            const fetched = async (options) => {
                try {
                    const response = await fetch(`${own}/dataset`, options);
                    return `${response.type} ${response.status}`;
                } catch (error) {
                    return "failed";
                }
            };
            const loaded = (tag, source) => new Promise((resolve) => {
                const element = document.createElement(tag);
                element.onload = () => resolve("loaded");
                element.onerror = () => resolve("failed");
                element.src = source;
                document.body.append(element);
            });
            return [
                await fetched({ credentials: "include" }),
                await fetched({ mode: "no-cors", credentials: "include" }),
                await loaded("script", `${own}/page.js`),
                await loaded("img", `${own}/frames?position=0&column=observations/camera`),
            ];
        }""",
        visit.own,
    )
    assert outcomes == ["failed", "failed", "failed", "failed"]
    frame = visit.page.evaluate(
        """(own) => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.onload = () => resolve(String(frame.contentDocument));
            frame.src = own;
            document.body.append(frame);
        })""",
        visit.own,
    )
    assert frame == "null"
    socket = visit.page.evaluate(
        """(address) => new Promise((resolve) => {
            const socket = new WebSocket(address);
            socket.onopen = () => resolve("open");
            socket.onerror = () => resolve("failed");
        })""",
        visit.own.replace("http:", "ws:") + "/dataset",
    )
    assert socket == "failed"


def test_a_form_of_another_origin_does_nothing(visit: Visit) -> None:
    status, has_cookie = visit.navigate(
        """([own]) => {
            const form = document.createElement("form");
            [form.method, form.action] = ["post", `${own}/checks?start=true`];
            document.body.append(form);
            form.submit();
        }"""
    )
    assert (status, visit.text.strip()) == (403, "another page has no business here")
    assert has_cookie == visit.is_same_site
    assert visit.ask("/checks") == {"state": "idle"}


FOLLOW = """([own, target]) => {
    const link = document.createElement("a");
    link.href = own + target;
    document.body.append(link);
    link.click();
}"""


def test_a_link_of_another_origin_begins_nothing(visit: Visit) -> None:
    status, _ = visit.navigate(FOLLOW, "/checks?start=true")
    assert (status, visit.text.strip()) == (403, "another page has no business here")
    assert visit.ask("/checks") == {"state": "idle"}


def test_a_link_of_another_site_has_no_cookie_along_and_shows_nothing(visit: Visit) -> None:
    status, has_cookie = visit.navigate(FOLLOW, "/")
    assert has_cookie == visit.is_same_site
    if visit.is_same_site:
        assert status == 200
        visit.page.wait_for_selector("#plots[data-step]")
    else:
        assert status == 403
        wanted = "open the address that the command printed, with its token"
        assert visit.text.startswith(wanted)


def test_a_link_with_the_token_shows_the_page_wherever_it_is(visit: Visit) -> None:
    visit.context.clear_cookies()
    status, has_cookie = visit.navigate(FOLLOW, visit.address.removeprefix(visit.own))
    assert (status, has_cookie) == (200, False)
    visit.page.wait_for_selector("#plots[data-step]")


def test_a_page_that_opens_the_dataset_s_cannot_reach_into_it(visit: Visit) -> None:
    with visit.context.expect_page() as opened:
        visit.page.evaluate("(address) => { window.opened = window.open(address); }", visit.address)
    opened.value.wait_for_selector("#plots[data-step]")
    assert opened.value.evaluate("window.opener") is None
    assert visit.page.evaluate("window.opened.closed")


def test_a_name_that_was_made_to_lead_here_is_refused(
    browser: Browser, dataset: minari.MinariDataset
) -> None:
    with serve(dataset) as address, browser.new_context() as context:
        context.set_default_timeout(60_000)
        foreign = address.replace(SAME_SITE, FOREIGN)
        own = foreign.partition("/?")[0]
        page = context.new_page()
        response = page.goto(foreign)
        assert response is not None
        assert response.status == 421
        assert context.cookies() == []
        # This document has the origin that one would have whose server answered for itself first.
        answers = page.evaluate(
            """async (paths) => await Promise.all(paths.map(async (path) => {
                const response = await fetch(path);
                return [response.status, await response.text()];
            }))""",
            ["/dataset", "/page.js", foreign.removeprefix(own)],
        )
        assert answers == [[421, "this server answers at 127.0.0.1 only\n"]] * 3


def test_cookies_are_out_of_reach_of_scripts_and_of_each_server_its_own(
    browser: Browser, dataset: minari.MinariDataset
) -> None:
    with (
        browser.new_context() as context,
        serve(dataset) as one,
        serve(dataset) as other,
    ):
        context.set_default_timeout(60_000)
        pages = [context.new_page() for _ in range(2)]
        for page, address in zip(pages, (one, other), strict=True):
            page.goto(address)
            page.wait_for_selector("#plots[data-step]")
            assert page.evaluate("document.cookie") == ""
            assert "token" not in page.url
        ports = {address.partition("/?")[0].rpartition(":")[2] for address in (one, other)}
        cookies = context.cookies()
        assert {cookie["name"] for cookie in cookies} == {f"minari-{port}" for port in ports}
        assert {(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies} == {
            (True, "Strict")
        }
        pages[0].reload()
        pages[0].wait_for_selector("#plots[data-step]")
