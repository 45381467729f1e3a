"""Water that is missing in a field's root zone: a state that only what happened moves. Pure.

S1  Demand of the crop, rain (not under a roof) and water that was reported move the depletion. A
    plausible soil moisture reading corrects it. Each is summed since the start, so that
    depletion = start + demand - rain - given + drained + corrected.
S2  An hour is booked once, by its time, in order, as soon as temperature, humidity and rain of it
    are known. One that lacks any of them is waited for, for `WAIT`; meanwhile the present depletion
    counts it as if it were filled, and nothing is booked. Hours after the newest observation are
    never booked.
S3  A missing hour has the demand that `field_hours` fills in. Rain that is not known adds nothing.
    Both are counted in hours, and told.
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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy import water_balance
from edge_agent.agronomy.field_hours import total_mm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_agent.agronomy.field_hours import Field, FieldHour

WAIT: Final = timedelta(hours=24)
"""How long an hour that is not known is waited for."""
_HOUR: Final = timedelta(hours=1)


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


def begin(at: datetime, depletion_mm: float = 0.0, *, assumed: bool = True) -> SoilWater:
    """A state without any hour (rule S4)."""
    return SoilWater(at, depletion_mm, assumed, at, depletion_mm)


def first_start(field: Field, hours: Sequence[FieldHour], now: datetime) -> SoilWater:
    """State of a field that has none, with the soil taken as full (rule S4)."""
    observed = [hour.at for hour in hours if hour.observed]
    if field.covered or not observed:
        return begin(now)
    return begin(observed[0] - _HOUR)


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
    rain = 0.0 if math.isnan(hour.rain_mm) else hour.rain_mm
    flows = water_balance.flows(
        state.depletion_mm,
        total_mm=total_mm(field),
        fraction=hour.fraction,
        demand_mm=hour.demand_mm,
        supply_mm=rain,
    )
    return replace(
        state,
        through=hour.at,
        depletion_mm=flows.depletion_mm,
        demand_mm=state.demand_mm + flows.used_mm,
        rain_mm=state.rain_mm + rain,
        drained_mm=state.drained_mm + flows.drained_mm,
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
