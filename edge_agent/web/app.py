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

from edge_agent.contract.errors import BadData, FarmError, StorageError, without_pattern
from edge_agent.core.events import LoopBusy
from edge_agent.web import auth
from edge_agent.web.api import schemas
from edge_agent.web.api.queries import Records
from edge_agent.web.api.routes import COMMANDS, JSON, ROUTES, NotYet, Route
from edge_agent.web.page import routes as page_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from edge_agent.system.ports import Clock
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
_RETRY_SOON: Final = ("Retry-After", "10")


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: HTTPStatus
    content: bytes = b""
    media: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _WebRequest:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    address: str
    read: Callable[[], bytes]


@dataclass(slots=True)
class Application:
    """Answers requests, in any thread.

    Args:
        snapshots: Newest snapshot and condition.
        clock: Time.
        database: The agent's database, to be read.
        token: The token now, or None where none is configured.
        ask: Has the loop work a command; see `CommandHandler.ask`, and `LoopBusy`.
    """

    snapshots: SnapshotCache
    clock: Clock
    database: Path
    token: Callable[[], str | None]
    ask: Ask
    records: Records = field(init=False)
    _reads: auth.RateLimits = field(init=False)
    _tries: auth.RateLimits = field(init=False)

    def __post_init__(self) -> None:
        self.records = Records(self.database)
        self._reads = auth.RateLimits(auth.BURST, auth.RATE)
        self._tries = auth.RateLimits(auth.TRIES, 1 / auth.TRY_S)

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """WSGI."""
        request = _read(environ)
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
        """Whether changes may be request for at all."""
        return self._token() is not None

    def now(self) -> datetime:
        """UTC."""
        return self.clock.now()

    def _response(self, request: _WebRequest) -> Response:
        try:
            return self._allowed(request) or self._routed(request)
        except NotYet:
            return _fault(
                HTTPStatus.SERVICE_UNAVAILABLE, "the first hour is being worked", _RETRY_SOON
            )
        except BadData as fault:
            return _fault(HTTPStatus.BAD_REQUEST, str(fault))
        except StorageError as fault:
            _log.warning("web: %s", fault)
            return _fault(HTTPStatus.SERVICE_UNAVAILABLE, "the disk refuses", _RETRY_SOON)
        except Exception:  # noqa: BLE001 - a bug in one answer must not end the thread
            _log.exception("web: unexpected fault at %s", request.path)
            return _fault(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error (a bug)")

    def _allowed(self, request: _WebRequest) -> Response | None:
        """The refusal of a request that is not allowed; None for one that is."""
        moment = self.clock.monotonic()
        if not auth.is_here(request.address) and not self._reads.take(request.address, moment):
            return _fault(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", ("Retry-After", "1"))
        route = _BY_PATH.get(request.path)
        if (route is not None and route.open) or request.path == page_routes.LOGIN:
            return None
        changes = request.path.startswith(_COMMAND)
        token = self._token()
        if token is None:
            if changes:
                return _fault(HTTPStatus.FORBIDDEN, "set web.token_file to change anything")
            if auth.is_here(request.headers.get("host", "")):
                return None
            return _fault(HTTPStatus.FORBIDDEN, "without web.token_file only as localhost")
        return self._with_token(request, token, changes=changes)

    def _with_token(self, request: _WebRequest, token: str, *, changes: bool) -> Response | None:
        moment = self.clock.monotonic()
        sent = "authorization" in request.headers
        if sent and self._tries.left(request.address, moment) < 1:
            return _fault(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", _RETRY_SOON)
        if auth.bearer(token, request.headers):
            return None
        if auth.by_cookie(token, request.headers):
            if not changes or auth.from_the_page(request.headers):
                return None
            return _fault(HTTPStatus.FORBIDDEN, "not from this device's own page")
        if sent:
            self._tries.take(request.address, moment)
        if request.path == page_routes.PAGE:
            return _page(HTTPStatus.UNAUTHORIZED, page_routes.login(_language(request)))
        asking = ("WWW-Authenticate", 'Bearer realm="farm-edge"')
        return _fault(HTTPStatus.UNAUTHORIZED, "a token is needed", asking)

    def _routed(self, request: _WebRequest) -> Response:
        if request.path == page_routes.LOGIN:
            return self._login(request) if request.method == "POST" else _not_allowed("POST")
        name = request.path.removeprefix(_COMMAND)
        if name != request.path and name in COMMANDS:
            return (
                self._command(name, request) if request.method == "POST" else _not_allowed("POST")
            )
        route = _BY_PATH.get(request.path)
        if route is None:
            return _fault(HTTPStatus.NOT_FOUND, "there is nothing here; see /api/openapi.json")
        if request.method not in {"GET", "HEAD"}:
            return _not_allowed("GET, HEAD")
        content, etag = self._content(route, request)
        headers = (("ETag", etag), ("Cache-Control", "no-cache"))
        if etag in request.headers.get("if-none-match", ""):
            return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(HTTPStatus.OK, content, route.media, headers)

    def _content(self, route: Route, request: _WebRequest) -> tuple[bytes, str]:
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

    def _command(self, name: str, request: _WebRequest) -> Response:
        content = request.read()
        if content and request.headers.get("content-type", "").partition(";")[0] != JSON:
            return _fault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}")
        try:
            answer = self.ask(name, content)
        except LoopBusy:
            done = schemas.Done(ok=True, text=f"{name} is done as soon as the device is free")
            return Response(HTTPStatus.ACCEPTED, msgspec.json.encode(done))
        if answer is None:
            return _fault(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", _RETRY_SOON)
        ok, text = answer
        status = HTTPStatus.OK if ok else HTTPStatus.CONFLICT
        return Response(status, msgspec.json.encode(schemas.Done(ok=ok, text=text)))

    def _login(self, request: _WebRequest) -> Response:
        moment, token = self.clock.monotonic(), self._token()
        if self._tries.left(request.address, moment) < 1:
            return _fault(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", _RETRY_SOON)
        sent = dict(parse_qsl(request.read().decode("utf-8", "replace"))).get("token", "").strip()
        if token is None or not auth.bearer(token, {"authorization": f"Bearer {sent}"}):
            self._tries.take(request.address, moment)
            return _page(HTTPStatus.UNAUTHORIZED, page_routes.login(_language(request), wrong=True))
        cookie = (
            f"{auth.COOKIE}={auth.session(token)}; Path=/; Max-Age=31536000; "
            "HttpOnly; SameSite=Strict"
        )
        where = f"{page_routes.PAGE}?lang={_language(request)}"
        return Response(HTTPStatus.SEE_OTHER, headers=(("Set-Cookie", cookie), ("Location", where)))

    def _token(self) -> str | None:
        try:
            return self.token()
        except FarmError as fault:
            # Without a readable token nobody is let in.
            raise StorageError(str(fault)) from fault


def _read(environ: dict[str, Any]) -> _WebRequest:
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return _WebRequest(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        address=environ.get("REMOTE_ADDR", ""),
        read=environ["wsgi.input"].read,
    )


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
    except (msgspec.ValidationError, ValueError) as fault:
        raise BadData(f"query: {without_pattern(fault, schemas.SOURCE_EXAMPLE)}") from fault


def _language(request: _WebRequest) -> str:
    return "en" if "lang=en" in request.query else "ko"


def _page(status: HTTPStatus, content: bytes) -> Response:
    return Response(status, content, page_routes.HTML, (("Cache-Control", "no-store"),))


def _fault(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, msgspec.json.encode(schemas.Fault(error=text)), JSON, headers)


def _not_allowed(methods: str) -> Response:
    allow = ("Allow", methods)
    return _fault(HTTPStatus.METHOD_NOT_ALLOWED, f"use {methods}", allow)
