"""What somebody does with the page, and what is seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page


def choose(page: Page, position: int) -> None:
    page.locator(".row").nth(position).click()
    page.wait_for_function(
        "position => document.querySelector('#title').textContent === `Episode ${position}`",
        arg=position,
    )


def go(page: Page, step: int) -> None:
    page.locator("#step").fill(str(step))
    page.wait_for_function(
        "step => document.querySelector('#plots').dataset.step === `${step}`", arg=step
    )


def pixels(page: Page, step: int) -> Any:
    page.wait_for_selector(f"canvas[data-step='{step}']")
    numbers = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const context = canvas.getContext("2d");
            return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    return np.array(numbers, dtype=np.uint8).reshape(48, 64, 4)


def values(page: Page, path: str) -> list[str]:
    found: list[str] = page.locator(f".plot[data-path='{path}'] .values li").all_inner_texts()
    return found
