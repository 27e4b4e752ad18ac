"""Replays on the page: asked for, cancelled, played; and never a frame that was not recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
import pytest

import minari
from minari.replay.replaying import Trust
from tests.minari.replay.toys import FAULTY_STEP, STEPS, frame, record, register

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


@pytest.fixture(autouse=True)
def _registered(datasets_root: Path) -> Iterator[None]:
    with register():
        yield


def go(page: Page, step: int) -> None:
    page.locator("#step").fill(str(step))
    page.wait_for_function(
        "step => document.querySelector('#plots').dataset.step === `${step}`", arg=step
    )


def pixels(page: Page) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    numbers = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas[data-path='replay']");
            const context = canvas.getContext("2d");
            return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    return np.array(numbers, dtype=np.uint8).reshape(24, 32, 4)


def test_a_replay_is_made_when_asked_for_and_shows_every_frame(open_page: OpenPage) -> None:
    page = open_page(record())
    assert page.locator("canvas").count() == 0
    page.get_by_role("button", name="Replay").click()
    page.wait_for_selector("canvas[data-path='replay'][data-step='0']")
    assert page.locator(".replay").inner_text() == "every observation is exactly the recorded one"
    assert page.locator(".replay button:visible").count() == 0
    for step in (1, STEPS, 5):
        go(page, step)
        page.wait_for_selector(f"canvas[data-step='{step}']")
        assert np.array_equal(pixels(page)[:, :, :3], frame(step)), f"step {step}"
    page.locator("body").press("ArrowRight")
    page.wait_for_selector("canvas[data-step='6']")
    page.locator("#rate").select_option("60")
    page.locator("#play").click()
    page.wait_for_selector(f"canvas[data-step='{STEPS}']")
    page.wait_for_function("() => document.querySelector('#play').textContent === 'Play'")


def test_where_a_replay_goes_elsewhere_there_is_no_frame(open_page: OpenPage) -> None:
    page = open_page(record(fault="random"))
    page.get_by_role("button", name="Replay").click()
    page.wait_for_selector("canvas[data-path='replay']")
    assert "at step 6 observations differs by 1" in page.locator(".replay").inner_text()
    go(page, FAULTY_STEP)
    page.wait_for_selector(f"canvas[data-step='{FAULTY_STEP}']")
    assert np.array_equal(pixels(page)[:, :, :3], frame(FAULTY_STEP))
    go(page, FAULTY_STEP + 1)
    page.wait_for_selector("canvas[data-step='none']")
    assert not pixels(page).any()


def test_a_page_in_one_file_plays_a_replay_that_was_made_before(
    open_page: OpenPage, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(minari.dataset_page(record(fault="random"), replay=True), encoding="utf-8")
    gym.registry.pop("ReplayToy-v0")
    page = open_page(path, offline=True)
    page.wait_for_selector("canvas[data-path='replay'][data-step='0']")
    assert "at step 6 observations differs by 1" in page.locator(".replay").inner_text()
    assert page.locator(".replay button:visible").count() == 0
    for step in (1, FAULTY_STEP, 3):
        go(page, step)
        page.wait_for_selector(f"canvas[data-step='{step}']")
        assert np.array_equal(pixels(page)[:, :, :3], frame(step)), f"step {step}"
    go(page, FAULTY_STEP + 1)
    page.wait_for_selector("canvas[data-step='none']")
    assert not pixels(page).any()


def test_a_replay_is_cancelled_and_another_episode_says_why_there_is_none(
    open_page: OpenPage, tmp_path: Path
) -> None:
    dataset = record(seeds=(1, None), fault="hang", told=str(tmp_path / "told"))
    page = open_page(dataset, trust=Trust(paths=True))
    page.get_by_role("button", name="Replay").click()
    page.wait_for_function(
        "() => document.querySelector('.replay span').textContent.endsWith(' 46 %')"
    )
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Replay").wait_for()
    page.locator(".row").nth(1).click()
    page.get_by_text("episode 1 was recorded without a seed").wait_for()
    assert page.locator(".replay button:visible").count() == 0


def test_a_failing_environment_is_told(open_page: OpenPage) -> None:
    page = open_page(record(fault="raise"))
    page.get_by_role("button", name="Replay").click()
    page.get_by_text("raised RuntimeError in step 5: no physics today").wait_for()
    assert page.locator("canvas").count() == 0


def test_an_environment_that_is_not_registered_is_not_run(open_page: OpenPage) -> None:
    dataset = record()
    spec = gym.registry.pop("ReplayToy-v0")
    page = open_page(minari.load_dataset(dataset.id))
    page.get_by_text("no environment of the id 'ReplayToy-v0' is registered here").wait_for()
    assert page.locator(".replay button:visible").count() == 0
    gym.registry["ReplayToy-v0"] = spec
