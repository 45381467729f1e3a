"""What the page and the interface show: an immutable snapshot of the agent.

The loop takes a `Snapshot` after each cycle, watch and request. Other threads read the newest one
and never touch the agent's parts. Answers are cached with their snapshot, so that many requests
for the same thing cost one rendering.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from edge_agent.alerts.log import KEPT
from edge_agent.alerts.state_machine import Latch
from edge_agent.contract.forecast import Forecast
from edge_agent.contract.schema import MEASURED, TARGETS, TIME
from edge_agent.core import official_reports
from edge_agent.core.cross_check import CrossCheck
from edge_agent.core.rules import inputs_of, watched
from edge_agent.forecasting import online_correction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.log import LoggedEdge
    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Tuning
    from edge_agent.core.cycle import Decision
    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.core.runtime import Runtime
    from edge_agent.messages.payloads import SensorReport, Skill
    from edge_agent.mqtt.outbox_counts import Counts
    from edge_agent.observations.store import Store
    from edge_agent.settings import Config, Rule
    from edge_agent.updates.slots import Pointer

_T = TypeVar("_T")
_DAY: Final = timedelta(hours=24)
_RECENT: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """One rule: its latch, and the evidence about it."""

    rule: Rule
    latch: Latch
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class StationValues:
    """Newest hour of the observations behind the forecast; values by quantity, nulls left out."""

    source: str
    at: datetime
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ComparedForecast:
    """A forecast of about a day ago, and what was then observed (by quantity and hour)."""

    forecast: Forecast
    observed: Mapping[str, Mapping[datetime, float]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the agent.

    Attributes:
        at: When it was taken, UTC.
        clock: How far that time can be trusted.
        config: The configuration.
        decision: Of the last cycle; None before the first.
        rules: Every rule.
        sensors: Every configured sensor.
        station: Newest observations behind the forecast, or None.
        past: Yesterday's forecast, or None.
        manifest: The live release, or None.
        tuning: Its corrections for this farm, or None.
        slots: Live, previous and left release.
        outbox: Counts of the queue.
        settings_problems: See `Runtime.settings_problems`.
        disk_free: Bytes.
        skill: Errors of the forecasts of the last 30 days, by quantity and lead.
        official: State of every kind of KMA's warnings; empty where none can be told.
        edges: Log of the alerts with their numbers, newest first, while the disk refuses; None: the
            disk has it.
    """

    at: datetime
    clock: ClockState
    config: Config
    decision: Decision | None
    rules: tuple[RuleStatus, ...]
    sensors: tuple[SensorReport, ...]
    station: StationValues | None
    past: ComparedForecast | None
    manifest: Manifest | None
    tuning: Tuning | None
    slots: Pointer
    outbox: Counts
    settings_problems: tuple[str, ...]
    disk_free: int
    skill: tuple[Skill, ...]
    edges: tuple[tuple[int, LoggedEdge], ...] | None
    official: tuple[OfficialLatch, ...] = ()

    @property
    def forecast(self) -> Forecast | None:
        """The forecast of the last cycle, or None where there was none."""
        forecast = None if self.decision is None else self.decision.forecast
        return forecast if isinstance(forecast, Forecast) else None


class SnapshotCache:
    """Newest snapshot and service state, set by the loop, read by the threads that answer.

    Answers that were made of a snapshot are cached until the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._service: ServiceStatus | None = None
        self._cache: dict[str, object] = {}

    def update(self, runtime: Runtime, decision: Decision | None) -> None:
        """Take a new snapshot; on the loop's thread."""
        before = self._snapshot
        # Skill is summed over a month and changes once an hour.
        same = before is not None and before.decision is decision
        self.set_snapshot(
            take_snapshot(runtime, decision, before.skill if before and same else None)
        )

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the snapshot, and drop what was cached."""
        with self._lock:
            self._snapshot = snapshot
            self._cache = {}

    def set_service(self, service: ServiceStatus) -> None:
        """Replace the state of the service."""
        with self._lock:
            self._service = service

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot; None before the first cycle is over."""
        return self._snapshot

    @property
    def service(self) -> ServiceStatus | None:
        """State of the service; None before its first turn."""
        return self._service

    def cached(self, key: str, make: Callable[[], _T]) -> _T:
        """The result of `make`, made once for each key and snapshot."""
        # A snapshot that comes meanwhile has a cache of its own.
        cache = self._cache
        if key not in cache:
            cache[key] = make()
        return cache[key]  # type: ignore[return-value] # a key stands for one type


def take_snapshot(
    runtime: Runtime, decision: Decision | None, skill: tuple[Skill, ...] | None = None
) -> Snapshot:
    """Take a snapshot of a runtime; on the thread that owns it.

    Args:
        runtime: The agent's parts.
        decision: Of its last cycle.
        skill: Of an earlier snapshot after the same cycle; None: to be summed.

    Raises:
        StorageError: The disk refused.
    """
    context, release = runtime.context(), runtime.release()
    at, clock = runtime.time.judge()
    latches = runtime.latches.all()
    forecast = decision.forecast if decision else None
    if not isinstance(forecast, Forecast):
        forecast = None
    rules, check = [], decision.check if decision else CrossCheck()
    for rule in watched(context, at):
        evidence = inputs_of(context, rule, forecast, check, at).evidence
        latch = latches.get(rule.name, Latch(rule=rule.name))
        rules.append(RuleStatus(rule, latch, evidence))
    source = "" if decision is None else decision.origin_source
    return Snapshot(
        at=at,
        clock=clock,
        config=runtime.config,
        decision=decision,
        rules=tuple(rules),
        sensors=runtime.sensor_reports(at),
        station=_station(runtime.store, source, at),
        past=_past(runtime.store, source, at),
        manifest=release.manifest if release else None,
        tuning=release.tuned if release else None,
        slots=runtime.slots.pointer(),
        outbox=runtime.outbox.counts(),
        settings_problems=runtime.settings_problems(at),
        disk_free=shutil.disk_usage(runtime.state).free,
        skill=online_correction.skill(runtime.verification, at) if skill is None else skill,
        official=official_reports.latches_of(runtime),
        edges=None if runtime.on_disk else tuple(runtime.log.before(None, KEPT)),
    )


def _station(store: Store, source: str, now: datetime) -> StationValues | None:
    frame = store.hourly(source, now - _RECENT, now)
    if not frame.height:
        return None
    row = frame.row(-1, named=True)
    values = {name: float(row[name]) for name in MEASURED if row.get(name) is not None}
    return StationValues(source, row[TIME], values)


def _past(store: Store, source: str, now: datetime) -> ComparedForecast | None:
    forecasts = store.forecasts(now - _DAY - _RECENT, now - _DAY)
    if not forecasts:
        return None
    forecast = forecasts[-1]
    frame = store.hourly(source, forecast.issued_at, now)
    observed = {
        name: {
            at: float(value)
            for at, value in frame.select(TIME, name).iter_rows()
            if value is not None
        }
        for name in TARGETS
    }
    return ComparedForecast(forecast, observed)
