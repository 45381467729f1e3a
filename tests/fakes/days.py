"""Days in seconds: the real loop, cycles, sensors and outbox on a clock that waiting turns."""

from __future__ import annotations

import json
import math
import random
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.events import Item, Signal
from edge_agent.core.interfaces import Host
from edge_agent.core.loop import ServiceLoop
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Received, Session
from edge_agent.mqtt.delivery import Delivery
from edge_agent.system.sd_notify import Notifier
from tests.fakes.farm import ROOT, fill_weather, install_release, no_update, write_config
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.mqtt.connection import Outgoing
    from edge_agent.mqtt.outbox_counts import Counts
    from edge_agent.observations.store import Store
    from tests.fakes.clock import FakeClock

SENSORS = """
[[sensors]]
topic = "g/t"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[sensors]]
topic = "g/h"
quantity = "relative_humidity_pct"
unit = "%"
role = "indoor"
[[rules]]
name = "hot-inside"
quantity = "air_temperature_c"
operator = ">="
threshold = 35.0
clear = 33.0
now = true
role = "indoor"
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
"""


@dataclass(frozen=True)
class Life:
    """What came of it.

    Attributes:
        sent: Everything the broker took, in order; empty where nothing was to be kept.
        hours: Hours that health told of, each once, ascending.
        counts: How the queue stands in the end.
        written: Bytes handed to the system for writing.
        rss_kb: Memory at each full hour.
    """

    sent: list[Outgoing]
    hours: list[datetime]
    counts: Counts
    written: int
    rss_kb: list[int]

    def told(self, topic: str) -> list[dict[str, Any]]:
        """Payloads of one topic below the device's."""
        return [json.loads(m.payload) for m in self.sent if m.topic == f"{ROOT}/{topic}"]


def live(
    folder: Path,
    clock: FakeClock,
    days: float,
    happenings: Mapping[float, Callable[[], None]] | None = None,
    *,
    true_offset: Callable[[], timedelta] = lambda: timedelta(0),
    keep: bool = True,
) -> Life:
    """Let a device live for so many days on a steady clock.

    Args:
        folder: For its files.
        clock: Its clock.
        days: How long.
        happenings: Seconds from the start -> what happens then.
        true_offset: What the true time is ahead of the device's wall clock; the station knows it.
        keep: Whether to keep what was sent; a month of it would look like a leak.
    """
    path = write_config(folder, 1, SENSORS)
    install_release(folder / "state")
    fill_weather(folder / "state")
    days_of = _Days(clock, days, happenings or {}, true_offset, keep=keep)
    link = days_of.link
    agent = Worker(
        lambda: Runtime(config.load(path, {}), folder / "state", clock, lambda: True),
        days_of.put,
        no_update,
    )
    with closing(agent):
        runtime = agent._runtime
        days_of.store = runtime.store
        delivery = Delivery(
            link, runtime.outbox, Session("a", protocol="5"), Backoff(lambda: 0.5), clock
        )
        written = _status("io", "wchar:")
        host = Host(Notifier({}), clock, lambda: 0.5, lambda target: target())
        ServiceLoop(agent, delivery, days_of, host).run()
        written = _status("io", "wchar:") - written
        sent = days_of.sweep()
        return Life(sent, sorted(days_of.hours), runtime.outbox.counts(), written, days_of.rss_kb)


class _Days:
    """Waiting turns the clock; sensors speak every minute, the station every hour."""

    def __init__(
        self,
        clock: FakeClock,
        days: float,
        happenings: Mapping[float, Callable[[], None]],
        true_offset: Callable[[], timedelta],
        *,
        keep: bool,
    ) -> None:
        self._clock = clock
        self._items: deque[Item] = deque()
        start = clock.monotonic()
        self._minute = start
        self._end = start + days * 86_400
        self._plan = deque(sorted((start + at, what) for at, what in happenings.items()))
        self._true_offset = true_offset
        self._dice = random.Random(5)
        self._hour: datetime | None = None
        self._keep = keep
        self.link = FakeLink(self.put)
        self.hours: set[datetime] = set()
        self.store: Store | None = None
        self.rss_kb: list[int] = []

    def put(self, item: Item) -> None:
        self._items.append(item)

    def get(self, timeout_s: float) -> Item | None:
        if self._items:
            return self._items.popleft()
        if timeout_s <= 0:
            return None
        until = min(self._clock.monotonic() + timeout_s, self._minute + 60)
        self._clock.advance(until - self._clock.monotonic())
        if self._clock.monotonic() >= self._end:
            return Signal.STOP
        if self._plan and self._plan[0][0] <= self._clock.monotonic():
            self._plan.popleft()[1]()
        if self._clock.monotonic() >= self._minute + 60:
            self._minute = self._clock.monotonic()
            self._speak()
        return self._items.popleft() if self._items else None

    def sweep(self) -> list[Outgoing]:
        """Note the hours that were told of; what is kept of all that was sent."""
        sent = [message for _, message in self.link.sent]
        for message in sent:
            if message.topic == f"{ROOT}/health":
                told = datetime.fromisoformat(json.loads(message.payload)["issued_at"])
                self.hours.add(told.replace(minute=0, second=0))
        if not self._keep:
            self.link.sent.clear()
        return sent

    def _speak(self) -> None:
        now = self._clock.now()
        degrees = 30 + 7 * math.sin(now.hour / 12 * math.pi) + 0.3 * self._dice.random()
        for topic, value in (("g/t", degrees), ("g/h", 50 + self._dice.random())):
            self.put(Received(topic, f"{value:.2f}".encode(), retain=False, at=now))
        true = now + self._true_offset()
        hour = true.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour = hour
            self._observe(hour)

    def _observe(self, hour: datetime) -> None:
        assert self.store is not None
        values = {AIR_TEMPERATURE: [34.0 + hour.hour % 3], RELATIVE_HUMIDITY: [50.0]}
        frame = pl.DataFrame({TIME: [hour]} | values, schema_overrides={TIME: TIME_DTYPE})
        self.store.put_hourly("station:108", frame)
        self.sweep()
        self.rss_kb.append(_status("status", "VmRSS:"))


def _status(file: str, key: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text("ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key)))
