"""What the agent tells of each sensor: last value, age, refusals, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from edge_agent.contract.numbers import fixed, rounded
from edge_agent.contract.schema import QUANTITIES
from edge_agent.messages.payloads import RefusedReading, SensorReport
from edge_agent.observations import sensors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edge_agent.observations.intake import Intake, SensorState
    from edge_agent.observations.sensors import Sample
    from edge_agent.observations.store import Store
    from edge_agent.settings import Sensor

TOLD: Final = timedelta(hours=1)
"""A refusal is a problem for so long, though good readings came after it."""


def reports(
    intake: Intake, store: Store, now: datetime, listening_s: float | None
) -> tuple[SensorReport, ...]:
    """Every configured sensor.

    Args:
        intake: What was heard since the start.
        store: What was heard before.
        now: UTC.
        listening_s: For how long this process has listened; None where it does not listen.

    Raises:
        StorageError: The disk refused.
    """
    states = intake.states()
    per_topic = Counter(state.sensor.topic for state in states)
    return tuple(
        _report(
            state,
            state.sample or _stored(store, state.sensor, now),
            now,
            listening_s,
            shared=per_topic[state.sensor.topic] > 1,
        )
        for state in states
    )


def aged(report: SensorReport, now: datetime, limit_s: float) -> SensorReport:
    """The report with its age at a later time.

    Args:
        report: Of an earlier time.
        now: UTC.
        limit_s: The sensor's `max_age_s`.
    """
    if report.at is None:
        return report
    age_s = int(max(now - report.at, timedelta(0)).total_seconds())
    return replace(report, age_s=age_s, fresh=report.fresh and age_s <= limit_s)


def problems(told: Iterable[SensorReport]) -> tuple[str, ...]:
    """What is wrong with the sensors, for people."""
    return tuple(report.problem for report in told if report.problem is not None)


def _report(
    state: SensorState,
    sample: Sample | None,
    now: datetime,
    listening_s: float | None,
    *,
    shared: bool,
) -> SensorReport:
    sensor, last = state.sensor, state.last_refused
    age = None if sample is None else max(now - sample.at, timedelta(0))
    name = f"{sensor.topic} {sensor.field}" if shared and sensor.field else sensor.topic
    problem = _refused(state, now) or _silent(sensor, sample, age, listening_s)
    return SensorReport(
        topic=sensor.topic,
        field=sensor.field,
        role=sensor.role,
        quantity=sensor.quantity,
        unit=QUANTITIES[sensor.quantity].unit,
        value=None if sample is None else rounded(sample.value),
        at=None if sample is None else sample.at,
        age_s=None if age is None else int(age.total_seconds()),
        fresh=age is not None and age <= _limit(sensor) and not state.out_of_range,
        refused=state.refused,
        last_refused=None
        if last is None
        else RefusedReading(at=last.at, value=last.value, reason=last.reason),
        problem=f"sensor {name}: {problem}" if problem else None,
    )


def _stored(store: Store, sensor: Sensor, now: datetime) -> Sample | None:
    samples = store.current_samples(sensors.key_of(sensor), now - sensors.BEHIND, now)
    return samples[-1] if samples else None


def _refused(state: SensorState, now: datetime) -> str:
    last = state.last_refused
    if last is None:
        return ""
    # A refusal that a clock far ahead has dated is none of now.
    if not state.out_of_range and not -sensors.AHEAD <= now - last.at <= TOLD:
        return ""
    why = last.reason.removeprefix(f"{state.sensor.topic}: ")
    return f"{state.refused} refused, last {last.value}: {why}"


def _silent(
    sensor: Sensor, sample: Sample | None, age: timedelta | None, listening_s: float | None
) -> str:
    if listening_s is not None and listening_s <= sensor.max_age_s:
        return ""
    if sample is None or age is None:
        started = timedelta(seconds=listening_s or 0.0)
        return f"not heard since the start {span(started)} ago" if listening_s else "never heard"
    row = QUANTITIES[sensor.quantity]
    last = f"last {fixed(sample.value, row.digits)} {row.unit}"
    return f"silent for {span(age)}, {last}" if age > _limit(sensor) else ""


def _limit(sensor: Sensor) -> timedelta:
    return timedelta(seconds=sensor.max_age_s)


def span(length: timedelta) -> str:
    """A length in minutes up to two hours, then in hours, then in days."""
    minutes = int(length / timedelta(minutes=1))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
