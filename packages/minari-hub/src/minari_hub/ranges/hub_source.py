"""Byte ranges of files in a dataset repository of the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from urllib.parse import quote

from minari_core.errors import MissingDependencyError, RemoteError
from minari_core.files import MANIFEST_NAME
from minari_core.ranges.source import ObjectVersion
from minari_hub.ranges.http_source import HttpSource
from minari_hub.remotes.base import APPLICATION_DEFAULT
from minari_hub.transfer.http_pool import Answer

_ENDPOINT = "HF_ENDPOINT"
_HUB = "https://huggingface.co"
_MAIN = "main"


class HubSource(HttpSource):
    """A data folder below ``hf://organization``, whose versions are commits.

    All files are of the commit that the manifest was found in. The Hub is asked once where a file
    of a commit is, and the storage to which it leads for all ranges.
    """

    # The Hub counts requests: of somebody who gives no token, 3,000 in five minutes.
    range_nbytes = 8 << 20
    requests_per_second = 9.0

    def __init__(self, url: str, token: str | None = None, commit: str | None = None) -> None:
        """Send nothing yet.

        Args:
            url: The address of the folder, as ``hf://organization/repository/data``.
            token: An API token, or `APPLICATION_DEFAULT` for the one that is stored on this
                machine; None is anonymous.
            commit: The commit whose files are meant until the manifest is asked for again; None
                is the newest.
        """
        super().__init__(url, token)
        self._commit = commit

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Pickle the address and the commit; see `HttpSource`."""
        opened, arguments = super().__reduce__()
        return opened, (*arguments, self._commit)

    def _choose_home(self) -> str:
        organization, repository, *folder = self.url.partition("://")[2].split("/")
        self._folder = "/".join([*folder, ""])
        endpoint = os.environ.get(_ENDPOINT) or _HUB
        return f"{endpoint.rstrip('/')}/datasets/{quote(f'{organization}/{repository}')}/resolve"

    def _locate(self, name: str, version: ObjectVersion | None) -> str:
        revision = (self._commit or _MAIN) if version is None else version.tag
        return f"{self._home}/{revision}/{quote(self._folder + name)}"

    def _require(self, version: ObjectVersion) -> Mapping[str, str]:
        return {}

    def _read_tag(self, hops: Sequence[Answer], version: ObjectVersion | None) -> str | None:
        if version is not None:
            return version.tag
        commit = next(filter(None, (hop.headers["X-Repo-Commit"] for hop in hops)), self._commit)
        if commit is None:
            raise RemoteError("the server does not say which commit it answers from")
        self._commit = commit
        return commit

    def version(self, name: str) -> ObjectVersion:
        """Return the version of a file, in the manifest's commit; see `RangeSource.version`."""
        if name == MANIFEST_NAME:
            self._commit = None
        return super().version(name)

    def _sign(self) -> Mapping[str, str]:
        return {} if self._text is None else {"Authorization": f"Bearer {self._text}"}

    @cached_property
    def _text(self) -> str | None:
        if self._token != APPLICATION_DEFAULT:
            return self._token
        try:
            from huggingface_hub import get_token
        except ImportError as error:
            raise MissingDependencyError(
                f"the token that is stored for {self.url} is read by the package huggingface-hub; "
                "give the token itself, or install it with pip install 'minari-hub[hf]'"
            ) from error
        return get_token()
