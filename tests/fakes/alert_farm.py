"""A device whose readings, forecast, configuration and clock a test sets; seen from outside."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received
from tests.fakes.clock import FakeClock
from tests.fakes.forecasts import NOW
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.core.events import Item
    from edge_agent.messages.message import Message

HOUR = timedelta(hours=1)
ROOT = "farm/v1/farm/edge-1"
SENSOR = """
[[sensors]]
topic = "house/air"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
"""


class AlertFarm:
    """A worker over real parts. Messages are read from its queue and then count as delivered.

    Args:
        folder: State folder.
        text: The configuration.
        start: Time of the clock.
    """

    def __init__(
        self, folder: Path, text: str, start: datetime = NOW + timedelta(minutes=2)
    ) -> None:
        self.folder, self.text = folder, text
        self.clock = FakeClock(start)
        self.models: FakeRelease | None = FakeRelease()
        self.celsius: float | None = 20.0
        self.wishes: list[Item] = []
        self.heard: list[Message] = []
        self.worker = self._start()

    def _start(self) -> Worker:
        return Worker(self._open, self.wishes.append, lambda _: "")

    def _open(self) -> Runtime:
        settings = config.decode(self.text.encode(), "c.toml")
        runtime = Runtime(settings, self.folder, self.clock, lambda: True)
        runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        return runtime

    @property
    def runtime(self) -> Runtime:
        """The parts of the worker."""
        return self.worker._runtime

    def foresee(self, celsius: float | None) -> None:
        """Temperature of every hour of the next forecasts; None: no forecast."""
        self.models = None if celsius is None else FakeRelease()
        if self.models is not None:
            self.models.predictors[AIR_TEMPERATURE].value = celsius or 0.0

    def cycle(self) -> list[str]:
        """Work an hour; the edges that were sent."""
        self.work()
        return self.hear()

    def work(self) -> None:
        """An hour's work with fresh weather of the station; what it sends waits."""
        now = self.clock.now()
        hours = [now.replace(minute=0, second=0, microsecond=0) - i * HOUR for i in range(150)]
        wave = np.sin(np.arange(150) / 24 * 2 * np.pi)
        values = {
            TIME: hours,
            AIR_TEMPERATURE: np.round(20 + 5 * wave, 1),
            RELATIVE_HUMIDITY: np.round(60 - 20 * wave),
        }
        frame = pl.DataFrame(values, schema_overrides={TIME: TIME_DTYPE})
        self.runtime.store.put_hourly("station:108", frame)
        self._read()
        self.worker.cycle(now)

    def minutes(self, count: int = 1, celsius: float | None = None) -> list[str]:
        """Minutes with a reading each, and a watch after each; the edges that were sent."""
        self.celsius = celsius if celsius is not None else self.celsius
        edges = []
        for _ in range(count):
            self.clock.advance(60)
            self._read()
            self.worker.watch(self.clock.now())
            edges += self.hear()
        return edges

    def _read(self) -> None:
        if self.celsius is not None and self.runtime.intake.topics:
            payload = str(self.celsius).encode()
            self.worker.take(Received("house/air", payload, retain=False, at=self.clock.now()))

    def ask(self, command: str, **keys: object) -> str:
        """Text of the answer to a command."""
        answer = self.worker.ask(command, json.dumps(keys).encode())
        assert answer is not None
        return answer[1]

    def edit(self, text: str) -> None:
        """Change the configuration and reload it."""
        self.text = text
        self.worker.reload()
        self.worker.close_replaced()

    def restart(self, text: str | None = None) -> None:
        """Another process on the same files."""
        self.worker.close()
        self.text = text or self.text
        self.worker = self._start()

    def close(self) -> None:
        """End the process."""
        self.worker.close()

    def hear(self) -> list[str]:
        """Deliver what waits; names of the alert edges in it, in order."""
        waiting = [entry.message for entry in self.runtime.outbox.due(None, limit=1000)]
        self.runtime.outbox.delivered([message.id for message in waiting])
        self.heard += waiting
        return [
            json.loads(message.payload)["event_type"]
            for message in waiting
            if message.topic.endswith("/event")
        ]

    def events(self) -> list[dict[str, Any]]:
        """Payloads of all alert events so far."""
        return [json.loads(m.payload) for m in self.heard if m.topic.endswith("/event")]

    def state(self, rule: str) -> dict[str, Any]:
        """Newest retained state of a rule."""
        topic = f"{ROOT}/alert/{rule}/state"
        newest = [m.payload for m in self.heard if m.topic == topic][-1]
        return json.loads(newest) if newest else {}
