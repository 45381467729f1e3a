"""Access control and rate limits. Pure: time comes in as a number.

Rules (tests name the numbers):

A1  With a token every request needs it (as `Authorization: Bearer`, or as the page's cookie), but
    `/health`, which holds nothing about the farm, and the login itself.
A2  Without a token the server listens to this machine alone, and answers only where the request
    names this machine and shows no proxy: a web page elsewhere cannot read it through a name of
    its own, nor anybody through a proxy on this machine.
A3  What changes something needs the token always; by cookie only from the page itself.
A4  Wrong tokens are answered slowly: `TRIES` at once, then one each `TRY_S` for an address. The
    right one is let in always: nobody beside its owner can lock it out.
A5  Other machines may ask `BURST` times at once, then `RATE` times a second.
"""

from __future__ import annotations

import hmac
import re
import threading
from collections import OrderedDict
from hashlib import sha256
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


def session(token: str) -> str:
    """Value of the page's cookie: an HMAC of the token."""
    return hmac.new(token.encode(), b"farm-edge page", sha256).hexdigest()


def set_cookie(token: str, *, secure: bool) -> str:
    """The page's cookie as a Set-Cookie header.

    Without a path it counts below the address of the login, behind a proxy too. Its name differs
    by token: devices behind one host, which share its cookies, do not log each other out.

    Args:
        token: The token.
        secure: Whether the client speaks TLS; the cookie is then sent over TLS alone.
    """
    value = session(token)
    flags = "HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
    return f"{COOKIE}-{value[:8]}={value}; Max-Age=31536000; {flags}"


def bearer(headers: Mapping[str, str]) -> bytes | None:
    """The token that was sent as such; None where none was, as with a proxy's own password."""
    kind, _, sent = headers.get("authorization", "").partition(" ")
    # WSGI hands over the bytes of a header as Latin-1.
    return sent.strip().encode("latin-1", "replace") if kind.lower() == "bearer" else None


def by_cookie(token: str, headers: Mapping[str, str]) -> bool:
    """Whether the page's cookie is among those sent, whatever the others look like."""
    known = session(token).encode()
    # Several Cookie headers arrive as one, with commas.
    pairs = (part.strip().partition("=") for part in re.split("[;,]", headers.get("cookie", "")))
    return any(
        name.startswith(COOKIE) and same(value.strip('" ').encode(), known)
        for name, _, value in pairs
    )


def from_the_page(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that the request comes from this server's own page (A3).

    It says so itself over TLS and on this machine; else its Origin must be the Host asked for.
    """
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == headers.get("host", "")


def same(sent: bytes, known: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(sent, known)
