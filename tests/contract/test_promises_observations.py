"""Promises about observations, whatever arrives: O1, O3, O5, S5, W1 and W2 of the promises.

The machine's steps are what sensors, brokers and clocks do. Its model is a list of what was
measured, and when. What it expects of an hour, of a live rule and of the counts of refused
readings follows from that list alone.
"""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.contract.schema import RAIN, RELATIVE_HUMIDITY, TIME
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received
from tests.fakes.clock import FakeClock
from tests.fakes.farm import no_update
from tests.fakes.promises import EXAMPLES, STEPS, TIMEOUT_S, PromisedDevice

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime

START: Final = datetime(2026, 7, 1, 3, 10, tzinfo=UTC)
ZONE: Final = ZoneInfo("Asia/Seoul")
SPACE_S: Final = 330
"""Readings of one sensor are further apart than the five minutes whose median is the value now."""
HOUR: Final = timedelta(hours=1)
LIMIT: Final = timedelta(seconds=900)
SETTLED: Final = timedelta(minutes=20)
"""After this a clock that was set counts as right."""
GOOD: Final = (-20.0, 3.0, 21.5, 39.0, 44.0)
HOT: Final = (52.0, 60.0, 69.0)
IMPOSSIBLE: Final = (85.0, -127.0, 999.9)
NO_NUMBERS: Final = (b"", b"true", b"nan", b"unavailable", b"\xff\xfe", b"1_2", b"12 %", b"{}")
CONFIG: Final = """
[storage]
path = "state"
reserve_bytes = 0
[web]
port = 0
[builtin]
off = ["heat", "dryness", "frost", "frost-watch", "vpd-high"]
[[sensors]]
topic = "house/air"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[sensors]]
topic = "yard/pair"
field = "t"
time_field = "at"
quantity = "air_temperature_c"
unit = "C"
[[sensors]]
topic = "yard/pair"
field = "h"
time_field = "at"
quantity = "relative_humidity_pct"
unit = "%"
[[sensors]]
topic = "yard/rain"
quantity = "rain_mm"
unit = "mm"
max_age_s = 3600
[[rules]]
name = "house-heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 40
clear = 39
now = true
role = "indoor"
[[rules]]
name = "yard-wet"
quantity = "relative_humidity_pct"
operator = ">="
threshold = 95
now = true
"""


class ObservationPromises(RuleBasedStateMachine):
    """A house, a yard with a pair of probes in one message, and a rain gauge that counts."""

    @initialize()
    def begin(self) -> None:
        """A device that has just started."""
        self.folder = Path(mkdtemp(prefix="promises-"))
        (self.folder / "config.toml").write_text(CONFIG, "utf-8")
        self.clock = FakeClock(START)
        self.synchronised = True
        self.house: list[tuple[datetime, float]] = []
        self.humid: list[tuple[datetime, float]] = []
        self.house_refused_last = False
        self.humid_refused_last = False
        self.humid_refused_at = START - 80 * HOUR
        self.refused: Counter[str] = Counter()
        self.jumps = 0
        self.unjudged = 0
        self.total = 128.4
        self.fallen: list[tuple[datetime, float]] = []
        self.gauge_at = START
        self.kept_and_bad = 0
        self.raised: set[str] = set()
        self.set_right_at = START - 80 * HOUR
        self.worker = Worker(self._open, lambda _: None, no_update)
        self.worker.delivery()
        self._gauge(0.0)

    def teardown(self) -> None:
        """Close the device."""
        if hasattr(self, "worker"):
            self.worker.close()
            shutil.rmtree(self.folder)

    # What the world does.

    @rule(value=st.sampled_from([*GOOD, *HOT]))
    def house_measures(self, value: float) -> None:
        """A live reading; a house may be far hotter than any weather."""
        self._pass()
        self._send("house/air", str(value).encode())
        self.house.append((self.clock.now(), value))
        self.house_refused_last = False

    @rule(value=st.sampled_from(IMPOSSIBLE))
    def house_sends_what_cannot_be(self, value: float) -> None:
        """A broken probe: refused, and its last good value is not the value of now."""
        self._pass()
        self._send("house/air", str(value).encode())
        self.refused["house/air"] += 1
        self.house_refused_last = True

    @rule(payload=st.sampled_from(NO_NUMBERS))
    def house_sends_no_number(self, payload: bytes) -> None:
        """Nothing that could be read."""
        self._pass()
        self._send("house/air", payload)
        self.refused["house/air"] += 1

    @rule(value=st.sampled_from([*GOOD, *HOT]))
    def broker_replays_the_house(self, value: float) -> None:
        """A retained reading of any age, sent again at subscribe: no reading of now."""
        self._pass()
        self._send("house/air", str(value).encode(), retain=True)

    @rule(
        humidity=st.sampled_from([20.0, 60.0, 96.0, 99.5, 101.7, 104.9]),
        temperature=st.sampled_from(["21.5", "NaN", '"unavailable"', "null", "85.0", "true"]),
        back=st.integers(0, 30),
        zone=st.sampled_from(["utc", "none", "seconds", "milliseconds", "text"]),
        retain=st.booleans(),
    )
    def yard_measures(
        self, humidity: float, temperature: str, back: int, zone: str, retain: bool
    ) -> None:
        """Two probes in one message with its own time; one of them may be broken (S5, O1)."""
        self._pass()
        at = self.clock.now() - back * timedelta(seconds=SPACE_S)
        if any(abs(at - other) < timedelta(seconds=SPACE_S - 1) for other, _ in self.humid):
            return
        payload = f'{{"at": {_time(at, zone)}, "t": {temperature}, "h": {humidity}}}'
        self._send("yard/pair", payload.encode(), retain=retain)
        if temperature != "21.5" and not retain:
            self.refused["t"] += 1
        self.kept_and_bad += retain and temperature != "21.5"
        self.humid.append((at, min(humidity, 100.0)))
        if at >= self.humid_refused_at:
            self.humid_refused_last = False

    @rule(ahead_h=st.integers(1, 100), value=st.sampled_from([20.0, 96.0]))
    def yard_is_in_the_future(self, ahead_h: int, value: float) -> None:
        """A logger whose clock is wrong."""
        self._pass()
        at = self.clock.now() + ahead_h * HOUR
        self._send("yard/pair", f'{{"at": {_time(at, "utc")}, "t": 20.0, "h": {value}}}'.encode())
        self.refused["h"] += 1
        self.refused["t"] += 1

    @rule(value=st.sampled_from([300.0, -50.0, 0.0]))
    def yard_sends_what_cannot_be(self, value: float) -> None:
        """No humidity that there is."""
        self._pass()
        at = self.clock.now()
        self._send("yard/pair", f'{{"at": {_time(at, "utc")}, "t": 21.5, "h": {value}}}'.encode())
        self.refused["h"] += 1
        self.humid_refused_last, self.humid_refused_at = True, at

    @rule(amount=st.sampled_from([0.0, 0.2, 1.4, 12.0]))
    def it_rains(self, amount: float) -> None:
        """The gauge's total rises."""
        self._pass()
        self._gauge(amount)

    @rule()
    def gauge_dips(self) -> None:
        """The total falls by one tip for one reading, and is back: no rain (W2)."""
        self._pass()
        self._send("yard/rain", f"{self.total - 0.2:.1f}".encode())
        self._pass()
        self._gauge(0.0)

    @rule()
    def gauge_jumps(self) -> None:
        """A rate that no rain has: one reading far above the total, then the total again (W2)."""
        self._pass()
        self._send("yard/rain", f"{self.total + 5000:.1f}".encode())
        self.jumps += 1
        self.unjudged += self.clock.now() - self.set_right_at <= SETTLED
        self._pass()
        self._gauge(0.0)

    @precondition(lambda self: self.clock.now() - self.set_right_at > SETTLED)
    @rule()
    def restarts(self) -> None:
        """The service is stopped and started; what came under a doubtful clock was not written."""
        self.worker.close()
        self._start()

    @rule(years=st.sampled_from([-40, 40]))
    def clock_is_wrong_for_a_minute(self, years: int) -> None:
        """Nobody vouches for it; the house goes on measuring (O5)."""
        seconds = years * 365 * 86_400.0
        self.synchronised = False
        self.clock.jump(seconds)
        self.worker.watch(self.clock.now())
        self.worker.cycle(self.clock.now())
        self.clock.advance(30)
        self.clock.jump(-seconds)
        self.synchronised = True
        self.set_right_at = self.clock.now()
        self._pass()

    # What must hold.

    @invariant()
    def hours_are_what_was_measured(self) -> None:
        """O1, S5: an hour has a value only of what was measured in it, and lies within it."""
        if not hasattr(self, "worker"):
            return
        self.worker.cycle(self.clock.now())
        self._expect("sensor:indoor", "air_temperature_c", self.house)
        self._expect("sensor:outdoor", RELATIVE_HUMIDITY, self.humid)

    @invariant()
    def rain_is_what_fell(self) -> None:
        """W2: no hour has more rain than fell in it and since the reading before it."""
        if not hasattr(self, "worker"):
            return
        for at, amount in self._hours("sensor:outdoor", RAIN).items():
            fell = sum(mm for time, mm in self.fallen if at - HOUR < time <= at)
            assert abs(amount - fell) < 0.05, (at, amount, fell, self.fallen)

    @invariant()
    def rules_go_by_what_is_fresh(self) -> None:
        """O1, W1: a rule is raised or clear by a fresh reading, else unknown; never by a replay."""
        if not hasattr(self, "worker"):
            return
        self.worker.watch(self.clock.now())
        self._rule("house-heat", self.house, 40.0, 39.0, refused=self.house_refused_last)
        self._rule("yard-wet", self.humid, 95.0, 95.0, refused=self.humid_refused_last)

    @invariant()
    def refused_readings_are_told(self) -> None:
        """T3: each sensor's count, since the start, and the problem where the last one was bad."""
        if not hasattr(self, "worker"):
            return
        by_key: Counter[str] = Counter()
        for state in self.worker._runtime.intake.states():
            by_key[state.sensor.field or state.sensor.topic] += state.refused
        # A total that jumps is refused, and again as it falls back: the gauge may be a new one.
        jumps = by_key.pop("yard/rain")
        assert self.jumps - self.unjudged <= jumps <= 2 * self.jumps, (jumps, self.jumps)
        # The same kept message comes with each connection, so a bad one is counted once.
        assert 0 <= by_key["t"] - self.refused["t"] <= self.kept_and_bad, (by_key, self.refused)
        by_key["t"] = self.refused["t"]
        assert by_key == self.refused, (by_key, self.refused)

    # How the model keeps up.

    def _open(self) -> Runtime:
        return PromisedDevice(self.folder, self.clock, lambda: self.synchronised, lambda: None)

    def _start(self) -> None:
        self.worker = Worker(self._open, lambda _: None, no_update)
        self.worker.delivery()

    def _pass(self) -> None:
        self.clock.advance(SPACE_S)

    def _send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.worker.take(Received(topic, payload, retain=retain, at=self.clock.now()))

    def _gauge(self, amount: float) -> None:
        self.total = round(self.total + amount, 1)
        self.fallen.append((self.clock.now(), amount))
        self._send("yard/rain", f"{self.total:.1f}".encode())

    def _hours(self, source: str, quantity: str) -> dict[datetime, float]:
        runtime = self.worker._runtime
        frame = runtime.store.hourly(source, START - 80 * HOUR, self.clock.now() + 80 * HOUR)
        rows = frame.select(TIME, quantity).drop_nulls().iter_rows()
        return dict(rows)

    def _expect(self, source: str, quantity: str, measured: list[tuple[datetime, float]]) -> None:
        hours = self._hours(source, quantity)
        for end, value in hours.items():
            inside = [v for at, v in measured if end - HOUR < at <= end]
            assert inside, (source, end, value, measured)
            assert min(inside) - 0.01 <= value <= max(inside) + 0.01, (end, value, inside)
        for at, _ in measured:
            end = at.replace(minute=0, second=0, microsecond=0) + HOUR
            last = max(t for t, _ in measured if t <= end)
            if at == at.replace(minute=0, second=0, microsecond=0):
                continue
            settled = self.clock.now() - self.set_right_at > SETTLED
            recent = self.clock.now() - 6 * HOUR < at <= end <= self.clock.now()
            if settled and recent and end - last <= LIMIT:
                assert end in hours, (source, end, measured)

    def _rule(
        self,
        name: str,
        measured: list[tuple[datetime, float]],
        threshold: float,
        clear: float,
        *,
        refused: bool,
    ) -> None:
        now = self.clock.now()
        at, value = max(measured, default=(START - 80 * HOUR, 0.0))
        known = not refused and now - at <= LIMIT
        if known:
            if value >= threshold:
                self.raised.add(name)
            elif value < clear:
                self.raised.discard(name)
        level = "unknown" if not known else "raised" if name in self.raised else "clear"
        topic = f"farm/v1/farm/edge-1/alert/{name}/state"
        outbox = self.worker._runtime.outbox
        state = msgspec.json.decode(outbox.waiting(topic) or outbox.last_delivered(topic))
        if at <= self.set_right_at and state["level"] == "unknown":
            return  # A reading from before the clock was set is no reading of now.
        assert state["level"] == level, (state, measured[-3:], now)


def _time(at: datetime, zone: str) -> str:
    """The forms in which loggers give a time."""
    match zone:
        case "utc":
            return f'"{at:%Y-%m-%dT%H:%M:%SZ}"'
        case "none":
            return f'"{at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}"'
        case "seconds":
            return f"{at.timestamp():.0f}"
        case "milliseconds":
            return f"{at.timestamp() * 1000:.0f}"
        case _:
            return f'"{at.timestamp():.0f}"'


TestObservationPromises = pytest.mark.timeout(TIMEOUT_S)(ObservationPromises.TestCase)
TestObservationPromises.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
