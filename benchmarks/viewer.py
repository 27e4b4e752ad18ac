"""The page of a dataset in Chromium: each figure beside its limit.

hatch run browser:bench            # a million episodes, and one of a million steps
hatch run browser:bench --quick
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from report import Figure, machine, megabytes, milliseconds, not_reached, table
from setting import folder_to_measure_in

import minari
from minari.viewer.protocol import read_page_file

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ROUNDS = 5
_MOST_MEMORY = 150e6
_MOST_SCRIPT = 60e3
_MOST_FILE = 1e6
# The page notes itself when something is drawn: asking it again and again would slow it down.
_NOTES = """
    window.clock = () => performance.timeOrigin + performance.now();
    window.when = (holds) => new Promise((resolve) => {
        const look = () => holds() && (observer.disconnect(), resolve(window.clock()));
        const observer = new MutationObserver(look);
        observer.observe(document, { childList: true, subtree: true, attributes: true });
        look();
    });
    window.drawn = window.when(() => document.querySelector(".plot svg path"));
"""
_IS_LISTED = """() => {
    const rows = [...document.querySelectorAll(".row")];
    return rows.length > 0 && rows.every((row) => row.children.length);
}"""


def main() -> int:
    """Measure everything and print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small datasets")
    parser.add_argument("--datasets", type=Path, help="a folder to make them in, and leave them")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with folder_to_measure_in(None) as folder, sync_playwright() as playwright:
        os.environ["MINARI_DATASETS_PATH"] = str(options.datasets or folder)
        for name, value in machine(folder).items():
            print(f"{name}: {value}")
        count = 10_000 if options.quick else 1_000_000
        found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        figures = [
            *_measure_list(browser, count),
            *_measure_episode(browser, count),
            *_measure_playing(browser, 96),
            *_measure_playing(browser, 480),
            *_measure_bytes(),
        ]
        browser.close()
    print(f"\n{table(figures)}\n\n{not_reached(figures)}")
    return 0


def _measure_list(browser: Browser, count: int) -> list[Figure]:
    name = f"bench/many-{count}-v0"
    if name not in minari.list_local_datasets():
        _create(name, (_make_episode(1 + number % 3, number) for number in range(count)))
    starts, jumps, sorts, memory = [], [], [], 0.0
    for number in range(_ROUNDS):
        with _open(browser) as page, _serve(name) as (process, address, started):
            _goto(page, address)
            starts.append(page.evaluate("() => window.drawn") / 1e3 - started)
            if number:
                continue
            page.wait_for_function("() => !find('answer').textContent.includes('reading')")
            rng = np.random.default_rng(0)
            jumps = [_time_jump(page, place) for place in rng.uniform(size=20)]
            # Descending, ascending, and then both again, which is known by then.
            sorts = [_time_sort(page, "return") for _ in range(2)]
            page.wait_for_function("() => document.querySelectorAll('.distribution').length > 3")
            memory = _read_memory(process.pid)
    what = f"of {count:,} episodes"
    return [
        _compare(f"first plot {what}, after the address is printed", statistics.median(starts), 1),
        _compare(f"a jump in the list {what}, median", statistics.median(jumps), 0.05),
        _compare(f"a jump in the list {what}, slowest of 20", max(jumps), 0.05),
        _compare(f"sorting {what} by return, slower of both orders", max(sorts), 0.3),
        Figure(
            work=f"memory of the server {what}, pages of files left out",
            minari=megabytes(memory),
            compared=megabytes(memory),
            target=f"below {megabytes(_MOST_MEMORY)}",
            reached=memory < _MOST_MEMORY,
        ),
    ]


def _measure_episode(browser: Browser, steps: int) -> list[Figure]:
    name = f"bench/long-{steps}-v0"
    if name not in minari.list_local_datasets():
        _create(name, [_make_episode(3, 0), _make_episode(steps, 1)])
    drawn, zoomed = [], []
    with _serve(name) as (_, address, _), _open(browser) as page:
        _goto(page, address)
        for _ in range(_ROUNDS):
            _click_row(page, 0, "Episode 0")
            drawn.append(_click_row(page, 1, "Episode 1"))
            zoomed.extend(_time_zoom(page, left) for left in (0.2, 0.4, 0.6))
    what = f"an episode of {steps:,} steps, 8 of 17 elements and 6 and 1 others"
    return [
        _compare(f"{what}, drawn after the click", statistics.median(drawn), 0.3),
        _compare(f"{what}, zoomed after the mouse is up", statistics.median(zoomed), 0.15),
    ]


def _measure_playing(browser: Browser, size: int) -> list[Figure]:
    name = f"bench/images-{size}-v0"
    if name not in minari.list_local_datasets():
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 255, (301, size, size, 3), dtype=np.uint8)
        space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        _create(name, [_make_episode(300, 0, frames)], space)
    figures = []
    with _serve(name) as (_, address, _), _open(browser) as page:
        _goto(page, address)
        page.wait_for_selector("canvas[data-step='0']")
        for rate in (30, 60):
            page.locator("#rate").select_option(str(rate))
            page.locator("body").press("Home")
            steps, seconds = page.evaluate(
                """async () => {
                    const canvas = document.querySelector("canvas");
                    const seen = [];
                    const note = () => seen.push([Number(canvas.dataset.step), window.clock()]);
                    const observer = new MutationObserver(note);
                    observer.observe(canvas, { attributeFilter: ["data-step"] });
                    find("play").click();
                    await window.when(() => find("at").textContent.startsWith("300 of"));
                    observer.disconnect();
                    const steps = new Set(seen.map(([step]) => step));
                    return [steps.size, (seen.at(-1)[1] - seen[0][1]) / 1000];
                }"""
            )
            achieved = (steps - 1) / seconds
            figures.append(
                Figure(
                    work=f"images of {size} × {size} a second, {rate} asked for",
                    minari=f"{achieved:.1f}, {300 - min(steps, 300)} of 300 skipped",
                    target=f"{rate}, none skipped",
                    compared=f"{achieved / rate:.2f} ×",
                    reached=steps >= 300 and achieved > 0.98 * rate,
                )
            )
        shown = page.evaluate(
            """async () => {
                const slider = find("step");
                for (let step = 0; step <= 217; step += 7) {
                    slider.value = step;
                    slider.dispatchEvent(new Event("input"));
                    await new Promise(requestAnimationFrame);
                }
                const start = window.clock();
                const last = slider.value;
                const end = await window.when(
                    () => document.querySelector("canvas").dataset.step === last);
                return (end - start) / 1000;
            }"""
        )
    return [*figures, _compare(f"the right image of {size} × {size} after scrubbing", shown, 0.15)]


def _measure_bytes() -> list[Figure]:
    script = sum(len(read_page_file(each)) for each in ("page.js", "embedded.js", "page.css"))
    name = "bench/wide-v0"
    if name not in minari.list_local_datasets():
        _create(name, [_make_episode(3000, number) for number in range(5)])
    page = minari.dataset_page(minari.load_dataset(name))
    file = len(re.sub(r'<script type="text/plain" id="frames-.*?</script>', "", page).encode())
    return [
        Figure(
            work=work,
            minari=f"{nbytes / 1e3:.1f} kB",
            compared=f"{nbytes / 1e3:.1f} kB",
            target=f"at most {most / 1e3:,.0f} kB",
            reached=nbytes <= most,
        )
        for work, nbytes, most in (
            ("JavaScript and CSS", script, _MOST_SCRIPT),
            ("page in one file, of 5 episodes of 3,000 steps", file, _MOST_FILE),
        )
    ]


def _time_jump(page: Page, place: float) -> float:
    seconds: float = page.evaluate(
        f"""async (place) => {{
            const start = window.clock();
            const scroller = find("scroller");
            scroller.scrollTop = place * scroller.scrollHeight;
            const once = {{ once: true }};
            await new Promise((resume) => scroller.addEventListener("scroll", resume, once));
            return ((await window.when({_IS_LISTED})) - start) / 1000;
        }}""",
        place,
    )
    return seconds


def _time_sort(page: Page, key: str) -> float:
    seconds: float = page.evaluate(
        f"""async (key) => {{
            const button = document.querySelector(`#heads button[data-key=${{key}}]`);
            const [start, before] = [window.clock(), button.getAttribute("aria-sort")];
            button.click();
            await window.when(() => button.getAttribute("aria-sort") !== before);
            return ((await window.when({_IS_LISTED})) - start) / 1000;
        }}""",
        key,
    )
    return seconds


def _click_row(page: Page, row: int, title: str) -> float:
    """Choose an episode; return the seconds until all of its plots are drawn."""
    seconds: float = page.evaluate(
        """async ([row, title]) => {
            const start = window.clock();
            document.querySelectorAll(".row")[row].click();
            const end = await window.when(() => find("title").textContent === title
                && [...document.querySelectorAll(".plot svg")].every((svg) => svg.dataset.low));
            return (end - start) / 1000;
        }""",
        [row, title],
    )
    return seconds


def _time_zoom(page: Page, left: float) -> float:
    page.evaluate("""() => {
        const texts = () => [...document.querySelectorAll(".plot small")].map((e) => e.textContent);
        document.addEventListener("pointerup", () => {
            const [start, before] = [window.clock(), texts()];
            window.zoomed = window.when(() => texts().every((text, index) => !before[index]
                || text !== before[index])).then((end) => (end - start) / 1000);
        }, { capture: true, once: true });
    }""")
    box: Any = page.locator(".plot svg").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * left, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (left + 0.3), box["y"] + 20)
    page.mouse.up()
    seconds: float = page.evaluate("() => window.zoomed")
    page.locator("#whole").click()
    page.wait_for_selector("#whole", state="hidden")
    page.wait_for_timeout(300)
    return seconds


@contextmanager
def _serve(name: str) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    command = [sys.executable, "-W", "ignore", "-m", "minari", "view", name, "--no-browser"]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=pipe, stderr=nothing, text=True) as process:
        address = process.stdout.readline().strip() if process.stdout else ""
        try:
            yield process, address, time.time()
        finally:
            process.terminate()


@contextmanager
def _open(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    context.add_init_script(_NOTES)
    yield context.new_page()
    context.close()


def _goto(page: Page, address: str) -> None:
    """Open the page; the address with the token leads on to it."""
    page.goto(address)
    page.wait_for_selector("#plots[data-step]")


def _read_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"^RssAnon:\s*(\d+)", status, re.MULTILINE)
    return 1024.0 * int(kilobytes)


def _compare(work: str, seconds: float, limit: float) -> Figure:
    return Figure(
        work=work,
        minari=milliseconds(seconds),
        compared=milliseconds(seconds),
        target=f"at most {milliseconds(limit)}",
        reached=seconds <= limit,
    )


def _make_episode(
    steps: int, number: int, frames: np.ndarray[Any, Any] | None = None
) -> minari.EpisodeBuffer:
    rng = np.random.default_rng(number)
    return minari.EpisodeBuffer(
        observations=rng.standard_normal((steps + 1, 17)) if frames is None else frames,
        actions=rng.standard_normal((steps, 6)),
        rewards=rng.standard_normal(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
        seed=number,
        metadata={"quality": number % 7},
    )


def _create(name: str, episodes: Any, space: spaces.Space[Any] | None = None) -> None:
    minari.create_dataset_from_buffers(
        name,
        episodes,
        observation_space=space or spaces.Box(-np.inf, np.inf, (17,), np.float64),
        action_space=spaces.Box(-np.inf, np.inf, (6,), np.float64),
        description="made to be measured",
    )


if __name__ == "__main__":
    sys.exit(main())
