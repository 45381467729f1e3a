"""The HTTP client of every source: paced, counted, with repeats; the key is in no log or error."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote, quote_plus, unquote

import httpx

from edge_agent import __version__
from edge_agent.contract.errors import ConfigError, FarmError, ProtocolFault, TryLater
from edge_agent.system import fault_words, proxies
from edge_agent.system.jitter import backoff, jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trainer.workspace.kma_sources import Kma

_log = logging.getLogger(__name__)
T = TypeVar("T")

USER_AGENT: Final = f"farm-edge/{__version__}"
"""A name of its own: a firewall in front of KMA has stopped empty names and those of tools."""

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_MAX_BODY: Final = 50_000_000


class Transient(TryLater):
    """A fault where a later repeat often helps: 5xx, time-out, codes 01 02 04 05."""


class QuotaSpent(TryLater):
    """The day's requests are used up; KMA counts anew from midnight KST."""


class NotPublished(TryLater):
    """The hours asked for are not out yet."""


class Truncated(ProtocolFault):
    """The answer ends in the middle; a repeat often helps."""


RETRIED: Final = (Transient, Truncated)


def _tells_no_address(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


# httpx logs every address, the key in it included, at the level of information.
logging.getLogger("httpx").addFilter(_tells_no_address)


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """A good answer: the parsed value, the body as received, and the HTTP status."""

    value: T
    body: bytes
    status: int


class Pace:
    """At most so many calls a second, over all threads.

    Args:
        per_second: Calls a second.
        monotonic: Clock that never jumps, in seconds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self, per_second: float, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._gap = 1.0 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = float("-inf")

    def wait(self) -> None:
        """Wait for this caller's turn."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address of a service and the key that goes with each request.

    Attributes:
        url: Address without a query.
        key_field: Name of the key's query field (`serviceKey`, `authKey`).
        key: The key as the portal shows it, in its Encoding or its Decoding form.
    """

    url: str
    key_field: str
    key: str


class Service:
    """One of KMA's services behind one key.

    Args:
        endpoint: Address and key.
        settings: Time limit, repeats, connections.
        admit: Called before every request. It waits as long as the rate asks for, and raises
            `QuotaSpent` when the day's quota is used up.
        sleep: Waits for so many seconds.
        transport: Stand-in for the network (tests).

    Raises:
        ConfigError: The environment names a proxy that cannot be used, such as a SOCKS proxy.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Kma,
        *,
        admit: Callable[[], None],
        sleep: Callable[[float], None],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = endpoint.url
        self._key_field = endpoint.key_field
        self._key = plain_key(endpoint.key)
        self._retries = settings.retries
        self._admit = admit
        self._sleep = sleep
        self._proxy = None if transport else proxies.proxy_for(endpoint.url)
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            headers={"User-Agent": USER_AGENT},
            transport=transport or proxies.transport(self._proxy, connections=settings.parallel),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self, query: Mapping[str, str], parse: Callable[[bytes, int], T], *, path: str = ""
    ) -> Reply[T]:
        """Ask, repeat after a passing fault, and parse.

        Args:
            query: Query fields without the key.
            parse: Body and HTTP status -> value; raises the errors of this module's tree.
            path: Appended to the address.

        Raises:
            Transient: No good answer after every repeat.
            QuotaSpent: The quota is used up, by the count here or by KMA's.
            Refused: Key or permission; never repeated.
            ProtocolFault: An answer that is not the protocol; `Truncated` after every repeat.
        """
        for attempt in range(self._retries + 1):
            try:
                body, status = self._get(query, path)
                return Reply(parse(body, status), body, status)
            except FarmError as fault:
                if not isinstance(fault, RETRIED):
                    raise type(fault)(self._without_key(str(fault))) from None
                if attempt == self._retries:
                    raise type(fault)(
                        f"{self._without_key(str(fault))} ({self._retries + 1} tries); "
                        "run the same command again later"
                    ) from None
                longest = backoff(attempt, _FIRST_WAIT_S, _LONGEST_WAIT_S)
                wait = jitter(longest / 2, longest, random.random)
                _log.debug("%s: %s; again in %.1f s", self.url, self._without_key(str(fault)), wait)
                self._sleep(wait)
        raise AssertionError("unreachable")

    def _without_key(self, text: str) -> str:
        """Text in which an answer may have echoed the key."""
        for form in (self._key, quote(self._key, safe=""), quote_plus(self._key)):
            text = text.replace(form, "***")
        return text

    def _get(self, query: Mapping[str, str], path: str) -> tuple[bytes, int]:
        self._admit()
        answering = False
        try:
            # httpx encodes each value exactly once; the key is kept in its plain form for that.
            with self._client.stream(
                "GET", self.url + path, params={**query, self._key_field: self._key}
            ) as answer:
                answering = True
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _MAX_BODY:
                        raise ProtocolFault(f"{self.url}: answer longer than {_MAX_BODY} bytes")
                return bytes(body), answer.status_code
        # `from None`: an httpx error holds the whole address, and with it the key.
        except httpx.TimeoutException:
            raise Transient(f"{self.url}: no answer in time") from None
        except httpx.RemoteProtocolError:
            if answering:
                raise Truncated(f"{self.url}: the answer broke off") from None
            raise Transient(f"{self.url}: hung up without an answer") from None
        except httpx.TransportError as fault:
            how = f"{fault_words.of_connection(fault)}{proxies.through(self._proxy)}"
            raise Transient(f"{self.url}: no connection ({how})") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigError(f"{self.url}: not an address; correct it in trainer.toml") from None
        except httpx.DecodingError:
            raise Truncated(f"{self.url}: the answer cannot be unpacked") from None


def plain_key(key: str) -> str:
    """Key in its Decoding form, whichever form the portal's user copied.

    An Encoding key holds `%`, which a Decoding key (base64 or hexadecimal) never does.
    """
    key = key.strip()
    return unquote(key) if "%" in key else key
