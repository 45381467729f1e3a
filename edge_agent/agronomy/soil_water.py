"""Water that is missing in a field's root zone: a state that only what happened moves. Pure.

S1  Demand of the crop, rain (not under a roof) and water that was reported move the depletion. A
    plausible soil moisture reading corrects it. Each is summed since the start, so that
    depletion = start + demand - rain - given + drained + corrected.
S2  An hour is booked once, by its time, in order, as soon as temperature, humidity and rain of it
    are known. One that lacks any of them is waited for, for `WAIT`; meanwhile the present depletion
    counts it as if it were filled, and nothing is booked. Hours after the newest observation are
    never booked.
S3  A missing hour has the demand of the same hour of the `FILL_DAYS` days before it, filled hours
    among them. Rain that is not known is not counted. Both are counted in hours, and told.
S4  Without a state the soil counts as full (field capacity), which is assumed and told: outdoors at
    the first hour of the last two weeks that is known, so that their rain and demand count; under a
    roof now, since the water that was given there before is not known. A plausible soil moisture
    reading is a start that is not assumed.
S5  Another crop, soil, depth or roof leaves the depletion as it is, in mm; where the new root zone
    holds less, the rest is a correction.
S6  Water that was given counts in the hour it was given. What does not reach the roots
    (`efficiency`) counts as drained at once, and so does what the soil cannot hold.
S7  Of a gap longer than the hours at hand, the hours before them count as filled, without demand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edge_agent.agronomy import crops, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.contract.schema import RAIN, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from edge_agent.agronomy.psychrometrics import Array
    from edge_agent.contract.schema import Site

WAIT: Final = timedelta(hours=24)
"""How long an hour that is not known is waited for."""
FILL_DAYS: Final = 7
_HOUR: Final = timedelta(hours=1)
_DAY: Final = 24


class Field(Protocol):
    """A field that is watered: `settings.Irrigation`, with a crop."""

    @property
    def crop(self) -> str:
        """Name in `crops.CROPS`."""

    @property
    def soil(self) -> str:
        """Name in `water_balance.SOILS`."""

    @property
    def root_depth_m(self) -> float:
        """0: the crop's own."""

    @property
    def covered(self) -> bool:
        """Under a roof: rain does not count."""

    @property
    def area_m2(self) -> float:
        """0: advice without litres."""

    @property
    def planted_on(self) -> str:
        """Date; empty: the crop's middle stage."""

    @property
    def efficiency(self) -> float:
        """Share of the water given that reaches the roots."""


@dataclass(frozen=True, slots=True)
class SoilWater:
    """The depletion and the sums since its start; all in mm.

    Attributes:
        since: Start of the sums, UTC.
        start_mm: Depletion then.
        start_assumed: Whether the soil was taken as full then, without a reading.
        through: End of the newest hour that is counted, UTC.
        depletion_mm: Missing from field capacity, 0 to the total available water.
        demand_mm: Taken up by the crop.
        rain_mm: Measured rain.
        given_mm: Water reported as given.
        drained_mm: Lost on the way to the roots or below them.
        corrected_mm: By soil moisture readings and by a smaller root zone.
        filled_hours: Hours whose demand was not known.
        rainless_hours: Hours whose rain was not known.
        last_given_at: Newest time of water given, UTC; None where none was reported.
        last_given_mm: Its amount.
    """

    since: datetime
    start_mm: float
    start_assumed: bool
    through: datetime
    depletion_mm: float
    demand_mm: float = 0.0
    rain_mm: float = 0.0
    given_mm: float = 0.0
    drained_mm: float = 0.0
    corrected_mm: float = 0.0
    filled_hours: int = 0
    rainless_hours: int = 0
    last_given_at: datetime | None = None
    last_given_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Gift:
    """Water that somebody reported as given: number of the report, time in UTC, mm on the field."""

    number: int
    at: datetime
    mm: float


@dataclass(frozen=True, slots=True)
class FieldHour:
    """One hour of a field.

    Attributes:
        at: Its end, UTC.
        demand_mm: Demand of the crop without stress; filled where it was not known.
        fraction: Share of the available water that can be used without stress.
        rain_mm: NaN where it is not known; 0 under a roof.
        observed: Whether temperature and humidity were known.
    """

    at: datetime
    demand_mm: float
    fraction: float
    rain_mm: float
    observed: bool

    @property
    def known(self) -> bool:
        """Whether nothing of it is missing."""
        return self.observed and not math.isnan(self.rain_mm)


def soil_of(field: Field) -> water_balance.Soil:
    """The field's soil."""
    return water_balance.SOILS[field.soil]


def depth_of(field: Field) -> float:
    """Depth of the roots in m."""
    return field.root_depth_m or crops.CROPS[field.crop].root_depth_m


def total_mm(field: Field) -> float:
    """Total available water of the root zone."""
    return water_balance.total_available_mm(soil_of(field), depth_of(field))


def coefficient(field: Field, day: date) -> float:
    """Crop coefficient of a day."""
    planted = date.fromisoformat(field.planted_on) if field.planted_on else None
    return crops.coefficient(crops.CROPS[field.crop], planted, day)


def depletion_of(field: Field, moisture_pct: float) -> float | None:
    """Depletion by a soil moisture reading; None where the reading is not plausible for the soil.

    Args:
        field: The field.
        moisture_pct: Volumetric water content in percent.
    """
    content = moisture_pct / 100.0
    if not soil_of(field).allows(content):
        return None
    missing = 1000.0 * (soil_of(field).field_capacity - content) * depth_of(field)
    return min(max(missing, 0.0), total_mm(field))


def hours_of(field: Field, frame: pl.DataFrame, site: Site) -> list[FieldHour]:
    """Hours of a field from observations (rules S2, S3).

    Args:
        field: The field.
        frame: Checked hourly grid, see `quality.clean`.
        site: Where it is.
    """
    times = frame[TIME].to_list()
    et0 = hourly_et0(frame, site)
    factors = np.array([coefficient(field, at.date()) for at in times])
    demand = np.maximum(_filled(et0), 0.0) * factors
    rain = np.zeros(len(times)) if field.covered else frame[RAIN].cast(float).to_numpy()
    table = crops.CROPS[field.crop].depletion
    days = _last_day(demand)
    return [
        FieldHour(
            at=at,
            demand_mm=float(demand[i]),
            fraction=water_balance.depletion_fraction(table, float(days[i])),
            rain_mm=float(rain[i]),
            observed=bool(np.isfinite(et0[i])),
        )
        for i, at in enumerate(times)
    ]


def begin(at: datetime, depletion_mm: float = 0.0, *, assumed: bool = True) -> SoilWater:
    """A state without any hour (rule S4)."""
    return SoilWater(at, depletion_mm, assumed, at, depletion_mm)


def first_start(field: Field, hours: Sequence[FieldHour], now: datetime) -> SoilWater:
    """State of a field that has none, with the soil taken as full (rule S4)."""
    known = [hour.at for hour in hours if hour.observed]
    if field.covered or not known:
        return begin(now)
    return begin(known[0] - _HOUR)


def advance(
    state: SoilWater,
    field: Field,
    hours: Sequence[FieldHour],
    gifts: Iterable[Gift],
    end: datetime,
) -> tuple[SoilWater, SoilWater]:
    """Count the hours and the water since a state.

    Args:
        state: The hours up to its `through` are in it.
        field: The field.
        hours: Gapless, ascending, up to `end`; earlier ones are left out.
        gifts: Water that is not in the state; it may have been given before `through`.
        end: End of the newest full hour, UTC.

    Returns:
        What is booked for good (S2), and the present state with the hours that are waited for and
        all water given.
    """
    pending = sorted(gifts, key=lambda gift: (gift.at, gift.number))
    current = _bounded(state, total_mm(field))
    new = [hour for hour in hours if hour.at > state.through]
    newest = max((hour.at for hour in hours if hour.observed), default=state.through)
    pending, current = _given(pending, current, field, current.through)
    if new:
        skipped = round((new[0].at - state.through) / _HOUR) - 1
        current = replace(
            current,
            filled_hours=current.filled_hours + skipped,
            rainless_hours=current.rainless_hours + (0 if field.covered else skipped),
        )
    booked, waiting = current, False
    for hour in new:
        waiting = waiting or hour.at > newest or (not hour.known and hour.at > end - WAIT)
        pending, current = _given(pending, current, field, hour.at)
        current = _counted(current, field, hour)
        if not waiting:
            booked = current
    return booked, _given(pending, current, field, datetime.max.replace(tzinfo=end.tzinfo))[1]


def corrected(state: SoilWater, by_mm: float, total: float) -> SoilWater:
    """A state moved by a reading, within 0 and the total available water."""
    depletion = min(max(state.depletion_mm + by_mm, 0.0), total)
    moved = depletion - state.depletion_mm
    return replace(state, depletion_mm=depletion, corrected_mm=state.corrected_mm + moved)


def _bounded(state: SoilWater, total: float) -> SoilWater:
    """Rule S5."""
    return corrected(state, 0.0, total) if state.depletion_mm > total else state


def _counted(state: SoilWater, field: Field, hour: FieldHour) -> SoilWater:
    total = total_mm(field)
    rain = 0.0 if math.isnan(hour.rain_mm) else hour.rain_mm
    left = water_balance.flows(
        state.depletion_mm,
        total_mm=total,
        fraction=hour.fraction,
        demand_mm=hour.demand_mm,
        supply_mm=rain,
    )
    depletion = state.depletion_mm - rain + left.used_mm + left.drained_mm
    return replace(
        state,
        through=hour.at,
        depletion_mm=min(max(depletion, 0.0), total),
        demand_mm=state.demand_mm + left.used_mm,
        rain_mm=state.rain_mm + rain,
        drained_mm=state.drained_mm + left.drained_mm,
        filled_hours=state.filled_hours + (not hour.observed),
        rainless_hours=state.rainless_hours + math.isnan(hour.rain_mm),
    )


def _given(
    gifts: list[Gift], state: SoilWater, field: Field, until: datetime
) -> tuple[list[Gift], SoilWater]:
    """Add the water given up to a time (rule S6); the gifts after it, and the state."""
    for gift in gifts:
        if gift.at > until:
            continue
        reached = min(gift.mm * field.efficiency, state.depletion_mm)
        latest = state.last_given_at is None or gift.at >= state.last_given_at
        state = replace(
            state,
            depletion_mm=state.depletion_mm - reached,
            given_mm=state.given_mm + gift.mm,
            drained_mm=state.drained_mm + gift.mm - reached,
            last_given_at=gift.at if latest else state.last_given_at,
            last_given_mm=gift.mm if latest else state.last_given_mm,
        )
    return [gift for gift in gifts if gift.at > until], state


def _last_day(demand: Array) -> Array:
    """Demand of the 24 hours up to each; of fewer, scaled, at the start."""
    sums = np.concatenate([np.zeros(1), np.cumsum(demand)])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - _DAY, 0)
    return np.asarray(_DAY * (sums[ends] - sums[starts]) / (ends - starts))


def _filled(used: Array) -> Array:
    """Missing hours as the mean of that hour of the `FILL_DAYS` days before; 0 where none is."""
    filled = used.copy()
    for i in np.flatnonzero(np.isnan(used)):
        same = filled[max(i - FILL_DAYS * _DAY, i % _DAY) : i : _DAY]
        filled[i] = np.nanmean(same) if np.isfinite(same).any() else np.nan
    return np.nan_to_num(filled)
