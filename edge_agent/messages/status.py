"""Forecasts and the agent's own state -> messages for the outbox. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.forecast import P10, P90, PointForecast
from edge_agent.contract.numbers import all_rounded
from edge_agent.messages import envelope
from edge_agent.messages.message import Kind
from edge_agent.messages.payloads import (
    ForecastHour,
    ForecastPayload,
    FreshPayload,
    HealthPayload,
    HistoryPayload,
    ModelPayload,
    Tuned,
    fill,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from edge_agent.contract.farm_identity import Identity
    from edge_agent.contract.forecast import Forecast, TargetForecast
    from edge_agent.contract.site_correction import Tuning
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message

TARGET_TOPICS: Final = {
    name: schema.QUANTITIES[name].short_name for name in (*schema.TARGETS, *schema.OPTIONAL_TARGETS)
}
FORECAST_TOPICS: Final = {name: schema.QUANTITIES[name].short_name for name in schema.FORECAST}
_FIGURE: Final = re.compile(r"[-+]?\d+(?:\.\d+)?")
HISTORY_VALID: Final = timedelta(days=30)
"""A month after a device is gone the broker drops its history."""


def forecast_topics(named: Collection[str]) -> dict[str, str]:
    """Last level of the topic of each quantity of the forecast that goes out, by its name.

    Args:
        named: Those beside temperature and humidity (`[mqtt] forecasts`).
    """
    return {
        name: topic
        for name, topic in FORECAST_TOPICS.items()
        if name in schema.TARGETS or topic in named
    }


def forecast_messages(
    context: MessageContext,
    forecast: Forecast,
    quantities: Mapping[str, TargetForecast | PointForecast],
) -> list[Message]:
    """One retained state per quantity.

    Args:
        context: Sender and time.
        forecast: As it goes out.
        quantities: What it has, see `agronomy.derived.quantities_of`.
    """
    messages = []
    for name, series in quantities.items():
        topic = FORECAST_TOPICS[name]
        sender, notes, adjusted = context, tuple(forecast.notes), tuple(forecast.adjusted)
        if isinstance(series, PointForecast):
            sender = replace(context, source=series.source.value, release=None)
            notes, adjusted = (), ()
        payload = ForecastPayload(
            **envelope.base(sender, "forecast", f"forecast/{topic}"),
            quantity=name,
            unit=series.unit,
            origin=forecast.origin,
            hours=hours_of(forecast, series),
            notes=notes,
            adjusted=adjusted,
            inputs=context.inputs,
            sources=sources_of(forecast, name, series),
        )
        messages.append(envelope.state(context.topics.forecast(topic), payload, Kind.STATE))
    return messages


def sources_of(
    forecast: Forecast, name: str, series: TargetForecast | PointForecast
) -> tuple[str, ...]:
    """What made each hour of a quantity; of a derived one, what made its temperature."""
    if isinstance(series, PointForecast):
        return (series.source.value,) * len(series.values)
    return tuple(forecast.sources_of(name if name in forecast.targets else schema.AIR_TEMPERATURE))


def hours_of(
    forecast: Forecast, series: TargetForecast | PointForecast
) -> tuple[ForecastHour, ...]:
    """Hours of one quantity of the forecast, for messages and answers."""
    low: list[float | None] = [None] * len(series.values)
    high = low
    if not isinstance(series, PointForecast):
        low, high = all_rounded(series.quantile(P10)), all_rounded(series.quantile(P90))
    values = all_rounded(series.values)
    return tuple(
        ForecastHour(
            valid_at=at,
            lead_h=round((at - forecast.origin) / timedelta(hours=1)),
            value=value,
            p10=below,
            p90=above,
        )
        for at, value, below, above in zip(forecast.valid_at, values, low, high, strict=True)
    )


def model_message(
    context: MessageContext, release: Mapping[str, object], agent_version: str
) -> Message:
    """Release that runs, what it holds for this farm, and the one that was left, retained.

    Args:
        context: Sender and time.
        release: Values by the keys of `ModelPayload`.
        agent_version: Of this program.
    """
    base = envelope.base(
        context, "model", "model", valid=timedelta(days=7), every=timedelta(days=1)
    )
    payload = fill(ModelPayload, base, release, {"agent_version": agent_version})
    return envelope.state(context.topics.model, payload, Kind.STATE)


def tuned_of(tuning: Tuning | None) -> Tuned | None:
    """Corrections of a farm as messages, answers and commands show them."""
    if tuning is None:
        return None
    return Tuned(
        targets=tuple(sorted(tuning.corrections)),
        trained_to=tuning.trained_to,
        scores=tuning.scores,
    )


def health_message(
    context: MessageContext,
    facts: Mapping[str, object],
    worked_at: datetime,
    **more: object,
) -> Message:
    """State of the agent, retained.

    Args:
        context: Sender and time.
        facts: Values by the keys of `HealthPayload`.
        worked_at: Time of the last cycle, UTC. The id, by which the outbox knows a repetition,
            stays the same until the next one where nothing but figures (ages, counters, values,
            also those within a text) changes.
        more: As `facts`.
    """
    base = envelope.base(context, "health", "health")
    payload = fill(HealthPayload, base, facts, more)
    mark = envelope.digest(
        [
            payload.forecast_source,
            payload.alerts_raised,
            payload.rules_unknown,
            msgspec.to_builtins(payload.held_back),
            any(n for name, n in payload.outbox.items() if name.startswith("waiting_")),
            [(sensor.fresh, sensor.problem is not None) for sensor in payload.sensors],
            [
                _FIGURE.sub("", text or "")
                for text in (payload.forecast_reason, payload.advice_reason, *payload.problems)
            ],
        ]
    )
    name = f"{context.topics.root}/health/{worked_at:%Y%m%dT%H0000Z}-{mark}"
    payload = msgspec.structs.replace(payload, id=name)
    return envelope.retained(context.topics.health, payload, Kind.TELEMETRY)


def history_message(
    context: MessageContext,
    owner: Identity,
    frame: pl.DataFrame,
) -> Message:
    """Hours of the farm's own sensors, retained.

    Args:
        context: Sender and time.
        owner: Farm and device.
        frame: `time` and quantities, ascending, at least one row.
    """
    measured = replace(context, source=owner.source, release=None)
    payload = HistoryPayload(
        **envelope.base(measured, "history", "history", valid=HISTORY_VALID),
        site=owner.site,
        device=owner.device,
        latitude=owner.latitude,
        longitude=owner.longitude,
        elevation_m=owner.elevation_m,
        start=frame[schema.TIME][0],
        step_s=3600,
        values=series(frame),
    )
    return envelope.state(context.topics.history, payload, Kind.TELEMETRY)


def fresh_message(
    context: MessageContext,
    observed_at: datetime | None,
    oldest: timedelta,
    *,
    guided: bool = False,
) -> Message:
    """Whether the forecast's newest observation is no older than `oldest`, retained.

    Args:
        context: Sender and time.
        observed_at: Hour of that observation; None where there is none.
        oldest: Largest age that is fresh.
        guided: The forecast follows KMA's, which is as good without an observation.
    """
    age_s = None if observed_at is None else int((context.now - observed_at).total_seconds())
    fresh = age_s is not None and age_s <= oldest.total_seconds()
    fresh = fresh or guided
    payload = FreshPayload(
        **envelope.base(context, "fresh", "fresh"),
        state="online" if fresh else "offline",
        data_age_s=age_s,
    )
    # The id names the observation too: data may age and be renewed within one hour.
    mark = f"{payload.state}-{observed_at:%Y%m%dT%H%MZ}" if observed_at else payload.state
    payload = msgspec.structs.replace(payload, id=f"{payload.id}-{mark}")
    return envelope.retained(context.topics.fresh, payload, Kind.STATE)


def series(frame: pl.DataFrame) -> dict[str, tuple[float | None, ...]]:
    """Values by quantity, one for every hour from the first row to the last; null = missing.

    Args:
        frame: Hours without gaps or with them, ascending, at least one.
    """
    every = pl.datetime_range(
        frame[schema.TIME][0], frame[schema.TIME][-1], timedelta(hours=1), eager=True
    ).alias(schema.TIME)
    hours = every.to_frame().join(frame, on=schema.TIME, how="left", maintain_order="left")
    return {name: tuple(hours[name].to_list()) for name in hours.columns if name != schema.TIME}
