"""A depot behind a web server: bounded time, resumed downloads, conditional requests.

Guards against a server that tries to delay the agent:

- H1 connecting takes at most `HttpLimits.connect_s`, the whole response head at most `head_s`;
- H2 after `grace_s` the body must have come at `bytes_per_s` or more on average, so that a
  server that sends single bytes cannot hold a request open;
- H3 redirects are not followed: a depot's address is configuration, not the server's choice;
- H4 no content encoding is accepted, so the bytes counted are the bytes that came.

A network's login page, a page for a missing file and an answer that a proxy has changed say nothing
about signatures: they are told apart from damage by their content, whatever their headers say.

The length of each file is bounded by the caller, who stops reading.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from edge_agent import __version__
from edge_agent.contract.errors import TryLater
from edge_agent.system import fault_words, proxies
from edge_agent.updates.source import NoSuchFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
_CACHED: Final = "timestamp.json"
_CACHED_MAX: Final = 64 * 1024
_METADATA: Final = "metadata/"
_BEGIN: Final = 1024
_GZIP: Final = b"\x1f\x8b"
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_SUCCESS: Final = range(200, 300)
_NOT_A_DEPOT: Final = "not a depot: a web page came instead (login page of the network? proxy?)"
_CHANGED: Final = "no metadata of a depot: changed on the way (login page of the network? proxy?)"
_STATUS: Final = {
    400: "the server does not take this request: check [depot] url",
    401: "the depot wants a user and a password in [depot] url",
    407: "the proxy wants a user and a password",
    511: _NOT_A_DEPOT,
}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Time-outs and the least speed of a server. Times in seconds."""

    connect_s: float = 10.0
    head_s: float = 20.0
    grace_s: float = 10.0
    bytes_per_s: float = 500.0
    resumes: int = 5


class HttpSource:
    """A depot's files over HTTP or HTTPS.

    Args:
        url: Address of the depot's folder.
        clock: Measures speed.
        limits: Time-outs and least speed.

    Raises:
        ConfigError: The environment names a proxy that cannot be used, such as a SOCKS proxy.

    Use as a context manager, or call `close`.
    """

    def __init__(self, url: str, clock: Clock, limits: HttpLimits = HttpLimits()) -> None:
        self._url = url.rstrip("/") + "/"
        self._clock = clock
        self._limits = limits
        self._proxy = proxies.proxy_for(self._url)
        address = self._proxy.url if self._proxy else ""
        # Loading all authorities takes a small board a tenth of a second.
        secure = any(url.startswith("https://") for url in (self._url, address))
        self._client = httpx.Client(
            timeout=httpx.Timeout(limits.head_s, connect=limits.connect_s),
            follow_redirects=False,
            transport=proxies.transport(self._proxy, verify=secure),
            headers={
                "User-Agent": f"farm-edge/{__version__}",
                "Accept-Encoding": "identity",
                "Accept": "*/*",
            },
        )
        self._socket: socket.socket | None = None
        self._cached: dict[str, tuple[str, bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def where(self) -> str:
        """The address, without any user name or password in it."""
        url = httpx.URL(self._url)
        return str(url.copy_with(username=None, password=None)) if url.userinfo else self._url

    def read(self, name: str) -> Iterator[bytes]:
        """Content of a file in pieces; see `sources.DepotSource.read`.

        A body that ends early is requested again from that byte on, as long as the server says that
        it is still the same file.
        """
        done, tag = 0, ""
        for attempt in range(self._limits.resumes + 1):
            try:
                with self._response(name, done, tag) as response:
                    if response.status_code == httpx.codes.NOT_MODIFIED:
                        yield self._cached[name][1]
                        return
                    if done and response.status_code == httpx.codes.OK:
                        raise TryLater(f"{self._at(name)}: changed while it was read: try again")
                    tag = response.headers.get("ETag", "")
                    for piece in self._body(name, response, whole=not done):
                        done += len(piece)
                        yield piece
            except httpx.HTTPError as fault:
                text = f"{self._at(name)}: {fault_words.of_connection(fault)}"
                # Without a strong validator bytes of two files could be joined.
                if not done or not tag or tag.startswith("W/") or attempt == self._limits.resumes:
                    advice = f"check the link and {self._whose()} address"
                    raise TryLater(f"{text}: {advice}") from fault
                _log.info("%s; resuming at byte %d", text, done)
            else:
                return

    @contextlib.contextmanager
    def _response(self, name: str, start: int, tag: str) -> Iterator[httpx.Response]:
        headers = {}
        if start:
            headers = {"Range": f"bytes={start}-", "If-Range": tag}
        elif name in self._cached:
            headers = {"If-None-Match": self._cached[name][0]}
        request = self._client.build_request("GET", self._url + name, headers=headers)
        request.extensions["trace"] = self._trace
        watchdog = threading.Timer(self._limits.connect_s + self._limits.head_s, self._hang_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            response = self._client.send(request, stream=True)
        finally:
            watchdog.cancel()
        try:
            self._check(name, response, start)
            yield response
        finally:
            response.close()

    def _check(self, name: str, response: httpx.Response, start: int) -> None:
        status = response.status_code
        if status == httpx.codes.NOT_MODIFIED and not start and name in self._cached:
            return
        if status in {httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN, httpx.codes.GONE}:
            raise NoSuchFile(f"{self._at(name)}: HTTP {status}")
        if response.is_redirect:
            raise TryLater(
                f"{self._at(name)}: HTTP {status}: redirects are not followed: log in to the "
                "network where it asks for that, or put the final address into [depot] url"
            )
        if status == httpx.codes.PARTIAL_CONTENT and start:
            if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                return
            raise TryLater(f"{self._at(name)}: the server sent another part than asked for")
        if status != httpx.codes.OK:
            other = _NOT_A_DEPOT if status in _SUCCESS else "the depot is out of service"
            raise TryLater(f"{self._at(name)}: HTTP {status}: {_STATUS.get(status, other)}")

    def _body(self, name: str, response: httpx.Response, *, whole: bool) -> Iterator[bytes]:
        began, count, last = self._clock.monotonic(), 0, b""
        content = bytearray() if whole else None
        for piece in response.iter_raw():
            count += len(piece)
            spent = self._clock.monotonic() - began
            if spent > self._limits.grace_s and count < self._limits.bytes_per_s * spent:
                raise TryLater(
                    f"{self._at(name)}: {count} bytes in {spent:.0f} s, slower than "
                    f"{self._limits.bytes_per_s:.0f} bytes/s: given up"
                )
            last = piece
            if content is not None and count <= _CACHED_MAX:
                content += piece
                self._check_begin(name, response, bytes(content[:_BEGIN]))
            yield piece
        if content is None:
            return
        self._check_end(name, bytes(content) if count <= _CACHED_MAX else None, last)
        tag = response.headers.get("ETag")
        if tag and count <= _CACHED_MAX and name.endswith(_CACHED):
            self._cached[name] = (tag, bytes(content))

    def _check_begin(self, name: str, response: httpx.Response, content: bytes) -> None:
        """Refuse markup, of which a depot has none, and what was packed on the way."""
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        packed = content.startswith(_GZIP) and not name.endswith(".gz")
        if content.lstrip(_BLANK).startswith(b"<") or (
            packed and (encoded or name.startswith(_METADATA))
        ):
            raise TryLater(f"{self._at(name)}: {_NOT_A_DEPOT}")

    def _check_end(self, name: str, content: bytes | None, last: bytes) -> None:
        """Refuse metadata that nobody has signed, and a script behind it."""
        if not name.startswith(_METADATA):
            return
        # Either word: one of them may be damaged, and damage is told as such.
        if content is not None and not any(
            word in content for word in (b'"signed"', b'"signatures"')
        ):
            raise TryLater(f"{self._at(name)}: {_NOT_A_DEPOT}")
        if last.rstrip(_BLANK).endswith(b">"):
            raise TryLater(f"{self._at(name)}: {_CHANGED}")

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _at(self, name: str) -> str:
        return self.where() + name + proxies.through(self._proxy)

    def _whose(self) -> str:
        return "the depot's" if self._proxy is None else "the proxy's and the depot's"
