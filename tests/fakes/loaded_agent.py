"""A process that commits alerts as fast as it can and carries them to a broker, made to be killed.

Called as `python -m tests.fakes.loaded_agent DATABASE PORT RATE`. Each alert is committed together
with a line in the table `ledger`, in one transaction, as the cycle does with its latches. With a
rate of 0 nothing new is made, and the process ends when the outbox is empty.
"""

from __future__ import annotations

import random
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.core.events import EventQueue
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import Broker, Event, Outgoing, Session
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.outbox import Outbox
from edge_agent.system.clock import SystemClock
from edge_agent.system.database import connect, migrate, transaction

if TYPE_CHECKING:
    import sqlite3

RULES = ("heat", "frost", "dry")
ROOT = "farm/v1/torture/agent"
_STEPS = ("CREATE TABLE ledger (seq INTEGER PRIMARY KEY, id TEXT UNIQUE) STRICT",)


def _commit_some(db: sqlite3.Connection, outbox: Outbox, most: int) -> None:
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM ledger").fetchone()
    number = last + 1
    with transaction(db):
        for _ in range(random.randint(1, most)):
            rule = RULES[number % len(RULES)]
            name = f"{rule}-{number:07}"
            db.execute("INSERT INTO ledger VALUES (?, ?)", (number, name))
            outbox.put(
                Message(name, f"{ROOT}/alert/{rule}/event", name.encode() + b" " * 200, Kind.ALERT)
            )
            state = Message(
                f"state-{number}", f"{ROOT}/alert/{rule}/state", name.encode(), Kind.STATE,
                retain=True, collapse=rule,
            )  # fmt: skip
            outbox.put(state)
            number += 1


def main(path: Path, port: int, rate: int) -> None:
    """Work until killed, or, with a rate of 0, until nothing waits."""
    clock, events = SystemClock(), EventQueue()
    with closing(connect(path)) as db:
        outbox = Outbox(db)
        migrate(db, "ledger", _STEPS)
        will = Outgoing(f"{ROOT}/availability", b"offline", retain=True, json=False)
        delivery = Delivery(
            MqttConnection(Broker("127.0.0.1", port, "torture", will), events.put, clock),
            outbox,
            Session(will.topic),
            Backoff(random.random, longest_s=0.2),
            clock,
        )
        while rate or outbox.counts().waiting:
            if rate:
                _commit_some(db, outbox, rate)
            delivery.tick(clock.now())
            item = events.get(0.005)
            while item is not None:
                if isinstance(item, Event):
                    delivery.handle(item)
                item = events.get(0.0)
        delivery.disconnect(2.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
