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

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")


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


@pytest.fixture
def visit(browser: Browser, dataset: minari.MinariDataset) -> Iterator[Visit]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    context = browser.new_context()
    with serve(dataset) as address:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#plots[data-step]")
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield Visit(page, address.partition("/?")[0])
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


def test_a_web_socket_is_not_opened(visit: Visit) -> None:
    outcome = visit.page.evaluate(
        """(address) => new Promise((resolve) => {
            const socket = new WebSocket(address);
            socket.onopen = () => resolve("open");
            socket.onerror = () => resolve("failed");
        })""",
        visit.own.replace("http:", "ws:") + "/dataset",
    )
    assert outcome == "failed"
