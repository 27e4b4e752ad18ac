"""The page of a stream: it fetches what is seen, and all of the rest only when it is asked to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import minari
from minari.viewer.data import PageData
from minari.viewer.protocol import Protocol
from minari.viewer.server import serve
from minari_core import open_stream
from minari_core.testing import MemorySource, simple_episode
from tests.core.helpers.many_shards import create_many_shards
from tests.core.helpers.streams import read_source
from tests.helpers.command_line import in_process
from tests.minari.viewer.test_data import create
from tests.minari.viewer.test_protocol import PORT, get, get_json
from tests.minari.viewer.test_server import open_page, read

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
LENGTHS = [3, 40, 1, 7]
QUESTIONS = (
    "/episodes",
    *(f"/episode?position={position}" for position in range(len(LENGTHS))),
    "/values?position=1&step=40",
)


@pytest.fixture
def local(datasets_root: Path) -> minari.MinariDataset:
    return create(LENGTHS)


@pytest.fixture
def source(local: minari.MinariDataset) -> MemorySource:
    return read_source(Path(local.spec.data_path or ""))


def serve_without_socket(dataset: minari.MinariDataset) -> Protocol:
    return Protocol(PageData(dataset), PORT)


def test_what_is_seen_is_that_of_the_dataset_and_the_rest_is_not_read(
    local: minari.MinariDataset, source: MemorySource
) -> None:
    stream = serve_without_socket(open_stream(source))
    page = serve_without_socket(local)

    for target in QUESTIONS:
        found, wanted = get_json(stream, target), get_json(page, target)
        if "rows" in found:
            # A reward and two flags a step.
            assert (found["unread"], found["keys"]) == (sum(LENGTHS) * 10, ["id"])
            found, wanted = found["rows"], wanted["rows"]
        assert found == wanted
    series = "/series?position=1&column=observations/state&stop=41"
    assert get(stream, series) == get(page, series)
    assert get_json(stream, "/newer") == {"newer": 0}
    assert "has not been read" in get_json(stream, "/episodes?conditions=length>3")["error"]


def test_of_many_shards_one_is_asked_for_what_is_seen(datasets_root: Path) -> None:
    many = create_many_shards(
        "tests/many-v0", [[simple_episode(number, 5)] * 3 for number in range(12)]
    )
    source = read_source(Path(many.spec.data_path or ""))
    stream = serve_without_socket(open_stream(source))
    for position in (0, 35):
        get_json(stream, f"/episode?position={position}")
        get(stream, f"/series?position={position}&column=rewards&stop=5")
    get_json(stream, "/dataset")
    assert len({name for name, *_ in source.requests}) == 3  # the manifest, first and last


def test_all_is_read_when_it_is_asked_for(
    local: minari.MinariDataset, source: MemorySource
) -> None:
    data, whole = PageData(open_stream(source)), PageData(local)
    stream = Protocol(data, PORT)
    get_json(stream, "/episodes?read=true&count=0")
    get_json(stream, "/episodes?read=true&count=0")
    data.episodes.wait()
    whole.episodes.start()
    whole.episodes.wait()

    for target in (
        "/episodes?sort=return&conditions=length>1 end=terminated".replace(" ", "%20"),
        "/columns",
        "/distributions",
    ):
        assert get_json(stream, target) == get_json(Protocol(whole, PORT), target)


def test_a_url_is_shown_and_how_it_is_loaded(local: minari.MinariDataset, tmp_path: Path) -> None:
    url = f"{(tmp_path / 'remote').as_uri()}/{local.id}"
    minari.upload_dataset(local.id, remote_path=(tmp_path / "remote").as_uri())
    with serve(minari.load_dataset(url, stream=True)) as address:
        described = json.loads(read(open_page(address), address, "/dataset"))
    assert described["location"] == f"{url}/data"
    assert f"minari.load_dataset({url!r}, stream=True)" in described["load"]
    assert described["total_steps"] == sum(LENGTHS)
    done = in_process("minari", "view", url.replace("shown-v0", "hidden-v0"), "--no-browser")
    assert done.code == 3
    assert "hidden" in done.err
