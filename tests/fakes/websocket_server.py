"""A web server that hands MQTT over websockets on to a broker, with TLS and ALPN where asked for.

Debian's Mosquitto is built without websockets.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 2, 8


class WebsocketServer:
    """Answers as web servers do: 404 on other paths, 421 for another host, 400 to what is no HTTP.

    Args:
        broker: Port of the broker.
        path: The one that it serves.
        host: Host header that is wanted; empty = any.
        context: For TLS.
    """

    def __init__(
        self,
        broker: int,
        path: str = "/mqtt",
        host: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[list[str]] = []
        self.protocols: list[str | None] = []
        outer = self

        class _Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, EOFError):
                    outer._serve(self.request, broker, path, host, context)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def _serve(
        self,
        connection: socket.socket,
        broker: int,
        path: str,
        host: str,
        context: ssl.SSLContext | None,
    ) -> None:
        if context is not None:
            secure = context.wrap_socket(connection, server_side=True)
            self.protocols.append(secure.selected_alpn_protocol())
            connection = secure
        with connection, connection.makefile("rb") as stream:
            if stream.peek(1)[:1] != b"G":
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return
            lines = []
            while line := stream.readline().decode("latin-1").rstrip():
                lines.append(line)
            self.requests.append(lines)
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            if not lines or lines[0] != f"GET {path} HTTP/1.1":
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
                return
            if host and headers["host"] != host:
                connection.sendall(b"HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\n\r\n")
                return
            # The key has capital letters, which `headers` has not.
            (key,) = [line.split(": ")[1] for line in lines if line.startswith("Sec-WebSocket-Key")]
            accepted = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", broker)) as onward:
                back = threading.Thread(target=_frames_to, args=(connection, onward), daemon=True)
                back.start()
                with contextlib.suppress(OSError, EOFError):
                    while (payload := _unframed(stream)) is not None:
                        onward.sendall(payload)
                onward.shutdown(socket.SHUT_RDWR)
                back.join()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _frames_to(connection: socket.socket, onward: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := onward.recv(60_000):
            size = len(chunk)
            head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
            connection.sendall(bytes([0x80 | _BINARY]) + head + chunk)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _unframed(stream: object) -> bytes | None:
    def take(size: int) -> bytes:
        content: bytes = stream.read(size)  # type: ignore[attr-defined] # a binary file
        if len(content) < size:
            raise EOFError
        return content

    opcode, size = take(1)[0] & 0x0F, take(1)[0] & 0x7F
    if size == 126:
        size = int.from_bytes(take(2), "big")
    elif size == 127:
        size = int.from_bytes(take(8), "big")
    mask = take(4)
    payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(take(size)))
    return None if opcode == _CLOSE else payload
