"""A delivery on a strict broker, with time that passes at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Session
from edge_agent.mqtt.delivery import RETRY_S, Delivery
from tests.fakes.clock import FakeClock
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.strict_broker import StrictBroker

if TYPE_CHECKING:
    from typing import Literal

    Cause = Literal["loss", "reload", "person", "time"]

PRESENCE: Final = "d/availability"
PING: Final = "d/ping"
SESSION: Final = Session(PRESENCE, protocol="5", ping=PING)
CAUSES: Final[tuple[Cause, ...]] = ("loss", "reload", "person", "time")
"""Each makes an agent ask again what a broker refused."""


class DeliveringAgent:
    """Not yet connected.

    Args:
        session: As which it connects.
    """

    def __init__(self, session: Session = SESSION) -> None:
        self.clock, self.broker, self.outbox = FakeClock(), StrictBroker(), MemoryOutbox()
        self.delivery = self._delivery(session)
        self._session = session
        self._number = 0

    def _delivery(self, session: Session) -> Delivery:
        return Delivery(self.broker, self.outbox, session, Backoff(lambda: 1.0), self.clock)

    def reload(self, session: Session | None = None) -> bool:
        """Take another configuration; whether the connection of before goes on."""
        self._session = session or self._session
        before, self.delivery = self.delivery, self._delivery(self._session)
        taken = self.delivery.take_over(before)
        if not taken:
            before.disconnect(1.0)
        return taken

    def put(self, topic: str, length: int = 2) -> bytes:
        """Queue a payload of its own, at least so many bytes long; `.../event` is an alert's."""
        self._number += 1
        payload = f"{self._number} ".encode().ljust(length)
        kind = Kind.ALERT if topic.endswith("/event") else Kind.STATE
        message = Message(f"m{self._number}", topic, payload, kind)
        if kind is Kind.STATE:
            message = replace(message, retain=True, collapse=topic)
        self.outbox.put(message)
        return payload

    def run(self, seconds: float) -> None:
        """Let time pass, and handle all that comes by then."""
        end = self.clock.monotonic() + seconds
        while True:
            wait_s = self.delivery.tick(self.clock.now())
            if self.broker.events:
                self.delivery.handle(self.broker.events.popleft())
                continue
            left_s = end - self.clock.monotonic()
            if left_s <= 0:
                return
            self.clock.advance(min(max(wait_s, 0.001), left_s))

    def ask_again(self, cause: Cause) -> None:
        """Let a cause come about, see `CAUSES`."""
        match cause:
            case "loss":
                self.broker.lose()
            case "reload":
                assert self.reload()
            case "person":
                self.delivery.retry()
            case "time":
                self.run(RETRY_S)
            case _:
                assert_never(cause)

    def heard(self, *topics: str) -> list[bytes]:
        """Payloads that the broker has taken on these topics, in order."""
        return [payload for topic, payload in self.broker.heard if topic in topics]
