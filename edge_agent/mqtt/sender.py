"""Sends the messages of the outbox over one connection after another, and finds those refused.

Rules (tests name the numbers):

1. From the first message on, never more unacknowledged ones than the broker takes. One at a time
   while `mqtt.culprit` looks for the message on which the broker ends the connection.
2. A message leaves the outbox at its PUBACK. A refusal, a length that the broker does not take and
   the end of a connection on it set it aside in the outbox.
3. What was set aside is sent again at a new connection that did not begin by such an end, at a
   reload, and when a person asks. Messages that ended a connection are then the last ones. Others
   are tried again in between (`mqtt.refused_retry`), while later ones of their topics wait.
4. Under MQTT 3.1.1 `mqtt.length_trial` finds out which messages are too long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.mqtt import reason_codes
from edge_agent.mqtt.connection import Outgoing
from edge_agent.mqtt.culprit import CulpritSearch, Sent
from edge_agent.mqtt.length_trial import LengthTrial, Verdict
from edge_agent.mqtt.receipts import Receipts
from edge_agent.mqtt.refusal_texts import RefusalLog
from edge_agent.mqtt.refused_retry import RefusedRetry
from edge_agent.mqtt.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from edge_agent.mqtt.connection import (
        Acknowledged,
        Connection,
        Down,
        Received,
        Up,
        Version,
    )
    from edge_agent.mqtt.delivery_queue import DeliveryQueue


class Sender:
    """What is under way of one delivery.

    Args:
        connection: To the broker.
        outbox: The queue.
        own_topics: Topics of messages that do not come from the outbox.
        ping: The one of them that this client reads itself; empty = none.
    """

    def __init__(
        self,
        connection: Connection,
        outbox: DeliveryQueue,
        own_topics: Collection[str],
        ping: str = "",
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._own_topics = frozenset(own_topics)
        self._search = CulpritSearch()
        self._trial = LengthTrial(ping)
        self._refused = RefusedRetry(outbox)
        self._under_way = UnderWay()
        self._own_waiting: dict[str, Outgoing] = {}
        self._receipts = Receipts()
        self._log = RefusalLog()
        self._dropped = False
        self._retry = True

    @property
    def refused_own(self) -> dict[str, str]:
        """Topic -> why, of own messages that end the connection."""
        return self._search.reasons

    def take_over(self, before: Sender) -> None:
        """Continue with what another one has under way; what was set aside is tried again."""
        self._search, self._under_way = before._search, before._under_way
        self._trial = before._trial
        self._own_waiting = before._own_waiting
        self._receipts = before._receipts

    def retry(self) -> None:
        """Send what was set aside once more (rule 3)."""
        self._retry = True

    def connected(self, moment: float, version: Version) -> None:
        """A connection stands."""
        self._trial.connected(version)
        self._under_way.connected(moment)
        self._own_waiting.clear()

    def may_send(self, topic: str, moment: float) -> bool:
        """Whether a message on an own topic would go out now."""
        if self._alone() or (self._search.one_at_a_time and self._under_way):
            return False
        if topic not in self._search.last:
            return True
        return not self._under_way and topic in self._search.ready(moment)

    def publish(self, message: Outgoing, moment: float) -> None:
        """Send a message that does not come from the outbox, at once or when its topic may go."""
        if self.may_send(message.topic, moment):
            self._send_own(message)
        else:
            self._own_waiting[message.topic] = message

    def drop(self) -> None:
        """Cut the connection for a reason that is not what is under way."""
        self._dropped = True
        self._connection.drop()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def is_innocent(self, down: Down) -> bool:
        """Whether a connection ended for a reason that is not what was asked or sent."""
        return self._dropped or down.own or down.code in reason_codes.NOT_OF_A_MESSAGE

    def is_silent(self, moment: float) -> bool:
        """Whether nothing was acknowledged for too long."""
        return self._under_way.is_silent(moment, self._search.last)

    def ended(self, down: Down, moment: float) -> bool:
        """The connection is over.

        Returns:
            Whether the search for the message that ended it has come closer.

        Raises:
            StorageError: The disk refused; the message that ended it is sent again.
        """
        sent = self._under_way.ended()
        tried_size = self._trial.ended()
        innocent = self.is_innocent(down)
        self._dropped = False
        if innocent:
            self._retry = True
            return False
        if tried_size is not None:
            self._search.suspect_size(tried_size)
            self._retry = True
            return True
        if down.code == reason_codes.TOO_LARGE and sent:
            sent = [max(sent, key=lambda one: one.size)]
        self._retry = self._retry or len(sent) != 1
        culprit = self._search.ended(sent, moment, named=down.code is not None)
        if culprit is not None:
            message, reason = culprit
            self._log.add(message.topic, reason, moment)
            if message.id:
                self._outbox.refused(message.id, reason, hung_up=True)
        return bool(sent)

    def hear(self, message: Received) -> None:
        """Take in a message on the ping's topic."""
        self._trial.hear(message)

    def answered(self, event: Acknowledged, moment: float) -> None:
        """The broker has taken or refused a message."""
        sent = self._under_way.answered(event.token, moment)
        if sent is None:
            return
        if event.code == reason_codes.QUOTA:
            self.drop()
            return
        refused = event.code >= reason_codes.REFUSAL
        self._search.answered(sent, taken=not refused)
        if not sent.id:
            return
        if refused:
            if not sent.again:
                self._log.add(sent.topic, event.reason, moment)
            self._outbox.refused(sent.id, event.reason)
            return
        if sent.ahead and not sent.again:
            self._refused.accepted(moment)
        self._receipts.add(sent, event.code)

    def remove_acknowledged(self) -> None:
        """See `receipts.Receipts.write`."""
        self._receipts.write(self._outbox)

    def send_due(self, now: datetime | None, moment: float, up: Up) -> None:
        """Send what waits, as far as the broker takes it now.

        Raises:
            StorageError: The disk refused; call again.
        """
        if self._retry:
            self._search.renew(moment)
            self._trial.renew()
            self._search.put_last(self._outbox.revive(), moment)
            self._refused.clear()
            self._retry = False
        self._log.write(moment)
        self._send_refused(now, moment, up)
        while self._send_round(now, moment, up):
            pass
        for ping in self._trial.pings(moment):
            self._connection.publish(ping)

    def due_in(self, moment: float) -> float:
        """Seconds until `send_due` has something to do though nothing comes."""
        parts = (self._trial, self._refused, self._log)
        return min(part.due_in(moment) for part in parts)

    def _send_refused(self, now: datetime | None, moment: float, up: Up) -> None:
        """Try what was refused once more, one message of each topic."""
        if self._refused.begin(moment):
            self._trial.try_again()
        if self._search.one_at_a_time or self._alone():
            return
        for entry in self._refused.entries(now, without=self._search.last):
            if len(self._under_way) >= up.window:
                return
            outgoing = Outgoing.of(entry.message, now)
            sent = Sent.of(entry, outgoing.size, again=True)
            suspect = self._search.is_suspect_by_size(sent)
            verdict = Verdict.TOO_LONG if suspect else self._judge(sent, up)
            if verdict is Verdict.GOES:
                self._send(outgoing, sent)
            if verdict is not Verdict.WAITS:
                self._refused.done(sent.topic)

    def _send_round(self, now: datetime | None, moment: float, up: Up) -> bool:
        """Send one window; whether a message was set aside meanwhile, so that others may go."""
        window = 1 if self._search.one_at_a_time else up.window
        room = window - len(self._under_way)
        if room <= 0 or self._alone():
            return False
        for topic in self._own_waiting.keys() - self._search.last:
            self._send_own(self._own_waiting.pop(topic))
            return True
        again, waits, ids = False, False, self._under_way.ids
        held = tuple(self._search.last | self._under_way.tried)
        for entry in self._outbox.due(now, without=held, limit=len(ids) + room):
            message = entry.message
            if message.id in ids:
                continue
            outgoing = Outgoing.of(message, now)
            sent = Sent.of(entry, outgoing.size)
            if self._search.is_suspect_by_size(sent):
                self._search.put_last([message.topic], moment)
                again = True
                continue
            verdict = self._judge(sent, up)
            again = again or verdict is Verdict.TOO_LONG
            waits = waits or verdict is Verdict.WAITS
            if waits or room == 0 or verdict is Verdict.TOO_LONG:
                continue
            if not self._send(outgoing, sent):
                return False
            room -= 1
        if not again and not waits and not self._under_way:
            self._send_last(now, moment, up)
        return again

    def _send_last(self, now: datetime | None, moment: float, up: Up) -> None:
        """Nothing else waits: one message that was put last."""
        self._search.drained()
        for topic in self._search.ready(moment):
            if topic in self._own_waiting:
                self._send_own(self._own_waiting.pop(topic))
                return
            self._outbox.revive(topic)
            others = [other for other in self._search.last if other != topic]
            for entry in self._outbox.due(now, without=others, limit=1):
                outgoing = Outgoing.of(entry.message, now)
                sent = Sent.of(entry, outgoing.size)
                if self._search.is_suspect_by_size(sent) or self._judge(sent, up) is Verdict.GOES:
                    self._send(outgoing, sent)
                return
            if topic not in self._own_topics:
                self._search.forget(topic)

    def _judge(self, sent: Sent, up: Up) -> Verdict:
        """What is to be done with a message; one that is too long is set aside."""
        verdict, reason = self._trial.of_message(sent, up.largest)
        if verdict is Verdict.TOO_LONG:
            self._outbox.refused(sent.id, reason)
        return verdict

    def _send_own(self, message: Outgoing) -> None:
        self._send(message, Sent(message.topic, message.size))

    def _send(self, message: Outgoing, sent: Sent) -> bool:
        token = self._connection.publish(message)
        if token is not None:
            self._under_way.add(token, sent)
        return token is not None

    def _alone(self) -> bool:
        return self._under_way.is_on(self._search.last)
