"""The page of a dataset as one HTML file, with some episodes inside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from minari.replay.frames import Replay
from minari.replay.replaying import Trust, choose_spec, find_cached_replay, find_replay
from minari.viewer.columns import EpisodeColumn
from minari.viewer.data import PageData
from minari.viewer.protocol import read_page_file
from minari_core import MinariDataset
from minari_core.datasets.dataset import check_dataset
from minari_core.errors import EpisodeIndexError
from minari_core.json_values import JsonObject, JsonValue
from minari_core.messages import Progress

_ReadImage: TypeAlias = Callable[[int], bytes]

_MOST_CONTENT = 900_000
_MOST_IMAGES = 24_000_000
_MOST_VALUES = 400_000
_VALUES_OF_TEXT = 8
_ELEMENTS = (256, 64, 16, 8)
_CHUNK_FRAMES, _CHUNK_NBYTES = 32, 8_000_000
"""As many as the page asks for at once: fewer of large ones."""
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def dataset_page(
    dataset: MinariDataset,
    *,
    episodes: Sequence[int] = (),
    check: bool = False,
    replay: bool = False,
    trust_entry_point: bool = False,
    trust_paths: bool = False,
    skip_wrappers: Collection[str] = (),
    progress: Progress | None = None,
) -> str:
    """Return the page that `view_dataset` shows as one HTML file, with some episodes inside.

    The file needs no server and no network. It has the episodes with the largest, the median and
    the smallest return, with their images; those without images have the frames of their replay
    if it is in the cache, up to the step from which on it is not what was recorded. Besides the
    images it is at most 1 MB large: where the episodes do not fit, elements of wide rows are left
    out, and then their last steps. Of many images every k-th is kept. The page says what is left
    out.

    Args:
        dataset: A dataset or view.
        episodes: The ids of further episodes.
        check: Check the data, as `check_dataset` does without a replay, and show what was found,
            and the statistics of all steps.
        replay: Replay the episodes without images whose replay is not in the cache; else nothing
            is run.
        trust_entry_point: As for `MinariDataset.recover_environment`, in replays.
        trust_paths: The same.
        skip_wrappers: The same.
        progress: Called with the observations that were replayed, and all.

    Returns:
        The HTML, to be written as UTF-8.

    Raises:
        CacheError: The cache is too small for a replay, or cannot be written.
        EnvironmentNotRecoverableError: Episodes are to be replayed, and the environment cannot be
            made here, or may not be run.
        EpisodeIndexError: The dataset has no episode of such an id.
        IncompatibleDatasetsError: It is no dataset.
        ReplayError: An episode to be replayed has no seed; or its environment fails, or has no
            frames.

    Example:
        >>> Path("page.html").write_text(minari.dataset_page(dataset))  # doctest: +SKIP
    """
    check_dataset(dataset)
    trust = Trust(trust_entry_point, trust_paths, skip_wrappers)
    if replay:
        # What cannot be run is told before anything is read.
        choose_spec(dataset, trust)
    data = PageData(dataset, trust)
    data.episodes.start()
    data.episodes.wait()
    positions = choose_episodes(data, episodes)
    note = progress or (lambda done, total: None)
    replays = _find_replays(dataset, data, positions, trust, note, make=replay)
    if check:
        data.summaries.check()
    content: JsonObject = {
        "answers": {
            # The file may be given away, and where the dataset lies is nobody else's business.
            "/dataset": {**data.describe(), "location": None},
            "/columns": data.summaries.describe_columns(),
            "/distributions": data.summaries.describe_distributions(),
            "/checks": data.summaries.describe_checks(),
            "/statistics": data.summaries.describe_statistics(),
        },
        "list": data.episodes.describe_state(),
        "rows": data.episodes.describe_rows(positions),
    }
    share = _choose_share(data, positions, replays, content)
    images: list[str] = []
    described = [
        _describe_episode(data, position, replays.get(position), share, images)
        for position in positions
    ]
    content["episodes"] = _add_texts(data, share, positions, described)
    return _fill_in(_deflate_json(content), images, str(dataset.id))


def choose_episodes(data: PageData, ids: Sequence[int] = ()) -> list[int]:
    """Choose the episodes with the largest, the median and the smallest return, and named ones.

    Args:
        data: The data of a dataset; its returns count if they are known.
        ids: The ids of further episodes.

    Returns:
        Their positions, ascending. Where no return is known, the first episode stands for all.

    Raises:
        EpisodeIndexError: There is no episode of such an id.
    """
    returns = data.episodes.returns
    chosen: set[int] = set()
    if len(data.episodes.lengths):
        first = np.zeros(1) if returns is None else returns
        first = first if first.ndim == 1 else first[:, 0]
        known = max(int(np.sum(~np.isnan(first))), 1)
        # NaN is last.
        order = np.argsort(first, kind="stable")[:known]
        chosen.update(order[[0, (known - 1) // 2, -1]].tolist())
    for name in ids:
        position = data.find_position(name)
        if position is None:
            raise EpisodeIndexError(f"the dataset has no episode {name} to put into the page")
        chosen.add(position)
    return sorted(chosen)


def _find_replays(
    dataset: MinariDataset,
    data: PageData,
    positions: Sequence[int],
    trust: Trust,
    progress: Progress,
    *,
    make: bool,
) -> dict[int, Replay]:
    """Find the replays of episodes without images in the cache, or make them, by positions."""
    blind = [
        position
        for position in positions
        if all(column.kind != "image" for column in data.list_columns(position))
    ]
    found: dict[int, Replay] = {}
    done, total = 0, sum(int(data.episodes.lengths[position]) + 1 for position in blind)

    def note(more: int, _: int) -> None:
        progress(done + more, total)

    for position in blind:
        (episode,) = dataset.iterate_episodes([int(data.episodes.indices[position])])
        if make:
            found[position] = find_replay(dataset, episode, trust, progress=note)
        elif (cached := find_cached_replay(dataset, episode, trust)) is not None:
            found[position] = cached
        done += len(episode) + 1
    return found


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of each episode that is in the file."""

    elements: int
    """The most elements of a row of a column."""
    steps: int
    """The most steps."""
    image_bytes: int
    """The most bytes of one column of images, or of one replay."""

    def cut(self, column: EpisodeColumn, length: int) -> int:
        """Return the rows of a column that are in the file."""
        steps = min(length, self.steps)
        return min(column.rows, steps + (column.rows > length))


def _choose_share(
    data: PageData,
    positions: Sequence[int],
    replays: Mapping[int, Replay],
    content: JsonObject,
) -> _Share:
    """Choose as much as fits beside what is there already."""
    columns = [data.list_columns(position) for position in positions]
    lengths = [int(data.episodes.lengths[position]) for position in positions]
    number = sum(column.kind == "image" for each in columns for column in each)
    image_bytes = _MOST_IMAGES // max(number + len(replays), 1)
    limit = _MOST_VALUES

    def count(elements: int, steps: int) -> int:
        share = _Share(elements, steps, image_bytes)
        return sum(
            share.cut(column, length) * _count_values(column, elements)
            for each, length in zip(columns, lengths, strict=True)
            for column in each
        )

    longest = max(lengths, default=1)
    while True:
        elements = next((each for each in _ELEMENTS if count(each, longest) <= limit), 0)
        steps = longest
        if not elements:
            elements = _ELEMENTS[-1]
            steps = bisect_right(range(longest + 1), limit, key=lambda each: count(elements, each))
            steps = max(steps - 1, 1)
        share = _Share(elements, steps, image_bytes)
        described = [
            _describe_episode(data, position, replays.get(position), share, None)
            for position in positions
        ]
        filled = {**content, "episodes": _add_texts(data, share, positions, described)}
        size = len(_deflate_json(filled))
        if size <= _MOST_CONTENT or steps == 1:
            return share
        limit = int(0.9 * min(limit, count(elements, steps)) * _MOST_CONTENT / size)


def _count_values(column: EpisodeColumn, elements: int) -> int:
    if column.kind == "image":
        return 0
    return min(column.dims, elements) if column.kind == "numbers" else _VALUES_OF_TEXT


def _describe_episode(
    data: PageData, position: int, replay: Replay | None, share: _Share, images: list[str] | None
) -> JsonObject:
    """Describe an episode, and append its images; None if they do not matter yet."""
    described = data.describe_episode(position)
    length = int(data.episodes.lengths[position])
    columns: list[JsonValue] = []
    for column in data.list_columns(position):
        rows = share.cut(column, length)
        plain = replace(column, rows=rows).to_json()
        if column.kind == "image":
            read = partial(_read_image, data, position, column)
            plain |= _add_images(read, column.shape, rows, share.image_bytes, images)
        elif column.kind == "numbers":
            plain["dims"] = min(column.dims, share.elements)
        columns.append(plain)
    described |= {"columns": columns, "length": min(length, share.steps), "steps": length}
    if replay is not None:
        rows = min(len(replay), share.steps + (len(replay) > length))
        shape = replay.shape[1:]
        added = _add_images(partial(_read_frame, replay), shape, rows, share.image_bytes, images)
        described["replay"] = {
            "state": "done",
            "text": replay.describe(),
            **added,
            "shape": [added.get("rows", rows), *shape],
        }
    return described


def _read_image(data: PageData, position: int, column: EpisodeColumn, row: int) -> bytes:
    return data.read_frames(position, column.path, row, row + 1)[0]


def _read_frame(replay: Replay, row: int) -> bytes:
    return replay.read(row, row + 1).tobytes()


def _add_texts(
    data: PageData, share: _Share, positions: Sequence[int], described: Sequence[JsonObject]
) -> JsonObject:
    """Return the descriptions of episodes by their positions, with the values as texts."""
    episodes: JsonObject = {}
    for position, description in zip(positions, described, strict=True):
        texts: JsonObject = {}
        for column in data.list_columns(position):
            if column.kind != "image":
                stop = share.cut(column, int(data.episodes.lengths[position]))
                rows = data.read_texts(position, column.path, 0, stop, share.elements)
                texts[column.path] = [list(element) for element in zip(*rows, strict=False)]
        episodes[str(position)] = {"description": description, "texts": texts}
    return episodes


def _add_images(
    read: _ReadImage, shape: tuple[int, ...], rows: int, most: int, images: list[str] | None
) -> JsonObject:
    """Append the chunks of images, and describe them; None if they do not matter yet."""
    if images is None or not rows:
        return {}
    stride, chunks = _encode_images(read, math.prod(shape), range(rows), most)
    first_chunk = len(images)
    images.extend(chunks)
    kept = len(range(0, rows, stride))
    return {"rows": kept, "stride": stride, "until": rows, "first_chunk": first_chunk}


def _encode_images(read: _ReadImage, nbytes: int, rows: range, most: int) -> tuple[int, list[str]]:
    """Encode every k-th image, for the smallest k with which they are small enough.

    Args:
        read: Reads an image.
        nbytes: The bytes of one.
        rows: All of them.
        most: The most bytes of all chunks.

    Returns:
        k, and the chunks.
    """
    at_once = max(min(_CHUNK_FRAMES, _CHUNK_NBYTES // max(nbytes, 1)), 1)
    stride = 1
    size = len(_encode_chunk(read, rows[:at_once])) * -(-len(rows) // at_once)
    while True:
        stride = min(math.ceil(stride * max(size / most, 1)), max(len(rows), 1))
        kept = rows[::stride]
        encoded = [
            _encode_chunk(read, kept[start : start + at_once])
            for start in range(0, len(kept), at_once)
        ]
        size = sum(map(len, encoded))
        if size <= most or len(kept) <= 1:
            return stride, encoded


def _encode_chunk(read: _ReadImage, rows: range) -> str:
    """Encode images by their differences from one to the next, which are mostly 0, deflated."""
    frames = b"".join(map(read, rows))
    flat = np.frombuffer(frames, dtype=np.uint8).reshape(len(rows), -1)
    return _deflate(np.diff(flat, axis=0, prepend=np.uint8(0)).tobytes())


def _deflate(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def _deflate_json(content: JsonObject) -> str:
    return _deflate(json.dumps(content, allow_nan=False).encode())


def _fill_in(content: str, images: Sequence[str], title: str) -> str:
    """Put everything into the page; what comes from a dataset is base64, or escaped."""
    style = read_page_file("page.css").decode()
    script = "".join(read_page_file(name).decode() for name in ("embedded.js", "page.js"))
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    page = read_page_file("index.html").decode()
    blocks = [
        ("content", content),
        *((f"frames-{number}", each) for number, each in enumerate(images)),
    ]
    data = "\n".join(
        f'<script type="text/plain" id="{name}">{each}</script>' for name, each in blocks
    )
    for place, filling in (
        (
            '<link rel="stylesheet" href="/page.css">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<style>{style}</style>",
        ),
        ('<script src="/page.js" defer></script>\n', ""),
        ("<title>Minari</title>", f"<title>{html.escape(title)} – Minari</title>"),
        ("</body>", f"{data}\n<script>{script}</script>\n</body>"),
    ):
        page = page.replace(place, filling, 1)
    return page


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
