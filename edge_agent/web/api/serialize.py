"""Snapshot -> answers of the interface. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_agent import __version__
from edge_agent.agronomy import irrigation
from edge_agent.agronomy.derived import quantities_of
from edge_agent.alerts import texts
from edge_agent.alerts.messages import advice_facts, rule_facts
from edge_agent.alerts.state_machine import Edge, Level
from edge_agent.contract.numbers import rounded
from edge_agent.core import sensor_reports
from edge_agent.core.agent_facts import (
    forecast_reason,
    guidance_at,
    health_facts,
    outbox_figures,
    release_facts,
    service_problems,
)
from edge_agent.messages.locale import Locale
from edge_agent.messages.payloads import fill
from edge_agent.messages.status import FORECAST_TOPICS, hours_of, sources_of
from edge_agent.web.api import schemas

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast
    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.updates.slots import ReleaseRef
    from edge_agent.web.snapshot import RuleStatus, Snapshot


def latest(snapshot: Snapshot) -> schemas.Latest:
    """The forecast that counts now."""
    device = snapshot.config.device
    decision, forecast = snapshot.decision, snapshot.forecast
    return schemas.Latest(
        site=device.site,
        device=device.id,
        issued_at=snapshot.at if decision is None else decision.forecast.issued_at,
        origin=forecast.origin if forecast else None,
        source=forecast.source.value if forecast else None,
        model_release=forecast.release if forecast else None,
        reason=forecast_reason(decision),
        notes=tuple(forecast.notes) if forecast else (),
        clock=snapshot.clock,
        forecast=series(forecast) if forecast else {},
        alerts_raised=tuple(
            status.rule.name
            for status in snapshot.rules
            if status.latch.level is Level.RAISED and status.evidence.met is not None
        ),
        advice=advice(snapshot),
    )


def series(forecast: Forecast) -> dict[str, schemas.SeriesAnswer]:
    """Hours of every quantity, by the last level of its topic."""
    return {
        FORECAST_TOPICS[name]: schemas.SeriesAnswer(
            quantity=name,
            unit=found.unit,
            hours=hours_of(forecast, found),
            sources=sources_of(forecast, name, found),
        )
        for name, found in quantities_of(forecast).items()
    }


def earlier(forecast: Forecast) -> schemas.KeptAnswer:
    """An earlier forecast."""
    return schemas.KeptAnswer(
        issued_at=forecast.issued_at,
        origin=forecast.origin,
        source=forecast.source.value,
        model_release=forecast.release,
        forecast=series(forecast),
    )


def advice(snapshot: Snapshot) -> schemas.AdviceAnswer | None:
    """Watering advice; None without a crop."""
    decided = None if snapshot.decision is None else snapshot.decision.advice
    if decided is None:
        return None
    crop = snapshot.config.irrigation.crop
    if isinstance(decided, irrigation.Advice):
        return fill(schemas.AdviceAnswer, advice_facts(crop, decided), {"reason": None})
    unknown = dict.fromkeys(schemas.AdviceAnswer.__struct_fields__)
    return fill(
        schemas.AdviceAnswer, unknown, {"crop": crop, "reason": decided.reason, "measured": False}
    )


def alerts(snapshot: Snapshot, language: str | None = None) -> schemas.Alerts:
    """Every rule, in the configured language or another."""
    device = snapshot.config.device
    locale = Locale(language or device.language, ZoneInfo(device.timezone))
    return schemas.Alerts(alerts=tuple(_alert(snapshot, rule, locale) for rule in snapshot.rules))


def _alert(snapshot: Snapshot, status: RuleStatus, locale: Locale) -> schemas.Alert:
    rule, latch, evidence = status.rule, status.latch, status.evidence
    known = evidence.met is not None
    forecast = snapshot.forecast if not rule.now else None
    source = snapshot.decision.origin_source if snapshot.decision else None
    if evidence.source and snapshot.decision and not rule.now:
        forecast, source = snapshot.decision.check.forecast, evidence.source
    observed_at = None if forecast is None else forecast.observed_at
    facts = rule_facts(rule, latch, evidence)
    why = {
        "needed": None if rule.now else rule.probability,
        "hour": evidence.hour,
        "window_h": None if rule.now else rule.within_h,
        "inputs": (evidence.source or f"sensor:{rule.role}")
        if rule.now
        else source
        if observed_at
        else None,
        "origin": observed_at,
        "source": forecast.source.value if forecast else None,
        "model_release": forecast.release if forecast else None,
    }
    text = None
    if facts["level"] == Level.RAISED:
        text = texts.alert_text(
            locale, rule, Edge.RAISED, evidence, now=snapshot.at, lasted=timedelta(0)
        )
    return fill(
        schemas.Alert,
        facts,
        {
            "known": known,
            "text": text,
            "why": fill(schemas.Why, facts, why),
            "seen": latch.acknowledged,
            "snoozed_until": latch.snoozed_until,
        },
    )


def release(snapshot: Snapshot) -> schemas.Release:
    """The release that runs, the one before it and the one left."""
    slots = snapshot.slots
    return fill(
        schemas.Release,
        release_facts(snapshot.manifest, snapshot.tuning, slots.left),
        {
            "current": _slot(slots.current),
            "previous": _slot(slots.previous),
            "on_trial": slots.trial is not None,
        },
    )


def health(
    snapshot: Snapshot, service: ServiceStatus | None, now: datetime
) -> schemas.HealthAnswer:
    """State of the agent."""
    link = service.link if service else None
    facts = health_facts(
        snapshot.decision,
        snapshot.clock,
        snapshot.slots.left,
        snapshot.outbox,
        snapshot.sensors,
    )
    told = service_problems(service) if service else ()
    problems = dict.fromkeys((*facts["problems"], *told, *snapshot.settings_problems))
    return fill(
        schemas.HealthAnswer,
        facts,
        {
            "at": snapshot.at,
            "clock": snapshot.clock,
            "agent_version": __version__,
            "data_age_s": data_age_s(snapshot, now),
            "guidance": guidance_at(snapshot.decision, now),
            "cycle_s": rounded(service.cycle_s, 3) if service else None,
            "updated_at": service.updated_at if service else None,
            "mqtt": schemas.MqttAnswer(
                connected=link.connected if link else False,
                version=link.version if link else "",
                problem=link.problem if link else "",
                connections=link.connections if link else 0,
            ),
            "outbox": outbox_figures(snapshot.outbox, delivered=True),
            "disk_free_bytes": snapshot.disk_free,
            "sensors": tuple(
                sensor_reports.aged(report, now, sensor.max_age_s)
                for report, sensor in zip(snapshot.sensors, snapshot.config.sensors, strict=True)
            ),
            "held_back": {
                status.rule.name: status.latch.held_back
                for status in snapshot.rules
                if status.latch.held_back
            },
            "rules_unknown": tuple(
                status.rule.name for status in snapshot.rules if status.evidence.met is None
            ),
            "problems": tuple(problems),
        },
    )


def data_age_s(snapshot: Snapshot, now: datetime) -> int | None:
    """Age of the newest observation behind the forecast in seconds; None where there is none."""
    observed_at = None if snapshot.forecast is None else snapshot.forecast.observed_at
    return None if observed_at is None else int((now - observed_at).total_seconds())


def _slot(slot: ReleaseRef | None) -> schemas.SlotAnswer | None:
    if slot is None:
        return None
    return schemas.SlotAnswer(release=slot.release, manifest_sha256=slot.sha256)
