"""Byte ranges of objects on a web server, over connections that are kept."""

from __future__ import annotations

import http.client
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import InvalidURL
from queue import SimpleQueue
from ssl import SSLCertVerificationError
from threading import Event
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

from minari_core.errors import (
    DatasetChangedError,
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.ranges.source import ObjectVersion
from minari_hub.ranges.ends import END_NBYTES, Ends
from minari_hub.ranges.pace import Pace
from minari_hub.remotes.base import APPLICATION_DEFAULT, GIVE_TOKEN
from minari_hub.remotes.setting import find_token
from minari_hub.transfer.bounds import TooLargeError
from minari_hub.transfer.causes import describe_error
from minari_hub.transfer.http_pool import Answer, HttpPool
from minari_hub.transfer.retrying import (
    GIVE_UP_VARIABLE,
    PASSING_STATUS,
    BusyError,
    Faults,
    keep_trying,
)
from minari_hub.transfer.threads import DaemonThreads

_AT_ONCE = 32
_MOST_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What a server says of an address that has expired.
_EXPIRED = frozenset({400, 401, 403, 404, 410})
# Of an empty object some say that its last byte is -1.
_SENT = re.compile(r"bytes (\d+)-(\d+|-1)/(\d+)")
_SUCCESS = (200, 206)
# In how many seconds more may be asked, as the Hugging Face Hub says it.
_RESET = re.compile(r";\s*t=(\d{1,6})\b")
# Of what is quoted already.
_SAFE = "/:%@?#[]~!$&'()*+,;="
_DOWNLOAD = "download the dataset instead"

Result = TypeVar("Result")


class HttpSource:
    """A data folder on a web server as a `minari_core.ranges.source.RangeSource`.

    A subclass says what is different in a store that has more than addresses and ETags.
    """

    range_nbytes = 1 << 20
    requests_per_second = math.inf
    """How many requests the server of the address is sent in a second, beside a few at once."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Send nothing yet.

        Args:
            url: The address of the folder, of ``http`` or ``https``, without credentials.
            token: A bearer token, which is sent to the server of this address alone; None, or
                `APPLICATION_DEFAULT`, is anonymous.
        """
        self.url = url.rstrip("/")
        """The address of the folder."""
        self._token = token
        self._home = self._choose_home()
        self._used = _Used()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Pickle the address; whoever unpickles it has credentials of their own."""
        return _open_again, (type(self), self.url)

    def _choose_home(self) -> str:
        """Return the address that the token is for, and what `_locate` begins with."""
        return quote(self.url, safe=_SAFE)

    def _locate(self, name: str, version: ObjectVersion | None) -> str:
        """Return the address of an object; None for the version that there is."""
        return f"{self._home}/{quote(name)}"

    def _sign(self) -> Mapping[str, str]:
        """Return the headers that prove who asks."""
        if self._token in (None, APPLICATION_DEFAULT):
            return {}
        return {"Authorization": f"Bearer {self._token}"}

    def _require(self, version: ObjectVersion) -> Mapping[str, str]:
        """Return the headers that ask for one version alone."""
        # A weak tag matches nothing that is asked for.
        is_strong = version.tag is not None and not version.tag.startswith("W/")
        return {"If-Match": version.tag} if version.tag and is_strong else {}

    def _read_tag(self, hops: Sequence[Answer], version: ObjectVersion | None) -> str | None:
        """Return the tag that answers tell, the last of which has the content.

        Args:
            hops: The answers that led from one address to the next.
            version: Which one was asked for, if any.
        """
        return hops[-1].headers["ETag"]

    def version(self, name: str) -> ObjectVersion:
        """Return the version of an object; see `RangeSource.version`."""
        return self._ask(name, partial(self._look, name), Event())

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of an object; see `RangeSource.read_ranges`."""
        left: list[int] = []
        for index, (start, stop) in enumerate(ranges):
            content = self._here().ends.take(name, version, start, stop)
            if content is None:
                left.append(index)
            else:
                yield index, content
        ended = Event()
        if len(left) == 1:
            yield left[0], self._read(name, ranges[left[0]], version, ended)
            return
        arrived: SimpleQueue[tuple[int, bytes] | BaseException] = SimpleQueue()

        def read(index: int) -> None:
            try:
                arrived.put((index, self._read(name, ranges[index], version, ended)))
            except BaseException as error:  # it belongs to who waits
                arrived.put(error)

        threads = self._here().threads
        try:
            for index in left:
                threads.run(partial(read, index))
            for _ in left:
                found = arrived.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            ended.set()

    def close(self) -> None:
        """End all connections, and with them what is under way."""
        used, self._used = self._used, _Used()
        used.pool.close()

    def _here(self) -> _Used:
        """Return what this process uses; a child has none of what its parent had open."""
        if self._used.process != os.getpid():
            self._used = _Used()
        return self._used

    def _read(
        self, name: str, span: tuple[int, int], version: ObjectVersion, ended: Event
    ) -> bytes:
        return self._ask(name, partial(self._read_once, name, span, version, ended), ended)

    def _read_once(
        self, name: str, span: tuple[int, int], version: ObjectVersion, ended: Event
    ) -> bytes:
        start, stop = span
        if ended.is_set():
            raise RemoteError(f"{self.url}/{name} is not wanted any more")
        hops = self._send(name, version, f"bytes={start}-{stop - 1}", stop - start)
        answer = hops[-1]
        if answer.status in _SUCCESS:
            first, last, size = _parse_range(answer)
            is_same = version.tag in (None, self._read_tag(hops, version))
            if is_same and size == version.size:
                if (first, last) != (start, stop - 1) or len(answer.body or b"") != stop - start:
                    raise RemoteError(
                        f"it sends bytes {first} to {last + 1}, where {start} to {stop} were "
                        f"asked for; {_DOWNLOAD}"
                    )
                return answer.body or b""
        elif answer.status not in (412, 416):
            raise _build_error(answer)
        if self._look(name) != version:
            raise DatasetChangedError(
                f"{self.url}/{name} was changed while it was being read; load the dataset again"
            )
        raise _PassingError(f"it answers {answer.status} as for another version, and has this one")

    def _look(self, name: str) -> ObjectVersion:
        """Ask for the version of an object, and keep the end that comes with it."""
        hops = self._send(name, None, f"bytes=-{END_NBYTES}", self.range_nbytes)
        answer = hops[-1]
        body = answer.body or b""
        if answer.status in _SUCCESS:
            first, last, size = _parse_range(answer)
            if last + 1 != size or len(body) != size - first:
                raise RemoteError(f"it sends other bytes than the last ones; {_DOWNLOAD}")
        elif answer.status == 416 and answer.headers["Content-Range"] == "bytes */0":
            size = 0
        else:
            raise _build_error(answer)
        version = ObjectVersion(size, self._read_tag(hops, None))
        used = self._here()
        used.ends.keep(name, version, body)
        if len(hops) > 1:
            used.moved[self._locate(name, version)] = answer.url
        return version

    def _send(self, name: str, version: ObjectVersion | None, span: str, most: int) -> list[Answer]:
        """Ask for a range, wherever the object is by now.

        Returns:
            The answers of all addresses on the way; an address that is known is asked at once.
        """
        used = self._here()
        home = self._locate(name, version)
        # Which version there is by now is asked where the object has its name.
        address = home if version is None else used.moved.get(home, home)
        is_known = address != home
        asked = {"Range": span, **({} if version is None else self._require(version))}
        hops: list[Answer] = []
        while len(hops) < _MOST_HOPS:
            is_own = _find_origin(address) == _find_origin(self._home)
            if address.startswith(self._home):
                used.pace.wait(self.requests_per_second)
            answer = used.pool.get(address, {**asked, **(self._sign() if is_own else {})}, most)
            if is_known and answer.status in _EXPIRED:
                used.moved.pop(home, None)
                address, is_known = home, False
                continue
            hops.append(answer)
            if answer.status not in _REDIRECTS:
                if version is not None and len(hops) > 1 and answer.status < 300:
                    used.moved[home] = address
                return hops
            address = _follow(address, answer)
        raise RemoteError(f"{_MOST_HOPS} addresses lead each to another one")

    def _ask(self, name: str, work: Callable[[], Result], ended: Event) -> Result:
        """Do what may be done again, with retries, and with errors of this project."""
        faults = Faults(ended)
        try:
            return keep_trying(work, _is_passing, faults)
        except DatasetChangedError:
            raise
        except _FAILURES as error:
            raised = self._translate(error, name, faults)
        # Not from the other one, in whose text there may be an address with a signature.
        raise raised

    def _translate(self, error: Exception, name: str, faults: Faults) -> MinariError:
        status = error.status if isinstance(error, _StatusError) else 0
        if status == 404:
            return RemoteObjectNotFoundError(
                f"{self.url} has no object {name!r}, or only for others"
            )
        problem = f"could not read {self.url}/{name}: {describe_error(error)}"
        if status in (401, 403):
            hint = GIVE_TOKEN if self._token is None else "the token may lack the permission"
            return RemoteAccessError(f"{problem}; {hint}")
        kind = type(error) if isinstance(error, RemoteError) else RemoteError
        tried = faults.describe(error)
        if isinstance(error, BusyError) and not tried:
            tried = f", longer than {GIVE_UP_VARIABLE} allows"
        return kind(f"{problem}{tried}")


@dataclass(eq=False, slots=True)
class _Used:
    """What one process has open, and has learned of the objects."""

    process: int = field(default_factory=os.getpid)
    pool: HttpPool = field(default_factory=HttpPool)
    threads: DaemonThreads = field(default_factory=partial(DaemonThreads, _AT_ONCE))
    moved: dict[str, str] = field(default_factory=dict)
    """The address to which another one led last."""
    ends: Ends = field(default_factory=Ends)
    pace: Pace = field(default_factory=Pace)


class _StatusError(Exception):
    def __init__(self, answer: Answer) -> None:
        reason = http.client.responses.get(answer.status, "")
        super().__init__(f"{answer.status} {reason}".rstrip())
        self.status = answer.status


class _PassingError(Exception):
    """An answer that contradicts another one."""


_FAILURES = (
    BusyError,
    MinariError,
    OSError,
    TooLargeError,
    _PassingError,
    _StatusError,
    http.client.HTTPException,
)


def _open_again(kind: type[HttpSource], url: str, *further: str | None) -> HttpSource:
    return kind(url, find_token(url), *further)


def _build_error(answer: Answer) -> Exception:
    error = _StatusError(answer)
    seconds = _parse_delay(answer.headers["Retry-After"] or "")
    reset = _RESET.search(answer.headers["RateLimit"] or "")
    if answer.status == 429 and not seconds and reset:
        seconds = float(reset[1])
    if answer.status in PASSING_STATUS and seconds > 0:
        return BusyError(f"{error}, it asks to wait for {seconds:.0f} s", seconds)
    return error


def _parse_delay(text: str) -> float:
    """Parse how many seconds a server asks to wait; 0 where it does not."""
    if text.isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _parse_range(answer: Answer) -> tuple[int, int, int]:
    """Parse which bytes were sent: the first, the last, and the size of the object."""
    if (answer.headers["Content-Encoding"] or "identity") != "identity":
        raise RemoteError(f"the server packs what it sends; {_DOWNLOAD}")
    if answer.status == 200:
        # All of an object is a range of it, where so much was asked for.
        if answer.body is None:
            raise RemoteError(f"the server ignores ranges; {_DOWNLOAD}")
        return 0, len(answer.body) - 1, len(answer.body)
    found = _SENT.fullmatch((answer.headers["Content-Range"] or "").strip())
    if found is None:
        raise RemoteError(f"the server does not say which bytes it sends; {_DOWNLOAD}")
    return int(found[1]), int(found[2]), int(found[3])


def _find_origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _follow(address: str, answer: Answer) -> str:
    """Return the address to which an answer leads."""
    # What is encrypted leads to nothing that is not.
    schemes = {"https", urlsplit(address).scheme}
    try:
        said = str(answer.headers["Location"] or "").encode("latin-1")
        there = urlsplit(urljoin(address, quote(said, safe=_SAFE)))
        if there.hostname and there.scheme in schemes and there.port != 0:
            return there.geturl()
    except ValueError:
        pass  # there is no such host, port or text
    raise RemoteError("it leads to an address that is not followed")


def _is_passing(error: Exception) -> bool:
    if isinstance(error, _StatusError):
        return error.status in PASSING_STATUS
    if isinstance(error, MinariError | TooLargeError | SSLCertVerificationError | InvalidURL):
        return False
    return isinstance(error, OSError | http.client.HTTPException | BusyError | _PassingError)
