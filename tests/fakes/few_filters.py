"""A way to a broker that hangs up on a SUBSCRIBE with more than eight filters, as AWS IoT does."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 8
_CONNECT: Final = 1
_SUBSCRIBE: Final = 8


def _packets(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Each whole packet, and what stands behind its fixed header."""
    waiting = b""
    while piece := connection.recv(65_536):
        waiting += piece
        while (split := _length(waiting, 1)) and len(waiting) >= sum(split):
            begin, end = split[0], sum(split)
            yield waiting[:end], waiting[begin:end]
            waiting = waiting[end:]


def _length(content: bytes, at: int) -> tuple[int, int] | None:
    """Where what a variable byte integer measures begins, and how long that is."""
    value = shift = 0
    for place, byte in enumerate(content[at : at + 4], at + 1):
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return place, value
    return None


def _filters(body: bytes, version: int) -> int:
    at, count = 2, 0
    if version == 5:
        split = _length(body, at)
        assert split is not None
        at = sum(split)
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count


@contextmanager
def few_filters(port: int) -> Iterator[tuple[int, list[int]]]:
    """Port that leads to the broker's, and the number of filters of each SUBSCRIBE."""
    counts: list[int] = []

    def back(broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := broker.recv(65_536):
                client.sendall(piece)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def forth(client: socket.socket) -> None:
        version = 4
        with client, socket.create_connection(("127.0.0.1", port)) as broker, suppress(OSError):
            threading.Thread(target=back, args=(broker, client), daemon=True).start()
            for packet, body in _packets(client):
                kind = packet[0] >> 4
                if kind == _CONNECT:
                    version = body[6]
                if kind == _SUBSCRIBE:
                    counts.append(_filters(body, version))
                    if counts[-1] > MOST:
                        return
                broker.sendall(packet)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=forth, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1], counts
        finally:
            listener.shutdown(socket.SHUT_RDWR)
