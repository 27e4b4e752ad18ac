"""The page in one file, in a real browser: it shows what the server's page shows, alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import minari
from minari.viewer.data import PageData
from minari.viewer.listing import Query, QueryError
from tests.browser.acting import choose, go, pixels, values
from tests.browser.conftest import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
QUERIES = [
    Query(sort="length", descending=True),
    Query(sort="return"),
    Query(sort="seed", descending=True),
    Query(sort="end"),
    Query(sort="score", descending=True, start=1, count=2),
    Query(conditions="length>=40 score<3"),
    Query(conditions="return<1.5 end=terminated"),
    Query(conditions="end!=truncated seed>=2"),
    Query(conditions="score!=2"),
    Query(conditions="length>="),
    Query(conditions="nothing=1"),
]


@pytest.fixture(scope="module")
def file(dataset: minari.MinariDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(
        minari.dataset_page(dataset, episodes=range(len(dataset)), check=True), encoding="utf-8"
    )
    return path


def ask(page: Page, path: str, **parameters: object) -> Any:
    return page.evaluate(
        """async ([path, parameters]) => {
            try {
                return await source.askJson(path, parameters);
            } catch (error) {
                return { error: error.message };
            }
        }""",
        [path, parameters],
    )


def test_the_file_shows_everything_without_a_network(
    open_page: OpenPage, dataset: minari.MinariDataset, file: Path
) -> None:
    page = open_page(file, offline=True)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    page.wait_for_selector("#plots[data-step]")

    choose(page, 3)
    episode = dataset[3]
    for step in (0, 10, 31, 32, 299, 300):
        go(page, step)
        assert np.array_equal(pixels(page, step)[:, :, :3], episode.observations["camera"][step])
        state = episode.observations["state"][step]
        wanted = [f"{index}: {value}" for index, value in enumerate(state)]
        assert values(page, "observations/state")[:8] == wanted[:8]
    page.wait_for_selector("#findings li")
    assert "not-finite" in page.locator("#findings").inner_text()
    page.locator("#rate").select_option("60")
    choose(page, 4)
    page.locator("#play").click()
    page.wait_for_function("() => document.querySelector('#at').textContent === '7 of 7'")

    assert requests == [file.as_uri()]
    assert page.locator("body").inner_text().count(HOSTILE) >= 5
    assert page.locator("img").count() == 0


def test_lines_are_thinned_out_as_the_server_does_it(
    open_page: OpenPage, dataset: minari.MinariDataset, file: Path
) -> None:
    page = open_page(file)
    data = PageData(dataset)
    for position in (0, 3):
        for path in ("observations/state", "actions", "rewards"):
            for start, stop, buckets in ((0, 10**6, 1000), (0, 301, 7), (5, 19, 4), (400, 500, 9)):
                wanted, width = data.read_series(position, path, start, stop, buckets, 5)
                shown = page.evaluate(
                    """async (parameters) => {
                        const { buffer, width } = await source.askBytes("/series", parameters);
                        return [[...new Float64Array(buffer)].map(String), width];
                    }""",
                    {
                        "position": position,
                        "column": path,
                        "start": start,
                        "stop": stop,
                        "buckets": buckets,
                        "elements": 5,
                    },
                )
                assert shown[1] == width
                assert np.array_equal(
                    np.array(shown[0], dtype=float), wanted.ravel(), equal_nan=True
                )


def test_the_list_answers_as_the_server_does(
    open_page: OpenPage, dataset: minari.MinariDataset, file: Path
) -> None:
    page = open_page(file)
    episodes = PageData(dataset).episodes
    episodes.start()
    episodes.wait()
    for query in QUERIES:
        asked = {name: getattr(query, name) for name in ("sort", "descending", "conditions")}
        shown = ask(page, "/episodes", **asked, start=query.start, count=query.count)
        try:
            wanted = episodes.answer(query)
        except QueryError as error:
            wanted = {"error": str(error)}
        if "error" in wanted:
            assert shown["error"].partition(";")[0] == str(wanted["error"]).partition(";")[0]
        else:
            assert shown == wanted, query


def test_what_does_not_fit_is_left_out_and_told(open_page: OpenPage, tmp_path: Path) -> None:
    from tests.minari.viewer.test_page_file import create_wide

    dataset = create_wide(tmp_path)
    path = tmp_path / "page.html"
    path.write_text(minari.dataset_page(dataset), encoding="utf-8")
    page = open_page(path)
    assert "the first 8 of 90 elements" in page.locator(".plot h3").first.inner_text()
    facts = page.locator("#facts").inner_text()
    assert "of 6,000 steps" in facts
    assert facts.startswith("the first ")
