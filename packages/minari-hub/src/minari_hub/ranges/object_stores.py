"""Open buckets with obstore, by their URLs."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from minari_core.errors import MissingDependencyError, RemoteUrlError
from minari_hub.remotes.base import APPLICATION_DEFAULT
from minari_hub.transfer.retrying import Patience

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

_S3 = frozenset({"s3", "s3a"})
_AZURE = frozenset({"az", "azure", "abfs", "abfss"})
OBJECT_STORES = _S3 | _AZURE
"""The schemes of what is opened here."""

_CONNECT_TIMEOUT = timedelta(seconds=10)
# For a whole answer, which has a megabyte or two.
_TIMEOUT = timedelta(seconds=60)


def has_suffixes(url: str) -> bool:
    """Return whether the last bytes of an object can be asked for; those in Azure cannot."""
    return _split(url)[0] in _S3


def open_store(url: str, token: str | None) -> ObjectStore:
    """Open what a URL names; nothing is sent.

    Args:
        url: Such as ``s3://bucket/prefix`` or ``az://container/prefix``.
        token: `APPLICATION_DEFAULT` for the credentials in the environment of this machine; None
            is anonymous.

    Raises:
        RemoteUrlError: The URL names nothing that can be opened, or the token is not for it.
        MissingDependencyError: obstore is not installed.
    """
    scheme, place, prefix = _split(url)
    if scheme not in OBJECT_STORES or not place:
        raise RemoteUrlError(f"{url!r} names no bucket")
    if token not in (None, APPLICATION_DEFAULT):
        raise RemoteUrlError(
            f"{scheme}:// takes its credentials from this machine: give "
            f"token={APPLICATION_DEFAULT!r}, not their text"
        )
    try:
        from obstore.store import AzureStore, S3Store
    except ImportError as error:
        raise MissingDependencyError(
            f"{url} is streamed with the package obstore; install it with "
            "pip install 'minari-hub[stream]'"
        ) from error
    retry = _plan_retries()
    below = prefix or None
    if scheme in _S3:
        endpoint = _find("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        config: S3Config = {"skip_signature": token is None}
        if endpoint:  # older ones know fewer of these variables
            config["endpoint"] = endpoint
        return S3Store(
            place,
            prefix=below,
            config=config,
            client_options=_plan_client(endpoint),
            retry_config=retry,
        )
    container, _, host = place.partition("@")
    account = host.partition(".")[0] or _find("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
    if not account:
        raise RemoteUrlError(
            f"{url!r} names no account; set AZURE_STORAGE_ACCOUNT_NAME, or write "
            "abfs://container@account.dfs.core.windows.net/prefix"
        )
    endpoint = _find("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    return AzureStore(
        container_name=container,
        account_name=account,
        prefix=below,
        config={"skip_signature": True} if token is None else {},
        client_options=_plan_client(endpoint),
        retry_config=retry,
    )


def _split(url: str) -> tuple[str, str, str]:
    """Split a URL into its scheme, its bucket or host, and what is below that."""
    scheme, _, rest = url.partition("://")
    place, _, prefix = rest.partition("/")
    return scheme.lower(), place, prefix.strip("/")


def _find(*variables: str) -> str:
    return next(filter(None, map(os.environ.get, variables)), "")


def _plan_client(endpoint: str) -> ClientConfig:
    return {
        # Only to a server that whoever set the address wants to speak with so.
        "allow_http": endpoint.lower().startswith("http://"),
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": _TIMEOUT,
    }


def _plan_retries() -> RetryConfig:
    patience = Patience.from_environment()
    return {
        "max_retries": 20,
        "retry_timeout": timedelta(seconds=patience.give_up_after),
        "backoff": {
            "init_backoff": timedelta(seconds=patience.first_wait),
            "max_backoff": timedelta(seconds=patience.longest_wait),
            "base": 2,
        },
    }
