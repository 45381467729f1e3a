"""An action that ran out while nobody listened is ordered anew (promise S6), on a real broker."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_agent import config
from edge_agent.core.events import EventQueue, Signal
from edge_agent.core.interfaces import Host, ServiceStatus
from edge_agent.core.loop import ServiceLoop
from edge_agent.core.runtime import DATABASE, Runtime
from edge_agent.core.worker import Worker
from edge_agent.system.clock import SystemClock
from edge_agent.system.sd_notify import Notifier
from tests.fakes.farm import (
    OWN_RULES_ALONE,
    ROOT,
    fill_weather,
    install_release,
    no_update,
    write_config,
)
from tests.fakes.gate import Gate
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

EXPIRES_S = 1200
RULE = f"""{OWN_RULES_ALONE}
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
[rules.action]
command = "vent_open"
expires_s = {EXPIRES_S}
"""
EVENT = f"{ROOT}/alert/heat/event"


class _Clock(SystemClock):
    """The machine's clock, which a test may move on."""

    moved_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.moved_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.moved_s


class _Service:
    """The service's loop in a thread, with its newest status."""

    def __init__(self, folder: Path, port: int) -> None:
        install_release(folder / "state")
        fill_weather(folder / "state")
        self.path = write_config(folder, port, RULE)
        self.clock, self.events = _Clock(), EventQueue()
        self.status: list[ServiceStatus] = []

    def _run(self) -> None:
        def open_runtime() -> Runtime:
            settings = config.load(self.path, {})
            return Runtime(settings, self.path.parent / "state", self.clock, lambda: True)

        with closing(Worker(open_runtime, self.events.put, no_update)) as worker:
            host = Host(Notifier({}), self.clock, random.random)
            delivery = worker.delivery()
            ServiceLoop(worker, delivery, self.events, host, self.status.append).run()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it beside the test."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self.events.put(Signal.STOP)
            thread.join(20)

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.clock.moved_s += seconds
        self.events.put(Signal.CYCLE)

    def wait_until_sent(self) -> None:
        """Wait until the broker has answered for every alert, and the service has noted it."""
        end = time.monotonic() + 40
        with closing(sqlite3.connect(self.path.parent / "state" / DATABASE)) as db:
            query = "SELECT count(*) FROM outbox WHERE topic = ?"
            while db.execute(query, (EVENT,)).fetchone() != (0,):
                assert time.monotonic() < end, "an alert still waits"
                time.sleep(0.05)

    def wait_for_alert(self, *, connected: bool) -> None:
        """Wait until the hour was worked with an alert, and the connection is as it should be."""
        end = time.monotonic() + 30
        while not any(
            "alerts: heat" in status.outcome and status.link.connected is connected
            for status in self.status[-1:]
        ):
            assert time.monotonic() < end, self.status[-1:]
            time.sleep(0.05)


def orders(controller: Subscriber) -> list[dict[str, Any]]:
    """Alert events of the rule that the controller has heard."""
    return [json.loads(payload) for payload in controller.payloads(EVENT)]


def is_valid(event: dict[str, Any], now: datetime) -> bool:
    """Whether its action may still be done."""
    return datetime.fromisoformat(event["action"]["expires_at"]) > now


def test_the_first_order_after_an_outage_is_valid(tmp_path: Path, broker: Mosquitto) -> None:
    """A broker that was away for an hour: one order arrives, and it has not expired."""
    gate = Gate(broker.port)
    service = _Service(tmp_path, gate.port)
    with service.running(), Subscriber(broker.port) as controller:
        service.wait_for_alert(connected=False)
        service.pass_time(3600)
        with gate:
            service.pass_time(0)
            controller.wait(lambda heard: any(h.topic == f"{ROOT}/health" for h in heard), 40)
            controller.mark()
            (event,) = orders(controller)
    assert event["event_type"] == "raised"
    assert is_valid(event, service.clock.now())


def test_a_controller_that_was_away_gets_an_order(tmp_path: Path, broker: Mosquitto) -> None:
    """Nobody had subscribed when the first one was sent; the next one comes when it expires."""
    service = _Service(tmp_path, broker.port)
    with service.running():
        service.wait_for_alert(connected=True)
        service.wait_until_sent()
        with Subscriber(broker.port, EVENT) as controller:
            service.pass_time(EXPIRES_S / 2)
            time.sleep(2)
            assert orders(controller) == []
            service.pass_time(EXPIRES_S / 2)
            controller.wait(lambda heard: len(heard) == 1, 40)
            (event,) = orders(controller)
            assert is_valid(event, service.clock.now())
            service.wait_until_sent()
            service.pass_time(3600)
            time.sleep(3)
            # The broken connection may bring it twice (QoS 1), but no second one is made.
            assert {again["id"] for again in orders(controller)} == {event["id"]}
