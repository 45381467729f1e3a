"""A farm that has worked a day and more, for what shows it: page, interface, metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core import rule_requests
from edge_agent.core.interfaces import ServiceStatus
from edge_agent.core.runtime import Runtime
from edge_agent.mqtt.commands import CommandHandler, Request
from edge_agent.mqtt.connection import ConnectionState
from edge_agent.web.api.routes import COMMANDS
from edge_agent.web.snapshot import SnapshotCache
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.core.cycle import Decision

HOUR = timedelta(hours=1)
NOON = datetime(2026, 7, 18, 3, 10, tzinfo=UTC)
"""Ten past twelve in Seoul."""
SETTINGS = """
[device]
name = "햇살농장 1호동"
[irrigation]
crop = "tomato"
area_m2 = 660.0
covered = true
[[sensors]]
topic = "house/air"
field = "t"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[sensors]]
topic = "house/air"
field = "h"
quantity = "relative_humidity_pct"
unit = "%"
role = "indoor"
[[sensors]]
topic = "house/bed"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
"""
CONNECTED = ServiceStatus(
    ConnectionState(connected=True, version="5", problem="", connections=1, refused_topics=()),
    {},
    "fine",
    0.4,
    NOON - timedelta(minutes=9),
)


class ShownFarm:
    """A runtime on a fake clock, its snapshots, and commands that change it.

    Args:
        folder: State folder.
        clock: Shows `NOON` by default.
    """

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(NOON)
        self.synchronised = False
        """A time service speaks once the clock stands at the first hour that is worked."""
        self.models = FakeRelease()
        self.snapshots = SnapshotCache()
        self.runtime = Runtime(
            config.decode(SETTINGS.encode(), "config.toml"),
            folder,
            self.clock,
            lambda: self.synchronised,
        )
        runtime = self.runtime
        runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        self.desk = self._desk()
        self.asked: list[tuple[str, object]] = []
        self.decision: Decision | None = None

    def work(self, hours: int = 27) -> None:
        """Weather of three weeks, then a cycle for each of the last hours."""
        end = self.clock.now()
        frame = self._weather(end.replace(minute=0))
        self.clock.jump(-3600 * hours)
        self.runtime.known_time()
        for back in range(hours - 1, -1, -1):
            moment = end - back * HOUR
            self.clock.advance(3600)
            self.synchronised = True
            self._foresee(moment)
            if back < 2:
                self._sensors(moment)
            self.decision = self.runtime.run_cycle()[0]
        self.runtime.store.put_hourly("sensor:indoor", frame.drop(RAIN).head(40))
        self.snapshots.update(self.runtime, self.decision)
        self.snapshots.set_service(CONNECTED)

    def ask(self, name: str, payload: bytes) -> tuple[bool, str] | None:
        """As `Worker.ask`."""
        answer = self.desk.ask(name, payload)
        self.asked.append((name, json.loads(payload or b"{}")))
        self.snapshots.update(self.runtime, self.decision)
        return answer

    def _desk(self) -> CommandHandler:
        def said(text: str) -> Callable[[Request], str]:
            return lambda _: text

        def predict(_: Request) -> str:
            self._foresee(self.clock.now(), warmer=2.0)
            self.decision = self.runtime.run_cycle()[0]
            return "two degrees hotter than before"

        actions = {name: said(f"{name} is done") for name in COMMANDS} | {
            "predict": predict,
            "ack": lambda request: rule_requests.acknowledge(self.runtime, request.rule),
            "snooze": lambda request: rule_requests.snooze(
                self.runtime, request.rule, request.minutes
            ),
        }
        return CommandHandler(self.runtime.topics, actions, (), self.runtime.outbox.put, self.clock)

    def close(self) -> None:
        """Close the database."""
        self.runtime.close()

    def _weather(self, end: datetime) -> pl.DataFrame:
        times = [end - back * HOUR for back in range(21 * 24)]
        noise = np.random.default_rng(1).normal(0, 0.8, len(times))
        warmth = np.array([_day(at)[0] for at in times]) + noise
        damp = np.clip(np.array([_day(at)[1] for at in times]) - 3 * noise, 20, 98)
        values = {
            AIR_TEMPERATURE: np.round(warmth, 1),
            RELATIVE_HUMIDITY: np.round(damp),
            RAIN: np.zeros(len(times)),
        }
        frame = pl.DataFrame({TIME: times} | values, schema_overrides={TIME: TIME_DTYPE})
        self.runtime.store.put_hourly("station:108", frame)
        return frame

    def _foresee(self, moment: datetime, warmer: float = 0.0) -> None:
        origin = moment.replace(minute=0)

        def curve(index: int, more: float) -> Callable[[np.ndarray], np.ndarray]:
            ahead = [_day(origin + lead * HOUR)[index] + more for lead in range(1, 49)]
            return lambda rows: np.resize(np.array(ahead), len(rows))

        self.models.predictors[AIR_TEMPERATURE].value = curve(0, warmer)
        self.models.predictors[RELATIVE_HUMIDITY].value = curve(1, 0.0)

    def _sensors(self, moment: datetime) -> None:
        take = self.runtime.intake.take
        take("house/air", b'{"t": 29.4, "h": 71.5}', moment)
        take("house/bed", b"24.5", moment - timedelta(minutes=40))


def _day(at: datetime) -> tuple[float, float]:
    """A summer's day in Korea: temperature and humidity."""
    hour = (at.hour + 9) % 24
    wave = np.cos((hour - 15) / 24 * 2 * np.pi)
    trend = (at - NOON) / timedelta(days=1)
    return 27.0 + 5.0 * float(wave) + 0.5 * trend, 68.0 - 20.0 * float(wave)
