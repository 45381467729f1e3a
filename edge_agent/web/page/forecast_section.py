"""Forecasts as charts and tables of the page. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.agronomy.crops import CROPS
from edge_agent.alerts import texts
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES, TARGETS
from edge_agent.core.agent_facts import forecast_reason
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
    charts = [figure(context, name, chart_hours(forecast, name), "ahead") for name in TARGETS]
    crop = CROPS.get(context.snapshot.config.irrigation.crop)
    keys = ["line", "band", "night", "limit", *(["comfort"] if crop else [])]
    return section("ahead", words("ahead"), tag("div", *charts, class_="pair"), legend(words, keys))


def chart_hours(
    forecast: Forecast, quantity: str, observed: Mapping[datetime, float] | None = None
) -> list[Hour]:
    """Hours of one target for a chart; with `observed` only those that were observed."""
    target = forecast.targets[quantity]
    low, high = target.quantile(P10), target.quantile(P90)
    return [
        Hour(at, float(target.values[i]), float(low[i]), float(high[i]), (observed or {}).get(at))
        for i, at in enumerate(forecast.valid_at)
        if observed is None or at in observed
    ]


def figure(context: PageContext, quantity: str, hours: list[Hour], name: str) -> Markup:
    """A chart, its highest and lowest hour, and its table."""
    words, row = context.words, QUANTITIES[quantity]
    unit, heading = row.unit, row.label(words.language).heading
    top, bottom = max(hours, key=lambda h: h.value), min(hours, key=lambda h: h.value)
    first, last = context.time(hours[0].at), context.time(hours[-1].at)
    crop = CROPS.get(context.snapshot.config.irrigation.crop)
    chart = Chart(
        name=f"{name}-{row.short_name}",
        title=heading,
        description=words(
            "chart_text", first, last, f"{top.value:.1f}", f"{bottom.value:.1f}", unit
        ),
        unit=unit,
        hours=hours,
        zone=context.zone,
        site=context.site,
        day=words.day,
        limits=_limits(context, quantity),
        comfort=(crop.low_c, crop.high_c) if crop and quantity == AIR_TEMPERATURE else None,
        floor=row.chart[0],
        ceiling=row.chart[1],
    )
    ends = (("highest", top), ("lowest", bottom))
    extremes = [
        tag("span", f"{words(key)} ", tag("b", f"{h.value:.0f}{unit}"), f" {context.time(h.at)}")
        for key, h in ends
    ]
    return tag(
        "figure",
        tag("figcaption", tag("h3", f"{heading} ({unit})"), tag("p", *extremes, class_="ends")),
        draw(chart),
        tag(
            "details",
            tag("summary", words("table"), id=f"{chart.name}-table"),
            _hours(context, hours, heading),
        ),
    )


def _limits(context: PageContext, quantity: str) -> list[Limit]:
    return [
        Limit(status.rule.threshold, texts.title_of(context.words.language, status.rule.name))
        for status in context.snapshot.rules
        if status.rule.quantity == quantity and not status.rule.now
    ]


def _hours(context: PageContext, hours: list[Hour], caption: str) -> Markup:
    words = context.words
    seen = any(hour.observed is not None for hour in hours)
    rows = [
        tag(
            "tr",
            tag("th", context.time(hour.at), scope="row"),
            tag("td", f"{hour.value:.1f}", class_="number"),
            tag("td", f"{hour.low:.0f} – {hour.high:.0f}", class_="number"),
            tag("td", f"{hour.observed:.1f}", class_="number")
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
