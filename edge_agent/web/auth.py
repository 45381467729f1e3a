"""Access control and rate limits. Pure: time comes in as a number.

Rules (tests name the numbers):

A1  With a token every request needs it (as `Authorization: Bearer`, or as the page's cookie), but
    `/health`, which holds nothing about the farm, and the login itself.
A2  Without a token the server listens to this machine alone, and answers only where the request
    names this machine: a web page elsewhere cannot read it through a name of its own.
A3  What changes something needs the token always; by cookie only from the page itself.
A4  Wrong tokens are answered slowly: `TRIES` at once, then one each `TRY_S` for an address.
A5  Other machines may ask `BURST` times at once, then `RATE` times a second.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

COOKIE: Final = "farm-edge"
TRIES: Final = 10
TRY_S: Final = 10.0
BURST: Final = 60
RATE: Final = 20.0
_ADDRESSES: Final = 1_000
_HERE: Final = {"localhost", "127.0.0.1", "::1"}


class RateLimits:
    """Token buckets, one an address; the least recently used are dropped. Thread-safe.

    Args:
        burst: Tries at once.
        rate: Tries a second after that.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, moment: float) -> bool:
        """Use up one try; False when there is none."""
        with self._lock:
            left = self.left(address, moment)
            self._buckets[address] = (left - 1.0 if left >= 1.0 else left, moment)
            self._buckets.move_to_end(address)
            if len(self._buckets) > _ADDRESSES:
                self._buckets.popitem(last=False)
        return left >= 1.0

    def left(self, address: str, moment: float) -> float:
        """Tries that are left now."""
        tokens, counted_at = self._buckets.get(address, (self._burst, moment))
        return min(self._burst, tokens + (moment - counted_at) * self._rate)


def is_here(host: str) -> bool:
    """Whether a Host header or an address names this machine by its own names."""
    try:
        return (urlsplit(f"//{host}").hostname or "") in _HERE
    except ValueError:
        return False


def session(token: str) -> str:
    """The page's cookie: an HMAC of the token."""
    return hmac.new(token.encode(), b"farm-edge page", sha256).hexdigest()


def bearer(token: str, headers: Mapping[str, str]) -> bool:
    """Whether the token itself was sent."""
    kind, _, sent = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and _same(sent.strip(), token)


def by_cookie(token: str, headers: Mapping[str, str]) -> bool:
    """Whether the page's cookie was sent."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    return cookie is not None and _same(cookie.value, session(token))


def from_the_page(headers: Mapping[str, str]) -> bool:
    """Whether the Origin header names this server (A3)."""
    try:
        origin = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == headers.get("host", "")


def _same(sent: str, known: str) -> bool:
    return hmac.compare_digest(sent.encode(), known.encode())
