"""Statistics of features, by episode and of all, as LeRobot defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.json_values import JsonValue

Statistics: TypeAlias = dict[str, npt.NDArray[np.float64]]
"""``min``, ``max``, ``mean``, ``std``, ``count``, and quantiles as ``q01``."""

_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LEAST_IMAGES, _MOST_IMAGES = 100, 10_000


def describe_columns(columns: npt.NDArray[np.float64]) -> Statistics:
    """Return the statistics of columns of at least one value.

    Quantiles are interpolated between the two values next to them.

    Args:
        columns: Shape (D, N); it is overwritten.
    """
    count = columns.shape[1]
    with np.errstate(all="ignore"):
        columns.sort(axis=1)
        found = {
            "min": columns[:, 0].copy(),
            "max": columns[:, -1].copy(),
            "mean": columns.mean(axis=1),
            "count": np.array([count], dtype=np.float64),
        }
        for name, part in _QUANTILES.items():
            place = part * (count - 1)
            before = int(place)
            after = min(before + 1, count - 1)
            step = columns[:, after] - columns[:, before]
            found[name] = columns[:, before] + (place - before) * step
        columns -= found["mean"][:, np.newaxis]
        found["std"] = np.sqrt(np.einsum("dn,dn->d", columns, columns) / count)
    return found


def describe_images(images: npt.NDArray[np.uint8]) -> Statistics:
    """Return the statistics of the channels of images, between 0 and 1, of shape (C, 1, 1).

    Args:
        images: Shape (N, height, width), or with channels last; of many images, some.
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
    described = {name: np.array(value).reshape(-1, 1, 1) for name, value in found.items()}
    return {**described, "count": np.array([wanted], dtype=np.float64)}


def merge_statistics(parts: Sequence[Statistics]) -> Statistics:
    """Return the statistics of all rows, of those of some.

    Quantiles are means of the parts' quantiles, weighted by the numbers of their rows; all else is
    exact.
    """
    if len(parts) == 1:
        return parts[0]
    counts = np.array([part["count"][0] for part in parts])
    weights = counts / counts.sum()
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    with np.errstate(all="ignore"):
        means = stacked["mean"]
        mean = np.tensordot(weights, means, axes=1)
        variances = stacked["std"] ** 2 + (means - mean) ** 2
        merged = {name: np.tensordot(weights, stacked[name], axes=1) for name in _QUANTILES}
        merged["mean"] = mean
        merged["std"] = np.sqrt(np.tensordot(weights, variances, axes=1))
    merged["min"], merged["max"] = stacked["min"].min(axis=0), stacked["max"].max(axis=0)
    merged["count"] = np.array([counts.sum()])
    return merged


def to_json(statistics: Mapping[str, Statistics]) -> dict[str, JsonValue]:
    """Return statistics of features as ``stats.json`` has them."""
    return {
        feature: {
            name: [int(value[0])] if name == "count" else value.tolist()
            for name, value in found.items()
        }
        for feature, found in statistics.items()
    }
