"""Retries of requests that fail transiently, with exponential backoff."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from minari_core.errors import MinariError, RemoteError
from minari_hub.transfer.causes import describe_error, is_unresolved

GIVE_UP_VARIABLE = "MINARI_REMOTE_GIVE_UP_AFTER"
"""The environment variable that says for how many seconds to keep trying."""

PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
"""The HTTP status codes of transient faults."""

_LONGEST_UNRESOLVED = 3.0
"""Seconds for which to try to resolve the name of a host."""

Result = TypeVar("Result")

RETRIES = logging.getLogger(__name__)
"""Is told, as information, whenever a request is retried."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The delays between tries, and the time to give up."""

    give_up_after: float = 90.0
    """Seconds after which a fault is no longer taken as transient."""
    first_wait: float = 0.4
    """Seconds before the second try, at most."""
    longest_wait: float = 15.0
    """Seconds between later tries, at most; each wait is up to twice the one before."""

    @classmethod
    def from_environment(cls) -> Patience:
        """Read what the environment asks for.

        Raises:
            RemoteError: It says something that is not a number of seconds.
        """
        text = os.environ.get(GIVE_UP_VARIABLE)
        if not text:
            return cls()
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < 1e6:
            raise RemoteError(f"{GIVE_UP_VARIABLE}={text!r} is not a number of seconds")
        return cls(give_up_after=seconds)


class BusyError(Exception):
    """A server asks to be left alone for a while."""

    def __init__(self, message: str, retry_after: float) -> None:
        """Keep how long.

        Args:
            message: What it says.
            retry_after: For how many seconds.
        """
        super().__init__(message)
        self.retry_after = retry_after


class Faults:
    """A count of the transient faults of a request, for the message if it fails in the end."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        """Begin without a fault.

        Args:
            stop: When set, no other try is made.
        """
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.count = 0

    def note(self, error: Exception) -> None:
        """Count a fault after which the request is retried."""
        with self._lock:
            self.count += 1
        seconds = time.monotonic() - self._started
        RETRIES.info("%s; trying again, for %.0f s so far", describe_error(error), seconds)

    def is_over(self, error: BaseException) -> bool:
        """Return whether another try is useless: a name that is not known will not soon be."""
        if self._stop.is_set():
            return True
        return is_unresolved(error) and time.monotonic() - self._started > _LONGEST_UNRESOLVED

    def wait(self, seconds: float) -> None:
        """Wait before the next try, unless there shall be none."""
        self._stop.wait(seconds)

    def describe(self, error: BaseException) -> str:
        """Describe what was tried, as the end of a sentence.

        Args:
            error: What the last try raised.
        """
        if not self.count:
            return ""
        tried = f"tried {self.count + 1} times in {time.monotonic() - self._started:.0f} s"
        if is_unresolved(error):
            return f" ({tried})"
        return f" ({tried}; the environment variable {GIVE_UP_VARIABLE} says for how long)"


@contextmanager
def translate_errors(
    what: str, choose_error: Callable[[Exception], type[RemoteError]], faults: Faults | None = None
) -> Iterator[None]:
    """Raise whatever a client library raises as an error of this project.

    Args:
        what: What is tried, for the message.
        choose_error: Returns the class of the error.
        faults: What was tried before.

    Raises:
        RemoteError: The block raised an error that is not of this project.
    """
    try:
        yield
    except MinariError:
        raise
    except Exception as error:
        tried = faults.describe(error) if faults else ""
        raise choose_error(error)(f"could not {what}: {describe_error(error)}{tried}") from error


def keep_trying(
    work: Callable[[], Result],
    is_passing: Callable[[Exception], bool],
    faults: Faults,
    patience: Patience | None = None,
) -> Result:
    """Call a function, and retry while it fails transiently.

    Args:
        work: The function, which must be idempotent.
        is_passing: Whether an error is transient.
        faults: Counts the faults.
        patience: How long to go on; None is `Patience.from_environment`.
    """
    patience = patience or Patience.from_environment()
    stop = time.monotonic() + patience.give_up_after
    wait = patience.first_wait
    while True:
        try:
            return work()
        except Exception as error:
            if not is_passing(error) or faults.is_over(error):
                raise
            # Not all at once: many workers may have failed together.
            seconds = wait * random.uniform(0.5, 1.0)
            if isinstance(error, BusyError):
                seconds += error.retry_after
            if time.monotonic() + seconds > stop:
                raise
            faults.note(error)
            faults.wait(seconds)
            if faults.is_over(error):
                raise
            wait = min(2 * wait, patience.longest_wait)
