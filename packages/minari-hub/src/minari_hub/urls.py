"""From a URL to the remote that it names."""

from __future__ import annotations

from minari_hub.remote import Remote

DEFAULT_REMOTE = "gs://minari-remote"
"""The remote that is used when neither the call nor ``MINARI_REMOTE`` names one."""
REMOTE_VARIABLE = "MINARI_REMOTE"
TOKEN_VARIABLE = "MINARI_REMOTE_TOKEN"


def open_remote(remote_path: str | None = None, token: str | None = None) -> Remote:
    """Open the remote of a URL; nothing is sent before it is used.

    Args:
        remote_path: Such as ``gs://bucket/prefix``, ``hf://organization``, ``file:///folder``;
            None is ``$MINARI_REMOTE``, else `DEFAULT_REMOTE`.
        token: What proves who asks; None is ``$MINARI_REMOTE_TOKEN``, else anonymous. For
            ``gs://`` the path of a credentials file, ``application-default``, or an access
            token; for ``hf://`` the API token.
    """
    raise NotImplementedError
