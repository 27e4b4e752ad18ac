"""The setting of the remotes: an ordered list of addresses, and the token of each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from minari_core.errors import (
    DatasetDamagedError,
    DatasetNotFoundError,
    MetadataError,
    MinariError,
    MissingDependencyError,
    NamespaceError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
    UntrustedNameError,
)
from minari_core.local.dataset_id import is_url
from minari_core.messages import warn_caller
from minari_hub.remotes.base import APPLICATION_DEFAULT, DEFAULT_REMOTES, TOKEN_VARIABLE, Remote
from minari_hub.remotes.urls import (
    check_url,
    is_token_of,
    normalize_dataset_url,
    open_url,
    takes_token,
)

REMOTE_VARIABLE = "MINARI_REMOTE"

RemotePath: TypeAlias = str | Sequence[str]
"""The URL of a remote, or several in the order in which they are asked."""

Answer = TypeVar("Answer")

_PAIR = re.compile(r"([^\s=]+)=(\S+)")
# What fails at one address, and may succeed at the next. If all fail, the error is of the kind that
# stands first: another try, or an installation, may mend it. Who lacks credentials cannot be told
# apart from who asks for what is not there: the Hugging Face Hub refuses both.
_FAILURES = (
    RemoteError,
    MissingDependencyError,
    DatasetDamagedError,
    MetadataError,
    UntrustedNameError,
    DatasetNotFoundError,
    NamespaceError,
    RemoteObjectNotFoundError,
    RemoteAccessError,
)


@dataclass(frozen=True, slots=True)
class RemoteSetting:
    """The addresses that are asked, the first one first."""

    urls: tuple[str, ...]
    """Their URLs, checked and each there once; at least one."""
    _tokens: Mapping[str, str | None] = field(repr=False)
    """The token of each URL."""

    @classmethod
    def parse(
        cls, remote_path: RemotePath | None = None, token: str | None = None
    ) -> RemoteSetting:
        """Parse what a call and the environment say.

        Args:
            remote_path: One URL, in which there may be spaces, or several; None is
                ``$MINARI_REMOTE``, whose URLs are separated by white space, else `DEFAULT_REMOTES`.
            token: As `open_remote` takes it.

        Raises:
            RemoteUrlError: A URL names no remote, or nobody can say whose the token is.
        """
        if remote_path is None or remote_path == "":
            given = _read_environment() or DEFAULT_REMOTES
        else:
            given = (remote_path,) if isinstance(remote_path, str) else tuple(remote_path)
        urls = tuple(dict.fromkeys(given))
        if not urls:
            raise RemoteUrlError("an empty list names no remote; give a URL, or None")
        for url in urls:
            check_url(url)
        if token is not None:
            return cls(urls, _assign(token, urls))
        in_environment = os.environ.get(TOKEN_VARIABLE) or None
        # There it may be for a remote of another call.
        return cls(urls, _assign(in_environment, urls, may_be_for_others=True))

    def __str__(self) -> str:
        """Name the addresses, as a part of a sentence."""
        return ", ".join(self.urls)

    def open(self, url: str) -> Remote:
        """Open one of the addresses; nothing is sent.

        Raises:
            RemoteUrlError: The URL names no remote.
            MissingDependencyError: Its kind needs an extra that is not installed.
        """
        return open_url(url, self._tokens[url])

    def open_only(self, what: str) -> Remote:
        """Open the address, which must be the only one.

        Args:
            what: What goes to one address, as the beginning of a sentence.

        Raises:
            RemoteUrlError: There are several, or the URL names no remote.
            MissingDependencyError: Its kind needs an extra that is not installed.
        """
        if len(self.urls) > 1:
            advice = " or ".join(f"remote_path={url!r}" for url in self.urls)
            raise RemoteUrlError(
                f"{what} one remote, and {len(self.urls)} are set: {self}; name it, as {advice}"
            )
        return self.open(self.urls[0])

    def ask_all(self, work: Callable[[Remote], Answer]) -> list[tuple[Remote, Answer]]:
        """Ask every address; one that fails while another answers is a warning that names it.

        Args:
            work: Asks one.

        Returns:
            Who has answered, and what.

        Raises:
            MinariError: All have failed; the error names each with its reason.
        """
        answers: list[tuple[Remote, Answer]] = []
        failures: dict[str, MinariError] = {}
        for url in self.urls:
            try:
                remote = self.open(url)
                answers.append((remote, work(remote)))
            except _FAILURES as error:
                failures[url] = error
        if not answers:
            raise _combine(failures)
        for url, failure in failures.items():
            _warn_of(url, failure)
        return answers

    def get_token(self, url: str) -> str | None:
        """Return the token of one of the addresses."""
        return self._tokens[url]

    def ask_first(
        self, work: Callable[[str], Answer | None], explain: Callable[[str], MinariError]
    ) -> Answer:
        """Ask the addresses until one has what is wanted.

        One that fails is passed over with a warning that names it.

        Args:
            work: Opens and asks one, by its URL; None says that it does not have it.
            explain: Makes the error that says so; called only if no other address has it, either.

        Raises:
            MinariError: None has it; the error names each address with its reason.
        """
        failures: dict[str, MinariError] = {}
        for url in self.urls:
            try:
                answer = work(url)
            except _FAILURES as error:
                failures[url] = error
                if url != self.urls[-1]:
                    _warn_of(url, error)
                continue
            if answer is not None:
                return answer
        raise _combine(
            {url: failures[url] if url in failures else explain(url) for url in self.urls}
        )


def open_remote(remote_path: str | None = None, token: str | None = None) -> Remote:
    """Open the remote of a URL; nothing is sent before it is used.

    Args:
        remote_path: Such as ``gs://bucket/prefix``, ``hf://organization``, ``file:///folder``,
            ``https://host/folder``, or the URL of any other file system that fsspec knows; None is
            ``$MINARI_REMOTE``, if that is one URL.
        token: The credentials; None is ``$MINARI_REMOTE_TOKEN``, else anonymous. For
            ``gs://`` the path of a credentials file, ``application-default`` for what
            ``gcloud auth application-default login`` left, or an access token; for ``hf://``
            the API token, or ``application-default`` for what ``hf auth login`` left; for a web
            server a bearer token. Where several remotes are set, ``URL=TOKEN``, separated by white
            space, says which is for which, and each is sent to its own.

    Raises:
        RemoteUrlError: The URL names no remote, or several remotes are set.
        MissingDependencyError: Its kind needs an extra that is not installed.
    """
    return RemoteSetting.parse(remote_path, token).open_only("what is opened is")


def find_token(url: str) -> str | None:
    """Find the token that the environment has for what lies at a URL.

    Raises:
        RemoteUrlError: It has something malformed.
    """
    token = os.environ.get(TOKEN_VARIABLE) or None
    return _assign(token, [url], may_be_for_others=True)[url]


def _read_environment() -> tuple[str, ...]:
    urls = tuple(os.environ.get(REMOTE_VARIABLE, "").split())
    for url in urls:
        if not is_url(url):
            raise RemoteUrlError(
                f"{REMOTE_VARIABLE} has {url!r}, which is no URL such as gs://bucket/prefix; it "
                "separates URLs by white space, and a space within one is written as %20"
            )
    return urls


def _assign(
    token: str | None, urls: Sequence[str], *, may_be_for_others: bool = False
) -> dict[str, str | None]:
    """Assign a token to the URLs that it is for.

    Raises:
        RemoteUrlError: Nobody can say which these are, or it must be for one of them and is not.
    """
    if token is not None and is_url(token):
        tokens = _parse_pairs(token)
        return {url: _choose_token(url, tokens) for url in urls}
    if not token or token == APPLICATION_DEFAULT:
        return dict.fromkeys(urls, token)
    assigned: dict[str, str | None] = dict.fromkeys(urls)
    fits = {url: is_token_of(url, token) for url in urls if takes_token(url)}
    chosen = [url for url in fits if fits[url]] or [url for url in fits if fits[url] is None]
    if None in fits.values() and len(chosen) > 1:
        raise RemoteUrlError(
            f"nobody can say which of {', '.join(chosen)} the token is for; write {chosen[0]}=TOKEN"
        )
    if fits and not (chosen or may_be_for_others):
        raise RemoteUrlError(
            f"the token is for another kind of remote than {', '.join(fits)}, and is not sent there"
        )
    return assigned | dict.fromkeys(chosen, token)


def _parse_pairs(text: str) -> dict[str, str]:
    """Parse ``URL=TOKEN``, separated by white space.

    Raises:
        RemoteUrlError: The text is something else, which the error does not show.
    """
    pairs = [_PAIR.fullmatch(word) for word in text.split()]
    found = [(pair[1], pair[2]) for pair in pairs if pair and is_url(pair[1])]
    if len(found) < len(pairs):
        raise RemoteUrlError(
            "a token that begins with a URL is URL=TOKEN, or several separated by white space"
        )
    return {normalize_dataset_url(url): token for url, token in found}


def _choose_token(url: str, tokens: Mapping[str, str]) -> str | None:
    """Choose the token of a URL, or of what it lies in."""
    wanted = normalize_dataset_url(url)
    around = [each for each in tokens if wanted == each or wanted.startswith(f"{each}/")]
    return tokens[max(around, key=len)] if around else None


def _warn_of(url: str, error: MinariError) -> None:
    warn_caller(f"{url} is passed over: {error}")


def _combine(errors: Mapping[str, MinariError]) -> MinariError:
    """Make one error of those of several addresses."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    ranks = {kind: rank for rank, kind in enumerate(_FAILURES)}
    worst = min(errors.values(), key=lambda error: ranks.get(type(error), len(ranks)))
    reasons = (
        str(error) if url in str(error) else f"{url}: {error}" for url, error in errors.items()
    )
    combined = type(worst)("; ".join(reasons))
    combined.__cause__ = worst
    return combined
