"""An alert on KMA's wind that gets graver, over the real worker, a restart and a way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from edge_agent.alerts.latches import Latches
from edge_agent.alerts.state_machine import Latch, Level
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED
from edge_agent.system import database
from tests.fakes.alert_farm import HOUR, AlertFarm
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

WIND = """
[builtin]
off = ["heat", "dryness", "frost", "frost-watch", "vpd-high", "cold-snap", "rain-soon"]
"""


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[AlertFarm]:
    """A device with the built-in rule `strong-wind`, 12 m/s within a day."""
    farm = AlertFarm(tmp_path, WIND)
    yield farm
    farm.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A file of the agent."""
    connection = database.connect(tmp_path / "latches.db")
    yield connection
    connection.close()


def issue(farm: AlertFarm, metres_per_s: float) -> list[str]:
    """KMA's next issue, an hour later, with a storm at the same hours; the edges of the hour."""
    farm.clock.advance(3600)
    base = farm.clock.now().replace(minute=0) - HOUR
    hours = [base + lead * HOUR for lead in range(1, 60)]
    storm = NOW + 20 * HOUR
    frame = pl.DataFrame(
        {
            ISSUED: [base] * len(hours),
            VALID: hours,
            AIR_TEMPERATURE: [20.0] * len(hours),
            RELATIVE_HUMIDITY: [60.0] * len(hours),
            WIND_SPEED: [metres_per_s if storm <= at <= storm + HOUR else 3.0 for at in hours],
        }
    )
    farm.runtime.store.put_guidance(pl.concat([GUIDANCE.to_frame(), frame], how="diagonal_relaxed"))
    return farm.cycle()


def test_a_typhoon_is_told_as_it_gets_graver(farm: AlertFarm) -> None:
    """Once at 25 m/s and once at 32; a restart between neither repeats nor forgets it."""
    assert issue(farm, 15.0) == ["raised"]
    farm.restart()
    assert issue(farm, 15.0) == []
    assert issue(farm, 25.0) == ["updated"]
    farm.restart()
    assert issue(farm, 26.0) == []
    assert issue(farm, 32.0) == ["updated"]
    events = farm.events()
    assert [event["value"] for event in events] == [15.0, 25.0, 32.0]
    assert {event["probability"] for event in events} == {None}
    assert "25.0 m/s" in events[1]["text"]


def test_a_snoozed_alert_that_got_graver_is_told_at_the_end_of_the_snooze(farm: AlertFarm) -> None:
    """Compared with what people heard, not with what was forecast meanwhile."""
    assert issue(farm, 15.0) == ["raised"]
    farm.ask("snooze", rule="strong-wind", minutes=90)
    assert issue(farm, 25.0) == []
    assert issue(farm, 25.0) == ["updated"]


RAISED = Latch(rule="wind", level=Level.RAISED, since=NOW, hour=NOW, value=15.0)


def test_an_earlier_agent_reads_the_latch(db: sqlite3.Connection) -> None:
    """It refuses fields that it does not know, and would raise what stands once more."""
    Latches(db).save([RAISED])
    (state,) = db.execute("SELECT state FROM latches").fetchone()
    assert "value" not in json.loads(state)
    assert msgspec.json.decode(state, type=Latch) == replace(RAISED, value=None)
    assert Latches(db).all() == {"wind": RAISED}


def test_a_value_of_another_alert_counts_no_more(db: sqlite3.Connection) -> None:
    """An earlier agent ended the alert and raised another, and wrote nothing of its value."""
    Latches(db).save([RAISED])
    another = replace(RAISED, since=NOW + HOUR, value=None)
    db.execute("UPDATE latches SET state = ?", (msgspec.json.encode(another),))
    assert Latches(db).all() == {"wind": another}


def test_a_forgotten_rule_leaves_no_value(db: sqlite3.Connection) -> None:
    """A rule that comes back under the name begins anew."""
    latches = Latches(db)
    latches.save([RAISED])
    latches.forget("wind")
    latches.save([replace(RAISED, value=None)])
    assert latches.all() == {"wind": replace(RAISED, value=None)}
