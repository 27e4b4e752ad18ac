"""Byte ranges of objects in a bucket of Google Cloud Storage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from minari_core.ranges.source import ObjectVersion
from minari_hub.ranges.http_source import HttpSource
from minari_hub.transfer.http_pool import Answer

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_EMULATOR = "STORAGE_EMULATOR_HOST"
_SERVER = "https://storage.googleapis.com"
# Of all sources of a process, since few are refreshed, and seldom.
_refreshing = Lock()


class GcsSource(HttpSource):
    """A data folder below ``gs://bucket``, whose versions are generations."""

    def _choose_home(self) -> str:
        bucket, _, prefix = self.url.partition("://")[2].partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        server = os.environ.get(_EMULATOR) or _SERVER
        if "://" not in server:
            server = f"http://{server}"
        return f"{server.rstrip('/')}/storage/v1/b/{quote(bucket, safe='')}/o"

    def _locate(self, name: str, version: ObjectVersion | None) -> str:
        address = f"{self._home}/{quote(self._prefix + name, safe='')}?alt=media"
        if version is None or not _is_generation(version.tag):
            return address
        return f"{address}&ifGenerationMatch={version.tag}"

    def _require(self, version: ObjectVersion) -> Mapping[str, str]:
        return {} if _is_generation(version.tag) else super()._require(version)

    def _read_tag(self, hops: Sequence[Answer], version: ObjectVersion | None) -> str | None:
        # An emulator may know no more than web servers do.
        return hops[-1].headers["X-Goog-Generation"] or super()._read_tag(hops, version)

    def _sign(self) -> Mapping[str, str]:
        if self._token is None:
            return {}
        from google.auth.transport.requests import Request

        with _refreshing:
            if not self._credentials.valid:
                self._credentials.refresh(Request())
            return {"Authorization": f"Bearer {self._credentials.token}"}

    @cached_property
    def _credentials(self) -> Credentials:
        from minari_hub.remotes.gcs_credentials import load_credentials

        return load_credentials(self._token, self.url)


def _is_generation(tag: str | None) -> bool:
    return tag is not None and tag.isdecimal()
