"""Why a connection to a broker was not opened, from what its port answers when asked again."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt import tls_faults
from edge_agent.mqtt.tls import tls_context
from edge_agent.mqtt.tls_faults import TlsFault

if TYPE_CHECKING:
    from edge_agent.mqtt.connection import Broker, Websocket
    from edge_agent.mqtt.tls import TlsContext

WAIT_S: Final = 3.0
_MOST_BYTES: Final = 200
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})([ -~]{0,40})")
_KEY: Final = "ZmFybS1lZGdlLWRvY3Rvcg=="
"""Sixteen bytes in base64, as RFC 6455 wants them."""


class HandshakeFailed(Exception):  # noqa: N818 - never leaves the client
    """The broker is reached, and a handshake with it fails."""

    def __init__(self, why: TlsFault) -> None:
        super().__init__(why.seen)
        self.why = why


def _of_websocket(broker: Broker, websocket: Websocket) -> TlsFault:
    """The fault of a websocket that the broker did not open."""
    host, port, path = broker.host, broker.port, websocket.path
    answer = _ask(broker, _request(websocket.host_header or f"{host}:{port}", path))
    status = _STATUS.match(answer)
    if status is not None:
        words = f"{status[1].decode()}{status[2].decode()}".strip()
        return TlsFault(
            f"no websocket: the server answers {words} on {path}",
            "check mqtt.websockets.path and host_header, and what stands before the broker",
        )
    if broker.tls is None and tls_faults.speaks_plain(host, port):
        return TlsFault(
            "this port speaks MQTT without websockets",
            "set [mqtt.websockets] enabled = false, or mqtt.port to the broker's port for them",
        )
    if broker.tls is None and tls_faults.speaks_tls(host, port):
        return TlsFault(
            "this port speaks TLS",
            "set [mqtt.tls] enabled = true, or mqtt.port to the port for websockets without TLS",
        )
    return TlsFault(
        "no websocket: the server does not answer as HTTP does",
        "check mqtt.port: it must be the broker's port for websockets",
    )


def of_open(
    fault: OSError, broker: Broker, context: TlsContext | None, *, refused: bool
) -> TlsFault | None:
    """The fault of a handshake, for TLS or a websocket; None where the port was not reached.

    Args:
        fault: From the attempt.
        broker: Where to.
        context: That TLS was to begin with.
        refused: The broker did not open the websocket.
    """
    if refused and broker.websocket is not None:
        return _of_websocket(broker, broker.websocket)
    if broker.tls is None or context is None or context.socket is None:
        return None
    return tls_faults.of_handshake(fault, broker.host, broker.port, broker.tls)


def of_silent_end(broker: Broker) -> TlsFault | None:
    """The fault of a port that hangs up on MQTT; None where nothing says why.

    Without TLS it may speak TLS or HTTP; with TLS it may refuse the client's certificate.
    """
    if broker.tls is not None:
        return tls_faults.of_client_certificate(broker.host, broker.port, broker.tls)
    why = tls_faults.of_silent_end(broker.host, broker.port)
    if why is not None or broker.websocket is not None:
        return why
    if _STATUS.match(_ask(broker, _request(f"{broker.host}:{broker.port}", "/mqtt"))) is None:
        return None
    return TlsFault(
        "this port speaks HTTP, perhaps MQTT over websockets",
        "set [mqtt.websockets] enabled = true and its path, or mqtt.port to the broker's own port",
    )


def _request(host: str, path: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt",
        "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode("ascii", "replace")


def _ask(broker: Broker, request: bytes) -> bytes:
    """The first bytes of the answer; empty where none comes."""
    try:
        with ExitStack() as stack:
            address = (broker.host, broker.port)
            connection = stack.enter_context(socket.create_connection(address, WAIT_S))
            if broker.tls is not None:
                context = tls_context(broker.tls)
                secure = context.wrap_socket(connection, server_hostname=broker.host)
                connection = stack.enter_context(secure)
            connection.sendall(request)
            return connection.recv(_MOST_BYTES)
    except OSError:
        return b""
