"""Soil water of the hour: read from the store, brought to the present, and what is to be booked.

Nothing is written here: the cycle writes `Reckoning` together with its messages.

Rules (tests name the numbers):

1. On a clock that may be wrong nothing is booked. The present state is told, and a later cycle
   books the hours.
2. No hour is booked twice: after the clock was set back the state stays as it is until its time has
   come again. A state from later than `WRONG` was booked on a wrong clock: its time, not its
   depletion, is moved back to now.
3. A cycle of a past hour, before the state's, reckons from a first start and books nothing.
4. A report of water is refused where it is no amount, more than `MOST_MM`, from the future, older
   than `OLDEST`, or from before the state's start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy import field_hours, irrigation, soil_water
from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import start_of_hour
from edge_agent.core.soil_water_store import ZONE
from edge_agent.core.stored_weather import site_of

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.agronomy.soil_water import Gift, SoilWater
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.core.soil_water_store import SoilWaterStore
    from edge_agent.settings import Irrigation

WRONG: Final = timedelta(days=31)
LOOKBACK: Final = timedelta(days=60)
"""Longest gap whose hours are filled one by one."""
MOST_MM: Final = 200.0
OLDEST: Final = timedelta(days=14)
SOON: Final = timedelta(minutes=5)
"""Clocks of two machines may differ by this."""
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Soil water of a cycle.

    Attributes:
        before: State that was read; None where there was none.
        booked: State to write; None where nothing may be booked (rule 1).
        counted: Numbers of the reports in it.
        water: State now.
        measured: Whether a plausible soil moisture reading is in it.
        problem: Why a reading is not used, for people; empty where all is well.
        observations: Checked hours of the last `irrigation.HISTORY_DAYS` days.
    """

    before: SoilWater | None
    booked: SoilWater | None
    counted: tuple[int, ...]
    water: SoilWater
    measured: bool
    problem: str
    observations: pl.DataFrame


def reckon(
    context: CycleContext, now: datetime, *, dated: bool = True, historical: bool = False
) -> Reckoning:
    """Soil water at `now`; the configuration has a crop.

    Args:
        context: Weather, sensors, and the state.
        now: UTC.
        dated: Whether `now` can be trusted (rule 1).
        historical: Whether `now` is past (rule 3).

    Raises:
        StorageError: The disk refused.
    """
    field, end = context.config.irrigation, start_of_hour(now)
    before = context.soil_water.state()
    gifts = (
        _dated(context.soil_water.pending(), now, end) if dated else context.soil_water.pending()
    )
    past = historical and before is not None and before.through > end
    if past:
        before, gifts = None, []
    span = timedelta() if before is None else min(max(end - before.through, 0 * _HOUR), LOOKBACK)
    days = timedelta(days=max(irrigation.HISTORY_DAYS, field_hours.FILL_DAYS))
    frame = context.weather.checked(now, round((days + span) / _HOUR))
    recent = frame.tail(24 * irrigation.HISTORY_DAYS)
    reading = context.soil_moisture(now)
    by_reading = None if reading is None else field_hours.depletion_of(field, reading)
    problem = "" if reading is None or by_reading is not None else _implausible(field, reading)
    measured = by_reading is not None
    booked_to = None if before is None else min(before.through, end)
    hours = field_hours.hours_of(field, frame, site_of(context.config.device), booked_to)
    start = _start(before, field, hours, end, by_reading, dated=dated)
    booked, water = soil_water.advance(start, field, hours, gifts, end)
    if by_reading is not None:
        by_mm, total = by_reading - water.depletion_mm, field_hours.total_mm(field)
        booked = soil_water.corrected(booked, by_mm, total)
        water = soil_water.corrected(water, by_mm, total)
    return Reckoning(
        before=before,
        booked=booked if dated and not past else None,
        counted=_numbers(gifts, booked.through),
        water=water,
        measured=measured,
        problem=problem,
        observations=recent,
    )


def report(
    field: Irrigation,
    store: SoilWaterStore,
    now: datetime,
    *,
    mm: float | None,
    volume_l: float | None = None,
    at: datetime | None = None,
    zone: str = "",
    request: str = "",
) -> str:
    """Note water that was given (rule 4); a text for people.

    Args:
        field: The field.
        store: Takes the report.
        now: UTC.
        mm: Amount over the area.
        volume_l: Amount in litres instead.
        at: When; None: now.
        zone: Empty, or the name of the one zone.
        request: Id by its sender; empty: none.

    Raises:
        BadData: The report is refused; the text says why.
        StorageError: The disk refused.
    """
    if not field.crop:
        raise BadData("irrigation.crop is not set: there is no soil water to count it in")
    if zone not in {"", ZONE}:
        raise BadData(f"zone {zone!r}: there is only {ZONE!r}")
    amount = _amount(field, mm, volume_l)
    moment = (at or now).astimezone(UTC)
    _check_time(moment, now, store.state())
    shown = f"{amount:g} mm at {moment:%Y-%m-%d %H:%M} UTC"
    if not store.report(moment, amount, request):
        return f"report {request} is known: it counts once"
    return f"noted: {shown}"


def _start(
    before: SoilWater | None,
    field: Irrigation,
    hours: list[field_hours.FieldHour],
    end: datetime,
    by_reading: float | None,
    *,
    dated: bool,
) -> SoilWater:
    if before is None:
        if by_reading is not None:
            return soil_water.begin(end, by_reading, assumed=False)
        return soil_water.first_start(field, hours, end)
    if dated and before.through > end + WRONG:
        return replace(before, through=end)
    return before


def _dated(gifts: list[Gift], now: datetime, end: datetime) -> list[Gift]:
    """Reports from a clock that was ahead count with the newest full hour."""
    return [replace(gift, at=end) if gift.at > now + SOON else gift for gift in gifts]


def _numbers(gifts: list[Gift], through: datetime) -> tuple[int, ...]:
    return tuple(gift.number for gift in gifts if gift.at <= through)


def _implausible(field: Irrigation, reading: float) -> str:
    soil = field_hours.soil_of(field)
    return (
        f"soil moisture {reading:.1f} % is not plausible for {field.soil} "
        f"({50 * soil.wilting_point:.0f} to {100 * soil.saturation:.0f} %): it is not used"
    )


def _amount(field: Irrigation, mm: float | None, volume_l: float | None) -> float:
    if (mm is None) == (volume_l is None):
        raise BadData("give mm or volume_l, one of them")
    if volume_l is not None:
        if not field.area_m2:
            raise BadData("volume_l needs irrigation.area_m2; give mm")
        mm = volume_l / field.area_m2
    assert mm is not None
    if not (math.isfinite(mm) and 0 < mm <= MOST_MM):
        raise BadData(f"{mm:g} mm: give more than 0 and at most {MOST_MM:g} mm")
    return mm


def _check_time(at: datetime, now: datetime, state: SoilWater | None) -> None:
    if at > now + SOON:
        raise BadData(f"at {at:%Y-%m-%d %H:%M} UTC: is in the future")
    if at < now - OLDEST:
        raise BadData(f"at {at:%Y-%m-%d %H:%M} UTC: is more than {OLDEST.days} days ago")
    if state is not None and at < state.since:
        raise BadData(
            f"at {at:%Y-%m-%d %H:%M} UTC: soil water is counted from "
            f"{state.since:%Y-%m-%d %H:%M} UTC on"
        )
