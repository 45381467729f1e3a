"""One hour of the agent: observations -> forecast -> rules -> messages. Keeps no state of its own.

Everything is read anew from the store and decided by pure code. `commit` then writes forecast,
latches and messages in one transaction. So a power cut either repeats the hour or finds it done,
and an hour that is worked twice sends nothing twice: ids are made of the hour and the content.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.agronomy import irrigation
from edge_agent.agronomy.derived import quantities_of
from edge_agent.agronomy.watering_hours import Shower
from edge_agent.alerts import messages as alert_messages
from edge_agent.alerts import windows
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.contract.schema import RAIN, RAIN_CHANCE
from edge_agent.core import cross_check, official_alerts, publishing, rules, soil_water
from edge_agent.core.cross_check import CrossCheck
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting import online_correction
from edge_agent.messages import status
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.agronomy.irrigation import Advice, NoAdvice
    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.core.soil_water import Reckoning
    from edge_agent.forecasting.online_correction import ScoredHours
    from edge_agent.forecasting.verification import PastForecast
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import GuidanceReport, Input
    from edge_agent.observations.store import Store


_SHOWERS_FROM: Final = timedelta(hours=24)
"""Age of the oldest issue whose rain counts."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Result of one cycle.

    Attributes:
        at: Its time.
        forecast: Forecast, or why there is none.
        origin_source: Name of the observations behind it.
        edges: Rule, edge and message of every alert edge.
        latches: Latches to write.
        unknown: Rules without enough data.
        advice: Watering advice, why there is none, or None where it is not asked for.
        messages: Everything to send, in order.
        withdrawn: Ids of waiting messages that these replace.
        scored_hours: Errors of past forecasts to be written; None where nothing was forecast.
        past_forecast: The forecast as it is kept for scoring; None where the models gave none.
        records: Inputs of each edge by its message id, see `alerts.decision_record`.
        check: What other sources say.
        inputs: What the forecast rests on.
        guidance: What KMA's forecast contributed; None where it took no part.
        soil_water: Soil water of the hour; None without a crop.
        official: States of KMA's warnings to write.
    """

    at: datetime
    forecast: Forecast | NoForecast
    origin_source: str
    edges: tuple[tuple[str, Edge, Message], ...]
    latches: tuple[Latch, ...]
    unknown: tuple[str, ...]
    advice: Advice | NoAdvice | None
    messages: tuple[Message, ...]
    scored_hours: ScoredHours | None = None
    past_forecast: PastForecast | None = None
    records: Mapping[str, bytes] = field(default_factory=dict)
    check: CrossCheck = field(default_factory=CrossCheck)
    inputs: tuple[Input, ...] = ()
    guidance: GuidanceReport | None = None
    soil_water: Reckoning | None = None
    withdrawn: tuple[str, ...] = ()
    official: tuple[OfficialLatch, ...] = ()

    @property
    def news(self) -> bool:
        """Whether there is anything to write between two hours."""
        return bool(self.latches or self.official)

    @property
    def raised(self) -> tuple[str, ...]:
        """Names of the rules that stand raised after the cycle, without the unknown ones."""
        return tuple(
            latch.rule
            for latch in self.latches
            if latch.level is Level.RAISED and latch.rule not in self.unknown
        )


def decide(
    context: CycleContext, now: datetime, clock: ClockState, *, live: bool = True
) -> Decision:
    """Work out one hour; nothing is written.

    Without `live` it leaves live rules and soil water to the process that hears the sensors.

    Raises:
        StorageError: The disk refused.
    """
    publication = publishing.publish(context, now)
    forecast, source = publication.forecast, publication.source
    inputs = publication.inputs(now)
    message_context = context.message_context(now, clock, forecast, inputs)
    check = cross_check.of_cycle(context, rules.rules_of(context.config), source, now)
    kind: rules.Kind | None = None if live else "forecast"
    results = rules.evaluate(context, message_context, forecast, check, only=kind)
    official = official_alerts.evaluate(context, message_context, every_state=True)
    edges = (*results.edges, *official.edges)
    states = [*results.states, *official.states]
    if isinstance(forecast, Forecast):
        topics = status.forecast_topics(context.config.mqtt.forecasts)
        quantities = {
            name: series for name, series in quantities_of(forecast).items() if name in topics
        }
        states.extend(status.forecast_messages(message_context, forecast, quantities))
    water = None
    if live and context.config.irrigation.crop:
        dated, historical = clock != "untrusted", message_context.historical
        water = soil_water.reckon(context, now, dated=dated, historical=historical)
    advice = _advice(context, forecast, now, water)
    if isinstance(advice, irrigation.Advice):
        crop = context.config.irrigation.crop
        states.append(alert_messages.advice_message(message_context, crop, advice))
    scored = [rule for rule in rules.rules_of(context.config) if windows.is_scored(rule)]
    truth = publication.truth.tail(online_correction.TRUTH_H)
    return Decision(
        at=now,
        forecast=forecast,
        origin_source=source,
        inputs=inputs,
        edges=edges,
        official=official.changed,
        scored_hours=context.correction.score(truth, scored, now),
        past_forecast=publication.past_forecast(results.chances),
        guidance=publication.report(context, now),
        records=results.records,
        latches=tuple(results.latches),
        unknown=tuple(results.unknown),
        advice=advice,
        soil_water=water,
        messages=(*results.orders, *(event for _, _, event in edges), *states),
        withdrawn=tuple(results.withdrawn),
        check=check,
    )


def watch(
    context: CycleContext, newest: Decision | None, now: datetime, clock: ClockState
) -> Decision:
    """Evaluate the rules between two hours, forecast rules on the forecast of the last cycle.

    Args:
        context: What the cycle works with.
        newest: Decision of the last cycle; None: forecast rules wait for the next one.
        now: UTC.
        clock: How far that time can be trusted.

    Returns:
        A decision with the latches that changed, and the states that are news.

    Raises:
        StorageError: The disk refused.
    """
    forecast = newest.forecast if newest else NoForecast(now, "no cycle was worked yet")
    inputs = [rules.input_of(i.name, i.at, now) for i in newest.inputs] if newest else ()
    message_context = context.message_context(now, clock, forecast, tuple(inputs))
    check = cross_check.of_watch(context, rules.rules_of(context.config), now)
    if newest is not None:
        check = replace(check, forecast=newest.check.forecast, source=newest.check.source)
    results = rules.evaluate(
        context,
        message_context,
        forecast,
        check,
        forecast_at=newest.at if newest else None,
        only="live" if newest is None else None,
    )
    official = official_alerts.evaluate(context, message_context, every_state=False)
    edges = (*results.edges, *official.edges)
    topics = {message_context.topics.alert_state(name) for name in results.moved}
    return Decision(
        at=now,
        # Stored and scored with the cycle that made it.
        forecast=NoForecast(now, "made with the last cycle"),
        origin_source=newest.origin_source if newest else "sensor",
        edges=edges,
        official=official.changed,
        records=results.records,
        latches=tuple(results.changed),
        unknown=tuple(results.unknown),
        advice=None,
        withdrawn=tuple(results.withdrawn),
        messages=(
            *results.orders,
            *(event for _, _, event in edges),
            *(state for state in results.states if state.topic in topics),
            *official.states,
        ),
    )


def commit(
    context: CycleContext, decision: Decision, *extra: Message, remember: bool = True
) -> int:
    """Write a decision in one transaction; number of messages that were new.

    Args:
        context: What the decision was made with.
        decision: From `decide` or `watch`.
        extra: Messages that follow those of the decision.
        remember: Store forecast, scores and soil water too; a wrong clock would date them.

    Raises:
        StorageError: The disk refused; nothing was written.
    """
    with transaction(context.db):
        if remember:
            _remember(context, decision)
        before = context.latches.all()
        context.latches.save(latch for latch in decision.latches if before.get(latch.rule) != latch)
        if context.official is not None:
            context.official.save(decision.official)
        for name in decision.withdrawn:
            context.queue.withdraw(name)
        for _, _, event in decision.edges:
            context.log.add(event, decision.records.get(event.id))
        edges = {event.id for _, _, event in decision.edges}
        new = 0
        for message in (*decision.messages, *extra):
            if context.queue.put(message):
                new += 1
                if context.push is not None and message.id in edges:
                    context.push(message)
        return new


def _remember(context: CycleContext, decision: Decision) -> None:
    forecast, scored = decision.forecast, decision.scored_hours
    if isinstance(forecast, Forecast) and decision.past_forecast is not None:
        context.store.put_forecast(forecast)
    if decision.past_forecast is not None:
        context.verification.put_past_forecast(decision.past_forecast)
    if scored is not None:
        context.verification.put_tallies(scored.tallies)
        context.verification.put_rule_scores(scored.rule_scores)
    water = decision.soil_water
    if water is not None and water.booked is not None:
        context.soil_water.book(water.before, water.booked, water.counted)


def _advice(
    context: CycleContext,
    forecast: Forecast | NoForecast,
    now: datetime,
    water: Reckoning | None,
) -> Advice | NoAdvice | None:
    if water is None:
        return None
    conditions = irrigation.FieldConditions(
        site=site_of(context.config.device),
        observations=water.observations,
        forecast=forecast,
        showers=_showers(context.store, now),
        water=water.water,
        measured=water.measured,
    )
    max_age = timedelta(hours=context.config.limits.advice_max_age_h)
    return irrigation.advise(context.config.irrigation, conditions, now, max_age)


def _showers(store: Store, now: datetime) -> dict[datetime, Shower]:
    """Rain by hour, from the newest issue of KMA that has the hour."""
    issues = store.guidance(now - _SHOWERS_FROM).filter(pl.col(ISSUED) <= now)
    columns = issues.select(VALID, RAIN_CHANCE, RAIN)
    return {at: Shower(chance, amount) for at, chance, amount in columns.iter_rows()}
