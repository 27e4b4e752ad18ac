"""Credentials for Google Cloud Storage."""

from __future__ import annotations

import json
import os
from typing import cast

import google.auth
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.oauth2.credentials import Credentials as TokenCredentials
from google.oauth2.service_account import Credentials as ServiceAccount

from minari_core.errors import RemoteAccessError
from minari_hub.remotes.base import APPLICATION_DEFAULT

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


def load_credentials(token: str | None, url: str) -> Credentials:
    """Load the credentials that a token stands for.

    Args:
        token: The path of a credentials file, `APPLICATION_DEFAULT`, or an OAuth2 access token;
            None is anonymous.
        url: The remote, for an error message.

    Raises:
        RemoteAccessError: There are none, or they are malformed.
    """
    if token is None:
        return AnonymousCredentials()
    try:
        if token == APPLICATION_DEFAULT:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
            return credentials
        path = os.path.expanduser(token)
        if os.path.isfile(path):
            return _read_credentials(path)
    except (auth_exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise RemoteAccessError(f"there are no usable credentials for {url}: {error}") from error
    # Anything else may be a secret, which no message shows.
    if os.path.isabs(path) or token.startswith(".") or token.endswith(".json"):
        raise RemoteAccessError(f"there is no credentials file {token}")
    return TokenCredentials(token)


def _read_credentials(path: str) -> Credentials:
    """Read the credentials in a file: those of a service account, or of a user.

    Raises:
        ValueError: It holds no such credentials.
    """
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    kind = content.get("type") if isinstance(content, dict) else None
    # By kind, because other kinds name programs to run and addresses to ask.
    if kind == "service_account":
        return cast(Credentials, ServiceAccount.from_service_account_info(content, scopes=[_SCOPE]))
    if kind == "authorized_user":
        return cast(Credentials, TokenCredentials.from_authorized_user_info(content, [_SCOPE]))
    raise ValueError(
        f"{path} has the type {str(kind)[:80]!r}, neither 'service_account' nor "
        f"'authorized_user'; for another kind, set GOOGLE_APPLICATION_CREDENTIALS to it and give "
        f"token={APPLICATION_DEFAULT!r}"
    )
