"""A small HTTP server on loopback that starts and stops cleanly."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from demo.kma_answer import Answer

    Respond: TypeAlias = Callable[[str, dict[str, str]], Answer | None]


class LoopbackServer:
    """Answers GET requests in threads until closed.

    Args:
        respond: Path and query fields -> the answer, or None to close the connection unanswered.
        port: 0 = any free one.
    """

    def __init__(self, respond: Respond, port: int = 0) -> None:
        self._server = _Server(respond, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        """Address without a trailing slash."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, respond: Respond, port: int) -> None:
        self.respond = respond
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - base class
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - base class
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - base class
        """Ignore clients that closed the connection."""

    def hang_up(self) -> None:
        """End idle keep-alive connections, so that their threads can be joined."""
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 20  # header and body leave as one segment
    server_version = "loopback"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        found = self.server.respond(
            parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
        )
        if found is None:
            self.close_connection = True
            return
        self.send_response(found.status)
        self.send_header("Content-Type", found.content_type)
        length = len(found.body) if found.announced is None else found.announced
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(found.body)
        self.wfile.flush()
        if length != len(found.body):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - base class
        """Log nothing: the caller records requests itself."""
