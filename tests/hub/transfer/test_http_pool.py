"""Connections are kept, encrypted to who can prove its name, and opened through proxies."""

from __future__ import annotations

import datetime
import gc
import ipaddress
import select
import socket
import ssl
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from minari_core.errors import RemoteError
from minari_hub.ranges.http_source import HttpSource
from minari_hub.transfer.http_pool import HttpPool
from tests.hub.helpers.servers import LoopbackServer


class _Handler(BaseHTTPRequestHandler):
    """Says which connection a request came by; ends a connection after ``/last``."""

    protocol_version = "HTTP/1.1"
    leads_to = ""
    proxied: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(302 if self.leads_to else 200)
        if self.leads_to:
            self.send_header("Location", self.leads_to)
        body = str(self.client_address[1]).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        # Without a word to the client.
        self.close_connection = self.path == "/last"

    def do_CONNECT(self) -> None:
        self.proxied.append(self.headers["Proxy-Authorization"])
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            ends = [self.connection, there]
            while True:
                for readable in select.select(ends, [], [])[0]:
                    content = readable.recv(1 << 16)
                    if not content:
                        return
                    ends[readable is self.connection].sendall(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for the loopback address that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        built.public_bytes(text)
        + key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = LoopbackServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        yield server.url.replace("http://", "https://")


def test_a_connection_is_kept_and_another_one_opened_when_the_server_has_ended_it() -> None:
    with LoopbackServer(("127.0.0.1", 0), _Handler) as server:
        pool = HttpPool()
        first, second, last, after = (
            pool.get(f"{server.url}{path}", {}, 100).body for path in ("/", "/", "/last", "/")
        )

        assert first == second == last
        assert after != last
        assert pool.get(f"{server.url}/", {}, 1).body is None
        pool.close()
        with pytest.raises(RemoteError, match="was closed"):
            pool.get("http://127.0.0.1:9/", {}, 1)


def test_a_server_proves_its_name_and_none_leads_to_where_nobody_does(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RemoteError, match="CERTIFICATE_VERIFY_FAILED"):
        HttpSource(f"{secure}/data").version("a")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert HttpSource(f"{secure}/data").version("a").size > 0
    for address in (secure.replace("https", "http"), "file:///etc/passwd", "https://[", "//x:y/"):
        monkeypatch.setattr(_Handler, "leads_to", address)
        with pytest.raises(RemoteError, match="leads to an address that is not followed"):
            HttpSource(f"{secure}/data").version("a")
    monkeypatch.setattr(_Handler, "leads_to", "/data/a")
    with pytest.raises(RemoteError, match="addresses lead each to another one"):
        HttpSource(f"{secure}/data").version("a")


def test_an_encrypted_connection_goes_through_a_proxy(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with LoopbackServer(("127.0.0.1", 0), _Handler) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://me:s%20cret@"))

        assert HttpPool().get(f"{secure}/", {}, 100).status == 200

    assert _Handler.proxied == ["Basic bWU6cyBjcmV0"]


def test_connections_of_a_pool_that_nobody_has_any_more_are_ended() -> None:
    address = ("127.0.0.1", 0)
    gc.collect()  # what others have left, such as servers of refused connections
    with LoopbackServer(address, _Handler) as server, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        pool = HttpPool()
        assert pool.get(f"{server.url}/any", {}, 100).status == 200
        del pool
        gc.collect()
    assert not [each for each in seen if each.category is ResourceWarning]
