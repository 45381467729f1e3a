"""Whether a broker refuses TLS for want of a client certificate, or refuses the one it got.

Under TLS 1.3 the client's handshake is over before the broker looks at the certificate: its alert
is the first thing read, or is lost when the broker has hung up on CONNECT meanwhile. So the port is
asked once more, and nothing is sent after the handshake. Under TLS 1.2 OpenSSL answers a missing
certificate with `handshake_failure`, as it does other faults. There the broker's unencrypted part
of the handshake says whether it asked for one (RFC 5246, 7.4.4).
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.tls import tls_context

if TYPE_CHECKING:
    from edge_agent.mqtt.tls import TlsFiles

WAIT_S: Final = 3.0
_REQUIRED: Final = "CERTIFICATE_REQUIRED"
_FAILURE: Final = "HANDSHAKE_FAILURE"
_REFUSED: Final = (
    "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED", "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR",
)  # fmt: skip
_HANDSHAKE: Final = 22
_CERTIFICATE_REQUEST: Final = 13
_HEAD: Final = 5
"""Bytes before the content of a TLS record; four are before that of a handshake message."""


def refusal(host: str, port: int, files: TlsFiles) -> str | None:
    """The alert by which a broker refuses this client's certificate; empty where it wants one.

    Args:
        host: The broker.
        port: Its port.
        files: What this client has.

    Returns:
        None where nothing says that it is about a client certificate.
    """
    try:
        alert, heard = _ask(host, port, files)
    except OSError:
        return None
    if files.cert is not None:
        known = next((name for name in _REFUSED if name in alert), None)
        return known and known.lower().replace("_", " ")
    wanted = _REQUIRED in alert or "BAD_CERTIFICATE" in alert
    if wanted or (_FAILURE in alert and _asks_for_certificate(heard)):
        return ""
    return None


def _ask(host: str, port: int, files: TlsFiles) -> tuple[str, bytes]:
    """Name of the alert after which the broker hangs up, empty without; and what it sent."""
    heard = b""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_context(files).wrap_bio(incoming, outgoing, server_hostname=host)
    with socket.create_connection((host, port), WAIT_S) as connection:
        while True:
            try:
                client.do_handshake()
                client.read(1)
            except ssl.SSLWantReadError:
                # An empty send would report the end of the connection before its alert is read.
                if outgoing.pending:
                    connection.sendall(outgoing.read())
                part = connection.recv(65_536)
                heard += part
                incoming.write(part)
                if not part:
                    return "", heard
            except ssl.SSLError as fault:
                return fault.reason or "", heard
            else:
                return "", heard


def _asks_for_certificate(heard: bytes) -> bool:
    """Whether the plain handshake messages of a TLS 1.2 server hold a CertificateRequest."""
    messages = b""
    while len(heard) >= _HEAD and heard[0] == _HANDSHAKE:
        end = _HEAD + int.from_bytes(heard[3:_HEAD])
        messages += heard[_HEAD:end]
        heard = heard[end:]
    while len(messages) >= _HEAD - 1:
        if messages[0] == _CERTIFICATE_REQUEST:
            return True
        messages = messages[4 + int.from_bytes(messages[1:4]) :]
    return False
