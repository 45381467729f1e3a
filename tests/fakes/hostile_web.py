"""A real web server over a depot that can be told to misbehave for single names."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Answer = Callable[["Handler", bytes], None]


class HostileWeb(ThreadingHTTPServer):
    """Serves a folder; `rules` maps a pattern of names to another way to answer.

    Attributes:
        folder: The depot.
        rules: Regular expression -> answer, given the handler and the honest content.
        sent: Bytes of bodies handed to the network.
        asked: (name, status) of every request, in order.
        give_up: Set when the server stops, so that no answer outlives it.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.rules: dict[str, Answer] = {}
        self.sent = 0
        self.asked: list[tuple[str, int]] = []
        self.give_up = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what is tested."""


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    server: HostileWeb
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer by the first rule that fits, else honestly."""
        name = self.path.lstrip("/")
        path = self.server.folder / name
        content = path.read_bytes() if path.is_file() else b""
        for pattern, answer in self.server.rules.items():
            if re.fullmatch(pattern, name):
                answer(self, content)
                return
        if path.is_file():
            self.whole(content)
        else:
            self.whole(b"gone\n", 404)

    def whole(self, content: bytes, status: int = 200, **headers: str) -> None:
        """An ordinary answer."""
        self.head(status, len(content), **headers)
        self.body(content)

    def head(self, status: int, length: int | None, **headers: str) -> None:
        """Status line and headers; without a length the body ends with the connection."""
        self.server.asked.append((self.path.lstrip("/"), status))
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def body(self, content: bytes) -> None:
        """A piece of the body."""
        # Counted first: whoever has read it may look at the count at once.
        self.server.sent += len(content)
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
