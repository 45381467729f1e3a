"""Snapshot and service state -> metrics for Prometheus. The only user of prometheus_client."""

from __future__ import annotations

import math
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from edge_agent import __version__
from edge_agent.agronomy.derived import quantities_of
from edge_agent.alerts.messages import rule_facts
from edge_agent.alerts.state_machine import Level
from edge_agent.core.agent_facts import guidance_at
from edge_agent.messages.status import FORECAST_TOPICS, TARGET_TOPICS
from edge_agent.observations.sensors import key_of
from edge_agent.web.api import serialize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client.core import Metric

    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.messages.payloads import GuidanceReport
    from edge_agent.web.snapshot import Snapshot

_Labels = TypeVar("_Labels", bound=tuple[str, ...])
_PREFIX: Final = "farm_edge_"
_LEADS: Final = (1, 6, 12, 24, 48)
_CLOCKS: Final = ("trusted", "holdover", "untrusted")
_IO: Final = Path("/proc/self/io")
_STATM: Final = Path("/proc/self/statm")


def text(snapshot: Snapshot | None, service: ServiceStatus | None, now: datetime) -> bytes:
    """Prometheus' text format 0.0.4; what is not known is left out, never 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Agent(snapshot, service, now))
    return generate_latest(registry)


class _Agent(Collector):
    def __init__(
        self, snapshot: Snapshot | None, service: ServiceStatus | None, now: datetime
    ) -> None:
        self._snapshot = snapshot
        self._service = service
        self._now = now

    def collect(self) -> Iterable[Metric]:
        yield _gauge("info", "Always 1; the version is a label.", {(__version__,): 1.0}, "version")
        yield from _process()
        if self._service is not None:
            yield from _service(self._service)
        if self._snapshot is not None:
            yield from _weather(self._snapshot, self._now)
            yield from _alerts(self._snapshot)
            yield from _verified(self._snapshot)
            yield from _storage(self._snapshot)


def _process() -> Iterator[Metric]:
    pages = int(_STATM.read_text("ascii").split()[1])
    size = pages * os.sysconf("SC_PAGE_SIZE")
    yield _gauge("memory_bytes", "Resident memory of the agent.", {(): float(size)})
    try:
        lines = dict(line.split(": ") for line in _IO.read_text("ascii").splitlines())
    except OSError:  # hidden by some sandboxes
        return
    written = float(lines["write_bytes"])
    yield _counter("written_bytes", "Bytes handed to the disk since the start.", {(): written})


def _service(service: ServiceStatus) -> Iterator[Metric]:
    link = service.link
    yield _gauge("mqtt_connected", "1 while the broker is there.", {(): float(link.connected)})
    yield _counter("mqtt_connections", "Connections since the start.", {(): link.connections})
    if service.cycle_s is not None:
        yield _gauge("cycle_seconds", "How long the last cycle took.", {(): service.cycle_s})
    if service.updated_at is not None:
        at = service.updated_at.timestamp()
        yield _gauge("sync_timestamp_seconds", "When the last sync went through.", {(): at})
    jobs = {(job,): 1.0 for job in service.faults}
    yield _gauge("job_failing", "1 for each job with a fault.", jobs, "job")


def _weather(snapshot: Snapshot, now: datetime) -> Iterator[Metric]:
    forecast = snapshot.forecast
    source = forecast.source.value if forecast else "none"
    yield _gauge("forecast_source", "1 for the rung that speaks.", {(source,): 1.0}, "source")
    if forecast is None:
        return
    age = serialize.data_age_s(snapshot, now)
    if age is not None:
        yield _gauge("data_age_seconds", "Age of the newest observation used.", {(): float(age)})
    values: dict[tuple[str, ...], float] = {}
    rows = {at: row for row, at in enumerate(forecast.valid_at)}
    for name, series in quantities_of(forecast).items():
        for lead in _LEADS:
            row = rows.get(forecast.origin + timedelta(hours=lead))
            if row is not None and math.isfinite(series.values[row]):
                values[FORECAST_TOPICS[name], str(lead)] = float(series.values[row])
    about = "Point forecast in the unit of its quantity, by hours after the newest observation."
    yield _gauge("forecast", about, values, "target", "lead_h")
    yield from _guidance(guidance_at(snapshot.decision, now))


def _guidance(report: GuidanceReport | None) -> Iterator[Metric]:
    if report is None:
        return
    age = {(report.cell,): float(report.age_s)}
    yield _gauge("guidance_age_seconds", "Age of KMA's newest forecast used.", age, "cell")
    weight = {(TARGET_TOPICS[name],): share for name, share in report.weight.items()}
    about = "Mean share of KMA's corrected forecast in the forecast, 0 to 1."
    yield _gauge("guidance_weight", about, weight, "target")
    known = {(TARGET_TOPICS[name],): rmse for name, rmse in report.rmse.items() if rmse is not None}
    about = "Root mean square error of KMA's newest issues here in the last 30 days, as they are."
    yield _gauge("guidance_rmse", about, known, "target")


def _alerts(snapshot: Snapshot) -> Iterator[Metric]:
    raised = {
        (status.rule.name, status.rule.severity): float(status.latch.level is Level.RAISED)
        for status in snapshot.rules
        if status.evidence.met is not None
    }
    yield _gauge("alert_raised", "1 while an alert stands.", raised, "rule", "severity")
    held = {
        (status.rule.name, status.latch.held_back.why): 1.0
        for status in snapshot.rules
        if status.latch.held_back
    }
    yield _gauge("alert_held_back", "1 where a message about a rule waits.", held, "rule", "why")
    facts = [rule_facts(each.rule, each.latch, each.evidence) for each in snapshot.rules]
    chances = {
        (each["rule"],): each["probability"] for each in facts if each["probability"] is not None
    }
    yield _gauge("alert_probability", "Chance of a rule's event now.", chances, "rule")
    unknown = {(status.rule.name,): float(status.evidence.met is None) for status in snapshot.rules}
    yield _gauge("alert_unknown", "1 where nothing is known about a rule.", unknown, "rule")


def _verified(snapshot: Snapshot) -> Iterator[Metric]:
    by_lead = {(TARGET_TOPICS[s.quantity], str(s.lead_h)): s for s in snapshot.skill}
    about = "Root mean square error of the last 30 days' forecasts, by lead."
    rmse = {key: skill.rmse for key, skill in by_lead.items()}
    yield _gauge("forecast_rmse", about, rmse, "target", "lead_h")
    about = "Mean of observed less forecast in the last 30 days, by lead."
    bias = {key: skill.bias for key, skill in by_lead.items()}
    yield _gauge("forecast_bias", about, bias, "target", "lead_h")
    about = "Share of the last 30 days' hours within their 10-90 % interval, by lead."
    inside = {key: skill.coverage for key, skill in by_lead.items()}
    yield _gauge("interval_coverage", about, inside, "target", "lead_h")


def _storage(snapshot: Snapshot) -> Iterator[Metric]:
    counts = snapshot.outbox
    kinds = ("alert", "state", "telemetry")
    waiting = {(kind,): float(counts.waiting.get(kind, 0)) for kind in kinds}
    yield _gauge("outbox_waiting", "Messages that wait for the broker.", waiting, "kind")
    fates = {
        "delivered": counts.delivered,
        "no_room": counts.dropped_for_room,
        "expired": counts.dropped_expired,
        "refused": counts.refused,
    }
    gone = {(kind, fate): float(n.get(kind, 0)) for fate, n in fates.items() for kind in kinds}
    yield _counter("outbox_messages", "Messages that left the queue.", gone, "kind", "fate")
    clock = {(state,): float(state == snapshot.clock) for state in _CLOCKS}
    yield _gauge("clock_state", "1 for how the clock is trusted.", clock, "state")
    yield _gauge("disk_free_bytes", "Room left for the agent.", {(): float(snapshot.disk_free)})
    if snapshot.manifest is not None:
        yield _gauge(
            "release", "Number of the live release.", {(): float(snapshot.manifest.release)}
        )
    refused = {
        (key_of(report),): float(report.refused) for report in snapshot.sensors if report.refused
    }
    yield _counter("sensor_refused", "Sensor messages that were refused.", refused, "sensor")


def _gauge(name: str, about: str, values: Mapping[_Labels, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, about, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _counter(name: str, about: str, values: Mapping[_Labels, float], *labels: str) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, about, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
