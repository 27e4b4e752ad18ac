"""A real Chromium, and the page of a dataset in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer
from minari.replay.replaying import Trust
from minari.viewer.server import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
OpenPage = Callable[..., "Page"]
FOREIGN = "foreign.test"
"""A host of elsewhere whose name leads to this machine, as an attacker can let it."""
HOSTILE = "</script><img src=x onerror=alert(1)>"
LENGTHS = [1, 40, 100, 300, 7]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="`hatch run browser:test` has it")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("NO PAGE IS TESTED: there is no Chromium; apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as whom containers run.
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        arguments = [f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"]
        browser = playwright.chromium.launch(
            executable_path=found, args=[*arguments, "--no-sandbox"] if is_root else arguments
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[minari.MinariDataset]:
    """Episodes of images and numbers, one of a single step, and hostile text everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("datasets")))
        rng = np.random.default_rng(0)
        buffers = []
        for number, steps in enumerate(LENGTHS):
            state = rng.standard_normal((steps + 1, 17)).cumsum(axis=0)
            if steps > 10:
                state[10, 0] = np.nan
            camera = rng.integers(0, 255, (steps + 1, 48, 64, 3), dtype=np.uint8)
            buffers.append(
                EpisodeBuffer(
                    observations={"camera": camera, "state": state},
                    actions=rng.standard_normal((steps, 3)).astype(np.float32),
                    rewards=rng.standard_normal(steps),
                    terminations=np.arange(steps) == steps - 1,
                    truncations=np.zeros(steps, dtype=bool),
                    infos={HOSTILE: [HOSTILE] * (steps + 1)},
                    seed=number,
                    options={HOSTILE: HOSTILE},
                    metadata={"quality": HOSTILE, "score": number},
                )
            )
        yield minari.create_dataset_from_buffers(
            "tests/page-v0",
            buffers,
            observation_space=spaces.Dict(
                {
                    "camera": spaces.Box(0, 255, (48, 64, 3), np.uint8),
                    "state": spaces.Box(-np.inf, np.inf, (17,), np.float64),
                }
            ),
            action_space=spaces.Box(-np.inf, np.inf, (3,), np.float32),
            description=HOSTILE,
            author=HOSTILE,
        )


@pytest.fixture
def open_page(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open the page of a dataset; whatever it says on the console fails the test."""
    said: list[str] = []
    with ExitStack() as stack:

        def open_page(
            shown: minari.MinariDataset | Path, trust: Trust | None = None, **options: object
        ) -> Page:
            if isinstance(shown, Path):
                address = shown.as_uri()
            else:
                address = stack.enter_context(serve(shown, trust=trust))
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
