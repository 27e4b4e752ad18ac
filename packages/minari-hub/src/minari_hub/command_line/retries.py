"""Print that requests are retried, so that no wait is silent."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from minari_hub.command_line.terminal import say
from minari_hub.transfer.retrying import RETRIES

_SECONDS_BETWEEN = 2.0


class _RetryPrinter(logging.Handler):
    """Prints why a request is retried, now and then: many may fail together."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._last = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._last = time.monotonic()
            say(record.getMessage(), style="dim")


@contextmanager
def print_retries() -> Iterator[None]:
    """Print the retries of a block."""
    printer, level = _RetryPrinter(), RETRIES.level
    RETRIES.addHandler(printer)
    RETRIES.setLevel(logging.INFO)
    try:
        yield
    finally:
        RETRIES.removeHandler(printer)
        RETRIES.setLevel(level)
