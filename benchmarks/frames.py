"""Images of Atari games: how fast they are read, in order and at random, and how large they are."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from measure import (
    MINARI,
    PUBLIC,
    Times,
    Work,
    in_turns,
    median,
    ratio,
    repeated,
    size_of_folder,
    timed,
)
from peer import LANCE, PUBLIC_MINARI, PYAV, Peer
from report import NOTHING, Figure, megabytes, milliseconds
from setting import Setting
from workloads import ABOUT

import minari

Frames = npt.NDArray[np.uint8]

_GAME = "ALE/Pong-v5"
_BATCH_SIZE = 32
_STACK = 4
_MOST_FOR_STACK = 1.5
_COUNT = 5
_HDF5, _VIDEO, _LANCE, _SINGLE = "hdf5", "video", "lance", "single"
_OTHERS = {_VIDEO: f"AV1 video, {PYAV.title}", _LANCE: f"{LANCE.title}, lossless"}


@dataclass(frozen=True)
class Recording:
    """Frames of several episodes, one behind the other."""

    name: str
    frames: Frames
    ends: list[int]
    """Behind the last frame of each episode."""

    def episodes(self) -> Iterator[minari.EpisodeBuffer]:
        for start, stop in pairwise([0, *self.ends]):
            steps = stop - start - 1
            last = np.zeros(steps, dtype=bool)
            last[-1] = True
            yield minari.EpisodeBuffer(
                observations=self.frames[start:stop],
                actions=np.zeros(steps, dtype=np.int64),
                rewards=np.zeros(steps),
                terminations=last,
                truncations=np.zeros(steps, dtype=bool),
            )


def measure(setting: Setting) -> list[Figure]:
    """Frames as the game draws them, and as agents mostly see them."""
    if importlib.util.find_spec("ale_py") is None:
        setting.complaints.append("Atari frames are not measured: ale-py is not installed")
        return []
    large, small = (300, 600) if setting.quick else (4000, 20_000)
    return [
        figure
        for recording in (_recorded(large, gray=False), _recorded(small, gray=True))
        for figure in _measured(setting, recording)
    ]


def _recorded(count: int, *, gray: bool) -> Recording:
    """Play at random."""
    gymnasium.register_envs(importlib.import_module("ale_py"))
    env = gymnasium.make(_GAME, obs_type="grayscale" if gray else "rgb")
    env.action_space.seed(1)
    frames, ends = [], []
    frame, _ = env.reset(seed=1)
    frames.append(_small(frame) if gray else frame)
    while len(frames) < count:
        frame, _, terminated, truncated, _ = env.step(env.action_space.sample())
        frames.append(_small(frame) if gray else frame)
        if (terminated or truncated) and len(frames) < count - 1:
            ends.append(len(frames))
            frame, _ = env.reset()
            frames.append(_small(frame) if gray else frame)
    env.close()
    name = "x".join(map(str, frames[0].shape))
    return Recording(name, np.stack(frames), [*ends, len(frames)])


def _small(frame: Frames) -> Frames:
    """A gray frame as 84×84: each pixel is the mean of the area that it covers."""
    rows, columns = (_areas(size, 84) for size in frame.shape)
    small: Frames = np.rint(rows @ frame @ columns.T).astype(np.uint8)
    return small


def _areas(size: int, smaller: int) -> npt.NDArray[np.float64]:
    """How much of each old row lies in each new one, shape (smaller, size)."""
    borders = np.arange(smaller + 1) * size / smaller
    covered = np.clip(borders[:, None] - np.arange(size), 0, 1)
    return np.diff(covered, axis=0) * smaller / size


def _measured(setting: Setting, recording: Recording) -> list[Figure]:
    dataset_id = f"bench/frames{recording.name}-v0"
    with setting.datasets() as root:
        dataset = minari.create_dataset_from_buffers(
            dataset_id,
            list(recording.episodes()),
            observation_space=spaces.Box(0, 255, recording.frames.shape[1:], np.uint8),
            action_space=spaces.Discrete(6),
            eval_env="CartPole-v1",
            **ABOUT,
        )
        dataset.set_seed(1)
        raw, saved = root / "raw.hdf5", root / f"{recording.name}.npy"
        with h5py.File(raw, "w") as file:
            file.create_dataset("frames", data=recording.frames)
        np.save(saved, recording.frames)
        sizes: dict[str, float] = {
            MINARI: size_of_folder(root / dataset_id),
            _HDF5: raw.stat().st_size,
        }
        asked: dict[str, Peer] = {}
        for name, contender in ((PUBLIC, PUBLIC_MINARI), (_VIDEO, PYAV), (_LANCE, LANCE)):
            peer = setting.against(contender)
            written = None
            if peer is not None:
                written = _written(setting, peer, saved, recording.ends)
            if peer is not None and written is not None:
                asked[name], sizes[name] = peer, written
        with h5py.File(raw, "r") as file:
            ours, by_hand = _Ours(dataset), _ByHand(file["frames"])
            in_order = _times(setting, "frames_in_order", ours, by_hand, asked, saved)
            at_random = _times(setting, "frames_at_random", ours, by_hand, asked, saved)
        stacked = in_turns(
            {
                MINARI: lambda: repeated(lambda: ours.sample(_STACK), _COUNT),
                _SINGLE: lambda: repeated(lambda: ours.sample(0), _COUNT),
            },
            setting.rounds(31),
        )
    what = f"Atari frames of {recording.name.replace('x', '×')}"
    return [
        _rate(f"{what}, in order", in_order),
        _rate(f"{what}, {_BATCH_SIZE} at random", at_random),
        _size(f"size of {len(recording.frames):,} {what}", recording, sizes),
        _stack(f"{what}, {_BATCH_SIZE} stacks of {_STACK} at random", stacked),
    ]


class _Ours:
    """Frames of a dataset; each work returns the seconds of one frame."""

    def __init__(self, dataset: minari.MinariDataset) -> None:
        self._dataset = dataset

    def frames_in_order(self) -> float:
        seen = 0

        def work() -> None:
            nonlocal seen
            for batch in self._dataset.batches(
                _BATCH_SIZE, shuffle=False, columns=["observations"]
            ):
                seen += len(batch.observations)

        seconds = timed(work)
        return seconds / seen

    def frames_at_random(self) -> float:
        return repeated(lambda: self.sample(0), _COUNT) / _BATCH_SIZE

    def sample(self, stack: int) -> None:
        self._dataset.sample_transitions(_BATCH_SIZE, columns=["observations"], stack=stack)


class _ByHand:
    """The same out of an HDF5 file, in a single array without compression."""

    def __init__(self, frames: Any) -> None:
        self._frames = frames
        self._generator = np.random.default_rng(1)

    def frames_in_order(self) -> float:
        def work() -> None:
            for start in range(0, len(self._frames), _BATCH_SIZE):
                self._frames[start : start + _BATCH_SIZE]

        return timed(work) / len(self._frames)

    def frames_at_random(self) -> float:
        def work() -> None:
            wanted = self._generator.integers(len(self._frames), size=_BATCH_SIZE)
            np.stack([self._frames[number] for number in wanted.tolist()])

        return repeated(work, _COUNT) / _BATCH_SIZE


def _written(setting: Setting, peer: Peer, saved: Path, ends: list[int]) -> float | None:
    """The size of what a peer makes of the frames; None if it cannot."""
    answer = setting.attempt(lambda: peer.ask("write_frames", file=str(saved), ends=ends))
    return None if answer is None else float(answer["nbytes"])


def _times(
    setting: Setting, work: str, ours: _Ours, by_hand: _ByHand, asked: dict[str, Peer], saved: Path
) -> Times:
    def of_peer(peer: Peer) -> Work:
        return lambda: peer.seconds(work, file=str(saved), batch_size=_BATCH_SIZE)

    works: dict[str, Work] = {MINARI: getattr(ours, work), _HDF5: getattr(by_hand, work)}
    works |= {name: of_peer(peer) for name, peer in asked.items()}
    return in_turns(works, setting.rounds(11), at_most=dict.fromkeys(asked, 2))


def _rate(work: str, times: Times) -> Figure:
    rates = {name: None if not of else 1 / statistics.median(of) for name, of in times.items()}
    return Figure(
        work=work,
        minari=_frames(rates[MINARI]),
        limit=f"{_frames(rates[_HDF5])} (raw HDF5)",
        public=_frames(rates.get(PUBLIC)),
        others=_beside({name: _frames(rates.get(name)) for name in _OTHERS}),
        values=rates,
    )


def _size(work: str, recording: Recording, sizes: dict[str, float]) -> Figure:
    return Figure(
        work=work,
        minari=f"{megabytes(sizes[MINARI])} (lossless)",
        limit=f"{megabytes(sizes[_HDF5])} (raw HDF5)",
        compared=f"packed {recording.frames.nbytes / sizes[MINARI]:.0f} ×",
        public=megabytes(sizes.get(PUBLIC)) + (" (JPEG)" if PUBLIC in sizes else ""),
        others=_beside({name: megabytes(sizes.get(name)) for name in _OTHERS}),
        values=dict(sizes),
    )


def _stack(work: str, times: Times) -> Figure:
    slower = ratio(times, to=_SINGLE)
    return Figure(
        work=work,
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, _SINGLE))} (one frame each)",
        compared=f"{slower:.2f} ×",
        target=f"under {_MOST_FOR_STACK} ×",
        reached=slower < _MOST_FOR_STACK,
        values={name: median(times, name) for name in times} | {"ratio": slower},
    )


def _beside(texts: dict[str, str]) -> str:
    told = [f"{text} ({_OTHERS[name]})" for name, text in texts.items() if text != NOTHING]
    return ", ".join(told) or NOTHING


def _frames(rate: float | None) -> str:
    return NOTHING if rate is None else f"{rate:,.0f} frames/s"
