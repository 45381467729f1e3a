"""A clock that is set wrong and right again changes nothing for good.

Two farms live through the same hours, readings and weather, on the real cycle, store and outbox,
with a broker that is away. The clock of one is right; that of the other is set as the machine says,
and its process starts anew. Once its clock is right again both must have the same.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from tests.fakes.loaded import FakeRelease

HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
START: Final = datetime(2026, 7, 1, 5, 2, tzinfo=UTC)
STATION: Final = "station:108"
OWN: Final = "sensor:indoor"
YEARS: Final = timedelta(days=800)
TEXT: Final = """
[builtin]
off = ["dryness", "frost", "frost-watch", "vpd-high"]

[[sensors]]
topic = "house/air"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"

[[rules]]
name = "house-hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 35.0
clear = 33.0
now = true
role = "indoor"
cooldown_s = 0

[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
clear = 28.0
cooldown_s = 0
"""
WRONG: Final = st.sampled_from(
    [
        datetime(1970, 1, 1, tzinfo=UTC) - START,
        datetime(2099, 1, 1, tzinfo=UTC) - START,
        timedelta(days=-10),
        timedelta(hours=-2),
        timedelta(hours=2),
        timedelta(days=10),
    ]
)


class World:
    """True time, and what both farms measure."""

    def __init__(self) -> None:
        self.time = START
        self.celsius = 20.0


class WrongClock:
    """`ports.Clock`: true time and an error that is set; a time service knows when it is right."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error = timedelta(0)

    def now(self) -> datetime:
        """True time and error."""
        return self._world.time + self.error

    def monotonic(self) -> float:
        """Seconds of the true time."""
        return 1000.0 + (self._world.time - START).total_seconds()

    def synchronised(self) -> bool:
        """Whether the time is right."""
        return not self.error


class Farm:
    """One device: a runtime with a release, and its clock."""

    def __init__(self, folder: Path, world: World, models: FakeRelease) -> None:
        self.folder, self.world, self.models = folder, world, models
        self.clock = WrongClock(world)
        self.open()

    def open(self) -> None:
        """Start the process."""
        self.runtime = Runtime(
            config.decode(TEXT.encode(), "c.toml"), self.folder, self.clock, self.clock.synchronised
        )
        self.runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        self.hour: datetime | None = None

    def restart(self) -> None:
        """End the process in order, and start the next."""
        self.runtime.close()
        self.open()

    def weather(self, first: datetime, last: datetime) -> None:
        """Hours of the relayed station."""
        times = [first + i * HOUR for i in range(int((last - first) / HOUR) + 1)]
        step = np.array([at.timestamp() // 3600 for at in times])
        values = {
            TIME: times,
            AIR_TEMPERATURE: np.round(20 + 5 * np.sin(step / 24 * 2 * np.pi), 1),
            RELATIVE_HUMIDITY: np.round(60 + 20 * np.cos(step / 24 * 2 * np.pi), 0),
        }
        frame = pl.DataFrame(values, schema_overrides={TIME: TIME_DTYPE})
        self.runtime.store.put_hourly(STATION, frame)

    def turn(self) -> None:
        """What the service does in five minutes: a reading, the hour, the watch, the queue."""
        runtime, now = self.runtime, self.clock.now()
        runtime.intake.take("house/air", str(self.world.celsius).encode(), now)
        hour = (now - MINUTE).replace(minute=0, second=0, microsecond=0)
        if hour != self.hour:
            self.hour = hour
            runtime.run_cycle(now)
        runtime.run_watch(now)
        runtime.outbox.due(runtime.known_time(), limit=1)

    def hours(self, source: str) -> dict[datetime, float]:
        """Temperature by hour, of all that is stored."""
        frame = self.runtime.store.hourly(source, START - 2 * YEARS, START + 100 * YEARS)
        return dict(frame.select(TIME, AIR_TEMPERATURE).iter_rows())

    def levels(self) -> dict[str, str]:
        """Level of each rule."""
        latches = self.runtime.latches.all()
        return {name: latch.level.value for name, latch in latches.items()}

    def waiting(self, end: str) -> list[Any]:
        """Payloads that wait on topics of such an end."""
        entries = self.runtime.outbox.due(None, limit=10_000)
        found = [entry.message for entry in entries if entry.message.topic.endswith(end)]
        return [json.loads(message.payload) for message in found]

    def events(self, name: str) -> list[str]:
        """Edges of a rule that wait."""
        events = self.waiting("/event")
        return [event["event_type"] for event in events if event["rule"] == name]

    def states(self) -> dict[str, str]:
        """Level by rule, as the states that wait say it."""
        return {state["rule"]: state["level"] for state in self.waiting("/state")}


class WrongClockMachine(RuleBasedStateMachine):
    """The steps of the world."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world, self.models = World(), FakeRelease()
        roots = (Path(self.folder.name) / name for name in ("right", "set"))
        self.right, self.set = (Farm(root, self.world, self.models) for root in roots)
        self.blind = False
        """The process ended while the clock was wrong: readings of that time may be missing."""

    @initialize()
    def three_years(self) -> None:
        """Both know a long past, and have worked an hour."""
        for farm in (self.right, self.set):
            farm.weather(
                START.replace(minute=0) - YEARS, START.replace(minute=0) - YEARS + 9 * HOUR
            )
            farm.weather(START.replace(minute=0) - 150 * HOUR, START.replace(minute=0))
        self.pass_time(5)

    @rule(minutes=st.sampled_from([5, 20, 70]))
    def pass_time(self, minutes: int) -> None:
        """Time passes; the station's hours come in."""
        for _ in range(minutes // 5):
            self.world.time += 5 * MINUTE
            for farm in (self.right, self.set):
                if self.world.time.minute == 2:
                    farm.weather(self.world.time - 2 * MINUTE, self.world.time - 2 * MINUTE)
                farm.turn()

    @rule(celsius=st.sampled_from([20.0, 36.0]), forecast=st.sampled_from([20.0, 32.0]))
    def weather_turns(self, celsius: float, forecast: float) -> None:
        """The house gets hot or cool, the models see heat or none."""
        self.world.celsius = celsius
        self.models.predictors[AIR_TEMPERATURE].value = forecast
        self.pass_time(10)

    @rule(error=WRONG)
    def clock_is_set_wrong(self, error: timedelta) -> None:
        """While the process runs."""
        self.set.clock.error = error

    @rule(error=WRONG)
    def starts_with_a_wrong_clock(self, error: timedelta) -> None:
        """A power cut, and no time service."""
        self.blind = True
        self.set.clock.error = error
        self.set.restart()

    @precondition(lambda self: self.set.clock.error)
    @rule(restart=st.booleans())
    def clock_is_right_again(self, restart: bool) -> None:
        """By a time service, at once or at a start; then both have the same."""
        self.set.clock.error = timedelta(0)
        if restart:
            self.blind = True
            self.set.restart()
        self.pass_time(90)
        self.compare()

    def compare(self) -> None:
        """Nothing is missing, changed or added, but what a process took with it."""
        right, was_set = self.right, self.set
        assert was_set.hours(STATION) == right.hours(STATION)
        own, expected = was_set.hours(OWN), right.hours(OWN)
        if self.blind:
            assert max(own, default=START) <= self.world.time
            assert all(own.get(at) == expected[at] for at in sorted(expected)[-1:])
        else:
            assert own == expected
        assert was_set.levels() == right.levels()
        assert was_set.states() == right.states()
        # A forecast that came and went while the clock was wrong was rightly unknown then.
        expected_edges, edges = right.events("house-hot"), was_set.events("house-hot")
        assert not Counter(expected_edges) - Counter(edges), "an alert is missing"
        assert edges[-1:] == expected_edges[-1:], "the last edge differs"

    def teardown(self) -> None:
        """Put the clock right, and compare."""
        try:
            if self.set.clock.error:
                self.clock_is_right_again(restart=False)
        finally:
            self.right.runtime.close()
            self.set.runtime.close()
            self.folder.cleanup()


TestWrongClock = pytest.mark.timeout(600)(WrongClockMachine.TestCase)
TestWrongClock.settings = settings(max_examples=10, stateful_step_count=12)
