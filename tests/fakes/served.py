"""`trainer serve`'s server for the time of a block, and a wire whose bytes are counted."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trainer.depot.serve import DepotServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def served(depot: Path) -> Iterator[str]:
    """Address of a depot that is served until the block ends, however it ends."""
    with DepotServer(depot) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def counted(url: str) -> Iterator[tuple[str, list[int]]]:
    """Address that leads to `url`, and the sizes of what went through, both ways."""
    counts: list[int] = []
    port = int(url.rstrip("/").rpartition(":")[2])

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with source:
            try:
                while piece := source.recv(65536):
                    counts.append(len(piece))
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", counts
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
