"""The picture of an episode that ``minari upload`` gives to the card of a dataset."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import minari_core

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from minari.replay.frames import Replay

    Frames = tuple[int, Callable[[int], npt.NDArray[np.uint8]], float]
    """Their number, what reads one, and how many are shown a second."""

_MOST_EPISODES = 20
"""The most episodes of which a replay is looked for."""
_MOST_FRAMES = 90
_LARGEST_SIDE = 320
_FPS = 30.0


def draw_preview(dataset_id: str, folder: Path) -> Path | None:
    """Draw a picture that moves, of the images of the first episode or of a replay in the cache.

    Nothing is replayed for it.

    Args:
        dataset_id: The id of a local dataset.
        folder: Where to write it.

    Returns:
        The picture; None if there is nothing to draw, or no Pillow to draw it with.
    """
    try:
        from PIL import Image
    except ImportError:
        return None
    frames = _find_frames(minari_core.load_dataset(dataset_id))
    if frames is None:
        return None
    count, read, fps = frames
    stride = -(-count // _MOST_FRAMES)
    pictures = []
    for number in range(0, count, stride):
        picture = Image.fromarray(read(number))
        picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
        pictures.append(picture.convert("RGB"))
    first, *others = pictures
    file = folder / "preview.webp"
    duration = round(1000 * stride / fps)
    first.save(file, save_all=True, append_images=others, duration=duration, loop=0, quality=80)
    return file


def _find_frames(dataset: minari_core.MinariDataset) -> Frames | None:
    from minari.replay.replaying import find_cached_replay

    for episode in islice(dataset.iterate_episodes(copy=False), _MOST_EPISODES):
        images = _find_images(episode)
        if images is not None:
            return len(images), images.__getitem__, _FPS
        replay = find_cached_replay(dataset, episode)
        if replay is not None and len(replay):
            return len(replay), partial(_read_frame, replay), replay.outcome.fps or _FPS
    return None


def _find_images(episode: minari_core.EpisodeData) -> npt.NDArray[np.uint8] | None:
    import numpy as np

    from minari.viewer.columns import choose_kind
    from minari_core.leaves import find_leaves

    for _, leaf in find_leaves(episode.observations):
        if isinstance(leaf, np.ndarray) and choose_kind(leaf) == "image":
            # Images of one channel are grey, and without an axis for it.
            return leaf[..., 0] if leaf.ndim == 4 and leaf.shape[3] == 1 else leaf
    return None


def _read_frame(replay: Replay, number: int) -> npt.NDArray[np.uint8]:
    frame: npt.NDArray[np.uint8] = replay.read(number, number + 1)[0]
    return frame
