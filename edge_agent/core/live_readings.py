"""Readings for live rules: hourly values of a role's sensors, then its value now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.agronomy.derived import needed_for, values_of
from edge_agent.alerts.evidence import Measured
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.quantity import HourMethod
from edge_agent.contract.schema import MEASURED, SOIL_MOISTURE, TIME
from edge_agent.observations import sensors
from edge_agent.observations.sensors import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.observations.intake import Intake
    from edge_agent.observations.store import Store
    from edge_agent.settings import Rule, Sensor


class LiveReadings:
    """Readings from the messages since the start and from the store.

    Args:
        configured: The sensors of the configuration.
        intake: Messages since the start.
        store: Samples and hours that are written.
    """

    def __init__(self, configured: Sequence[Sensor], intake: Intake, store: Store) -> None:
        self._sensors = tuple(configured)
        self._intake = intake
        self._store = store

    def readings(self, rule: Rule, now: datetime) -> list[Measured]:
        """The `for_h` newest values for a rule, oldest first; null where there is none."""
        names = needed_for(rule.quantity)
        inputs = zip(*(self._of(rule, name, now) for name in names), strict=True)
        return [_derived(rule.quantity, dict(zip(names, hour, strict=True))) for hour in inputs]

    def soil_moisture(self, now: datetime) -> float | None:
        """Median of the soil moisture sensors in percent, None where none has a current reading."""
        return self._newest("soil", SOIL_MOISTURE, now).value

    def _of(self, rule: Rule, quantity: str, now: datetime) -> list[Measured]:
        hour = start_of_hour(now)
        hours = [hour - timedelta(hours=back) for back in range(rule.for_h - 2, -1, -1)]
        if not hours:
            return [self._newest(rule.role, quantity, now)]
        frame = self._store.hourly(sensors.source_of(rule.role), hours[0], hours[-1])
        values = dict(frame.select(TIME, quantity).iter_rows())
        before = [Measured(at, values.get(at)) for at in hours]
        return [*before, self._newest(rule.role, quantity, now)]

    def _newest(self, role: str, quantity: str, now: datetime) -> Measured:
        samples: list[Sample] = []
        for sensor in self._sensors:
            if (sensor.role, sensor.quantity) != (role, quantity):
                continue
            oldest = now - timedelta(seconds=sensor.max_age_s)
            sample = self._current(sensor, oldest, now)
            # A reading older than its limit is no reading.
            if sample is not None and oldest <= sample.at <= now + sensors.AHEAD:
                samples.append(sample)
        if not samples:
            return Measured(now, None)
        value = sensors.together(quantity, [sample.value for sample in samples])
        return Measured(min(sample.at for sample in samples), value)

    def _current(self, sensor: Sensor, oldest: datetime, now: datetime) -> Sample | None:
        # The good reading before one out of limits says nothing about now.
        if self._intake.out_of_range(sensor):
            return None
        if MEASURED[sensor.quantity].hourly is HourMethod.COUNTER:
            return self._last_hour(sensor, now)
        sample = self._intake.newest(sensor)
        fresh = sample is not None and sample.at > now - sensors.RECENT
        if fresh or self._intake.clock_was_set:
            # What was dated before the clock was set is not current.
            return sample
        # After a start a late reading may be all that has come, and the store knows a newer one.
        stored = self._store.current_samples(sensors.key_of(sensor), oldest, now)
        return sensors.settled(sensor, [*stored, *self._intake.waiting(sensor)])

    def _last_hour(self, sensor: Sensor, now: datetime) -> Sample | None:
        """What a running total rose by in the last hour; None where no reading is of now."""
        key, waiting = sensors.key_of(sensor), self._intake.waiting(sensor)
        if not waiting and not self._store.current_samples(key, now - sensors.BEFORE, now):
            return None
        stored = self._store.samples(key, now - sensors.BEFORE, now)
        waiting = [sample for sample in waiting if sample.at <= now]
        samples = sorted({*stored, *waiting}, key=lambda sample: sample.at)
        value = sensors.hour_value(sensor, sensors.amounts(sensor, samples), now)
        return None if value is None else Sample(samples[-1].at, value)


def _derived(quantity: str, inputs: Mapping[str, Measured]) -> Measured:
    """A quantity from one hour of what it needs; as old as the oldest of those."""
    at = min(measured.at for measured in inputs.values())
    values = {name: m.value for name, m in inputs.items() if m.value is not None}
    return Measured(at, float(values_of(quantity, values)) if len(values) == len(inputs) else None)
