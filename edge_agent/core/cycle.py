"""One hour of the agent: observe -> forecast -> rules -> messages. Keeps no memory of its own.

Everything is read anew from the store and decided by pure code; `commit` then writes forecast,
latches and messages in one transaction, so that a cut in between repeats the hour or finishes it,
and an hour worked twice says nothing twice (ids are made of the hour and of what is said).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import polars as pl

from edge_agent.agronomy import irrigation
from edge_agent.agronomy.irrigation import Shower
from edge_agent.alerts import decision_record, default_rules
from edge_agent.alerts import messages as alert_messages
from edge_agent.alerts.evaluation import DecisionInputs, judge
from edge_agent.alerts.state_machine import Edge, Latch, Level, retire
from edge_agent.contract.bundles import ISSUED, RAIN_CHANCE, VALID
from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.contract.schema import RAIN
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting import fallback, online_correction, verification
from edge_agent.forecasting.online_correction import GUIDANCE_MAX_AGE
from edge_agent.messages import status
from edge_agent.messages.payloads import Input
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.agronomy.irrigation import Advice, NoAdvice
    from edge_agent.alerts.evidence import Evidence, Measured
    from edge_agent.alerts.latches import Latches
    from edge_agent.alerts.log import AlertLog
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.forecasting.online_correction import Guidance, OnlineCorrection, ScoredHours
    from edge_agent.forecasting.verification import PastForecast
    from edge_agent.forecasting.verification_store import VerificationStore
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.observations.store import Store
    from edge_agent.settings import Config, Rule


class MessageSink(Protocol):
    """Where messages wait."""

    def put(self, message: Message) -> bool:
        """Add a message; False when its id is known."""
        ...


class Weather(Protocol):
    """What the hours were. Raises `StorageError` when the disk refuses."""

    def forecast(
        self, release: LoadedRelease | None, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        """What the models make of the hours up to `now`, and the name of their source."""
        ...

    def checked(self, now: datetime, hours: int) -> pl.DataFrame:
        """The `hours` newest hours up to `now` of the same source, output of `quality.clean`."""
        ...

    def truth(self, now: datetime, hours: int) -> pl.DataFrame:
        """The same of the farm's own outdoor sensors, where they know any of these hours."""
        ...


@dataclass(frozen=True, slots=True)
class CycleContext:
    """What a cycle works with.

    Attributes:
        config: The configuration.
        db: The database that holds store, latches and queue.
        store: Observations and kept forecasts.
        weather: Hours as a forecast reads them.
        latches: What rules remember.
        log: Every edge that was said.
        queue: The outbox.
        verification: What was foreseen and how it came out.
        correction: Scores past forecasts and corrects the new one.
        release: The loaded release, or None.
        readings: The `for_h` newest values for a live rule, see `alerts.evidence`.
        soil_moisture: Soil moisture in percent now, or None where it is not measured.
        voice: Makes the voice of a cycle from its time, clock state, source, release, inputs.
    """

    config: Config
    db: sqlite3.Connection
    store: Store
    weather: Weather
    latches: Latches
    log: AlertLog
    queue: MessageSink
    verification: VerificationStore
    correction: OnlineCorrection
    release: LoadedRelease | None
    readings: Callable[[Rule, datetime], Sequence[Measured]]
    soil_moisture: Callable[[datetime], float | None]
    voice: Callable[
        [datetime, ClockState, Forecast | NoForecast, tuple[Input, ...]], MessageContext
    ]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one cycle came to.

    Attributes:
        at: Its time.
        forecast: Forecast, or why there is none.
        origin_source: Name of the observations behind it.
        edges: Rule, edge and message of every alert edge.
        latches: Latches to write.
        unknown: Rules about which nothing is known.
        advice: Watering advice, why there is none, or None where it is not asked for.
        retired: Rules that are gone.
        messages: Everything to say, in order.
        scored_hours: Errors of past forecasts to be written; None where nothing was forecast.
        past_forecast: The forecast as it is kept for scoring; None where the models gave none.
        records: Inputs of each edge by its message id, see `alerts.decision_record`.
    """

    at: datetime
    forecast: Forecast | NoForecast
    origin_source: str
    edges: tuple[tuple[str, Edge, Message], ...]
    latches: tuple[Latch, ...]
    unknown: tuple[str, ...]
    advice: Advice | NoAdvice | None
    retired: tuple[str, ...]
    messages: tuple[Message, ...]
    scored_hours: ScoredHours | None = None
    past_forecast: PastForecast | None = None
    records: Mapping[str, bytes] = field(default_factory=dict)


def decide(parts: CycleContext, now: datetime, clock: ClockState) -> Decision:
    """Work out one hour; nothing is written.

    Raises:
        StorageError: The disk refused.
    """
    made, source = parts.weather.forecast(parts.release, now)
    forecast: Forecast | NoForecast = made
    inputs: tuple[Input, ...] = ()
    guidance = None
    if isinstance(made, Forecast) and made.source in fallback.MODELS:
        guidance = parts.correction.guidance(made, now)
        forecast = parts.correction.adjust(made, guidance, source, now)
    else:
        kept = parts.store.forecasts(now - fallback.CACHED_MAX_AGE, now)
        forecast = fallback.choose(made, kept, now)
    if isinstance(forecast, Forecast):
        inputs = (_input(source, forecast.origin, now),)
        if guidance is not None and guidance.issued is not None and "guidance" in forecast.adjusted:
            inputs += (_input("guidance:village", guidance.issued, now),)
    voice = parts.voice(now, clock, forecast, inputs)
    ruled = _rules(parts, voice, forecast, live_only=False)
    edges = ruled.edges
    said = status.forecast_messages(voice, forecast) if isinstance(forecast, Forecast) else []
    advice = _advice(parts, forecast, now)
    if isinstance(advice, irrigation.Advice):
        said.append(alert_messages.advice_message(voice, parts.config.irrigation.crop, advice))
    retired = []
    for name, latch in parts.latches.all().items():
        if name in {rule.name for rule in rules_of(parts.config)}:
            continue
        retired.append(name)
        edge = retire(latch, now)[1]
        if edge is not None:
            event, forget = alert_messages.retired_messages(voice, latch)
            edges.append((name, edge, event))
            said.append(forget)
    return Decision(
        at=now,
        forecast=forecast,
        origin_source=source,
        edges=tuple(edges),
        scored_hours=parts.correction.score(
            parts.weather.truth(now, online_correction.TRUTH_H), _forecast_rules(parts.config), now
        ),
        past_forecast=_past_forecast(made, forecast, guidance, source, ruled.chances),
        records=ruled.records,
        latches=tuple(ruled.latches),
        unknown=tuple(ruled.unknown),
        advice=advice,
        retired=tuple(retired),
        messages=(*(event for _, _, event in edges), *ruled.states, *said),
    )


def watch(parts: CycleContext, now: datetime, clock: ClockState) -> Decision:
    """Live rules alone, for the minutes between two hours; states are said when a level moves.

    Returns:
        A decision whose latches are those that changed.

    Raises:
        StorageError: The disk refused.
    """
    nothing = NoForecast(now, "live rules only")
    voice = parts.voice(now, clock, nothing, ())
    ruled = _rules(parts, voice, nothing, live_only=True)
    topics = {voice.topics.alert_state(name) for name in ruled.moved}
    return Decision(
        at=now,
        forecast=nothing,
        origin_source="sensor",
        edges=tuple(ruled.edges),
        records=ruled.records,
        latches=tuple(ruled.changed),
        unknown=tuple(ruled.unknown),
        advice=None,
        retired=(),
        messages=(
            *(event for _, _, event in ruled.edges),
            *(state for state in ruled.states if state.topic in topics),
        ),
    )


def commit(parts: CycleContext, decision: Decision, *extra: Message) -> int:
    """Write a decision as a whole; number of messages that were new.

    Raises:
        StorageError: The disk refused; nothing was written.
    """
    with transaction(parts.db):
        if isinstance(decision.forecast, Forecast) and decision.forecast.source in fallback.MODELS:
            parts.store.put_forecast(decision.forecast)
        if decision.past_forecast is not None:
            parts.verification.put_past_forecast(decision.past_forecast)
        if decision.scored_hours is not None:
            parts.verification.put_tallies(decision.scored_hours.tallies)
            parts.verification.put_rule_scores(decision.scored_hours.rule_scores)
        before = parts.latches.all()
        parts.latches.save(latch for latch in decision.latches if before.get(latch.rule) != latch)
        for name in decision.retired:
            parts.latches.forget(name)
        for _, _, event in decision.edges:
            parts.log.add(event, decision.records.get(event.id))
        return sum(parts.queue.put(made) for made in (*decision.messages, *extra))


def rules_of(config: Config) -> tuple[Rule, ...]:
    """The configured rules, or the built-in ones where there are none."""
    return config.rules or default_rules.rules(config)


def raised(decision: Decision) -> tuple[str, ...]:
    """Names of the rules that stand raised after a decision."""
    return tuple(latch.rule for latch in decision.latches if latch.level is Level.RAISED)


@dataclass(slots=True)
class _Ruled:
    """What all rules came to."""

    edges: list[tuple[str, Edge, Message]] = field(default_factory=list)
    records: dict[str, bytes] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)
    latches: list[Latch] = field(default_factory=list)
    changed: list[Latch] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    states: list[Message] = field(default_factory=list)


def _rules(
    parts: CycleContext, voice: MessageContext, forecast: Forecast | NoForecast, *, live_only: bool
) -> _Ruled:
    known = parts.latches.all()
    ruled = _Ruled()
    for rule in rules_of(parts.config):
        if live_only and not rule.now:
            continue
        case = DecisionInputs(
            rule=rule,
            latch=known.get(rule.name, Latch(rule=rule.name)),
            now=voice.now,
            clock=voice.clock,
            zone=parts.config.device.timezone,
            daily_cap=parts.config.limits.alerts_per_day,
            quiet_hours=parts.config.quiet_hours,
            forecast=forecast if isinstance(forecast, Forecast) and not rule.now else None,
            readings=tuple(parts.readings(rule, voice.now)) if rule.now else (),
        )
        verdict = judge(case)
        speaking = _live(voice, rule, verdict.evidence) if rule.now else voice
        ruled.latches.append(verdict.latch)
        if verdict.latch != case.latch:
            ruled.changed.append(verdict.latch)
        if verdict.latch.level is not case.latch.level:
            ruled.moved.add(rule.name)
        if verdict.evidence.probability is not None and not rule.now:
            ruled.chances[verification.meaning(rule)] = verdict.evidence.probability
        if verdict.edge is not None:
            event = alert_messages.event_message(speaking, rule, verdict)
            ruled.edges.append((rule.name, verdict.edge, event))
            ruled.records[event.id] = decision_record.to_bytes(case)
        if verdict.evidence.met is None:
            # R4: nothing is known, so nothing is said; the last state runs out by its expiry.
            ruled.unknown.append(rule.name)
        else:
            state = alert_messages.state_message(speaking, rule, verdict.latch, verdict.evidence)
            ruled.states.append(state)
    return ruled


def _forecast_rules(config: Config) -> list[Rule]:
    return [rule for rule in rules_of(config) if not rule.now]


def _past_forecast(
    made: Forecast | NoForecast,
    said: Forecast | NoForecast,
    guidance: Guidance | None,
    source: str,
    chances: Mapping[str, float],
) -> PastForecast | None:
    if guidance is None:
        return None
    assert isinstance(made, Forecast)
    assert isinstance(said, Forecast)
    return verification.past_forecast_of(made, said, guidance.values, source, chances)


def _input(name: str, at: datetime, now: datetime) -> Input:
    return Input(name=name, at=at, age_s=max(int((now - at).total_seconds()), 0))


def _advice(
    parts: CycleContext, forecast: Forecast | NoForecast, now: datetime
) -> Advice | NoAdvice | None:
    settings = parts.config.irrigation
    if not settings.crop:
        return None
    return irrigation.advise(
        settings,
        parts.weather.checked(now, 24 * irrigation.HISTORY_DAYS),
        forecast,
        site_of(parts.config.device),
        now,
        max_age=timedelta(hours=parts.config.limits.advice_max_age_h),
        soil_moisture_pct=parts.soil_moisture(now),
        showers=_showers(parts.store, now),
    )


def _showers(store: Store, now: datetime) -> dict[datetime, Shower]:
    """Rain by hour, of the newest issue of KMA that speaks of it."""
    issues = store.guidance(now - GUIDANCE_MAX_AGE).filter(pl.col(ISSUED) <= now)
    columns = issues.select(VALID, RAIN_CHANCE, RAIN)
    return {at: Shower(chance, amount) for at, chance, amount in columns.iter_rows()}


def _live(voice: MessageContext, rule: Rule, evidence: Evidence) -> MessageContext:
    inputs: tuple[Input, ...] = ()
    if evidence.hour is not None:
        age = max(int((voice.now - evidence.hour) / timedelta(seconds=1)), 0)
        inputs = (Input(name=f"sensor:{rule.role}", at=evidence.hour, age_s=age),)
    return replace(voice, source="sensor", release=None, inputs=inputs)
