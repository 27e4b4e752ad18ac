"""Who asks: nobody by default, and whoever is given on every request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import minari
from minari_hub import download_dataset, get_remote_metadata, open_remote, upload_dataset
from tests.hub.helpers.datasets import collect, files_of, is_intact, leftovers
from tests.hub.helpers.fault_proxy import FaultProxy
from tests.hub.helpers.servers import Bucket, LoopbackServer


class TokenServer(LoopbackServer):
    """Gives an access token for what a service account signs, as Google's does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TokenHandler)
        self.asked: list[dict[str, list[str]]] = []


class _TokenHandler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(parse_qs(body))
        answer = json.dumps(
            {"access_token": "secret-token", "expires_in": 3600, "token_type": "Bearer"}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def account_file(token_server: TokenServer, tmp_path: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path = tmp_path / "account.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "test",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "robot@test.invalid",
                "client_id": "1",
                "token_uri": f"{token_server.url}/token",
            }
        )
    )
    return path


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    """What gcloud leaves, with an access token that is still good."""
    path = tmp_path / "user.json"
    path.write_text(
        json.dumps(
            {
                "type": "authorized_user",
                "client_id": "id",
                "client_secret": "secret",
                "refresh_token": "refresh",
                "token": "secret-token",
                "expiry": "2999-01-01T00:00:00Z",
            }
        )
    )
    return path


@pytest.fixture(params=["token", "file", "user file", "application default", "environment"])
def token(
    request: pytest.FixtureRequest,
    account_file: Path,
    user_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str | None:
    """Every way to give credentials, all of which end in the same access token."""
    if request.param == "user file":
        return str(user_file)
    if request.param == "file":
        return str(account_file)
    if request.param == "application default":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account_file))
        return "application-default"
    if request.param == "environment":
        monkeypatch.setenv("MINARI_REMOTE_TOKEN", str(account_file))
        return None
    return "secret-token"


def test_a_private_bucket_is_listed_read_and_written_with_credentials_on_every_request(
    bucket: Bucket, proxy: FaultProxy, token: str | None
) -> None:
    proxy.required_token = "secret-token"
    collect("x-v0")
    files = files_of("x-v0")

    upload_dataset("x-v0", remote_path=bucket.url, token=token)
    minari.delete_dataset("x-v0")
    listed = minari.list_remote_datasets(bucket.url, token=token)
    assert list(listed) == ["x-v0"]
    assert get_remote_metadata("x-v0", remote_path=bucket.url, token=token) == listed["x-v0"]
    download_dataset("x-v0", remote_path=bucket.url, token=token)

    assert is_intact({"x-v0": files})
    assert {headers.get("authorization") for headers in proxy.headers} == {"Bearer secret-token"}


def test_without_credentials_nothing_is_sent_that_says_who_asks(
    bucket: Bucket, proxy: FaultProxy, account_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account_file))

    minari.list_remote_datasets(bucket.url)

    assert proxy.headers
    assert not any("authorization" in headers for headers in proxy.headers)


def test_a_private_bucket_refuses_and_the_error_says_what_to_give(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    proxy.required_token = "secret-token"
    collect("x-v0")

    calls: list[Callable[[], object]] = [
        lambda: minari.list_remote_datasets(bucket.url),
        lambda: download_dataset("y-v0", remote_path=bucket.url),
        lambda: upload_dataset("x-v0", remote_path=bucket.url),
    ]
    for call in calls:
        with pytest.raises(minari.RemoteAccessError, match=r"401.*token="):
            call()
    with pytest.raises(PermissionError, match="refused or expired"):
        minari.list_remote_datasets(bucket.url, token="another-token")


def test_a_token_is_never_shown_or_written(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.required_token = "another"
    with pytest.raises(minari.RemoteAccessError) as refused:
        minari.list_remote_datasets(bucket.url, token="secret-token")

    assert "secret-token" not in str(refused.value)
    remote = open_remote(bucket.url, "secret-token")
    assert "secret-token" not in repr(remote)
    assert "secret-token" not in remote.url
    assert not any(b"secret-token" in path.read_bytes() for path in leftovers() if path.is_file())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"type": "unknown"}'])
def test_a_malformed_credentials_file_is_an_error_of_access(
    bucket: Bucket, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)

    with pytest.raises(minari.RemoteAccessError, match="no usable credentials"):
        minari.list_remote_datasets(bucket.url, token=str(path))


def test_a_credentials_file_of_a_kind_that_names_programs_is_used_only_through_the_environment(
    bucket: Bucket, tmp_path: Path
) -> None:
    path = tmp_path / "external.json"
    path.write_text(json.dumps({"type": "external_account", "credential_source": {}}))

    with pytest.raises(minari.RemoteAccessError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        minari.list_remote_datasets(bucket.url, token=str(path))


def test_a_credentials_file_that_is_not_there_is_not_taken_for_a_token(bucket: Bucket) -> None:
    with pytest.raises(minari.RemoteAccessError, match="no credentials file"):
        minari.list_remote_datasets(bucket.url, token="/none/account.json")


def test_a_file_system_takes_no_token_in_words() -> None:
    with pytest.raises(minari.RemoteUrlError, match="application-default"):
        minari.list_remote_datasets("memory://x", token="secret-token")
