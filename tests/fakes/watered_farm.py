"""A runtime on recorded hours whose forecasts come true, hour by hour, for the soil water."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from edge_agent import config
from edge_agent.alerts.messages import balance_of
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RAIN_CHANCE, RELATIVE_HUMIDITY, TIME
from edge_agent.core import soil_water
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

HOUR = timedelta(hours=1)
SUMS = ("demand_mm", "rain_mm", "given_mm", "drained_mm", "corrected_mm")


class WateredFarm:
    """A device whose station has recorded hours.

    Args:
        folder: State folder.
        hours: `time` and quantities, see `contract.schema`.
        start: First time.
        text: Configuration.
    """

    def __init__(self, folder: Path, hours: pl.DataFrame, start: datetime, text: str) -> None:
        self._folder, self._text, self._hours = folder, text, hours
        self.clock = FakeClock(start + timedelta(minutes=2))
        self.models = FakeRelease()
        for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY):
            truth = dict(hours.select(TIME, name).drop_nulls().iter_rows())
            self.models.predictors[name].value = self._future(truth)
        self.runtime = self.open()

    def open(self) -> Runtime:
        """A new process on the same files; the configuration may have changed."""
        settings = config.decode(self._text.encode(), "c.toml")
        self.runtime = Runtime(settings, self._folder, self.clock, lambda: True)
        self.runtime.db.execute("PRAGMA synchronous = OFF")  # no power is cut here
        self.runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        return self.runtime

    def close(self) -> None:
        """End the process."""
        self.runtime.close()

    def restart(self, text: str = "") -> None:
        """End it and start another, perhaps with another configuration."""
        self._text = text or self._text
        self.close()
        self.open()

    def promise_rain(self, days: int, mm: float) -> None:
        """KMA says each day that it will rain within the next day."""
        today = self.clock.now().replace(minute=0)
        rows = [
            {
                ISSUED: today + day * 24 * HOUR,
                VALID: today + (day * 24 + lead) * HOUR,
                RAIN_CHANCE: 90.0 if lead == 20 else 10.0,
                RAIN: mm if lead == 20 else 0.0,
            }
            for day in range(days)
            for lead in range(1, 49)
        ]
        self.runtime.store.put_guidance(pl.DataFrame(rows, schema=GUIDANCE))

    def hours(self, count: int) -> Iterator[dict[str, Any]]:
        """Count so many hours as a cycle does; what is told of the soil water after each."""
        for _ in range(count):
            self._observe()
            context = self.runtime.context()
            water = soil_water.reckon(context, self.clock.now())
            assert water.booked is not None
            assert context.soil_water.book(water.before, water.booked, water.counted)
            yield msgspec.to_builtins(balance_of(water.water))
            self.clock.advance(3600)

    def skip(self, count: int) -> None:
        """So many hours without a cycle, then one cycle that counts them."""
        self.clock.advance(3600 * (count - 1))
        self.know(1 + count // 24)
        list(self.hours(1))

    def advice(self) -> dict[str, Any]:
        """Work the hour as a whole; the payload of its advice."""
        self._observe()
        decision, _ = self.runtime.run_cycle()
        (message,) = [m for m in decision.messages if m.topic.endswith("/advice/irrigation")]
        payload: dict[str, Any] = json.loads(message.payload)
        return payload

    def know(self, days: int) -> None:
        """Give the store the hours of so many days before now."""
        until = self.clock.now()
        self.runtime.store.put_hourly(
            "station:108",
            self._hours.filter(pl.col(TIME).is_between(until - days * 24 * HOUR, until)),
        )

    def _observe(self) -> None:
        # The hour before has been observed by now, as on a device.
        until = self.clock.now().replace(minute=0)
        self.runtime.store.put_hourly(
            "station:108", self._hours.filter(pl.col(TIME).is_between(until - HOUR, until))
        )

    def _future(self, truth: dict[datetime, float]) -> Callable[[np.ndarray], np.ndarray]:
        def values(rows: np.ndarray) -> np.ndarray:
            origin = self.clock.now().replace(minute=0)
            last = truth.get(origin, 20.0)
            return np.array([truth.get(origin + (i + 1) * HOUR, last) for i in range(len(rows))])

        return values


def closes(balance: dict[str, Any]) -> float:
    """By how many mm the told sums miss the depletion."""
    demand, rain, given, drained, corrected = (balance[name] for name in SUMS)
    expected = balance["start_mm"] + demand - rain - given + drained + corrected
    return abs(float(balance["depletion_mm"] - expected))
