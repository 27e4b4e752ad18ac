"""The requests of the page and their answers, without a socket.

======================================  ==========================================================
request                                 answer
======================================  ==========================================================
``/``, ``/page.css``, ``/page.js``      the page
``/dataset``                            what the dataset is, as JSON
``/episodes?sort=…&start=…``            rows of the list of episodes, as JSON; ``read=true`` reads
                                        what a stream knows of none of them
``/row?position=…&sort=…``              the row that an episode has in the list, as JSON
``/episode?position=…``                 the columns of an episode, as JSON
``/series?position=…&column=…``         a column of numbers, thinned out, as float64
``/values?position=…&step=…``           the exact values at a step, as JSON
``/frames?position=…&column=…``         images, as their raw bytes
``/replay?position=…&start=true``       a replay, whose frames are the column ``replay``, as JSON
``/newer``, ``/renew``                  how many episodes were added, as JSON, and shows them
``/distributions``, ``/columns``        how numbers are distributed, as JSON
``/checks?start=true``                  what the checks of the content have found, as JSON
``/statistics?start=true``              the statistics of all steps, as JSON
======================================  ==========================================================

Only this machine's browser is answered, and only pages of this server's own: every request must
carry the token of the first address, which becomes a cookie that no script can read; a foreign
Host, Origin or site is refused. What a dataset says of itself is sent as JSON, and shown as text.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import TypeAlias
from urllib.parse import parse_qs

from minari.viewer.data import PageData
from minari.viewer.listing import Query, QueryError
from minari_core.errors import MinariError
from minari_core.json_values import JsonValue

Response: TypeAlias = tuple[int, dict[str, str], bytes]
"""The status, the headers and the body."""

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_MOST_FRAMES = 256
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _RequestError(Exception):
    """A request that gets no answer but a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a request, checked where they are used."""

    given: Mapping[str, list[str]]

    def text(self, name: str, default: str | None = None) -> str:
        values = self.given.get(name)
        if values:
            return values[-1]
        if default is None:
            raise _RequestError(400, f"{name} is missing")
        return default

    def number(self, name: str, default: int | None = None) -> int:
        text = self.text(name, None if default is None else str(default))
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise _RequestError(400, f"{name} is {text!r}; it must be a whole number of at least 0")
        return int(text)


class Protocol:
    """Answers the requests of the page; its methods may be called from several threads."""

    def __init__(self, data: PageData, port: int, token: str | None = None) -> None:
        """Prepare the answers.

        Args:
            data: What to show.
            port: The port that the page is served at.
            token: What the first address must carry; a new one if None.
        """
        self._data = data
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._cookie = f"minari-{port}"
        self.token = token or secrets.token_urlsafe(24)
        """What the first address must carry."""
        self._answers: Mapping[str, Callable[[_Parameters], Response]] = {
            "/dataset": lambda _: _send_json(self._data.describe()),
            "/episodes": self._list_episodes,
            "/row": self._find_row,
            "/episode": lambda given: _send_json(
                self._data.describe_episode(given.number("position"))
            ),
            "/series": self._send_series,
            "/values": lambda given: _send_json(
                self._data.read_values(given.number("position"), given.number("step"))
            ),
            "/frames": self._send_frames,
            "/replay": lambda given: _send_json(
                self._data.describe_replay(
                    given.number("position"),
                    start=given.text("start", "") == "true",
                    cancel=given.text("cancel", "") == "true",
                )
            ),
            "/newer": lambda _: _send_json({"newer": self._data.count_newer()}),
            "/renew": self._renew,
            "/distributions": lambda _: _send_json(self._data.summaries.describe_distributions()),
            "/columns": lambda _: _send_json(self._data.summaries.describe_columns()),
            "/checks": lambda given: _send_json(
                self._data.summaries.describe_checks(start=given.text("start", "") == "true")
            ),
            "/statistics": lambda given: _send_json(
                self._data.summaries.describe_statistics(start=given.text("start", "") == "true")
            ),
        }

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """Answer a request.

        Args:
            method: As ``GET``.
            target: The path and the query.
            headers: By their names in lower case.

        Returns:
            The status, the headers and the body.
        """
        try:
            status, own, body = self._answer(method, target, headers)
        except _RequestError as error:
            status, own, body = _send_text(error.status, str(error))
        except QueryError as error:
            # A condition that somebody is typing is no error of the page's, for its console.
            status, own, body = _send_json({"error": str(error)})
        except LookupError as error:
            status, own, body = _send_json({"error": str(error.args[0])}, 404)
        except (MinariError, OSError) as error:
            # As when the dataset is deleted while it is shown.
            status, own, body = _send_json({"error": str(error)}, 500)
        return status, {**_HEADERS, **own, "Content-Length": str(len(body))}, body

    def _answer(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        if headers.get("host") not in self._hosts:
            raise _RequestError(421, "this server answers at 127.0.0.1 only")
        path, _, query = target.partition("?")
        self._refuse_strangers(path, headers)
        if method != "GET":
            raise _RequestError(405, "only GET is answered")
        given = _Parameters(parse_qs(query, keep_blank_values=True))
        token = given.text("token", "")
        if path == "/" and token:
            return self._take_token(token)
        if not self._has_cookie(headers):
            raise _RequestError(
                403, "open the address that the command printed, with its token, in this browser"
            )
        if path in _PAGE:
            name, kind = _PAGE[path]
            return 200, {"Content-Type": f"{kind}; charset=utf-8"}, read_page_file(name)
        answer = self._answers.get(path)
        if answer is None:
            raise _RequestError(404, "there is nothing here")
        return answer(given)

    def _refuse_strangers(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse what a page of another server asks for; it may link to the page alone."""
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        # What begins checks or a replay must not be begun by a link or a frame of elsewhere.
        is_link = path == "/" and headers.get("sec-fetch-mode") == "navigate"
        is_foreign = origin is not None and origin not in {f"http://{host}" for host in self._hosts}
        if is_foreign or (site not in ("none", "same-origin") and not is_link):
            raise _RequestError(403, "another page has no business here")

    def _take_token(self, token: str) -> Response:
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise _RequestError(403, "this token is of another server, or of an earlier one")
        cookie = f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        # A redirect would go on with the site of the page that linked here, and without the cookie.
        body = (
            b'<!doctype html><link rel="icon" href="data:,">'
            b'<meta http-equiv="refresh" content="0;url=/">'
        )
        return 200, {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": cookie}, body

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self._cookie)
        return found is not None and hmac.compare_digest(found.value.encode(), self.token.encode())

    def close(self) -> None:
        """Give up what is being replayed."""
        self._data.replays.close()

    def _renew(self, given: _Parameters) -> Response:
        renewed = self._data.renew()
        if renewed is not self._data:
            self._data = renewed
            renewed.episodes.start()
        return _send_json({"newer": self._data.count_newer()})

    def _list_episodes(self, given: _Parameters) -> Response:
        if given.text("read", "") == "true":
            self._data.episodes.start()
        return _send_json(self._data.episodes.answer(_read_query(given)))

    def _find_row(self, given: _Parameters) -> Response:
        row = self._data.episodes.find_row(_read_query(given), given.number("position"))
        return _send_json({"row": row})

    def _send_series(self, given: _Parameters) -> Response:
        series, width = self._data.read_series(
            given.number("position"),
            given.text("column"),
            given.number("start", 0),
            given.number("stop"),
            given.number("buckets", 1000),
            given.number("elements", 256),
        )
        kind = {"Content-Type": "application/octet-stream", "X-Width": str(width)}
        return 200, kind, series.astype("<f8", copy=False).tobytes()

    def _send_frames(self, given: _Parameters) -> Response:
        start = given.number("start", 0)
        count = min(given.number("count", 1), _MOST_FRAMES)
        body, frames = self._data.read_frames(
            given.number("position"), given.text("column"), start, start + count
        )
        return 200, {"Content-Type": "application/octet-stream", "X-Frames": str(frames)}, body


def read_page_file(name: str) -> bytes:
    """Read a file of the page."""
    return files("minari.viewer").joinpath("page", name).read_bytes()


def _read_query(given: _Parameters) -> Query:
    return Query(
        sort=given.text("sort", "id"),
        descending=given.text("descending", "") == "true",
        conditions=given.text("conditions", ""),
        start=given.number("start", 0),
        count=given.number("count", 100),
    )


def _send_json(value: JsonValue, status: int = 200) -> Response:
    # Numbers that are not finite are no JSON; the data sends them as text.
    body = json.dumps(value, allow_nan=False, ensure_ascii=True).encode()
    return status, {"Content-Type": "application/json; charset=utf-8"}, body


def _send_text(status: int, text: str) -> Response:
    return status, {"Content-Type": "text/plain; charset=utf-8"}, f"{text}\n".encode()
