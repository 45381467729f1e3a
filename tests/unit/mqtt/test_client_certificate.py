"""A broker that wants a client certificate is told from one that refuses TLS for another cause."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from edge_agent.mqtt.client_certificate import refusal
from edge_agent.mqtt.tls import TlsFiles
from tests.fakes.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@contextmanager
def _server(context: ssl.SSLContext) -> Iterator[int]:
    """A port where one client shakes hands; then its connection ends."""

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def _context(
    authority: Authority, version: ssl.TLSVersion, *, wants: bool, ciphers: str = ""
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("broker"))
    context.load_verify_locations(authority.file)
    context.minimum_version = context.maximum_version = version
    if wants:
        context.verify_mode = ssl.CERT_REQUIRED
    if ciphers:
        context.set_ciphers(ciphers)
    return context


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize(
    ("wants", "own", "told"),
    [
        (True, "", ""),
        (True, "stranger", "unknown ca"),
        (True, "farm", None),
        (False, "", None),
    ],
)
def test_what_the_broker_says_of_the_certificate(
    tmp_path: Path,
    version: ssl.TLSVersion,
    wants: bool,
    own: str,
    told: str | None,
) -> None:
    """Under both versions; nothing is told where nothing is wrong with it."""
    farm = Authority(tmp_path / "farm", "farm")
    issuer = {"farm": farm, "stranger": Authority(tmp_path / "stranger", "stranger")}.get(own)
    cert, key = issuer.issue("device") if issuer else (None, None)
    with _server(_context(farm, version, wants=wants)) as port:
        assert refusal("127.0.0.1", port, TlsFiles(farm.file, cert, key)) == told


def test_another_failure_of_tls_1_2_is_none_of_the_certificate(tmp_path: Path) -> None:
    """T4: without a common cipher the alert is the same, and nobody asked for a certificate."""
    farm = Authority(tmp_path / "farm", "farm")
    # A key of an elliptic curve signs for none of these.
    context = _context(farm, V12, wants=True, ciphers="ECDHE-RSA-AES256-GCM-SHA384")
    with _server(context) as port:
        assert refusal("127.0.0.1", port, TlsFiles(farm.file)) is None


def test_a_port_that_is_closed_says_nothing(tmp_path: Path) -> None:
    """Nobody to ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal("127.0.0.1", port, TlsFiles(Authority(tmp_path, "farm").file)) is None
