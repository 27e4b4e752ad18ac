"""A real Chromium, and the page of a dataset in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import minari
from minari.viewer.server import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="`hatch run browser:test` has it")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("NO PAGE IS TESTED: there is no Chromium; apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as whom containers run.
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"] if is_root else []
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open the page of a dataset; whatever it says on the console fails the test."""
    said: list[str] = []
    with ExitStack() as stack:

        def open_page(dataset: minari.MinariDataset, **options: object) -> Page:
            address = stack.enter_context(serve(dataset))
            options = {"viewport": {"width": 1300, "height": 900}, **options}
            context = browser.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
            page.goto(address)
            page.wait_for_selector("#plots[data-step]")
            return page

        yield open_page
        screenshots = os.environ.get("MINARI_SCREENSHOTS")
        if screenshots:
            Path(screenshots).mkdir(parents=True, exist_ok=True)
            for context in browser.contexts:
                for page in context.pages:
                    name = f"{request.node.name}.png"
                    page.screenshot(path=Path(screenshots) / name, full_page=True)
    # The tests read the canvas again and again, which the page does not.
    assert [each for each in said if "willReadFrequently" not in each] == []
