"""Readings for live rules: hourly values of a role's sensors, then its newest reading."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.agronomy.derived import needed_for, values_of
from edge_agent.alerts.evidence import Measured
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import SOIL_MOISTURE, TIME
from edge_agent.observations import sensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.observations.intake import Intake
    from edge_agent.observations.sensors import Sample
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
            # The good reading before one out of limits says nothing about now.
            if self._intake.out_of_range(sensor):
                continue
            oldest = now - timedelta(seconds=sensor.max_age_s)
            sample = self._intake.newest(sensor)
            if sample is None:
                stored = self._store.samples(sensors.key_of(sensor), oldest, now)
                sample = sensors.settled(quantity, stored)
            # A reading older than its limit is no reading.
            if sample is not None and oldest <= sample.at <= now + sensors.AHEAD:
                samples.append(sample)
        if not samples:
            return Measured(now, None)
        value = sensors.together(quantity, [sample.value for sample in samples])
        return Measured(min(sample.at for sample in samples), value)


def _derived(quantity: str, inputs: Mapping[str, Measured]) -> Measured:
    """A quantity from one hour of what it needs; as old as the oldest of those."""
    at = min(measured.at for measured in inputs.values())
    values = {name: m.value for name, m in inputs.items() if m.value is not None}
    return Measured(at, float(values_of(quantity, values)) if len(values) == len(inputs) else None)
