"""The page in a real browser: what it draws and says is what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer
from minari_core import open_stream
from tests.browser.acting import choose, go, pixels, values
from tests.browser.conftest import HOSTILE
from tests.core.helpers.streams import read_source

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")


def test_the_canvas_shows_the_stored_image_at_every_step(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 3)
    camera = dataset[3].observations["camera"]
    for step in (0, 1, 31, 32, 33, 299, 300, 100):
        go(page, step)
        shown = pixels(page, step)
        assert np.array_equal(shown[:, :, :3], camera[step]), f"step {step}"
        assert shown[:, :, 3].min() == 255


def test_the_values_at_the_cursor_are_exact_also_where_the_line_is_thinned_out(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 3)
    episode = dataset[3]
    for step in (0, 10, 299, 300):
        go(page, step)
        shown = values(page, "observations/state")
        wanted = [f"{i}: {value}" for i, value in enumerate(episode.observations["state"][step])]
        assert shown[:8] == wanted[:8]
        if step < 300:
            assert values(page, "rewards") == [str(episode.rewards[step])]
        else:
            assert values(page, "rewards") == ["no value at this step"]


def test_more_elements_than_fit_are_told_and_shown_when_asked_for(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    plot = page.locator(".plot[data-path='observations/state']")
    plot.locator("path").first.wait_for(state="attached")
    assert plot.locator("path").count() == 8
    plot.get_by_text("show all 17 elements").click()
    page.wait_for_function(
        """() => document.querySelectorAll(
            ".plot[data-path='observations/state'] path").length === 17"""
    )


def test_an_episode_of_one_step_draws_something(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 0)
    dot = page.locator(".plot[data-path='rewards'] path.dots")
    dot.wait_for(state="attached")
    assert "NaN" not in (dot.get_attribute("d") or "NaN")
    assert page.locator(".plot[data-path='observations/state'] path").first.get_attribute("d")


def test_nan_is_a_hole_and_moves_no_border(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 1)
    page.wait_for_selector(".plot[data-path='observations/state'] .hole", state="attached")
    svg = page.locator(".plot[data-path='observations/state'] svg")
    state = dataset[1].observations["state"][:, :8]
    assert float(svg.get_attribute("data-low") or "nan") == np.nanmin(state)
    assert float(svg.get_attribute("data-high") or "nan") == np.nanmax(state)


def test_keys_step_and_the_ends_stop(open_page: OpenPage, dataset: minari.MinariDataset) -> None:
    page = open_page(dataset)
    choose(page, 1)
    at = page.locator("#at")
    page.locator("body").press("ArrowRight")
    page.locator("body").press("ArrowRight")
    assert at.inner_text() == "2 of 40"
    page.locator("body").press("ArrowLeft")
    assert at.inner_text() == "1 of 40"
    page.locator("body").press("End")
    assert at.inner_text() == "40 of 40"
    page.locator("body").press("ArrowRight")
    assert at.inner_text() == "40 of 40"
    page.locator("body").press("Home")
    assert at.inner_text() == "0 of 40"


def test_playing_draws_every_frame_once_and_stops_at_the_end(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 2)
    page.locator("#rate").select_option("60")
    page.evaluate(
        """() => {
            window.steps = [];
            const note = (changes) => changes.forEach(
                (change) => window.steps.push(Number(change.target.dataset.step)));
            const canvas = document.querySelector("canvas");
            new MutationObserver(note).observe(canvas, { attributeFilter: ["data-step"] });
        }"""
    )
    page.locator("#play").click()
    page.wait_for_function("() => document.querySelector('#at').textContent === '100 of 100'")
    page.wait_for_function("() => document.querySelector('#play').textContent === 'Play'")
    steps = [step for step in page.evaluate("window.steps") if step]
    assert sorted(set(steps)) == list(range(1, 101)), "a frame was skipped"
    assert pixels(page, 100).shape == (48, 64, 4)


def test_pause_stops_where_it_is(open_page: OpenPage, dataset: minari.MinariDataset) -> None:
    page = open_page(dataset)
    choose(page, 3)
    page.locator("#play").click()
    page.wait_for_function("() => parseInt(document.querySelector('#at').textContent) >= 5")
    page.locator("#play").click()
    before = page.locator("#at").inner_text()
    page.wait_for_timeout(300)
    assert page.locator("#at").inner_text() == before


def test_episodes_are_sorted_and_filtered(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)

    def ids() -> list[str]:
        found: list[str] = page.locator(".row span:first-child").all_inner_texts()
        return found

    page.locator("#heads button[data-key='length']").click()
    page.wait_for_function("() => document.querySelector('.row span').textContent === '3'")
    assert ids() == ["3", "2", "1", "4", "0"]
    page.locator("#heads button[data-key='length']").click()
    page.wait_for_function("() => document.querySelector('.row span').textContent === '0'")
    assert ids() == ["0", "4", "1", "2", "3"]
    page.locator("#conditions").fill("length>=40 score<3")
    page.wait_for_function("() => document.querySelectorAll('.row').length === 2")
    assert ids() == ["1", "2"]
    page.locator("#conditions").fill("length>=")
    page.wait_for_function("() => document.querySelectorAll('.row').length === 0")
    assert "no condition" in page.locator("#answer").inner_text()


def test_the_last_column_of_the_list_is_chosen_and_sorted_by(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    page.wait_for_selector("#more option[value='score']", state="attached")
    page.get_by_label("also show").select_option("score")
    assert page.locator(".row span:last-child").all_inner_texts() == ["0", "1", "2", "3", "4"]
    page.get_by_role("button", name="score").click()
    page.wait_for_function("() => document.querySelector('.row span').textContent === '4'")
    assert page.locator(".row span:last-child").all_inner_texts() == ["4", "3", "2", "1", "0"]


def test_newer_episodes_are_told_and_shown_when_asked_for(
    open_page: OpenPage, datasets_root: Path
) -> None:
    buffer = EpisodeBuffer(
        observations=[0, 0], actions=[1], rewards=[2.0], terminations=[True], truncations=[False]
    )
    dataset = minari.create_dataset_from_buffers(
        "tests/grown-v0",
        [buffer],
        observation_space=spaces.Discrete(2),
        action_space=spaces.Discrete(2),
    )
    page = open_page(minari.load_dataset("tests/grown-v0"))
    dataset.update_dataset_from_buffer([buffer, buffer])
    page.get_by_role("button", name="Show 2 newer episodes").click()
    page.wait_for_function("() => document.querySelectorAll('.row').length === 3")


def test_a_stream_is_played_at_once_and_its_returns_are_read_when_asked_for(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    stream = open_stream(read_source(Path(dataset.spec.data_path or "")))
    page = open_page(stream)
    go(page, 1)
    assert page.locator(".row").first.locator("span").nth(2).inner_text() == "…"
    assert page.locator("#distributions").inner_text() == ""
    page.locator("#heads button[data-key='length']").click()
    page.wait_for_function("() => answer.textContent.includes('have it read first')")
    page.get_by_role("button", name="Read returns").click()
    page.wait_for_function("() => document.querySelector('.row span')?.textContent === '3'")
    page.wait_for_selector("#distributions svg")
    assert page.locator("#read").is_hidden()


def test_columns_are_filtered_by_name(open_page: OpenPage, dataset: minari.MinariDataset) -> None:
    page = open_page(dataset)
    page.locator("#columns").fill("reward act")
    visible = page.locator(".plot:visible").evaluate_all("plots => plots.map(p => p.dataset.path)")
    assert visible == ["actions", "rewards"]


def test_dragging_zooms_and_the_axis_stays_common(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    choose(page, 3)
    page.wait_for_selector(".plot[data-path='rewards'] path")
    box = page.locator(".plot[data-path='rewards'] svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
    page.mouse.up()
    page.wait_for_selector("#whole:visible")
    page.wait_for_function(
        """() => [...document.querySelectorAll(".plot small")].filter((each) => each.textContent)
            .every((each) => each.textContent.startsWith("steps 15"))"""
    )
    page.locator("#whole").click()
    page.wait_for_selector("#whole", state="hidden")


def test_the_data_is_checked_when_asked_for(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    page.locator("#check").click()
    page.wait_for_selector("#findings li")
    assert page.locator("#findings .warning").all_inner_texts() == [
        "warning: not-finite: observations/state has values that are NaN or infinite "
        "(episodes 1, 2, 3; 3 in all)"
    ]


def test_statistics_of_all_steps_are_computed_when_asked_for(
    open_page: OpenPage, dataset: minari.MinariDataset
) -> None:
    page = open_page(dataset)
    page.locator("#measure").click()
    page.wait_for_selector("#tables table")
    captions = page.locator("#tables caption").all_inner_texts()
    assert captions == ["observations/state, 453 rows", "actions, 448 rows", "rewards, 448 rows"]
    row = page.locator("#tables table").first.locator("tr").nth(1)
    cells = row.locator("td").all_inner_texts()
    assert cells[4] == "3"
    rewards = np.concatenate([episode.rewards for episode in dataset])
    shown = page.locator("#tables table").nth(2).locator("td").all_inner_texts()
    wanted = [rewards.mean(), rewards.std(), rewards.min(), rewards.max(), 0]
    assert np.allclose([float(each) for each in shown], wanted, rtol=1e-4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_dataset_says_is_text_in_both_colour_schemes(
    open_page: OpenPage, dataset: minari.MinariDataset, scheme: str
) -> None:
    page = open_page(dataset, color_scheme=scheme)
    page.wait_for_selector(".distribution")
    page.locator("#load").scroll_into_view_if_needed()
    text = page.locator("body").inner_text()
    assert text.count(HOSTILE) >= 5
    assert page.locator("img").count() == 0
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_page_fits_a_phone(open_page: OpenPage, dataset: minari.MinariDataset) -> None:
    page = open_page(dataset, viewport={"width": 390, "height": 800})
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390


def test_a_single_value_has_a_distribution(open_page: OpenPage, datasets_root: Path) -> None:
    buffer = EpisodeBuffer(
        observations=[0, 0], actions=[1], rewards=[2.0], terminations=[True], truncations=[False]
    )
    dataset = minari.create_dataset_from_buffers(
        "tests/single-v0",
        [buffer],
        observation_space=spaces.Discrete(2),
        action_space=spaces.Discrete(2),
    )
    page = open_page(dataset)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.distribution strong')].some("
        "(each) => each.textContent === 'return')"
    )
    names = page.locator(".distribution strong").all_inner_texts()
    assert names == ["return", "length", "observations", "actions", "rewards"]
    assert page.locator(".distribution rect").count() == 5
