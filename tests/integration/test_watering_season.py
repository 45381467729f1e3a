"""Watering advice over real hours of Seoul: what is missing moves by what happened, and closes.

The record of 2018 is dated eight years later, since an agent believes no clock before 2026.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_agent.agronomy import soil_water
from edge_agent.contract.schema import OBSERVED, TIME, TIME_DTYPE
from tests.fakes.watered_farm import HOUR, WateredFarm, closes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD = Path(__file__).parents[3] / "shared/data/asos/asos_hourly_108_2013_2018.parquet"
pytestmark = pytest.mark.skipif(not RECORD.is_file(), reason="needs the record (../shared)")
NAMES = {
    "ta": "air_temperature_c",
    "hm": "relative_humidity_pct",
    "ws": "wind_speed_ms",
    "rn": "rain_mm",
    "ss": "sunshine_h",
    "icsr": "solar_mj_m2",
}
OPEN = """
[irrigation]
crop = "tomato"
area_m2 = 1000.0
"""
COVERED = f"{OPEN}covered = true\n"
PROBE = """
[[sensors]]
topic = "soil/1"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
max_age_s = 7200
"""


@pytest.fixture(scope="module")
def seoul() -> pl.DataFrame:
    """Hours of 2018 as of 2026; rain that is not written is none, as KMA has it."""
    frame = pl.read_parquet(RECORD).filter(pl.col("tm").dt.year() == 2018)
    time = pl.col("tm").dt.offset_by("8y").dt.offset_by("-9h").cast(TIME_DTYPE)
    columns = [pl.col(kma).alias(name) for kma, name in NAMES.items() if name in OBSERVED]
    return frame.select(time.alias(TIME), *columns).with_columns(pl.col("rain_mm").fill_null(0.0))


@pytest.fixture
def new_farm(tmp_path: Path, seoul: pl.DataFrame) -> Iterator[Callable[..., WateredFarm]]:
    """Makes a farm on the record; takes its start and its configuration."""
    farms: list[WateredFarm] = []

    def new(start: datetime, text: str, hours: pl.DataFrame = seoul) -> WateredFarm:
        farm = WateredFarm(tmp_path, hours, start, text)
        farms.append(farm)
        farm.know(20)
        return farm

    yield new
    for farm in farms:
        farm.close()


def first_of(month: int) -> datetime:
    """Midnight UTC of its first day."""
    return datetime(2026, month, 1, tzinfo=UTC)


def moved(before: dict[str, Any], after: dict[str, Any], name: str) -> float:
    """By how much a figure of the balance changed."""
    return float(after[name] - before[name])


@pytest.mark.parametrize("text", [OPEN, COVERED], ids=["open", "covered"])
@pytest.mark.parametrize(
    ("month", "days", "rain_mm"),
    [(7, 16, 150.0), pytest.param(6, 61, 300.0, marks=pytest.mark.slow)],
    ids=["weeks", "months"],
)
def test_a_season_moves_by_what_happened(
    new_farm: Callable[..., WateredFarm], text: str, month: int, days: int, rain_mm: float
) -> None:
    """July's first half, or June and July, not a drop reported.

    Demand adds, rain takes off outdoors, and sums close.
    """
    farm, covered = new_farm(first_of(month), text), text == COVERED
    told = list(farm.hours(24 * days))
    for before, after in pairwise(told):
        assert closes(after) < 0.1
        by = moved(before, after, "depletion_mm")
        demand, rain = moved(before, after, "demand_mm"), moved(before, after, "rain_mm")
        assert -0.02 <= demand < 1.5
        assert by == pytest.approx(demand - rain + moved(before, after, "drained_mm"), abs=0.06)
        # Under a roof nothing takes off anything, whatever begins or ends a window.
        assert not covered or by >= 0
    last = told[-1]
    assert (last["given_mm"], last["corrected_mm"], last["last_given_at"]) == (0.0, 0.0, None)
    assert last["rain_mm"] == 0.0 if covered else last["rain_mm"] > rain_mm
    assert last["depletion_mm"] > 40.0 or not covered


def test_a_followed_house_gets_what_its_crop_uses(new_farm: Callable[..., WateredFarm]) -> None:
    """Followed and reported once a day under a roof: about the demand, and nothing drains."""
    farm = new_farm(first_of(6), COVERED)
    most = 0.0
    for _ in range(30):
        farm.skip(24)
        advice = farm.advice()
        most = max(most, advice["depletion_mm"] - advice["readily_mm"])
        if advice["need_mm"]:
            farm.runtime.soil_water.report(farm.clock.now(), advice["need_mm"])
    balance = farm.advice()["balance"]
    reached = 0.9 * balance["given_mm"]
    assert balance["demand_mm"] > 100
    assert reached == pytest.approx(balance["demand_mm"] - balance["depletion_mm"], abs=1.0)
    assert balance["drained_mm"] == pytest.approx(0.1 * balance["given_mm"], abs=1.0)
    assert most < 3.0


@pytest.mark.parametrize("promised", [10.0, 200.0])
def test_rain_that_is_promised_and_never_falls_does_not_hold_for_ever(
    new_farm: Callable[..., WateredFarm], seoul: pl.DataFrame, promised: float
) -> None:
    """Rain within a day, said each day, and none: what is missing rises, and water is advised."""
    dry = seoul.with_columns(pl.lit(0.0).alias("rain_mm"))
    farm = new_farm(first_of(6), OPEN, dry)
    full = soil_water.begin(first_of(6))
    assert farm.runtime.soil_water.book(None, full, ())
    farm.promise_rain(28, promised)
    told = []
    for _ in range(27):
        told.append(farm.advice())
        farm.skip(24)
    assert told[-1]["rain_mm"] == promised
    assert told[-1]["balance"]["rain_mm"] == 0.0
    amounts = [one["depletion_mm"] for one in told]
    assert amounts == sorted(amounts)
    needed = [one for one in told if one["need_mm"] > 0]
    assert needed, "before, none in 27 days"
    first = needed[0]
    assert told.index(first) > 3, "a promise counts at first"
    assert first["depletion_mm"] < first["readily_mm"] + 3 * first["demand_mm"]
    assert all(one["need_mm"] > 0 for one in told[told.index(first) :])


@pytest.mark.parametrize("moisture", [0.0, 5.9, 46.4, 100.0])
def test_a_probe_out_of_the_soil_asks_for_nothing(
    new_farm: Callable[..., WateredFarm], moisture: float
) -> None:
    """A probe that reads 0 % or more than the soil can hold in January: told, not believed."""
    farm = new_farm(datetime(2026, 1, 25, tzinfo=UTC), OPEN + PROBE)
    for _ in range(3):
        farm.runtime.intake.take("soil/1", str(moisture).encode(), farm.clock.now())
        advice = farm.advice()
        assert not advice["measured"]
        assert advice["need_mm"] == 0.0
        assert advice["balance"]["corrected_mm"] == 0.0
        farm.clock.advance(3600)
    waiting = [entry.message for entry in farm.runtime.outbox.due(None, limit=5000)]
    health = [m for m in waiting if m.topic.endswith("/health")][-1]
    assert b"is not plausible for loam (6 to 46 %): it is not used" in health.payload


def test_a_restart_each_day_changes_nothing(
    new_farm: Callable[..., WateredFarm], tmp_path: Path, seoul: pl.DataFrame
) -> None:
    """Off for five hours at a time and started again: the same sums in the end."""
    farm = new_farm(first_of(7), OPEN)
    steady = list(farm.hours(24 * 5 + 1))[-1]
    other = WateredFarm(tmp_path / "other", seoul, first_of(7), OPEN)
    other.know(20)
    told = list(other.hours(1))
    end = first_of(7) + timedelta(days=5)
    while other.clock.now() < end - 6 * HOUR:
        other.clock.advance(5 * 3600)
        other.restart()
        other.know(1)
        told.extend(other.hours(1))
    other.know(1)
    told.extend(other.hours((end - other.clock.now()) // HOUR + 2))
    other.close()
    assert told[-1] == steady
