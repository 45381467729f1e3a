"""Asks the broker for messages, and finds the filter on which it ends the connection.

Rules (tests name the numbers):

1. All filters are asked for at once. What the broker does not allow is told, and asked for again at
   each connection and reload, and when a person asks.
2. When a connection ends while filters are unanswered, these are suspect: on the next one they are
   asked for one by one, and messages wait meanwhile, `ANSWER_S` at most for each. Where one has no
   answer by then, nothing waits any more.
3. A connection that ends on one filter alone, twice, is the fault of that filter. It is told, and
   waits as a topic does on which the broker hangs up (`mqtt.culprit`); then it is asked for alone,
   when nothing else is under way. All others are heard.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.culprit import CulpritSearch, Sent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_agent.mqtt.connection import Connection, Subscribed, Subscription

_log = logging.getLogger(__name__)

ANSWER_S: Final = 5.0


class Listening:
    """What one delivery listens to.

    Args:
        connection: To the broker.
        subscriptions: The filters.
    """

    def __init__(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        self._connection = connection
        self._wanted = {subscription.topic: subscription for subscription in subscriptions}
        self._search = CulpritSearch()
        self._unanswered: list[str] = []
        self._next: list[str] = []
        self._asked_at = 0.0
        self._refused: set[str] = set()
        self._renew = True

    @property
    def refused(self) -> tuple[str, ...]:
        """Filters that the broker does not allow."""
        return tuple(topic for topic in self._wanted if topic in self._refused)

    def take_over(self, before: Listening, moment: float) -> None:
        """Continue on the connection of another one; ask for what that one did not or could not."""
        self._search, self._refused = before._search, before._refused
        self._unanswered, self._next = before._unanswered, before._next
        self._asked_at = before._asked_at
        if gone := [s for topic, s in before._wanted.items() if topic not in self._wanted]:
            self._connection.unsubscribe(gone)
        for topic in self._search.last - self._wanted.keys():
            self._search.answered(_sent(topic), taken=False)
        self._renew = True
        if before._wanted != self._wanted or self._refused:
            self.ask(moment)

    def retry(self, moment: float) -> None:
        """Ask for what the broker did not allow, and soon for that on which it hung up."""
        self._renew = True
        if self._refused:
            self.ask(moment)

    def ask_refused(self, moment: float) -> None:
        """Ask for what the broker did not allow, and for nothing else."""
        if not self._unanswered and not self._next:
            self._subscribe(list(self.refused), moment)

    def ask(self, moment: float) -> None:
        """Ask for everything, but for filters on which the broker hung up."""
        asked = [topic for topic in self._wanted if topic not in self._search.last]
        self._next = asked[1:] if self._search.one_at_a_time else []
        self._subscribe(asked[:1] if self._next else asked, moment)

    def answered(self, event: Subscribed, moment: float) -> None:
        """The broker has answered what was asked for last."""
        before = self._refused
        bad = {self._unanswered[place] for place in event.refused if place < len(self._unanswered)}
        self._refused = self._refused - set(self._unanswered) | bad
        for topic in self._unanswered:
            self._search.answered(_sent(topic), taken=True)
        self._unanswered = []
        if bad - before:
            _log.warning("mqtt: %s", self._not_allowed())
        self._go_on(moment)

    def ended(self, moment: float, *, innocent: bool) -> bool:
        """The connection is over.

        Args:
            moment: Now.
            innocent: Whether the cause is known, and is none of the filters.

        Returns:
            Whether a filter may be the cause.
        """
        suspects, self._unanswered, self._next = self._unanswered, [], []
        if innocent or not suspects:
            self._renew = True
            return False
        if self._search.ended([_sent(topic) for topic in suspects], moment) is not None:
            _log.warning("mqtt: %s", self._hangs_up(suspects[0]))
        return True

    def tick(self, moment: float, *, idle: bool) -> float | None:
        """Go on with filters that are asked for one by one.

        Args:
            moment: Now.
            idle: Whether no message is under way.

        Returns:
            Seconds that messages have to wait at most; None = they need not.
        """
        if self._renew:
            self._search.renew(moment)
            self._renew = False
        if idle and not self._unanswered:
            self._subscribe(self._search.ready(moment)[:1], moment)
        if len(self._unanswered) != 1:
            return None
        left_s = self._asked_at + ANSWER_S - moment
        if left_s > 0:
            return left_s
        asked, self._next = self._next, []
        if asked:
            self._subscribe(asked, self._asked_at)
        return None

    def concerns(self) -> Iterator[str]:
        """What is not heard, for people."""
        if self._refused:
            yield self._not_allowed()
        yield from map(self._hangs_up, self._search.reasons)

    def _go_on(self, moment: float) -> None:
        self._subscribe(self._next[:1], moment)
        self._next = self._next[1:]

    def _subscribe(self, topics: list[str], moment: float) -> None:
        if topics:
            self._unanswered, self._asked_at = topics, moment
            self._connection.subscribe([self._wanted[topic] for topic in topics])

    def _not_allowed(self) -> str:
        topics = ", ".join(self.refused)
        return f"broker does not allow listening to {topics}: check its access list"

    def _hangs_up(self, topic: str) -> str:
        return f"broker ends the connection on listening to {topic}: check its access list"


def _sent(topic: str) -> Sent:
    return Sent(topic, 0)
