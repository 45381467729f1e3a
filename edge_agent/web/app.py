"""The WSGI application: access, routing, answers."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.core.events import LoopBusy
from edge_agent.web.access import Access
from edge_agent.web.api import schemas
from edge_agent.web.api.queries import Records
from edge_agent.web.api.routes import COMMANDS, JSON, ROUTES, NotYet, Route
from edge_agent.web.exchange import Response, answer_once, fault, request_of
from edge_agent.web.forwarding import TrustedProxies
from edge_agent.web.page import routes as page_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from edge_agent.system.ports import Clock
    from edge_agent.web.exchange import WebRequest
    from edge_agent.web.snapshot import SnapshotCache

    Start = Callable[[str, list[tuple[str, str]]], object]
    Ask = Callable[[str, bytes], tuple[bool, str] | None]

_log = logging.getLogger(__name__)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)  # fmt: skip
_DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
_COMMAND: Final = "/api/commands/"
_BY_PATH: Final = {route.path: route for route in (*ROUTES, *page_routes.ROUTES)}
_ANYBODY: Final = (("Cache-Control", "no-cache"),)
_PRIVATE: Final = (("Cache-Control", "private, no-cache"), ("Vary", "Cookie, Authorization"))
_RETRY_SOON: Final = ("Retry-After", "10")


@dataclass(slots=True)
class Application:
    """Answers requests, in any thread.

    Args:
        snapshots: Newest snapshot and condition.
        clock: Time.
        database: The agent's database, to be read.
        token: The token now, or None where none is configured.
        ask: Has the loop work a command; see `CommandHandler.ask`, and `LoopBusy`.
        proxies: Whose word on a request's client is taken.
        renew: Has a new snapshot taken; see `Renewal`.
    """

    snapshots: SnapshotCache
    clock: Clock
    database: Path
    token: Callable[[], str | None]
    ask: Ask
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    renew: Callable[[], None] = lambda: None
    records: Records = field(init=False)
    _access: Access = field(init=False)

    def __post_init__(self) -> None:
        self.records = Records(self.database)
        self._access = Access(self.clock, self.token)

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """WSGI."""
        request = request_of(environ, self.proxies)
        response = self._response(request)
        status = f"{response.status.value} {response.status.phrase}"
        headers = [
            ("Content-Length", str(len(response.content))),
            *_SECURITY_HEADERS,
            *response.headers,
        ]
        if response.status is not HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Type", response.media))
        start(status, headers)
        return [] if request.method == "HEAD" else [response.content]

    @property
    def acts(self) -> bool:
        """Whether changes may be asked for at all."""
        return self.token() is not None

    def now(self) -> datetime:
        """UTC."""
        return self.clock.now()

    def _response(self, request: WebRequest) -> Response:
        try:
            return self._allowed(request) or self._routed(request)
        except NotYet:
            return fault(
                HTTPStatus.SERVICE_UNAVAILABLE, "the first hour is being worked", _RETRY_SOON
            )
        except BadData as problem:
            return fault(HTTPStatus.BAD_REQUEST, str(problem))
        except StorageError as problem:
            _log.warning("web: %s", problem)
            return fault(HTTPStatus.SERVICE_UNAVAILABLE, "the disk refuses", _RETRY_SOON)
        except Exception:  # noqa: BLE001 - a bug in one answer must not end the thread
            _log.exception("web: unexpected fault at %r", request.path)
            return fault(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error (a bug)")

    def _allowed(self, request: WebRequest) -> Response | None:
        """The refusal of a request that is not allowed; None for one that is."""
        route = _BY_PATH.get(request.path)
        is_open = (route is not None and route.open) or request.path == page_routes.LOGIN
        changes = request.path.startswith(_COMMAND)
        return self._access.refusal(request, is_open=is_open, changes=changes)

    def _routed(self, request: WebRequest) -> Response:
        if request.path == page_routes.LOGIN:
            return self._access.login(request) if request.method == "POST" else _not_allowed("POST")
        name = request.path.removeprefix(_COMMAND)
        if name != request.path and name in COMMANDS:
            return (
                self._command(name, request) if request.method == "POST" else _not_allowed("POST")
            )
        route = _BY_PATH.get(request.path)
        if route is None:
            return fault(HTTPStatus.NOT_FOUND, "there is nothing here; see /api/openapi.json")
        if request.method not in {"GET", "HEAD"}:
            return _not_allowed("GET, HEAD")
        # Before the first hour is worked there is nothing to renew.
        if not route.open and self.snapshots.newest is not None:
            self.renew()
        content, etag = self._content(route, request)
        headers = (("ETag", etag), *(_ANYBODY if route.open else _PRIVATE))
        if etag in request.headers.get("if-none-match", ""):
            return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(HTTPStatus.OK, content, route.media, headers)

    def _content(self, route: Route, request: WebRequest) -> tuple[bytes, str]:
        """The answer's bytes and their ETag."""
        query = _query(request.query, route.query)

        def make() -> tuple[bytes, str]:
            answer = route.make(self, query)
            content = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
            return content, f'"{sha256(content).hexdigest()[:24]}"'

        if route.fresh == "never":
            return make()
        second = int(self.clock.monotonic()) if route.fresh == "second" else 0
        return self.snapshots.cached(f"{route.path} {query} {second}", make)

    def _command(self, name: str, request: WebRequest) -> Response:
        content = request.read()
        if content and request.headers.get("content-type", "").partition(";")[0] != JSON:
            return fault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}")
        try:
            answer = self.ask(name, content)
        except LoopBusy:
            done = schemas.Done(ok=True, text=f"{name} is done as soon as the device is free")
            return answer_once(HTTPStatus.ACCEPTED, done)
        if answer is None:
            return fault(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", _RETRY_SOON)
        ok, text = answer
        status = HTTPStatus.OK if ok else HTTPStatus.CONFLICT
        return answer_once(status, schemas.Done(ok=ok, text=text))


def _query(text: str, struct: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=20
        )
        if len({name for name, _ in pairs}) < len(pairs):
            raise BadData("query: a key is given twice")
        # Digits are numbers here; msgspec's lax mode would take them, and "null", for times too.
        given = {name: int(text) if _DIGITS.fullmatch(text) else text for name, text in pairs}
        return msgspec.convert(given, struct)
    except (msgspec.ValidationError, ValueError) as problem:
        raise BadData(f"query: {in_words(problem, schemas.SOURCE_EXAMPLE)}") from problem


def _not_allowed(methods: str) -> Response:
    return fault(HTTPStatus.METHOD_NOT_ALLOWED, f"use {methods}", ("Allow", methods))
