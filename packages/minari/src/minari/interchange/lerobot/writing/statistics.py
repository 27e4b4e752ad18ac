"""Statistics of features, by episode and of all, as LeRobot defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.json_values import JsonValue

Statistics: TypeAlias = dict[str, npt.NDArray[np.float64]]
"""``min``, ``max``, ``mean``, ``std``, ``count``, and quantiles as ``q01``; one row an episode."""

_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LEAST_IMAGES, _MOST_IMAGES = 100, 10_000
# What a processor keeps near while it sorts and sums.
_MOST_ELEMENTS = 1 << 15


def describe_episodes(
    columns: npt.NDArray[np.float64], borders: npt.NDArray[np.int64]
) -> Statistics:
    """Return the statistics of the values of each episode.

    Args:
        columns: The values of all episodes, one after another, shape (D, N); it is overwritten.
        borders: The first value of each episode, and N.

    Returns:
        Arrays of shape (E, D), and as ``count`` the numbers of values, shape (E, 1).
    """
    lengths = np.diff(borders)
    found: Statistics = {}
    # Those of one length are counted at once: what is done for each alone costs more than numbers.
    for length in np.unique(lengths).tolist():
        alike = np.flatnonzero(lengths == length)
        most = max(_MOST_ELEMENTS // (length * len(columns)), 1)
        for some in np.split(alike, range(most, len(alike), most)):
            first, last = int(some[0]), int(some[-1]) + 1
            if last - first == len(some):
                values = columns[:, borders[first] : borders[last]].reshape(-1, len(some), length)
            else:
                values = columns[:, borders[some][:, None] + np.arange(length)]
            for name, each in describe_columns(values).items():
                into = found.setdefault(name, np.empty((len(lengths), len(columns))))
                into[some] = each.T
    return {**found, "count": lengths[:, None].astype(np.float64)}


def describe_columns(columns: npt.NDArray[np.float64]) -> Statistics:
    """Return the statistics of columns of at least one value, along the last axis.

    Quantiles are interpolated between the two values next to them.

    Args:
        columns: Shape (…, N); it is overwritten.
    """
    count = columns.shape[-1]
    with np.errstate(all="ignore"):
        columns.sort(axis=-1)
        found = {
            "min": columns[..., 0].copy(),
            "max": columns[..., -1].copy(),
            "mean": columns.mean(axis=-1),
        }
        for name, part in _QUANTILES.items():
            place = part * (count - 1)
            before = int(place)
            after = min(before + 1, count - 1)
            step = columns[..., after] - columns[..., before]
            found[name] = columns[..., before] + (place - before) * step
        columns -= found["mean"][..., np.newaxis]
        found["std"] = np.sqrt(np.einsum("...n,...n->...", columns, columns) / count)
    return found


def describe_images(images: npt.NDArray[np.uint8]) -> Statistics:
    """Return the statistics of the channels of an episode's images, between 0 and 1.

    Args:
        images: Shape (N, height, width), or with channels last; of many images, some.

    Returns:
        Arrays of shape (1, C, 1, 1), and as ``count`` the number of images, shape (1, 1).
    """
    count = len(images)
    wanted = min(max(_LEAST_IMAGES, int(count**0.75)), _MOST_IMAGES, count)
    some = images[np.round(np.linspace(0, count - 1, wanted)).astype(int)]
    channels = some[..., None] if some.ndim == 3 else some
    values = np.arange(256) / 255
    found: dict[str, list[float]] = {}
    for channel in range(channels.shape[3]):
        histogram = np.bincount(channels[..., channel].ravel(), minlength=256)
        total = int(histogram.sum())
        reached = np.cumsum(histogram)
        mean = float(values @ histogram) / total
        statistics = {
            "min": values[np.searchsorted(reached, 1)],
            "max": values[np.searchsorted(reached, total)],
            "mean": mean,
            "std": np.sqrt(float((values - mean) ** 2 @ histogram) / total),
            **{
                name: values[np.searchsorted(reached, max(part * total, 1))]
                for name, part in _QUANTILES.items()
            },
        }
        for name, value in statistics.items():
            found.setdefault(name, []).append(float(value))
    described = {name: np.array(value).reshape(1, -1, 1, 1) for name, value in found.items()}
    return {**described, "count": np.array([[wanted]], dtype=np.float64)}


def join_statistics(parts: Sequence[Statistics]) -> Statistics:
    """Put the rows of statistics below each other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def merge_statistics(parts: Statistics) -> Statistics:
    """Return the statistics of all rows, of those of some.

    Quantiles are means of the parts' quantiles, weighted by the numbers of their rows; all else is
    exact.

    Args:
        parts: One row a part.

    Returns:
        One row.
    """
    counts = parts["count"][:, 0]
    if len(counts) == 1:
        return parts
    weights = counts / counts.sum()
    with np.errstate(all="ignore"):
        means = parts["mean"]
        mean = np.tensordot(weights, means, axes=1)
        variances = parts["std"] ** 2 + (means - mean) ** 2
        merged = {name: np.tensordot(weights, parts[name], axes=1) for name in _QUANTILES}
        merged["mean"] = mean
        merged["std"] = np.sqrt(np.tensordot(weights, variances, axes=1))
    merged["min"], merged["max"] = parts["min"].min(axis=0), parts["max"].max(axis=0)
    merged["count"] = np.array([counts.sum()])
    return {name: value[np.newaxis] for name, value in merged.items()}


def to_json(statistics: Mapping[str, Statistics]) -> dict[str, JsonValue]:
    """Return statistics of features, of one row, as ``stats.json`` has them."""
    return {
        feature: {
            name: [int(value[0, 0])] if name == "count" else value[0].tolist()
            for name, value in found.items()
        }
        for feature, found in statistics.items()
    }
