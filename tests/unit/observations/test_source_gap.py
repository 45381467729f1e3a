"""Own sensors against other sources: what is told as a gap (G1 to G4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.observations.source_gap import Gap, agree, believed, find, heights
from edge_agent.settings import Device
from tests.fakes.forecasts import NOW
from tests.fakes.loaded import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = timedelta(hours=1)
HOURS = 120
STATION, CELL = "station:108", "cell:60-127"
WAVE = 5 + 6 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
DAMP = np.full(HOURS, 60.0) + np.arange(HOURS) % 3


def hours(
    temperature: np.ndarray = WAVE, humidity: np.ndarray = DAMP, *, age: int = 0
) -> pl.DataFrame:
    """Hours of a source up to `age` hours ago, oldest first."""
    times = [NOW - (age + back) * HOUR for back in range(len(temperature))][::-1]
    values = {TIME: times, AIR_TEMPERATURE: temperature, RELATIVE_HUMIDITY: humidity}
    return pl.DataFrame(values, schema_overrides={TIME: TIME_DTYPE}, nan_to_null=True)


def gaps(own: pl.DataFrame, **others: pl.DataFrame) -> tuple[Gap, ...]:
    """Gaps to a station and more sources, at one height."""
    return find(own, {STATION: hours()} | others, {}, NOW)


def late(by: float, for_h: int, of: np.ndarray = WAVE) -> np.ndarray:
    """Values that are off at the newest hours."""
    values: np.ndarray = of + by * (np.arange(HOURS) >= HOURS - for_h)
    return values


@pytest.mark.parametrize("by", [-8.3, 8.3])
def test_six_hours_far_away_are_a_gap(by: float) -> None:
    """G1: with its values, its size and its beginning; three hours are not."""
    assert gaps(hours(late(by, 3))) == ()
    (gap,) = gaps(hours(late(by, 6)))
    assert (gap.quantity, gap.source, gap.hour) == (AIR_TEMPERATURE, STATION, NOW)
    assert gap.median == pytest.approx(by)
    assert (gap.since, gap.whole) == (NOW - 5 * HOUR, False)
    assert gap.own == pytest.approx(WAVE[-1] + by)
    assert gap.other == pytest.approx(WAVE[-1])


def test_a_day_is_a_gap_sooner() -> None:
    """G1: beyond 6 C for a day; 5.9 C never."""
    assert gaps(hours(WAVE + 5.9)) == ()
    assert gaps(hours(late(6.1, 10))) == ()
    (gap,) = gaps(hours(WAVE + 6.1))
    assert gap.whole
    assert gap.text == (
        "own air temperature is 9.5°C, station:108 3.4°C (05:00 UTC): "
        f"6.1°C apart since {NOW - (HOURS - 1) * HOUR:%Y-%m-%d %H:%M} UTC or earlier"
    )


def test_humidity_has_its_own_limits() -> None:
    """G1: 34 % for a day, 45 % for six hours."""
    assert gaps(hours(humidity=DAMP - 33.0)) == ()
    (gap,) = gaps(hours(humidity=late(-46.0, 6, DAMP)))
    assert gap.quantity == RELATIVE_HUMIDITY
    assert "own relative humidity is 16%, station:108 62%" in gap.text


def test_one_value_while_the_station_moves_is_stuck() -> None:
    """G2: though it is near; not for seven hours, and not in steady weather."""
    stuck = WAVE.copy()
    stuck[-8:] = WAVE[-5]
    (gap,) = gaps(hours(stuck))
    assert gap.median is None
    assert gap.since == NOW - 7 * HOUR
    assert gap.text.endswith(f"the same since {NOW - 7 * HOUR:%Y-%m-%d %H:%M} UTC")
    stuck[-8] += 0.1
    assert gaps(hours(stuck)) == ()
    flat = np.full(HOURS, 5.0)
    assert find(hours(flat), {STATION: hours(flat + WAVE / 10)}, {}, NOW) == ()


def test_saturated_air_is_not_stuck() -> None:
    """G2: a humidity of 100 % may stay while the station's moves."""
    moving = 60 + 15 * np.sin(np.arange(HOURS) / 12 * 2 * np.pi)
    for value, found in ((100.0, 0), (70.0, 1)):
        station = hours(humidity=moving + (value - 70.0))
        assert (
            len(find(hours(humidity=np.full(HOURS, value)), {STATION: station}, {}, NOW)) == found
        )


def test_the_place_explains_what_one_source_agrees_with() -> None:
    """G3: nothing is told where the cell agrees, however far the station is."""
    own = hours(WAVE - 9.0)
    assert gaps(own, **{CELL: hours(WAVE - 6.0)}) == ()
    assert [gap.source for gap in gaps(own, **{CELL: hours(WAVE + 1.0)})] == [STATION]
    # A source that knows too little, or nothing new, agrees with nothing.
    sparse = np.where(np.arange(HOURS) % 3 == 0, WAVE - 9.0, np.nan)
    assert len(gaps(own, **{CELL: hours(sparse)})) == 1
    assert len(gaps(own, **{CELL: hours(WAVE - 9.0, age=13)})) == 1


def test_old_hours_tell_nothing() -> None:
    """A gap of half a day ago is no gap of now, and nothing at all is none."""
    assert find(hours(WAVE + 9), {STATION: hours(age=12)}, {}, NOW) == ()
    assert find(hours(WAVE + 9), {STATION: hours().clear()}, {}, NOW) == ()
    assert find(hours().clear(), {STATION: hours()}, {}, NOW) == ()


def test_the_height_of_a_known_station_is_taken_off() -> None:
    """6.5 C a kilometre: a farm 1000 m above its station is as cold as it must be."""
    device = msgspec.structs.replace(Device(), elevation_m=1086.0)
    warmer = heights(device, manifest().sites)
    assert warmer == {STATION: pytest.approx(-6.5)}
    own = hours(WAVE - 6.5)
    assert find(own, {STATION: hours()}, warmer, NOW) == ()
    assert len(find(own, {STATION: hours()}, {}, NOW)) == 1
    assert agree(AIR_TEMPERATURE, own, hours(), -6.5)
    assert not agree(AIR_TEMPERATURE, own, hours(), 0.0)


@pytest.mark.parametrize("hour", [1, 12, 24])
def test_one_hour_of_the_last_day_ends_the_agreement(hour: int) -> None:
    """G4: however the others are."""
    for by, agreed in ((2.6, True), (-2.6, True), (2.7, False), (-2.7, False)):
        own = WAVE.copy()
        own[-hour] += by
        assert agree(AIR_TEMPERATURE, hours(own), hours(), 0.0) is agreed
    own = WAVE.copy()
    own[-25] += 20
    assert agree(AIR_TEMPERATURE, hours(own), hours(), 0.0)


def test_a_zero_has_no_sign() -> None:
    """Nowhere in the text."""
    (gap,) = find(hours(WAVE * 0 - 0.04), {STATION: hours(WAVE * 0 + 9)}, {}, NOW)
    assert "is 0.0°C" in gap.text


def test_a_value_that_every_source_contradicts_is_refused() -> None:
    """G5: beyond 16 C from all that know the hour; one that is near, or none, leaves it."""
    own, none = hours(late(-40.0, 3)), hours()[:0]

    def trusted(relayed: Mapping[str, pl.DataFrame], guided: pl.DataFrame) -> pl.DataFrame:
        return believed(own, relayed, lambda: guided, {})

    far = trusted({STATION: hours()}, hours(late(20.0, 3)))
    assert far[AIR_TEMPERATURE].is_null().to_list() == [False] * (HOURS - 3) + [True] * 3
    assert far[RELATIVE_HUMIDITY].equals(own[RELATIVE_HUMIDITY])
    assert far[TIME].equals(own[TIME])
    assert trusted({STATION: hours(), CELL: hours(late(-30.0, 3))}, none).equals(own)
    assert trusted({STATION: hours(age=3)}, none).equals(own)
    assert trusted({STATION: hours()}, hours(late(-30.0, 3))).equals(own)
    # An issue of KMA's may be wrong.
    assert trusted({STATION: none}, hours()).equals(own)
    # What is out of its range says nothing.
    assert trusted({STATION: hours(np.full(HOURS, -99.0))}, none).equals(own)


def test_kmas_forecast_is_read_only_where_a_value_may_be_refused() -> None:
    """G5: reading a month of it takes long, and nearly always nothing is refused."""
    read = []

    def guided() -> pl.DataFrame:
        read.append(1)
        return hours()

    believed(hours(), {STATION: hours(late(15.0, 3))}, guided, {})
    assert not read
    believed(hours(late(-40.0, 3)), {STATION: hours()}, guided, {})
    assert len(read) == 1


@pytest.mark.parametrize(("by", "higher_m", "refused"), [(16.1, 0, 1), (15.9, 0, 0), (9, 1200, 1)])
def test_a_cold_hollow_is_believed(by: float, higher_m: float, refused: int) -> None:
    """G5: at one height, up to 16 C; further is no frost."""
    warmer = {STATION: 0.0065 * higher_m}
    own = believed(hours(late(-by, 1)), {STATION: hours()}, lambda: hours()[:0], warmer)
    assert own[AIR_TEMPERATURE].null_count() == refused


def test_a_newest_hour_that_is_refused_is_told_at_once() -> None:
    """G1: as a gap of that hour."""
    (gap,) = gaps(hours(late(-50.0, 1)))
    assert gap.median == pytest.approx(-50.0)
    assert gap.since == NOW
    assert gaps(hours(late(-15.9, 1))) == ()
