"""A forecast as a band chart in SVG. Pure; no style inside, the page's sheet has it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.radiation import elevation_deg
from edge_agent.contract.numbers import fixed
from edge_agent.system.html import Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, tzinfo

    from edge_agent.contract.schema import Site

WIDTH: Final = 360
HEIGHT: Final = 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 354, 22, 196
_NEAR: Final = 0.5
"""Limits further than this share of the chart's span from the curve are not drawn."""
_HORIZON_DEG: Final = -0.833
"""Upper rim of the sun with mean refraction."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: value, ends of the interval, what was observed (None = not yet), what made it."""

    at: datetime
    value: float
    low: float
    high: float
    observed: float | None = None
    made_of: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold line and its name."""

    value: float
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw.

    Attributes:
        name: Unique within the page.
        title: For people.
        description: For screen readers.
        unit: Shown with every number.
        digits: Digits after the point of every number.
        hours: In order, at least two.
        zone: Of the time axis.
        site: For day and night.
        limits: Thresholds.
        comfort: Range in which the crop is well, or None.
        floor: No axis below this, or None.
        ceiling: No axis above this, or None.
        day: Names a day.
    """

    name: str
    title: str
    description: str
    unit: str
    digits: int
    hours: Sequence[Hour]
    zone: tzinfo
    site: Site
    day: Callable[[datetime], str]
    limits: Sequence[Limit] = ()
    comfort: tuple[float, float] | None = None
    floor: float | None = None
    ceiling: float | None = None


def draw(chart: Chart) -> Markup:
    """The chart as one SVG element."""
    low, high, limits = _span(chart)
    first, last = chart.hours[0].at, chart.hours[-1].at

    def x(at: datetime) -> float:
        return _LEFT + (at - first) / (last - first) * (_RIGHT - _LEFT)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return _BOTTOM - (inside - low) / (high - low) * (_BOTTOM - _TOP)

    return tag(
        "svg",
        tag("title", chart.title, id=f"{chart.name}-t"),
        tag("desc", chart.description, id=f"{chart.name}-d"),
        _nights(chart, x),
        _comfort(chart, y, low, high),
        _grid(low, high, y),
        _days(chart, x),
        _band(chart, x, y),
        *(_limit(limit, y, chart.hours) for limit in limits),
        _curve(chart, x, y),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart",
        role="img",
        aria_labelledby=f"{chart.name}-t {chart.name}-d",
    )


def _span(chart: Chart) -> tuple[float, float, list[Limit]]:
    seen = [hour.observed for hour in chart.hours if hour.observed is not None]
    low = min([hour.low for hour in chart.hours] + seen)
    high = max([hour.high for hour in chart.hours] + seen)
    reach = _NEAR * max(high - low, 4.0)
    near = [limit for limit in chart.limits if low - reach <= limit.value <= high + reach]
    low = min([low, *(limit.value for limit in near)])
    high = max([high, *(limit.value for limit in near)])
    step = _step(high - low)
    low, high = math.floor(low / step - 0.15) * step, math.ceil(high / step + 0.15) * step
    low = low if chart.floor is None else max(low, chart.floor)
    high = high if chart.ceiling is None else min(high, chart.ceiling)
    return low, max(high, low + step), near


def _step(span: float) -> float:
    smallest = max(span, 2.0) / 5
    size = 10.0 ** math.floor(math.log10(smallest))
    return next(float(size * n) for n in (1, 2, 5, 10) if size * n >= smallest)


def _nights(chart: Chart, x: Callable[[datetime], float]) -> Markup:
    half = timedelta(minutes=30)
    first, last = chart.hours[0].at, chart.hours[-1].at
    spans: list[list[datetime]] = []
    for hour in chart.hours:
        if not _dark(hour.at, chart.site):
            continue
        start, end = max(hour.at - half, first), min(hour.at + half, last)
        if spans and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return join(
        *(
            tag("rect", class_="night", x=x(a), y=_TOP, width=x(b) - x(a), height=_BOTTOM - _TOP)
            for a, b in spans
        )
    )


def _dark(at: datetime, site: Site) -> bool:
    day, hour = at.timetuple().tm_yday, at.hour + at.minute / 60
    return bool(elevation_deg(site.latitude, site.longitude, day, hour) < _HORIZON_DEG)


def _comfort(chart: Chart, y: Callable[[float], float], low: float, high: float) -> Markup | None:
    if chart.comfort is None:
        return None
    bottom, top = max(chart.comfort[0], low), min(chart.comfort[1], high)
    if top <= bottom:
        return None
    return tag(
        "rect", class_="comfort", x=_LEFT, y=y(top), width=_RIGHT - _LEFT, height=y(bottom) - y(top)
    )


def _grid(low: float, high: float, y: Callable[[float], float]) -> Markup:
    step = _step(high - low)
    ticks = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return join(
        *(
            join(
                tag("line", class_="grid", x1=_LEFT, x2=_RIGHT, y1=y(tick), y2=y(tick)),
                tag("text", f"{tick:g}", class_="tick end", x=_LEFT - 5, y=y(tick) + 4),
            )
            for tick in ticks
        )
    )


def _days(chart: Chart, x: Callable[[datetime], float]) -> Markup:
    marks = []
    for index, hour in enumerate(chart.hours):
        local = hour.at.astimezone(chart.zone)
        at = x(hour.at)
        if local.hour % 6 == 0 and _LEFT + 4 <= at <= _RIGHT - 4:
            marks.append(tag("text", str(local.hour), class_="tick middle", x=at, y=_BOTTOM + 16))
        if local.hour == 0 or index == 0:
            if local.hour == 0:
                marks.append(tag("line", class_="day", x1=at, x2=at, y1=_TOP, y2=_BOTTOM + 34))
            if at < _RIGHT - 56 and (local.hour <= 14 or index > 0):
                marks.append(tag("text", chart.day(local), class_="tick", x=at + 4, y=_BOTTOM + 33))
    return join(*marks)


def _band(chart: Chart, x: Callable[[datetime], float], y: Callable[[float], float]) -> Markup:
    there = [(x(hour.at), y(hour.high)) for hour in chart.hours]
    back = [(x(hour.at), y(hour.low)) for hour in reversed(chart.hours)]
    return tag("path", class_="band", d=f"M{_points(there)}L{_points(back)}Z")


def _curve(chart: Chart, x: Callable[[datetime], float], y: Callable[[float], float]) -> Markup:
    line = [(x(hour.at), y(hour.value)) for hour in chart.hours]
    return join(
        tag("path", class_="line", d=f"M{_points(line)}"),
        *(
            tag(
                "circle",
                tag("title", _hour_text(hour, chart)),
                class_="point",
                cx=round(across, 1),
                cy=round(up, 1),
                r=2.2,
            )
            for hour, (across, up) in zip(chart.hours, line, strict=True)
        ),
        *(
            tag(
                "circle",
                class_="seen",
                cx=round(x(hour.at), 1),
                cy=round(y(hour.observed), 1),
                r=2.8,
            )
            for hour in chart.hours
            if hour.observed is not None
        ),
    )


def _hour_text(hour: Hour, chart: Chart) -> str:
    local = hour.at.astimezone(chart.zone)
    value, low, high = (fixed(n, chart.digits) for n in (hour.value, hour.low, hour.high))
    made = f" {hour.made_of}" if hour.made_of else ""
    return f"{local:%m-%d %H:%M}: {value}{chart.unit} ({low} – {high}{chart.unit}){made}"


def _limit(limit: Limit, y: Callable[[float], float], hours: Sequence[Hour]) -> Markup:
    at = y(limit.value)
    # The name is drawn at the end where the curve is further away.
    left = abs(hours[0].value - limit.value) > abs(hours[-1].value - limit.value)
    place, kind = (_LEFT + 2, "limit-name") if left else (_RIGHT - 2, "limit-name end")
    return join(
        tag("line", class_="limit", x1=_LEFT, x2=_RIGHT, y1=at, y2=at),
        tag("text", limit.name, class_=kind, x=place, y=at - 4),
    )


def _points(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{across:.1f} {up:.1f}" for across, up in points)
