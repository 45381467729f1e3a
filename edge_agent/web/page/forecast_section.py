"""Forecasts as charts and tables of the page. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.agronomy.crops import CROPS
from edge_agent.alerts import texts
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES
from edge_agent.messages.status import TARGET_TOPICS
from edge_agent.web.api import serialize
from edge_agent.web.page.chart import Chart, Hour, Limit, draw
from edge_agent.web.page.context import section, table
from edge_agent.web.page.html import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.web.page.context import Scene
    from edge_agent.web.page.texts import Words


def ahead(scene: Scene) -> Markup:
    """The next 48 hours as charts and tables."""
    words, forecast = scene.words, scene.view.forecast
    if forecast is None:
        why = serialize.reason(scene.view) or ""
        return section("ahead", words("ahead"), tag("p", words("no_forecast", words.reason(why))))
    charts = []
    for name, word in TARGET_TOPICS.items():
        target = forecast.targets[name]
        low, high = target.quantile(P10), target.quantile(P90)
        hours = [
            Hour(at, float(target.values[i]), float(low[i]), float(high[i]))
            for i, at in enumerate(forecast.valid_at)
        ]
        charts.append(figure(scene, name, word, hours, "ahead"))
    crop = CROPS.get(scene.view.config.irrigation.crop)
    keys = ["line", "band", "night", "limit", *(["comfort"] if crop else [])]
    return section("ahead", words("ahead"), tag("div", *charts, class_="pair"), legend(words, keys))


def figure(scene: Scene, quantity: str, word: str, hours: list[Hour], name: str) -> Markup:
    """A chart, its highest and lowest hour, and its table."""
    words, unit = scene.words, QUANTITIES[quantity].unit
    top, bottom = max(hours, key=lambda h: h.value), min(hours, key=lambda h: h.value)
    first, last = scene.time(hours[0].at), scene.time(hours[-1].at)
    crop = CROPS.get(scene.view.config.irrigation.crop)
    temperature = quantity == AIR_TEMPERATURE
    made = Chart(
        name=f"{name}-{word}",
        title=words(word),
        description=words(
            "chart_text", first, last, f"{top.value:.1f}", f"{bottom.value:.1f}", unit
        ),
        unit=unit,
        hours=hours,
        zone=scene.zone,
        site=scene.site,
        day=words.day,
        limits=_limits(scene, quantity),
        comfort=(crop.low_c, crop.high_c) if crop and temperature else None,
        floor=None if temperature else 0.0,
        ceiling=None if temperature else 100.0,
    )
    ends = (("highest", top), ("lowest", bottom))
    extremes = [
        tag("span", f"{words(key)} ", tag("b", f"{h.value:.0f}{unit}"), f" {scene.time(h.at)}")
        for key, h in ends
    ]
    return tag(
        "figure",
        tag("figcaption", tag("h3", f"{words(word)} ({unit})"), tag("p", *extremes, class_="ends")),
        draw(made),
        tag(
            "details",
            tag("summary", words("table"), id=f"{made.name}-table"),
            _hours(scene, hours, words(word)),
        ),
    )


def _limits(scene: Scene, quantity: str) -> list[Limit]:
    return [
        Limit(shown.rule.threshold, texts.title_of(scene.words.language, shown.rule.name))
        for shown in scene.view.rules
        if shown.rule.quantity == quantity and not shown.rule.now
    ]


def _hours(scene: Scene, hours: list[Hour], caption: str) -> Markup:
    words = scene.words
    seen = any(hour.observed is not None for hour in hours)
    rows = [
        tag(
            "tr",
            tag("th", scene.time(hour.at), scope="row"),
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


def legend(words: Words, keys: Iterable[str]) -> Markup:
    """What the marks of the charts mean."""
    items = (
        tag("li", tag("span", class_=f"key {key}", aria_hidden="true"), words(f"legend_{key}"))
        for key in keys
    )
    return tag("ul", *items, class_="legend")
