"""A read-only web server for one depot: for trials; production uses any web server.

Only `metadata/` and `targets/` are served, never a hidden file, a listing or a link. Names that
carry a version or a hash never change their content, so caches may keep them for ever; only
`timestamp.json` is asked for again.
"""

from __future__ import annotations

import logging
import re
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
_NAME: Final = re.compile(r"(?:metadata|targets)(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+", re.ASCII)
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_TYPES: Final = {".json": "application/json", ".parquet": "application/vnd.apache.parquet"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "public, max-age=60, must-revalidate"


class DepotServer(ThreadingHTTPServer):
    """Serves a depot's folder.

    Args:
        depot: The folder.
        host: Address to listen on.
        port: 0 = any free port; see `url`.
    """

    daemon_threads = True

    def __init__(self, depot: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.depot = depot.resolve()
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Address for an agent's `[depot] url`."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is logged for debugging only."""
        _log.debug("connection of %s ended early (%s)", client_address, request, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: DepotServer
    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes; with Nagle's wait each answer takes 40 ms longer.
    disable_nagle_algorithm = True
    server_version = "farm-edge-depot"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        _log.debug("%s %s", self.address_string(), format % args)

    def _answer(self, *, with_body: bool) -> None:
        content = self._content()
        if content is None:
            text = b"no such file\n"
            self._head(HTTPStatus.NOT_FOUND, len(text), {"Cache-Control": _ASK_AGAIN})
            if with_body:
                self.wfile.write(text)
            return
        path = urlsplit(self.path).path
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        headers = {
            "ETag": tag,
            "Accept-Ranges": "bytes",
            "Cache-Control": _ASK_AGAIN if path.endswith("/timestamp.json") else _FOR_EVER,
            "Content-Type": _TYPES.get(path[path.rfind(".") :], "application/octet-stream"),
        }
        asked = self.headers.get("If-None-Match")
        if asked is not None and tag in (each.strip() for each in asked.split(",")):
            self._head(HTTPStatus.NOT_MODIFIED, None, headers)
            return
        status, first, last = self._part(len(content), tag)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._head(status, 0, headers | {"Content-Range": f"bytes */{len(content)}"})
            return
        if status == HTTPStatus.PARTIAL_CONTENT:
            headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(content)}"
        self._head(status, last - first, headers)
        if with_body:
            self.wfile.write(content[first:last])

    def _content(self) -> bytes | None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        if not _NAME.fullmatch(name):
            return None
        path = self.server.depot / name
        if path.resolve() != path or not path.is_file():
            return None
        try:
            return path.read_bytes()
        except OSError:
            return None

    def _part(self, length: int, tag: str) -> tuple[HTTPStatus, int, int]:
        """Status, first byte and byte after the last, for the Range header or without one."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or match.groups() == ("", ""):
            return HTTPStatus.OK, 0, length
        if self.headers.get("If-Range", tag) != tag:
            return HTTPStatus.OK, 0, length
        first, last = match.groups()
        start = int(first) if first else max(length - int(last), 0)
        end = min(int(last) + 1, length) if first and last else length
        if start >= end:
            return HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, 0
        return HTTPStatus.PARTIAL_CONTENT, start, end

    def _head(self, status: HTTPStatus, length: int | None, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
