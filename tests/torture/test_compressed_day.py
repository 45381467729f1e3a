"""A day in seconds: the real loop, cycles, sensors and outbox on a clock that waiting turns."""

from __future__ import annotations

import json
import math
import random
from collections import deque
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent import config
from edge_agent.agent import Agent
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.inbox import Item, Signal
from edge_agent.messaging.courier import Courier
from edge_agent.messaging.link import Received
from edge_agent.notify import Notifier
from edge_agent.runtime import Runtime
from edge_agent.service import Service
from tests.fakes.clock import FakeClock
from tests.fakes.farm import ROOT, fill_weather, install_release, write_config
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    from edge_agent.observations.store import Store

MOST_WRITTEN = 5_000_000
"""Bytes a day handed to the system for writing; a flash card lives on that for years."""
MOST_GROWN_KB = 1_000
"""A day, once a week has passed: the noise of the allocator."""
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
threshold = 34.5
"""


class _Days:
    """Waiting turns the clock; sensors speak every minute, the station every hour."""

    def __init__(self, clock: FakeClock, days: int) -> None:
        self._clock = clock
        self._items: deque[Item] = deque()
        self._minute = clock.monotonic()
        self._end = clock.monotonic() + days * 86_400
        self._dice = random.Random(5)
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
        if self._clock.monotonic() >= self._minute + 60:
            self._minute += 60
            self._speak()
        return self._items.popleft() if self._items else None

    def _speak(self) -> None:
        now = self._clock.now()
        degrees = 30 + 7 * math.sin(now.hour / 12 * math.pi) + 0.3 * self._dice.random()
        for topic, value in (("g/t", degrees), ("g/h", 50 + self._dice.random())):
            self.put(Received(topic, f"{value:.2f}".encode(), retain=False, at=now))
        if now.minute == 0:
            assert self.store is not None
            row = {TIME: [now.replace(second=0, microsecond=0)]}
            values = {AIR_TEMPERATURE: [34.0 + now.hour % 3], RELATIVE_HUMIDITY: [50.0]}
            frame = pl.DataFrame(row | values, schema_overrides={TIME: TIME_DTYPE})
            self.store.put_hourly("station:108", frame)
            self.rss_kb.append(_status("status", "VmRSS:"))


def _status(file: str, key: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text("ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key)))


def _live(folder: Path, days: int) -> tuple[list[datetime], int, list[int]]:
    """Hours that health told of, bytes written a day, RSS at each hour."""
    start = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)  # noqa: TID251 - the weather ends at the machine's now
    clock = FakeClock(start)
    path = write_config(folder, 1, SENSORS)
    install_release(folder / "state")
    fill_weather(folder / "state")
    days_of = _Days(clock, days)
    link = FakeLink(days_of.put)
    agent = Agent(
        lambda: Runtime(config.load(path, {}), folder / "state", clock, lambda: True), days_of.put
    )
    with closing(agent):
        runtime = agent._runtime
        days_of.store = runtime.store
        courier = Courier(
            link, runtime.outbox, availability="a", subscriptions=(), protocol="5", clock=clock,
            random=lambda: 0.5,
        )  # fmt: skip
        written = _status("io", "wchar:")
        Service(
            agent, courier, days_of, words=Notifier({}), clock=clock, random=lambda: 0.5,
            poll_interval_s=3600.0, start_thread=lambda target: target(),
        ).run()  # fmt: skip
        written = _status("io", "wchar:") - written
        assert runtime.outbox.counts().waiting == {}
    told = [
        datetime.fromisoformat(json.loads(message.payload)["issued_at"])
        for _, message in link.sent
        if message.topic == f"{ROOT}/health"
    ]
    return told, written // days, days_of.rss_kb


def _hours(told: list[datetime]) -> list[datetime]:
    return sorted({at.replace(minute=0, second=0) for at in told})


def test_a_day_misses_no_hour_and_spares_the_disk(tmp_path: Path) -> None:
    """24 hours follow each other, and less than 5 MB are written."""
    told, written, _ = _live(tmp_path, 1)
    hours = _hours(told)
    assert len(hours) >= 24
    steps = {after - before for before, after in pairwise(hours)}
    assert steps == {timedelta(hours=1)}
    assert 100_000 < written <= MOST_WRITTEN


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_month_does_not_grow(tmp_path: Path) -> None:
    """720 hours, none missed; after the first week memory stays where it is."""
    told, written, rss_kb = _live(tmp_path, 30)
    hours = _hours(told)
    assert len(hours) >= 720
    assert {b - a for a, b in pairwise(hours)} == {timedelta(hours=1)}
    assert written <= MOST_WRITTEN
    week = 7 * 24
    grown = (min(rss_kb[-24:]) - min(rss_kb[week : week + 24])) / (len(rss_kb[week:]) / 24 - 1)
    assert grown < MOST_GROWN_KB, rss_kb[::24]
    print(f"{written} bytes a day, {grown:.0f} kB a day, RSS {rss_kb[-1]} kB")  # noqa: T201 - for RESULTS
