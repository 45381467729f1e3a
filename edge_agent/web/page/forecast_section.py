"""Forecasts as charts and tables of the page. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.agronomy.crops import CROPS
from edge_agent.alerts import conditions, texts
from edge_agent.alerts.evidence import extreme
from edge_agent.contract.numbers import fixed
from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES, TARGETS
from edge_agent.core.agent_facts import forecast_reason
from edge_agent.messages.status import hours_of
from edge_agent.system.html import Markup, tag
from edge_agent.web.page.chart import Chart, Hour, Limit, draw
from edge_agent.web.page.context import section, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast
    from edge_agent.web.page.context import PageContext
    from edge_agent.web.page.texts import PageTexts


def forecast_section(context: PageContext) -> Markup:
    """The next 48 hours as charts and tables."""
    words, forecast = context.words, context.snapshot.forecast
    if forecast is None:
        why = forecast_reason(context.snapshot.decision) or ""
        return section("ahead", words("ahead"), tag("p", words("no_forecast", words.reason(why))))
    ahead = {name: _ahead(context, forecast, name) for name in TARGETS}
    charts = [figure(context, name, hours, "ahead") for name, hours in ahead.items() if hours]
    crop = CROPS.get(context.snapshot.config.irrigation.crop)
    keys = ["line", "band", "night", "limit", *(["comfort"] if crop else [])]
    normals = forecast.observed_at is None
    return section(
        "ahead",
        words("ahead"),
        tag("p", words("only_normals"), class_="normals", role="note") if normals else None,
        tag("div", *charts, class_="pair"),
        legend(words, keys),
    )


def chart_hours(
    forecast: Forecast, quantity: str, observed: Mapping[datetime, float] | None = None
) -> list[Hour]:
    """Hours of one target for a chart, as they are published; with `observed` only those seen."""
    return [
        Hour(hour.valid_at, hour.value, hour.p10, hour.p90, (observed or {}).get(hour.valid_at))
        for hour in hours_of(forecast, forecast.targets[quantity])
        if hour.value is not None and hour.p10 is not None and hour.p90 is not None
        if observed is None or hour.valid_at in observed
    ]


def _ahead(context: PageContext, forecast: Forecast, quantity: str) -> list[Hour]:
    """Hours that are still to come; none where one is too few for a chart."""
    made = dict(zip(forecast.valid_at, forecast.sources_of(quantity), strict=True))
    to_come = [
        replace(hour, made_of=context.words.source(made[hour.at].value))
        for hour in chart_hours(forecast, quantity)
        if hour.at > context.snapshot.at
    ]
    return to_come if len(to_come) > 1 else []


def figure(context: PageContext, quantity: str, hours: list[Hour], name: str) -> Markup:
    """A chart, its extremes with their hours, and its table."""
    words, row = context.words, QUANTITIES[quantity]
    heading = row.label(words.language).heading
    first, last = context.time(hours[0].at), context.time(hours[-1].at)
    crop = CROPS.get(context.snapshot.config.irrigation.crop)
    spans = _spans(context, hours) if name == "ahead" else [("", hours)]
    extremes = [(head, _extremes(context, quantity, part)) for head, part in spans]
    told = [" ".join([head, *map(" ".join, part)]).strip() for head, part in extremes]
    chart = Chart(
        name=f"{name}-{row.short_name}",
        title=heading,
        description=words("chart_text", first, last, ". ".join(told)),
        unit=row.unit,
        digits=row.digits,
        hours=hours,
        zone=context.zone,
        site=context.site,
        day=words.day,
        limits=_limits(context, quantity),
        comfort=(crop.low_c, crop.high_c) if crop and quantity == AIR_TEMPERATURE else None,
        floor=row.chart[0],
        ceiling=row.chart[1],
    )
    return tag(
        "figure",
        tag("figcaption", tag("h3", f"{heading} ({row.unit})"), *map(_ends, extremes)),
        draw(chart),
        tag(
            "details",
            tag("summary", words("table"), id=f"{chart.name}-table"),
            _hours(context, quantity, hours, heading),
        ),
    )


def _spans(context: PageContext, hours: list[Hour]) -> list[tuple[str, list[Hour]]]:
    """The window of a rule, 24 hours, and what follows: the extremes are then those of alerts."""
    end = context.snapshot.at + timedelta(hours=24)
    spans = {
        context.words("in_24h"): [hour for hour in hours if hour.at <= end],
        context.words("after_24h"): [hour for hour in hours if hour.at > end],
    }
    return [(head, part) for head, part in spans.items() if part]


def _extremes(context: PageContext, quantity: str, hours: list[Hour]) -> list[tuple[str, str, str]]:
    """Highest and lowest hour: its name, value and time."""
    times, values = [hour.at for hour in hours], [hour.value for hour in hours]
    found = []
    for key, lowest in (("highest", False), ("lowest", True)):
        value, at = extreme(times, values, lowest=lowest)
        assert value is not None, "an hour of a chart has a value"
        assert at is not None
        found.append((context.words(key), conditions.amount_of(quantity, value), context.time(at)))
    return found


def _ends(part: tuple[str, list[tuple[str, str, str]]]) -> Markup:
    """The extremes of a span in one line."""
    head, extremes = part
    spans = [
        tag("span", f"{name} ", tag("b", amount), f" {time}") for name, amount, time in extremes
    ]
    return tag("p", tag("span", head, class_="head") if head else None, *spans, class_="ends")


def _limits(context: PageContext, quantity: str) -> list[Limit]:
    return [
        Limit(status.rule.threshold, texts.title_of(context.words.language, status.rule.name))
        for status in context.snapshot.rules
        if status.rule.quantity == quantity and not status.rule.now
    ]


def _hours(context: PageContext, quantity: str, hours: list[Hour], caption: str) -> Markup:
    words, digits = context.words, QUANTITIES[quantity].digits
    seen = any(hour.observed is not None for hour in hours)
    rows = [
        tag(
            "tr",
            tag("th", context.time(hour.at), scope="row"),
            tag("td", fixed(hour.value, digits), class_="number"),
            tag("td", f"{fixed(hour.low, digits)} – {fixed(hour.high, digits)}", class_="number"),
            tag("td", fixed(hour.observed, digits), class_="number")
            if hour.observed is not None
            else None,
        )
        for hour in hours
    ]
    heads = [words("hour"), words("expected"), words("likely")]
    return table(heads + ([words("legend_seen")] if seen else []), rows, caption)


def legend(words: PageTexts, keys: Iterable[str]) -> Markup:
    """Legend of the charts."""
    items = (
        tag("li", tag("span", class_=f"key {key}", aria_hidden="true"), words(f"legend_{key}"))
        for key in keys
    )
    return tag("ul", *items, class_="legend")
