"""What the page says about yesterday's forecast, the release and the device. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.alerts import texts
from edge_agent.contract.schema import QUANTITIES
from edge_agent.messages.status import TARGET_TOPICS
from edge_agent.web.api import serialize
from edge_agent.web.page.chart import Hour
from edge_agent.web.page.context import facts, section, table
from edge_agent.web.page.forecast_section import figure, legend
from edge_agent.web.page.html import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.messages.payloads import Tuned
    from edge_agent.web.page.context import Scene


def yesterday(scene: Scene) -> Markup:
    """Yesterday's forecast against what came."""
    words, past = scene.words, scene.view.past
    found = {name: serialize.compared(past, name) if past else () for name in TARGET_TOPICS}
    charts = []
    for name, word in TARGET_TOPICS.items():
        hours = [Hour(h.at, h.value, h.low, h.high, h.observed) for h in found[name]]
        if len(hours) < 2:
            continue
        off = sum(abs(h.observed - h.value) for h in found[name]) / len(hours)
        inside = sum(h.low <= h.observed <= h.high for h in found[name])
        said = words("missed_by", f"{off:.1f}", QUANTITIES[name].unit, len(hours), inside)
        charts.append(tag("div", figure(scene, name, word, hours, "past"), tag("p", said)))
    title = words("yesterday")
    if not charts:
        return section("yesterday", title, tag("p", words("no_yesterday")), _month(scene))
    keys = legend(words, ["seen", "line", "band"])
    both = tag("div", *charts, class_="pair")
    return section("yesterday", title, both, keys, _month(scene))


def _month(scene: Scene) -> Markup | None:
    """How forecasts came out lately, by lead."""
    words, skill = scene.words, scene.view.skill
    if not skill:
        return None
    rows = [
        tag(
            "tr",
            tag("th", texts.quantity_of(words.language, one.quantity), scope="row"),
            tag("td", words("hours", one.lead_h), class_="number"),
            tag("td", f"{one.rmse:.1f}{texts.unit_of(one.quantity)}", class_="number"),
            tag("td", f"{one.bias:+.1f}", class_="number"),
            tag("td", f"{100 * one.coverage:.0f}%", class_="number"),
        )
        for one in skill
    ]
    heads = (words("quantity"), words("lead"), words("rmse"), words("bias"), words("inside"))
    made = table(heads, rows, words("month"))
    return tag("details", tag("summary", words("month"), id="month"), made)


def model(scene: Scene) -> Markup:
    """The release, its neighbours, and what was said."""
    words, release = scene.words, serialize.release(scene.view)
    left, made = release.left_release, release.created_at
    about = facts(
        [
            (words("runs"), words("none") if release.release is None else str(release.release)),
            (words("made_at"), made and scene.time(datetime.fromisoformat(made))),
            (words("reason"), release.reason),
            (words("fitted"), _fitted(scene, release.tuned)),
            (words("before"), str(release.previous.release) if release.previous else None),
            (words("left"), None if left is None else f"{left}: {release.left_reason}"),
        ]
    )
    rows = [
        tag("li", tag("time", scene.time(edge.at), datetime=f"{edge.at:%Y-%m-%dT%H:%MZ}"), " ",
            edge.text)
        for edge in scene.edges
    ]  # fmt: skip
    past = tag("ol", *rows, class_="history") if rows else tag("p", words("no_history"))
    return section("model", words("model"), about, tag("h3", words("history")), past)


def _fitted(scene: Scene, tuned: Tuned | None) -> str | None:
    """Targets that are corrected for this farm, and on how much of its history."""
    if tuned is None or not tuned.targets:
        return None
    words = scene.words
    names = ", ".join(texts.quantity_of(words.language, target) for target in tuned.targets)
    return words("fitted_on", names, scene.time(datetime.fromisoformat(tuned.trained_to)))


def device(scene: Scene) -> Markup:
    """How the device is."""
    words = scene.words
    health = serialize.health(scene.view, scene.condition, scene.now)
    shown = list(_states(scene))
    list_ = tag(
        "ul",
        *(
            tag("li", tag("b", name), tag("span", value), class_="good" if good else "bad")
            for name, good, value in shown
        ),
        class_="states",
    )
    problems = [tag("li", words.reason(text)) for text in health.problems]
    again = tag("button", words("predict"), type_="button", data_command="predict")
    return section(
        "health",
        words("health"),
        list_,
        tag("h3", words("faults")),
        tag("ul", *problems, class_="problems") if problems else tag("p", words("all_well")),
        tag("p", again, class_="actions") if scene.acts else None,
        tag("p", f"{words('agent')} edge-agent {__version__}", class_="note"),
    )


def _states(scene: Scene) -> Iterator[tuple[str, bool, str]]:
    words, view, condition = scene.words, scene.view, scene.condition
    age = serialize.data_age_s(view, scene.now)
    forecast = view.forecast
    if forecast is not None and age is not None:
        text = words("old_by", words.span(scene.now - forecast.origin))
        yield words("data"), not forecast.notes, text
    else:
        yield words("data"), False, words("none")
    if condition is not None:
        link = condition.link
        yield words("broker"), link.connected, words("connected" if link.connected else "away")
        at = condition.updated_at
        text = words("synced", words.span(scene.now - at)) if at else words("never_synced")
        yield words("depot"), "update" not in condition.faults, text
    waiting = sum(view.outbox.waiting.values())
    yield words("outbox"), condition is None or condition.link.connected, str(waiting)
    yield words("clock"), view.clock != "untrusted", words(view.clock)
    yield words("disk"), view.disk_free > 200_000_000, f"{view.disk_free / 1e9:.1f} GB"
    if view.readings:
        fresh = sum(serialize.sensor(r, view, scene.now).fresh for r in view.readings)
        total = len(view.readings)
        yield words("sensors"), fresh == total, words("n_of_m", fresh, total)


def name_of(scene: Scene) -> str:
    """What the farm is called."""
    device_ = scene.view.config.device
    return device_.name or f"{device_.site} / {device_.id}"
