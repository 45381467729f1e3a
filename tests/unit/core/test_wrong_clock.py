"""What a wrong clock does not do: one farm, and what it had before (O5, S3, O1)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.connection import Outgoing
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 7, 1, 5, 2, tzinfo=UTC)
OWN = "sensor:indoor"
TEXT = """
[push]
url = "https://ntfy.example/farm"
[[sensors]]
topic = "house/air"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[rules]]
name = "house-hot"
severity = "critical"
quantity = "air_temperature_c"
operator = ">="
threshold = 35.0
clear = 33.0
now = true
role = "indoor"
cooldown_s = 0
"""


class Farm:
    """A runtime on a clock that the test sets, with or without a time service."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.service = folder, FakeClock(NOW), True
        self.open()

    def open(self) -> None:
        """Start the process."""
        self.runtime = Runtime(
            config.decode(TEXT.encode(), "c.toml"), self.folder, self.clock, lambda: self.service
        )

    def restart(self, at: datetime | None = None) -> None:
        """End the process, set the clock, start the next."""
        self.runtime.close()
        if at is not None:
            self.clock.jump((at - self.clock.now()).total_seconds())
        self.open()

    def set_to(self, at: datetime) -> None:
        """Set the clock while the process runs."""
        self.clock.jump((at - self.clock.now()).total_seconds())

    def read(self, celsius: float, minutes: int = 1) -> None:
        """A reading each minute, with the watch."""
        for _ in range(minutes):
            self.clock.advance(60)
            self.runtime.intake.take("house/air", str(celsius).encode(), self.clock.now())
            self.runtime.run_watch()

    def fill(self, celsius: float, *times: datetime) -> None:
        """Hours of the farm's own sensors."""
        frame = pl.DataFrame(
            {TIME: times, AIR_TEMPERATURE: [celsius] * len(times)},
            schema_overrides={TIME: TIME_DTYPE},
        )
        self.runtime.store.put_hourly(OWN, frame)

    def hours(self) -> dict[datetime, float]:
        """Own hours, of all times."""
        frame = self.runtime.store.hourly(OWN, NOW - 9999 * DAY, NOW + 99_999 * DAY)
        return dict(frame.select(TIME, AIR_TEMPERATURE).iter_rows())

    def due(self) -> list[Message]:
        """Events that are to be sent now."""
        entries = self.runtime.outbox.due(self.runtime.known_time(), limit=1000)
        return [entry.message for entry in entries if entry.message.topic.endswith("/event")]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A farm."""
    made = Farm(tmp_path)
    yield made
    made.runtime.close()


@pytest.mark.parametrize(
    "wrong", [datetime(2099, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
)
@pytest.mark.parametrize("confirmed", [True, False], ids=["known hour", "nothing known"])
def test_one_start_with_a_wrong_clock_deletes_nothing(
    farm: Farm, wrong: datetime, *, confirmed: bool
) -> None:
    """Three years of hours, and an alert that waits."""
    years = [NOW.replace(minute=0) - back * DAY for back in range(0, 1095, 30)]
    farm.fill(20.0, *years)
    farm.service = confirmed
    farm.read(36.0, 3)
    (alert,) = farm.due()
    farm.service = False
    farm.restart(wrong)
    farm.runtime.run_cycle()
    assert farm.due() == [alert]
    farm.restart(NOW + HOUR)
    farm.service = True
    farm.runtime.run_cycle()
    assert farm.hours() == dict.fromkeys(years, 20.0)
    assert farm.due() == [alert]


def test_an_untrusted_clock_does_not_overwrite_the_past(farm: Farm) -> None:
    """A board that thinks it is last month measures today."""
    farm.runtime.run_cycle()
    past = NOW.replace(minute=0) - 30 * DAY
    farm.fill(10.0, past, past + HOUR)
    farm.service = False
    farm.restart(past - timedelta(minutes=30))
    farm.read(25.0, 100)
    farm.runtime.run_cycle()
    assert farm.hours() == {past: 10.0, past + HOUR: 10.0}


def test_a_possible_clock_behind_known_hours_fills_and_replaces_nothing(farm: Farm) -> None:
    """Nobody ever vouched for the time: hours that are there stay, missing ones are filled."""
    farm.service = False
    farm.restart()
    past = NOW.replace(minute=0) - 3 * DAY
    farm.fill(10.0, past, NOW.replace(minute=0))
    farm.restart(past - timedelta(minutes=30))
    farm.read(25.0, 100)
    farm.runtime.run_cycle()
    assert farm.hours() == {past: 10.0, past + HOUR: 25.0, NOW.replace(minute=0): 10.0}


def test_weeks_without_a_link_go_on(farm: Farm) -> None:
    """A board with a good clock of its own works on, also after a reboot; nothing is deleted."""
    farm.runtime.run_cycle()
    farm.service = False
    for week in range(8):
        farm.clock.advance(7 * 86_400 - 3600)
        farm.restart()
        farm.read(20.0 + week, 60)
        farm.runtime.run_cycle()
    assert list(farm.hours().values()) == [20.0 + week for week in range(8)]
    assert farm.runtime.time.judge()[1] == "holdover"


def test_a_reading_that_the_old_clock_dated_is_not_current(farm: Farm) -> None:
    """Set back or forward, live rules go by what comes after; set back they hear it at once."""
    farm.runtime.run_cycle()
    farm.read(36.0, 2)
    assert [json.loads(event.payload)["event_type"] for event in farm.due()] == ["raised"]
    farm.set_to(NOW - 2 * HOUR)
    farm.runtime.run_watch()
    assert farm.runtime.latches.all()["house-hot"].known is False
    farm.read(20.0)
    events = [json.loads(event.payload)["event_type"] for event in farm.due()]
    assert events == ["raised", "cleared"]


def test_what_came_on_a_wrong_clock_becomes_the_right_hours(farm: Farm) -> None:
    """A start in 1970: readings wait, and get their time when a time service sets the clock."""
    farm.service = False
    farm.restart(datetime(1970, 1, 1, 0, 2, tzinfo=UTC))
    farm.read(25.0, 100)
    farm.runtime.run_cycle()
    assert farm.hours() == {}
    farm.set_to(NOW)
    farm.service = True
    farm.read(25.0, 20)
    farm.runtime.run_cycle()
    first = NOW.replace(minute=0)
    assert farm.hours() == {first - HOUR: 25.0, first: 25.0}


def test_rows_of_the_future_go_once_a_service_confirms_the_clock(farm: Farm) -> None:
    """Ten days ahead, then right: what was dated then is no hour of those days."""
    farm.service = False
    farm.restart(NOW + 10 * DAY)
    farm.read(25.0, 70)
    farm.runtime.run_cycle()
    assert max(farm.hours()) > NOW + 9 * DAY
    farm.restart(NOW)
    farm.runtime.run_cycle()
    assert farm.hours(), "nobody vouches for this time either"
    farm.service = True
    farm.runtime.run_cycle()
    assert farm.hours() == {}


@pytest.mark.parametrize(
    "wrong",
    [NOW - 8 * HOUR, NOW - 20 * DAY, datetime(1970, 1, 1, tzinfo=UTC), NOW + 20 * DAY],
    ids=["last shutdown", "weeks behind", "1970", "weeks ahead"],
)
@pytest.mark.parametrize("how", ["set", "restart"])
def test_an_alert_of_a_wrong_clock_waits_for_its_own_length(
    farm: Farm, wrong: datetime, how: str
) -> None:
    """Raised before the time was known, it is not over at once, nor waits for ever."""
    farm.runtime.run_cycle()
    farm.service = False
    farm.restart(wrong)
    farm.read(36.0, 3)
    (alert,) = farm.due()
    if how == "set":
        farm.set_to(NOW)
    else:
        farm.restart(NOW)
    farm.service = True
    for _ in range(20):
        farm.clock.advance(60)
        farm.runtime.run_watch()
        assert [event.id for event in farm.due()] == [alert.id]
    row = farm.runtime.db.execute("SELECT expires FROM push").fetchone()
    assert NOW < datetime.fromtimestamp(row[0], UTC) < NOW + 25 * HOUR
    farm.clock.advance(25 * 3600)
    assert farm.due() == []


def test_an_alert_of_a_wrong_clock_hides_none_of_the_same_second(farm: Farm) -> None:
    """Raised an hour ahead of time, then raised when that hour has come: both are sent."""
    farm.runtime.run_cycle()
    farm.service = False
    farm.set_to(NOW + HOUR)
    farm.read(36.0)
    second = farm.clock.now()
    farm.read(20.0, 3)
    farm.set_to(second - timedelta(minutes=21))
    farm.service = True
    farm.read(20.0, 19)
    farm.read(36.0, 2)
    assert farm.clock.now() == second
    edges = [json.loads(event.payload)["event_type"] for event in farm.due()]
    assert edges == ["raised", "cleared", "raised"]


def _message(issued: datetime, expires: datetime) -> Message:
    payload = {"issued_at": issued.isoformat(), "valid_until": (issued + 3 * HOUR).isoformat()}
    return Message("a", "t", json.dumps(payload).encode(), Kind.STATE, True, expires)  # noqa: FBT003 - retained


@pytest.mark.parametrize(
    ("issued", "now", "seconds"),
    [
        (NOW, None, 10_800),
        (NOW, NOW + HOUR, 7200),
        (NOW + 9999 * DAY, NOW, 10_800),
        (NOW + 9999 * DAY, None, 10_800),
        (NOW, NOW + 4 * HOUR, 1),
    ],
    ids=["no sure time", "an hour old", "of 2053", "of 2053, no sure time", "over"],
)
def test_a_retained_state_ends_at_the_broker(
    issued: datetime, now: datetime | None, seconds: int
) -> None:
    """After its own length at the latest, whatever the clock was or is (S3)."""
    assert Outgoing.of(_message(issued, issued + 3 * HOUR), now).expiry_s == seconds
    assert Outgoing.of(Message("b", "t", b"online", Kind.STATE), now).expiry_s is None


@pytest.mark.parametrize(
    "wrong",
    [datetime(2099, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC), NOW + HOUR, NOW - HOUR],
)
@pytest.mark.parametrize("minutes", [1, 3])
def test_a_reading_older_than_the_newest_heard_is_not_now(
    tmp_path: Path, wrong: datetime, minutes: int
) -> None:
    """20 by a right clock, 45 by a wrong one, right again: unknown until a reading comes (O1)."""
    farm = Farm(tmp_path)
    farm.read(20.0)
    farm.service = False
    farm.restart(wrong)
    farm.read(45.0)
    assert farm.runtime.latches.all()["house-hot"].level == "raised"
    farm.restart(NOW + timedelta(minutes=minutes))
    farm.service = True
    farm.runtime.run_watch()
    latch = farm.runtime.latches.all()["house-hot"]
    assert (latch.level, latch.known) == ("raised", False)
    assert farm.runtime.sensor_reports(farm.clock.now())[0].value is None
    farm.read(20.0)
    latch = farm.runtime.latches.all()["house-hot"]
    assert (latch.level, latch.known) == ("clear", True)
    # The new reading counts after a restart too.
    farm.clock.advance(1200)
    farm.read(21.0)
    farm.restart()
    farm.runtime.run_watch()
    assert farm.runtime.latches.all()["house-hot"].known
