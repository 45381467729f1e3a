"""Snapshot -> answers of the interface. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_agent import __version__
from edge_agent.agronomy import irrigation
from edge_agent.alerts import texts
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.forecast import P10, P90, Forecast, NoForecast, Source
from edge_agent.contract.schema import QUANTITIES
from edge_agent.core import cycle
from edge_agent.messages.locale import Locale
from edge_agent.messages.status import TARGET_TOPICS, hours_of, rounded, tuned_of
from edge_agent.observations import sensors
from edge_agent.web.api import schemas

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.updates.slots import ReleaseRef
    from edge_agent.web.snapshot import ComparedForecast, RuleStatus, SensorReading, Snapshot


def latest(snapshot: Snapshot) -> schemas.Latest:
    """The forecast that counts now."""
    device = snapshot.config.device
    made, known = snapshot.decision, snapshot.forecast
    return schemas.Latest(
        site=device.site,
        device=device.id,
        issued_at=snapshot.at if made is None else made.forecast.issued_at,
        origin=known.origin if known else None,
        source=known.source.value if known else None,
        model_release=known.release if known else None,
        reason=reason(snapshot),
        notes=tuple(known.notes) if known else (),
        clock=snapshot.clock,
        forecast=series(known) if known else {},
        alerts_raised=() if snapshot.decision is None else cycle.raised(snapshot.decision),
        advice=advice(snapshot),
    )


def series(forecast: Forecast) -> dict[str, schemas.SeriesAnswer]:
    """Hours of every target, by the word of its topic."""
    made = {}
    for name, word in TARGET_TOPICS.items():
        target = forecast.targets.get(name)
        if target is None:
            continue
        made[word] = schemas.SeriesAnswer(
            quantity=name, unit=target.unit, hours=hours_of(forecast, target)
        )
    return made


def kept(forecast: Forecast) -> schemas.KeptAnswer:
    """A forecast of earlier."""
    return schemas.KeptAnswer(
        issued_at=forecast.issued_at,
        origin=forecast.origin,
        source=forecast.source.value,
        model_release=forecast.release,
        forecast=series(forecast),
    )


def reason(snapshot: Snapshot) -> str | None:
    """Why there is no forecast; None where there is one."""
    if snapshot.decision is None:
        return "the first hour is being worked"
    made = snapshot.decision.forecast
    return made.reason if isinstance(made, NoForecast) else None


def advice(snapshot: Snapshot) -> schemas.AdviceAnswer | None:
    """Watering advice, None where it is not asked for."""
    made = None if snapshot.decision is None else snapshot.decision.advice
    if made is None:
        return None
    given = made if isinstance(made, irrigation.Advice) else None
    return schemas.AdviceAnswer(
        crop=snapshot.config.irrigation.crop,
        reason=made.reason if isinstance(made, irrigation.NoAdvice) else None,
        need_mm=round(given.need_mm, 1) if given else None,
        volume_l=round(given.volume_l, 0) if given and given.volume_l is not None else None,
        start=given.start if given else None,
        end=given.end if given else None,
        depletion_mm=round(given.depletion_mm, 1) if given else None,
        readily_mm=round(given.readily_mm, 1) if given else None,
        demand_mm=round(given.demand_mm, 1) if given else None,
        measured=given.measured if given else False,
    )


def alerts(snapshot: Snapshot, language: str | None = None) -> schemas.Alerts:
    """Every rule, in the configured language or another."""
    device = snapshot.config.device
    locale = Locale(language or device.language, ZoneInfo(device.timezone))
    return schemas.Alerts(alerts=tuple(_alert(snapshot, rule, locale) for rule in snapshot.rules))


def _alert(snapshot: Snapshot, shown: RuleStatus, locale: Locale) -> schemas.Alert:
    rule, latch, evidence, held = shown.rule, shown.latch, shown.evidence, shown.held
    known = evidence.met is not None
    forecast = snapshot.forecast if not rule.now else None
    source = snapshot.decision.origin_source if snapshot.decision else None
    # Normals rest on no observation.
    observed = forecast is not None and forecast.source is not Source.CLIMATOLOGY
    return schemas.Alert(
        rule=rule.name,
        level=latch.level.value,
        known=known,
        severity=rule.severity,
        since=latch.since,
        quantity=rule.quantity,
        operator=rule.operator,
        threshold=rule.threshold,
        text=texts.alert_text(
            locale, rule, Edge.RAISED, evidence, now=snapshot.at, lasted=timedelta(0)
        )
        if known
        else "",
        why=schemas.Why(
            value=rounded(evidence.value),
            unit=texts.unit_of(rule.quantity),
            probability=rounded(evidence.probability, 3),
            needed=None if rule.now else rule.probability,
            hour=evidence.hour,
            window_h=None if rule.now else rule.within_h,
            inputs=f"sensor:{rule.role}" if rule.now else source if observed else None,
            origin=forecast.origin if forecast and observed else None,
            source=forecast.source.value if forecast else None,
            model_release=forecast.release if forecast else None,
        ),
        seen=held is not None and held.seen,
        snoozed_until=held.until if held else None,
    )


def sensor(reading: SensorReading, snapshot: Snapshot, now: datetime) -> schemas.SensorAnswer:
    """One sensor and its newest reading."""
    configured, sample = reading.sensor, reading.sample
    oldest = now - timedelta(seconds=configured.max_age_s)
    return schemas.SensorAnswer(
        topic=configured.topic,
        role=configured.role,
        quantity=configured.quantity,
        unit=QUANTITIES[configured.quantity].unit,
        value=None if sample is None else rounded(sample.value),
        at=None if sample is None else sample.at,
        fresh=sample is not None and oldest <= sample.at <= now + sensors.AHEAD,
        refused=snapshot.refused.get(sensors.key_of(configured), 0),
    )


def release(snapshot: Snapshot) -> schemas.Release:
    """The live release and its neighbours."""
    manifest, slots = snapshot.manifest, snapshot.slots
    left = slots.left
    return schemas.Release(
        release=manifest.release if manifest else None,
        channel=manifest.channel if manifest else None,
        created_at=manifest.created_at if manifest else None,
        reason=manifest.reason if manifest else None,
        versions={n: m.version for n, m in manifest.models.items()} if manifest else {},
        scores=manifest.scores if manifest else {},
        lineage=manifest.lineage if manifest else {},
        current=_slot(slots.current),
        previous=_slot(slots.previous),
        left_release=left.release if left else None,
        left_reason=left.why if left else None,
        on_trial=slots.trial is not None,
        tuned=tuned_of(snapshot.tuning),
    )


def health(
    snapshot: Snapshot, condition: ServiceStatus | None, now: datetime
) -> schemas.HealthAnswer:
    """How the agent is."""
    forecast, counts = snapshot.forecast, snapshot.outbox
    link = condition.link if condition else None
    return schemas.HealthAnswer(
        at=snapshot.at,
        clock=snapshot.clock,
        agent_version=__version__,
        forecast_source=forecast.source.value if forecast else None,
        data_age_s=data_age_s(snapshot, now),
        cycle_s=rounded(condition.cycle_s, 3) if condition else None,
        updated_at=condition.updated_at if condition else None,
        mqtt=schemas.MqttAnswer(
            connected=link.connected if link else False,
            version=link.version if link else "",
            problem=link.problem if link else "",
            connections=link.connections if link else 0,
        ),
        outbox={
            **{f"waiting_{kind}": n for kind, n in counts.waiting.items()},
            **{f"delivered_{kind}": n for kind, n in counts.delivered.items()},
            **{f"dropped_{kind}": n for kind, n in counts.dropped_for_room.items()},
            **{f"expired_{kind}": n for kind, n in counts.dropped_expired.items()},
            **{f"refused_{kind}": n for kind, n in counts.refused.items()},
        },
        disk_free_bytes=snapshot.disk_free,
        sensors=tuple(sensor(reading, snapshot, now) for reading in snapshot.readings),
        rules_unknown=() if snapshot.decision is None else snapshot.decision.unknown,
        problems=problems(snapshot, condition),
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """One hour of an earlier forecast, and what came."""

    at: datetime
    lead_h: int
    value: float
    low: float
    high: float
    observed: float


def compared(past: ComparedForecast, quantity: str) -> tuple[Compared, ...]:
    """Hours of an earlier forecast that were observed since, oldest first."""
    forecast, observed = past.forecast, past.observed.get(quantity, {})
    target = forecast.targets[quantity]
    low, high = target.quantile(P10), target.quantile(P90)
    return tuple(
        Compared(
            at,
            round((at - forecast.origin) / timedelta(hours=1)),
            float(target.values[i]),
            float(low[i]),
            float(high[i]),
            observed[at],
        )
        for i, at in enumerate(forecast.valid_at)
        if at in observed
    )


def data_age_s(snapshot: Snapshot, now: datetime) -> int | None:
    """Age of the newest observation behind the forecast in seconds; None where there is none."""
    known = snapshot.forecast
    return (
        None
        if known is None or known.source is Source.CLIMATOLOGY
        else int((now - known.origin).total_seconds())
    )


def problems(snapshot: Snapshot, condition: ServiceStatus | None) -> tuple[str, ...]:
    """What is not as it should be, in words; empty is well."""
    forecast = snapshot.forecast
    found = list(forecast.notes) if forecast else [reason(snapshot) or ""]
    if snapshot.clock == "untrusted":
        found.append("the clock is behind times that have surely passed")
    if snapshot.slots.left is not None:
        found.append(f"release {snapshot.slots.left.release} was left: {snapshot.slots.left.why}")
    if condition is not None:
        found.extend(f"{job}: {text}" for job, text in condition.faults.items())
        if not condition.link.connected:
            found.append(f"mqtt: {condition.link.problem}")
    return tuple(found)


def _slot(slot: ReleaseRef | None) -> schemas.SlotAnswer | None:
    if slot is None:
        return None
    return schemas.SlotAnswer(release=slot.release, manifest_sha256=slot.sha256)
