"""The documentation in a browser: whole, without the network beyond it, on a phone, in the dark."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}
PATIENCE = 120_000  # milliseconds; the machines that run this are shared
DESKTOP = {"width": 1280, "height": 900}
IS_DARK = """() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
    return +red + +green + +blue < 384;
}"""


def list_pages(site: Path) -> list[str]:
    """The addresses of all pages, below that of the site."""
    return sorted(
        file.parent.relative_to(site).as_posix().removeprefix(".")
        for file in site.rglob("index.html")
    )


def is_there(url: str) -> bool:
    try:
        with urlopen(url) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


def test_the_addresses_that_the_historic_page_links_to_are_pages(address: str) -> None:
    text = (REPOSITORY / "docs" / "basic_usage.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\((/[^)]+)\)", text))

    assert len(links) == 4
    assert [link for link in links if not is_there(address + link)] == []


def test_every_link_within_the_site_leads_to_a_file_of_it(site: Path, address: str) -> None:
    links = set()
    for page in list_pages(site):
        text = (site / page / "index.html").read_text(encoding="utf-8")
        found = re.findall(r"""(?:href|src)="?([^"\s>]+)""", text)
        links |= {urljoin(f"{address}{page and f'/{page}'}/", link) for link in found}
    within = {link.partition("#")[0] for link in links if link.startswith(address)}

    assert len(within) > len(list_pages(site))
    assert [link for link in sorted(within) if not is_there(link)] == []


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_every_page_fits_its_screen_and_asks_no_other_host(
    site: Path, address: str, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("request", lambda request: asked.add(request.url))

    for name in list_pages(site):
        page.goto(f"{address}/{name}")
        excess = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert excess <= 0, f"{name} is wider than the screen"
        assert page.evaluate(IS_DARK) == (scheme == "dark"), name
        if folder := os.environ.get("MINARI_SCREENSHOTS"):
            picture = f"{name.replace('/', '-') or 'home'}-{size['width']}-{scheme}.png"
            page.screenshot(path=Path(folder) / picture)

    schemes = {urlsplit(url).scheme for url in asked if not url.startswith(address)}
    assert schemes <= {"blob", "data"}
    assert said == []
    context.close()


def test_each_dataset_of_the_gallery_is_shown_by_a_file_alone(
    site: Path, address: str, browser: Browser
) -> None:
    shown = sorted({*(site / "gallery").glob("*.html")} - {site / "gallery" / "index.html"})
    assert len(shown) == 10
    overview = (site / "gallery" / "index.html").read_text(encoding="utf-8")
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("request", lambda request: asked.add(urlsplit(request.url).scheme))

    for file in shown:
        assert f"{file.stem}.html" in overview
        assert (site / "gallery" / f"{file.stem}.png").stat().st_size > 500
        page.goto(file.as_uri())
        page.wait_for_selector("#plots[data-step]")
        assert f"gallery/{file.stem}-v0" in page.title()

    assert asked <= {"file", "blob", "data"}
    assert said == []
    page.close()


def test_a_name_is_found_by_the_search(address: str, browser: Browser) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/")
    page.get_by_role("button", name="Search").first.click()
    page.get_by_role("combobox").or_(page.get_by_role("textbox")).first.fill("sample_transitions")
    page.get_by_text("results").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/api/minari_dataset/**")
    assert "sample_transitions" in page.url
    page.close()
