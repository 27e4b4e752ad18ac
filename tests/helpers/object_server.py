"""A server of the files of a folder, in a process of its own: with latency, a cap, and faults.

It answers as a plain HTTP server (``/NAME``), as the JSON API of Google Cloud Storage does to who
lists and reads (its bucket has any name), and as the Hugging Face Hub does to who asks where a file
is. It knows ranges, ETags and generations. With one seed it is slow and fails in the same way each
time. Needs nothing but Python, so that benchmarks start it, too::

    with ObjectServer(folder, latency=0.06, bytes_per_second=100e6) as server:
        server.inject({"kind": "reset", "every": 5})
        ...
        server.read_statistics()["nbytes"]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import math
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

FAULTS = (
    "busy",  # 429 with Retry-After
    "unavailable",  # 503
    "reset",  # half of the body, and then the connection is reset
    "truncated",  # half of the body, and then its end
    "hanging",  # half of the body, and then nothing
    "slow",  # the body takes ``seconds``
    "changed",  # the object has another ETag from now on
    "range_ignored",  # 200 and all of the object
    "wrong_range",  # 206 and other bytes, whose Content-Range says so
    "flipped",  # a bit of the body is another one
    "no_etag",  # neither an ETag nor If-Match
    "redirect",  # 302 to an address that expires after ``seconds``
)
"""The kinds of faults; ``{"kind": …, "every": n}`` is every n-th read of an object (1 if missing),
``"first": n`` how often at most, ``"name"`` a part of the names of the objects."""

# A lognormal distribution whose 99th percentile is three times its mean: 60 ms and 180 ms.
_SIGMA = 0.533
_SLICE = 1 << 16
_CONTROL = "/.server/"
_EXPIRING = _CONTROL + "expiring/"


class ObjectServer:
    """Starts the server, and ends it."""

    def __init__(
        self,
        folder: Path,
        *,
        latency: float = 0.0,
        bytes_per_second: float = 0.0,
        requests_per_second: float = 0.0,
        limits_hub_alone: bool = False,
        seed: int = 0,
    ) -> None:
        """Say what is to be served; nothing is started yet.

        Args:
            folder: The folder of the objects.
            latency: The mean of the seconds before an answer; 99 % take less than three times it.
            bytes_per_second: The cap of all connections together; none if 0.
            requests_per_second: From how many requests on they are refused with 429; never if 0.
            limits_hub_alone: Whether that is so only where the Hub is asked where a file is.
            seed: The seed of latencies.
        """
        self._command = [sys.executable, str(Path(__file__).resolve()), str(folder)]
        self._command += ["--latency", str(latency), "--cap", str(bytes_per_second)]
        self._command += ["--rate", str(requests_per_second), "--seed", str(seed)]
        self._command += ["--limits-hub-alone"] if limits_hub_alone else []
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ObjectServer:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def inject(self, *faults: Mapping[str, object]) -> None:
        """Have these faults from now on, in place of those before; see `FAULTS`."""
        self._ask("POST", _CONTROL + "faults", json.dumps(faults))

    def set_latency(self, latency: float) -> None:
        """Change the mean of the seconds before an answer."""
        self._ask("POST", _CONTROL + "latency", json.dumps(latency))

    def read_statistics(self) -> dict[str, Any]:
        """Requests, bytes of bodies, faults by their kinds, and most requests at once so far."""
        found: dict[str, Any] = json.loads(self._ask("GET", _CONTROL + "statistics"))
        return found

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(content.decode())
        return content


class _Fault:
    def __init__(self, fields: Mapping[str, Any]) -> None:
        if fields.get("kind") not in FAULTS:
            raise ValueError(f"{fields} is no fault; there are {', '.join(FAULTS)}")
        self.kind = str(fields["kind"])
        self.every = int(fields.get("every", 1))
        self.left = float(fields.get("first", math.inf))
        self.name = str(fields.get("name", ""))
        self.seconds = float(fields.get("seconds", 1.0))
        self._seen = 0

    def strikes(self, name: str) -> bool:
        if self.name not in name or self.left <= 0:
            return False
        self._seen += 1
        if self._seen % self.every:
            return False
        self.left -= 1
        return True


class _Answer:
    """A status, headers, and a body: bytes, or a range of a file."""

    def __init__(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        self.body = body
        self.path: Path | None = None
        self.start, self.length = 0, len(body)
        self.fault: _Fault | None = None


class _Server:
    def __init__(self, options: argparse.Namespace) -> None:
        self._folder = Path(options.folder).resolve()
        self._latency = options.latency
        self._cap = options.cap
        self._rate = options.rate
        self._limits_hub_alone = options.limits_hub_alone
        self._random = random.Random(options.seed)
        self._faults: list[_Fault] = []
        self._changes: dict[str, int] = {}
        self._free_at = 0.0
        self._tokens, self._counted_at = options.rate, time.monotonic()
        self._under_way = 0
        self._requests: dict[str, int] = {}
        self._statistics: dict[str, Any] = {
            **dict.fromkeys(("requests", "nbytes", "at_once", "refused"), 0),
            "faults": {},
        }

    async def run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Else the last bytes of each answer wait for a sign of the client.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if target.startswith(_CONTROL) and not target.startswith(_EXPIRING):
            answer = self._control(method, target, body)
        else:
            self._under_way += 1
            seen = self._statistics
            seen["at_once"] = max(seen["at_once"], self._under_way)
            try:
                await self._wait()
                answer = self._answer(method, target, headers)
                return await self._send(writer, answer, method)
            finally:
                self._under_way -= 1
        return await self._send(writer, answer, method)

    async def _wait(self) -> None:
        if self._latency:
            mu = math.log(self._latency) - _SIGMA**2 / 2
            await asyncio.sleep(self._random.lognormvariate(mu, _SIGMA))

    def _control(self, method: str, target: str, body: bytes) -> _Answer:
        try:
            if target == _CONTROL + "faults":
                self._faults = [_Fault(fields) for fields in json.loads(body)]
            elif target == _CONTROL + "latency":
                self._latency = float(json.loads(body))
        except (TypeError, ValueError) as error:
            return _Answer(400, str(error).encode())
        return _Answer(200, json.dumps({**self._statistics, "objects": self._requests}).encode())

    def _answer(self, method: str, target: str, headers: dict[str, str]) -> _Answer:
        self._statistics["requests"] += 1
        if self._rate and not self._limits_hub_alone and not self._take_token():
            return self._refuse()
        if target.startswith(_EXPIRING):
            until, _, name = target.removeprefix(_EXPIRING).partition("/")
            if time.time() > float(until):
                return _Answer(403, b"the address has expired")
            return self._read_object(unquote(name), headers, None)
        url = urlsplit(target)
        path = url.path
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        hub = re.fullmatch(r"/datasets/[^/]+/([^/]+)/resolve/[^/]+/(.+)", path)
        if hub and self._limits_hub_alone and not self._take_token():
            return self._refuse()
        if hub:
            there = {"Location": f"/{hub[1]}/{hub[2]}", "X-Repo-Commit": "0" * 40}
            return _Answer(302, b"", there)
        if query.get("list-type") == "2":
            return self._list_bucket(path.strip("/"), query)
        listing = re.fullmatch(r"/storage/v1/b/[^/]+/o", path)
        if listing:
            return self._list(query)
        media = re.fullmatch(r"(?:/download)?/storage/v1/b/[^/]+/o/([^/]+)", path)
        name = unquote(media[1]) if media else unquote(path[1:])
        if media and query.get("alt") != "media":
            return self._describe(name)
        generation = query.get("ifGenerationMatch")
        self._requests[name] = self._requests.get(name, 0) + 1
        fault = None
        if method == "GET":
            fault = next((each for each in self._faults if each.strikes(name)), None)
        if fault is not None:
            kinds = self._statistics["faults"]
            kinds[fault.kind] = kinds.get(fault.kind, 0) + 1
        return self._read_object(name, headers, fault, generation)

    def _refuse(self) -> _Answer:
        self._statistics["refused"] += 1
        return _Answer(429, b"slow down", {"Retry-After": "1"})

    def _take_token(self) -> bool:
        now = time.monotonic()
        self._tokens += (now - self._counted_at) * self._rate
        self._tokens, self._counted_at = min(self._tokens, self._rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _find(self, name: str) -> Path | None:
        path = (self._folder / name).resolve()
        return path if self._folder in path.parents and path.is_file() else None

    def _version(self, name: str, path: Path) -> str:
        status = path.stat()
        changes = self._changes.get(name, 0)
        return f"{status.st_mtime_ns}{status.st_ino % 1000:03d}{changes}"

    def _fields(self, name: str, path: Path) -> dict[str, object]:
        size, generation = path.stat().st_size, _to_generation(self._version(name, path))
        return {"name": name, "size": str(size), "generation": generation}

    def _list(self, query: Mapping[str, str]) -> _Answer:
        prefix = query.get("prefix", "")
        names = sorted(
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file()
        )
        items = [
            self._fields(name, self._folder / name) for name in names if name.startswith(prefix)
        ]
        return _Answer(200, json.dumps({"items": items}).encode())

    def _list_bucket(self, bucket: str, query: Mapping[str, str]) -> _Answer:
        """List a folder of this server as S3 does a bucket, all of it at once."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found, folders = "", set()
        for path in sorted((self._folder / bucket).rglob("*")):
            name = path.relative_to(self._folder / bucket).as_posix()
            if not (path.is_file() and name.startswith(prefix)):
                continue
            inside, parted, _ = name[len(prefix) :].partition(delimiter or "\0")
            if parted:
                folders.add(f"{prefix}{inside}{delimiter}")
                continue
            status = path.stat()
            changed = datetime.fromtimestamp(int(status.st_mtime), timezone.utc).isoformat()
            found += (
                f"<Contents><Key>{escape(name)}</Key><Size>{status.st_size}</Size>"
                f'<LastModified>{changed}</LastModified><ETag>"{self._version(name, path)}"</ETag>'
                "</Contents>"
            )
        for folder in sorted(folders):
            found += f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        return _Answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _describe(self, name: str) -> _Answer:
        path = self._find(name)
        if path is None:
            return _Answer(404)
        return _Answer(200, json.dumps(self._fields(name, path)).encode())

    def _read_object(
        self,
        name: str,
        headers: Mapping[str, str],
        fault: _Fault | None,
        wanted: str | None = None,
    ) -> _Answer:
        kind = "" if fault is None else fault.kind
        path = self._find(name)
        if path is None:
            return _Answer(404, b"no such object")
        if kind == "busy":
            return _Answer(429, b"slow down", {"Retry-After": "1"})
        if kind == "unavailable":
            return _Answer(503, b"unavailable")
        if fault is not None and kind == "redirect":
            until = time.time() + fault.seconds
            return _Answer(302, b"", {"Location": f"{_EXPIRING}{until}/{quote(name)}"})
        if kind == "changed":
            self._changes[name] = self._changes.get(name, 0) + 1
        version = self._version(name, path)
        tag, generation = f'"{version}"', _to_generation(version)
        if kind != "no_etag" and headers.get("if-match", tag) not in (tag, "*"):
            return _Answer(412, b"it has another ETag")
        if kind != "no_etag" and wanted not in (None, generation):
            return _Answer(412, b"it has another generation")
        size = path.stat().st_size
        changed = formatdate(path.stat().st_mtime, usegmt=True)
        answer = _Answer(200, b"", {"Accept-Ranges": "bytes", "Last-Modified": changed})
        if kind != "no_etag":
            answer.headers |= {"ETag": tag, "X-Goog-Generation": generation}
        answer.path, answer.length, answer.fault = path, size, fault
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        if asked and kind != "range_ignored":
            if asked[1]:
                start, last = int(asked[1]), min(int(asked[2] or size), size - 1)
            else:
                start, last = max(size - int(asked[2]), 0), size - 1
            if start > last:
                return _Answer(416, b"", {"Content-Range": f"bytes */{size}"})
            if kind == "wrong_range":
                start, last = (start - 1, last - 1) if start else (1, min(last + 1, size - 1))
            answer.status, answer.start, answer.length = 206, start, last - start + 1
            answer.headers["Content-Range"] = f"bytes {start}-{last}/{size}"
        return answer

    async def _send(self, writer: asyncio.StreamWriter, answer: _Answer, method: str) -> bool:
        headers = {"Content-Length": str(answer.length), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses[answer.status]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if method == "HEAD":
            await writer.drain()
            return True
        if answer.path is None:
            writer.write(answer.body)
            await writer.drain()
            return True
        fault = answer.fault
        kind = "" if fault is None else fault.kind
        stops = kind in ("reset", "truncated", "hanging")
        end = answer.start + (answer.length // 2 if stops else answer.length)
        with open(answer.path, "rb", buffering=0) as file:
            for at in range(answer.start, end, _SLICE):
                content = os.pread(file.fileno(), min(_SLICE, end - at), at)
                if kind == "flipped" and at == answer.start:
                    content = bytes([content[0] ^ 1]) + content[1:]
                if fault is not None and kind == "slow":
                    await asyncio.sleep(fault.seconds * len(content) / answer.length)
                await self._reserve(len(content))
                writer.write(content)
                self._statistics["nbytes"] += len(content)
                await writer.drain()
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        if kind == "hanging":
            await asyncio.sleep(3600)
        return not stops

    async def _reserve(self, nbytes: int) -> None:
        if self._cap:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 0.01) + nbytes / self._cap
            if self._free_at > now:
                await asyncio.sleep(self._free_at - now)


def _to_generation(version: str) -> str:
    return version[-18:]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Serve the files of a folder.")
    parser.add_argument("folder")
    for name in ("latency", "cap", "rate"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--limits-hub-alone", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_Server(parser.parse_args()).run())


if __name__ == "__main__":
    _main()
