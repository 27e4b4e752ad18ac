"""How many samples come in a stretch of time; needs nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


def read_for(seconds: float, read: Callable[[], Iterator[int]]) -> dict[str, float]:
    """Read batches for some seconds after the first one.

    Args:
        seconds: How long.
        read: Opens what is read, and yields the number of samples of each batch.

    Returns:
        The seconds up to the first batch, the samples a second after it, and all of them.
    """
    start = time.perf_counter()
    batches = read()
    samples = next(batches)
    first = now = time.perf_counter()
    after = 0
    for count in batches:
        after += count
        now = time.perf_counter()
        if now - first > seconds:
            break
    return {"first": first - start, "rate": after / (now - first), "samples": samples + after}
