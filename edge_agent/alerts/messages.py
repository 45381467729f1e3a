"""Forecasts, alert states and edges -> messages for the outbox. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.alerts import texts
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract import schema
from edge_agent.contract.forecast import P10, P90
from edge_agent.messages import envelope
from edge_agent.messages.message import Kind
from edge_agent.messages.payloads import (
    ActionOrder,
    AdvicePayload,
    AlertEvent,
    AlertState,
    ForecastHour,
    ForecastPayload,
    FreshPayload,
    HealthPayload,
    HistoryPayload,
    ModelPayload,
    Tuned,
)
from edge_agent.observations import export

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.alerts.evaluation import Verdict
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.state_machine import Latch
    from edge_agent.contract.farm_identity import Identity
    from edge_agent.contract.forecast import Forecast, TargetForecast
    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Tuning
    from edge_agent.messages.envelope import Voice
    from edge_agent.messages.message import Message
    from edge_agent.settings import Rule
    from edge_agent.updates.slots import Left

TARGET_TOPICS: Final = {schema.AIR_TEMPERATURE: "temperature", schema.RELATIVE_HUMIDITY: "humidity"}
_SECOND: Final = timedelta(seconds=1)
DRILL_VALID: Final = timedelta(minutes=15)
"""A drill that comes late proves nothing."""
EVENT_VALID: Final = timedelta(hours=24)
"""How long the news of an edge is worth sending when no forecast window says otherwise."""

HISTORY_VALID: Final = timedelta(days=30)
"""A device that is gone has told its last week for a month; then the broker forgets it."""


def forecast_messages(voice: Voice, forecast: Forecast) -> list[Message]:
    """One retained state per target."""
    made = []
    for name, topic in TARGET_TOPICS.items():
        target = forecast.targets.get(name)
        if target is None:
            continue
        payload = ForecastPayload(
            **envelope.base(voice, "forecast", f"forecast/{topic}"),
            quantity=name,
            unit=target.unit,
            origin=forecast.origin,
            hours=hours_of(forecast, target),
            notes=tuple(forecast.notes),
            adjusted=tuple(forecast.adjusted),
            inputs=voice.inputs,
        )
        made.append(envelope.state(voice.topics.forecast(topic), payload, Kind.STATE))
    return made


def hours_of(forecast: Forecast, target: TargetForecast) -> tuple[ForecastHour, ...]:
    """Hours of one of the forecast's targets, as messages and the page have them."""
    low, high = target.quantile(P10), target.quantile(P90)
    return tuple(
        ForecastHour(
            valid_at=at,
            lead_h=round((at - forecast.origin) / timedelta(hours=1)),
            value=rounded(target.values[i]),
            p10=rounded(low[i]),
            p90=rounded(high[i]),
        )
        for i, at in enumerate(forecast.valid_at)
    )


def state_message(voice: Voice, rule: Rule, latch: Latch, evidence: Evidence) -> Message:
    """Level of a rule now, retained; newest wins."""
    payload = AlertState(
        **envelope.base(voice, "alert-state", f"alert/{rule.name}/state"),
        rule=rule.name,
        level=latch.level.value,
        severity=rule.severity,
        since=latch.since,
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=rounded(evidence.value),
        probability=rounded(evidence.probability, 3),
        first_hour=evidence.hour,
    )
    return envelope.state(voice.topics.alert_state(rule.name), payload, Kind.STATE)


def event_message(voice: Voice, rule: Rule, verdict: Verdict, *, drill: bool = False) -> Message:
    """An edge of a rule, never retained.

    Args:
        voice: Who speaks.
        rule: The rule.
        verdict: What was decided, with an edge.
        drill: Only to try the chain: marked as such, and without an action.
    """
    edge, evidence, lasted = verdict.edge, verdict.evidence, verdict.lasted
    assert edge is not None, "no edge, no event"
    ends = edge is Edge.CLEARED
    valid = EVENT_VALID if rule.now or ends else timedelta(hours=rule.within_h)
    key = f"alert/{rule.name}/{edge}"
    if drill:
        valid, key = DRILL_VALID, f"alert/{rule.name}/drill"
    action = None
    if rule.action is not None and edge is Edge.RAISED and not drill:
        action = ActionOrder(
            command=rule.action.command,
            value=rule.action.value,
            expires_at=voice.now.replace(microsecond=0) + timedelta(seconds=rule.action.expires_s),
            max_run_s=rule.action.max_run_s,
        )
    text = texts.alert_text(voice.speaker, rule, edge, evidence, now=voice.now, lasted=lasted)
    if drill:
        text = texts.drill_text(voice.speaker, text)
    payload = AlertEvent(
        **envelope.base(voice, "alert-event", key, valid=valid, every=_SECOND),
        event_type=edge.value,
        rule=rule.name,
        severity=rule.severity,
        text=text,
        reason=_reason(rule, edge, evidence),
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=rounded(evidence.value),
        probability=rounded(evidence.probability, 3),
        first_hour=evidence.hour,
        lasted_s=int(lasted.total_seconds()) if ends else None,
        inputs=voice.inputs,
        action=action,
        drill=drill,
    )
    made = envelope.passing(voice.topics.alert_event(rule.name), payload, Kind.ALERT)
    # Starts are told each; of what followed while nobody could be reached, the last will do.
    return made if drill or edge is Edge.RAISED else replace(made, collapse=f"{made.topic}/news")


def retired_messages(voice: Voice, latch: Latch) -> tuple[Message, Message]:
    """End of a raised alert whose rule is gone: its last edge, and its retained state taken back.

    Args:
        voice: Who speaks.
        latch: As it stood raised.
    """
    rule = latch.last_rule
    assert rule is not None, "a raised latch remembers its rule"
    lasted = voice.now - latch.since if latch.since is not None else timedelta(0)
    payload = AlertEvent(
        **envelope.base(voice, "alert-event", f"alert/{latch.rule}/cleared", every=_SECOND),
        event_type="cleared",
        rule=latch.rule,
        severity=rule.severity,
        text=texts.retired_text(voice.speaker, latch.rule),
        reason="the rule was taken out of the configuration",
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=None,
        probability=None,
        first_hour=None,
        lasted_s=int(lasted.total_seconds()),
        inputs=(),
        action=None,
        drill=False,
    )
    topic = voice.topics.alert_state(latch.rule)
    return (
        envelope.passing(voice.topics.alert_event(latch.rule), payload, Kind.ALERT),
        envelope.forget(topic, f"{payload.id}/forget"),
    )


def advice_message(voice: Voice, crop: str, advice: Advice) -> Message:
    """Watering advice, retained with expiry."""
    payload = AdvicePayload(
        **envelope.base(voice, "advice", "advice/irrigation"),
        crop=crop,
        need_mm=round(advice.need_mm, 1),
        volume_l=None if advice.volume_l is None else round(advice.volume_l, 0),
        start=advice.start,
        end=advice.end,
        depletion_mm=round(advice.depletion_mm, 1),
        readily_mm=round(advice.readily_mm, 1),
        demand_mm=round(advice.demand_mm, 1),
        rain_mm=rounded(advice.rain_mm, 1),
        measured=advice.measured,
        text=texts.advice_text(voice.speaker, advice, voice.now),
        inputs=voice.inputs,
    )
    return envelope.state(voice.topics.irrigation, payload, Kind.STATE)


def model_message(
    voice: Voice,
    manifest: Manifest | None,
    agent_version: str,
    *,
    tuning: Tuning | None = None,
    left: Left | None = None,
) -> Message:
    """Release that runs, what it holds for this farm, and the one that was left, retained."""
    payload = ModelPayload(
        **envelope.base(voice, "model", "model", valid=timedelta(days=7), every=timedelta(days=1)),
        release=manifest.release if manifest else None,
        channel=manifest.channel if manifest else None,
        created_at=manifest.created_at if manifest else None,
        feature_digest=manifest.features.digest if manifest else None,
        versions={name: m.version for name, m in manifest.models.items()} if manifest else {},
        scores=dict(manifest.scores) if manifest else {},
        reason=manifest.reason if manifest else None,
        agent_version=agent_version,
        left_release=left.release if left else None,
        left_reason=left.why if left else None,
        tuned=tuned_of(tuning),
    )
    return envelope.state(voice.topics.model, payload, Kind.STATE)


def tuned_of(tuning: Tuning | None) -> Tuned | None:
    """What is told of a farm's own corrections, by messages, the page and commands."""
    if tuning is None:
        return None
    return Tuned(
        targets=tuple(sorted(tuning.corrections)),
        trained_to=tuning.trained_to,
        scores=tuning.scores,
    )


def health_message(voice: Voice, **facts: Any) -> Message:  # noqa: ANN401 - checked by HealthPayload
    """How the agent is, retained; `facts` are the keys of `HealthPayload` beyond the base."""
    payload = HealthPayload(**envelope.base(voice, "health", "health"), **facts)
    # Counters move all the time: one an hour, and one whenever the problems are others.
    mark = envelope.digest(payload.problems)
    payload = msgspec.structs.replace(payload, id=f"{payload.id}-{mark}")
    return envelope.retained(voice.topics.health, payload, Kind.TELEMETRY)


def history_message(voice: Voice, whose: Identity, frame: pl.DataFrame) -> Message:
    """Hours of the farm's own sensors, retained; `frame` as `own.hours` returns, one at least."""
    measured = replace(voice, source=whose.source, release=None)
    payload = HistoryPayload(
        **envelope.base(measured, "history", "history", valid=HISTORY_VALID),
        site=whose.site,
        device=whose.device,
        latitude=whose.latitude,
        longitude=whose.longitude,
        elevation_m=whose.elevation_m,
        start=frame[schema.TIME][0],
        step_s=3600,
        values=export.series(frame),
    )
    return envelope.state(voice.topics.history, payload, Kind.TELEMETRY)


def rounded(value: float | None, digits: int = 2) -> float | None:
    """A number as messages have it; None for what is not known or not finite."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def fresh_message(voice: Voice, origin: datetime | None, oldest: timedelta) -> Message:
    """Whether the forecast's newest observation is no older than `oldest`, retained."""
    age_s = None if origin is None else int((voice.now - origin).total_seconds())
    fresh = age_s is not None and age_s <= oldest.total_seconds()
    payload = FreshPayload(
        **envelope.base(voice, "fresh", "fresh"),
        state="online" if fresh else "offline",
        data_age_s=age_s,
    )
    # Told apart by the observation as well: it may run out and come back within an hour.
    mark = f"{payload.state}-{origin:%Y%m%dT%H%MZ}" if origin else payload.state
    payload = msgspec.structs.replace(payload, id=f"{payload.id}-{mark}")
    return envelope.retained(voice.topics.fresh, payload, Kind.STATE)


def _reason(rule: Rule, edge: Edge, evidence: Evidence) -> str:
    what = f"{rule.quantity} {rule.operator} {rule.threshold:g}"
    if rule.now:
        return f"{what}: newest {rule.role} reading is {_shown(evidence.value)}"
    run = f", {rule.for_h} h in a row" if rule.for_h > 1 else ""
    chance = (
        f"P({what}{run}) within {rule.within_h} h is {_shown(evidence.probability)}, "
        f"limit {rule.probability:g}"
    )
    if edge is Edge.CLEARED and rule.clear is not None:
        return f"{chance}; chance of the clear level {rule.clear:g} fell below the limit too"
    return f"{chance}; first at {evidence.hour:%Y-%m-%dT%H:%MZ}" if evidence.hour else chance


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
