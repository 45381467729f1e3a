"""A request as the application sees it, and its response. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from edge_agent.web.api import schemas
from edge_agent.web.api.routes import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http import HTTPStatus

    from edge_agent.web.forwarding import TrustedProxies

_NOT_CACHED: Final = ("Cache-Control", "no-store")


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: HTTPStatus
    content: bytes = b""
    media: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WebRequest:
    """An HTTP request.

    Attributes:
        headers: By names in small letters.
        address: Of the client, without the proxies that are trusted.
        tls: Whether the client speaks TLS, as far as is known.
        protocol: Such as "HTTP/1.1".
        read: Gives the body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    address: str
    tls: bool
    protocol: str
    read: Callable[[], bytes]

    @property
    def language(self) -> str:
        """Language of a page that is not the farm's: "ko" or "en"."""
        return "en" if "lang=en" in self.query else "ko"


def request_of(environ: Mapping[str, Any], proxies: TrustedProxies) -> WebRequest:
    """The request of a WSGI environment."""
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    # The host of a whole address in the request line counts, and not the Host header (RFC 9112).
    if authority := _authority(environ.get("REQUEST_URI", "")):
        headers["host"] = authority
    peer = environ.get("REMOTE_ADDR", "")
    return WebRequest(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        address=proxies.client(peer, headers),
        tls=proxies.over_tls(peer, headers),
        protocol=environ.get("SERVER_PROTOCOL", ""),
        read=environ["wsgi.input"].read,
    )


def _authority(target: str) -> str:
    """Host and port of a request line's address; empty where it is a path alone."""
    return "" if target.startswith("/") else urlsplit(target).netloc


def fault(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    """An error, for programs."""
    return answer_once(status, schemas.Fault(error=text), *headers)


def answer_once(status: HTTPStatus, answer: msgspec.Struct, *headers: tuple[str, str]) -> Response:
    """An answer that no cache keeps."""
    return Response(status, msgspec.json.encode(answer), JSON, (_NOT_CACHED, *headers))


def web_page(status: HTTPStatus, content: bytes, media: str) -> Response:
    """A page that no cache keeps."""
    return Response(status, content, media, (_NOT_CACHED,))


def redirect(status: HTTPStatus, where: str, *headers: tuple[str, str]) -> Response:
    """Another address, relative to the one asked for."""
    return Response(status, headers=(_NOT_CACHED, ("Location", where), *headers))
