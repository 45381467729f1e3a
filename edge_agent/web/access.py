"""Decides who may ask, by the rules of `auth`, and lets in whoever has the token."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from edge_agent.contract.errors import ConfigError
from edge_agent.web import auth, forwarding
from edge_agent.web.exchange import Response, fault, redirect, web_page
from edge_agent.web.page import routes as page_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.system.ports import Clock
    from edge_agent.web.exchange import WebRequest

_log = logging.getLogger(__name__)
_RETRY_SOON: Final = ("Retry-After", "10")
_REFUSALS: Final = {
    "proxy": "the request came through a proxy ({0}): set web.token_file",
    "name": "without web.token_file only as localhost",
    "token": "shut: `edge-agent doctor` on the device says why",
}


@dataclass(slots=True)
class Access:
    """Lets requests in or refuses them, in any thread.

    Args:
        clock: Time.
        token: The token now, or None where none is configured.
    """

    clock: Clock
    token: Callable[[], str | None]
    _reads: auth.RateLimits = field(init=False)
    _tries: auth.RateLimits = field(init=False)
    _logged: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._reads = auth.RateLimits(auth.BURST, auth.RATE)
        self._tries = auth.RateLimits(auth.TRIES, 1 / auth.TRY_S)

    def refusal(self, request: WebRequest, *, is_open: bool, changes: bool) -> Response | None:
        """The refusal of a request that is not allowed; None for one that is.

        Args:
            request: What is asked.
            is_open: Whether the address is answered without a token.
            changes: Whether it asks to change something.
        """
        here = forwarding.is_here(request.address)
        if not here and not self._reads.take(request.address, self.clock.monotonic()):
            return fault(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", ("Retry-After", "1"))
        if is_open:
            return None
        try:
            token = self.token()
        except ConfigError as problem:
            # Without a usable token nobody is let in.
            self._log_once(str(problem))
            return _shut(HTTPStatus.SERVICE_UNAVAILABLE, request, "token")
        if token is None:
            return _without_token(request, changes=changes)
        return self._with_token(request, token, changes=changes)

    def login(self, request: WebRequest) -> Response:
        """Gives the cookie for the token."""
        try:
            token = self.token()
        except ConfigError as problem:
            self._log_once(str(problem))
            return _shut(HTTPStatus.SERVICE_UNAVAILABLE, request, "token")
        sent = dict(parse_qsl(request.read().decode("utf-8", "replace"))).get("token", "").strip()
        if token is None or not auth.same(sent.encode(), token.encode()):
            many = self._too_many(request)
            status = HTTPStatus.TOO_MANY_REQUESTS if many else HTTPStatus.UNAUTHORIZED
            return _login_page(status, request, wrong=True)
        cookie = ("Set-Cookie", auth.set_cookie(token, secure=request.tls))
        return redirect(HTTPStatus.SEE_OTHER, f"./?lang={request.language}", cookie)

    def _with_token(self, request: WebRequest, token: str, *, changes: bool) -> Response | None:
        sent = auth.bearer(request.headers)
        # First, so that wrong tokens of the same address lock out nobody who has the right one.
        if sent is not None and auth.same(sent, token.encode()):
            return None
        if auth.by_cookie(token, request.headers):
            if not changes or auth.from_the_page(request.headers):
                return None
            return fault(HTTPStatus.FORBIDDEN, "not from this device's own page")
        if sent is not None and self._too_many(request):
            return fault(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", _RETRY_SOON)
        if request.path == page_routes.PAGE:
            return _login_page(HTTPStatus.UNAUTHORIZED, request)
        asking = ("WWW-Authenticate", 'Bearer realm="farm-edge"')
        return fault(HTTPStatus.UNAUTHORIZED, "a token is needed", asking)

    def _too_many(self, request: WebRequest) -> bool:
        """Count a wrong token."""
        return not self._tries.take(request.address, self.clock.monotonic())

    def _log_once(self, text: str) -> None:
        if text != self._logged:
            _log.warning("web: %s", text)
        self._logged = text


def _without_token(request: WebRequest, *, changes: bool) -> Response | None:
    if changes:
        return fault(HTTPStatus.FORBIDDEN, "set web.token_file to change anything")
    if sign := forwarding.sign_of_proxy(request.protocol, request.headers):
        return _shut(HTTPStatus.FORBIDDEN, request, "proxy", sign)
    if forwarding.is_here(request.headers.get("host", "")):
        return None
    return _shut(HTTPStatus.FORBIDDEN, request, "name")


def _shut(status: HTTPStatus, request: WebRequest, why: str, *values: str) -> Response:
    if request.path == page_routes.PAGE:
        return web_page(status, page_routes.shut(why, *values), page_routes.HTML)
    return fault(status, _REFUSALS[why].format(*values))


def _login_page(status: HTTPStatus, request: WebRequest, *, wrong: bool = False) -> Response:
    content = page_routes.login(request.language, wrong=wrong)
    return web_page(status, content, page_routes.HTML)
