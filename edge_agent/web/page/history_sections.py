"""Page sections: yesterday's forecast, the release, the device. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.alerts import conditions, texts
from edge_agent.contract.numbers import fixed, signed
from edge_agent.contract.schema import QUANTITIES, TARGETS
from edge_agent.core.agent_facts import guidance_at
from edge_agent.forecasting.joining import OLD_H
from edge_agent.system.html import Markup, tag
from edge_agent.web.api import serialize
from edge_agent.web.page.context import facts, section, table
from edge_agent.web.page.forecast_section import chart_hours, figure, legend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.messages.payloads import SensorReport, Tuned
    from edge_agent.web.page.context import PageContext
    from edge_agent.web.page.texts import PageTexts


def yesterday_section(context: PageContext) -> Markup:
    """Yesterday's forecast and what was observed since."""
    words, past = context.words, context.snapshot.past
    charts = []
    for name in TARGETS:
        observed = past.observed.get(name, {}) if past else {}
        hours = chart_hours(past.forecast, name, observed) if past else []
        if len(hours) < 2:
            continue
        off = sum(abs(observed[h.at] - h.value) for h in hours) / len(hours)
        inside = sum(h.low <= observed[h.at] <= h.high for h in hours)
        summary = words("missed_by", conditions.amount_of(name, off), len(hours), inside)
        charts.append(tag("div", figure(context, name, hours, "past"), tag("p", summary)))
    title = words("yesterday")
    if not charts:
        return section("yesterday", title, tag("p", words("no_yesterday")), _month(context))
    keys = legend(words, ["seen", "line", "band"])
    both = tag("div", *charts, class_="pair")
    return section("yesterday", title, both, keys, _month(context))


def _month(context: PageContext) -> Markup | None:
    """Errors of the last 30 days' forecasts, by lead."""
    words, skill = context.words, context.snapshot.skill
    if not skill:
        return None
    rows = [
        tag(
            "tr",
            tag("th", conditions.quantity_of(words.language, score.quantity), scope="row"),
            tag("td", words("hours", score.lead_h), class_="number"),
            tag("td", conditions.amount_of(score.quantity, score.rmse), class_="number"),
            tag("td", signed(score.bias, 1), class_="number"),
            tag("td", f"{100 * score.coverage:.0f}%", class_="number"),
        )
        for score in skill
    ]
    heads = (words("quantity"), words("lead"), words("rmse"), words("bias"), words("inside"))
    return tag(
        "details",
        tag("summary", words("month"), id="month"),
        table(heads, rows, words("month")),
    )


def model_section(context: PageContext) -> Markup:
    """The release that runs, the score before it, and past alerts."""
    words, release = context.words, serialize.release(context.snapshot)
    left, created_at = release.left_release, release.created_at
    about = facts(
        [
            (words("runs"), words("none") if release.release is None else str(release.release)),
            (words("made_at"), created_at and context.time(datetime.fromisoformat(created_at))),
            (words("reason"), words.reason(release.reason or "")),
            (words("fitted"), _fitted(context, release.tuned)),
            (words("before"), str(release.previous.release) if release.previous else None),
            (
                words("left"),
                None if left is None else f"{left}: {words.reason(release.left_reason or '')}",
            ),
        ]
    )
    rows = [
        tag("li", tag("time", context.time(edge.at), datetime=f"{edge.at:%Y-%m-%dT%H:%MZ}"), " ",
            edge.text)
        for edge in context.edges
    ]  # fmt: skip
    past = tag("ol", *rows, class_="history") if rows else tag("p", words("no_history"))
    return section("model", words("model"), about, tag("h3", words("history")), past)


def _fitted(context: PageContext, tuned: Tuned | None) -> str | None:
    """Targets that are corrected for this farm, and the newest hour of its history used."""
    if tuned is None or not tuned.targets:
        return None
    words = context.words
    names = ", ".join(conditions.quantity_of(words.language, target) for target in tuned.targets)
    return words("fitted_on", names, context.time(datetime.fromisoformat(tuned.trained_to)))


def device_section(context: PageContext) -> Markup:
    """State of the device."""
    words = context.words
    health = serialize.health(context.snapshot, context.service, context.now)
    states = tag(
        "ul",
        *(
            tag("li", tag("b", name), tag("span", value), class_="good" if good else "bad")
            for name, good, value in _states(context)
        ),
        class_="states",
    )
    problems = [
        tag("li", words.problem(text), tag("p", told, class_="note") if told else None)
        for text in health.problems
        for told in (words.action(text),)
    ]
    again = tag("button", words("predict"), type_="button", data_command="predict")
    return section(
        "health",
        words("health"),
        states,
        tag("h3", words("faults")),
        tag("ul", *problems, class_="problems") if problems else tag("p", words("all_well")),
        _sensors(context),
        tag("p", again, class_="actions") if context.acts else None,
        tag("p", f"{words('agent')} edge-agent {__version__}", class_="note"),
    )


def _states(context: PageContext) -> Iterator[tuple[str, bool, str]]:
    words, snapshot, service = context.words, context.snapshot, context.service
    age = serialize.data_age_s(snapshot, context.now)
    forecast = snapshot.forecast
    if forecast is not None and age is not None:
        text = words("old_by", words.span(context.now - forecast.origin))
        yield words("data"), not forecast.notes, text
    else:
        yield words("data"), False, words("none")
    guidance = guidance_at(snapshot.decision, context.now)
    if guidance is not None:
        span = words.span(timedelta(seconds=guidance.age_s))
        share = round(100 * sum(guidance.weight.values()) / len(guidance.weight))
        text = words("guidance_state", guidance.cell, span, share)
        yield words("guidance"), guidance.age_s < OLD_H * 3600, text
    if service is not None:
        link = service.link
        yield words("broker"), link.connected, words("connected" if link.connected else "away")
        failed = "update" in service.faults
        synced = _synced(context, service.updated_at, failed=failed)
        yield words("depot"), not failed, synced
    waiting = sum(snapshot.outbox.waiting.values())
    yield words("outbox"), service is None or service.link.connected, str(waiting)
    yield words("clock"), snapshot.clock != "untrusted", words(snapshot.clock)
    yield words("disk"), snapshot.disk_free > 200_000_000, f"{snapshot.disk_free / 1e9:.1f} GB"
    if snapshot.sensors:
        fresh = sum(report.fresh for report in snapshot.sensors)
        total = len(snapshot.sensors)
        yield words("sensors"), fresh == total, words("n_of_m", fresh, total)


def _synced(context: PageContext, at: datetime | None, *, failed: bool) -> str:
    words, depot = context.words, context.snapshot.config.depot
    # The poll of a device without a depot succeeds as well.
    if not (depot.url or depot.path):
        return words("no_depot")
    failure = [words("sync_failed")] if failed else []
    if at is not None:
        return " · ".join([*failure, words("synced", words.span(context.now - at))])
    return words("sync_failed") if failed else words("never_synced")


def _sensors(context: PageContext) -> Markup | None:
    """Last value, age and refusals of every sensor."""
    words, sensors = context.words, context.snapshot.sensors
    if not sensors:
        return None
    rows = [
        tag(
            "tr",
            tag("th", f"{report.topic} {report.field}".strip(), scope="row"),
            tag("td", f"{texts.place_of(words.language, report.role)}, {_what(words, report)}"),
            tag("td", _value(words, report), class_="number"),
            tag("td", context.ago(report.at) if report.at else words("no_reading")),
            tag("td", str(report.refused), class_="number"),
            tag("td", _last_refused(context, report)),
        )
        for report in sensors
    ]
    heads = ("sensor", "quantity", "value", "age", "refusals", "last_refusal")
    return tag(
        "details",
        tag("summary", words("sensors"), id="sensor-table"),
        table([words(head) for head in heads], rows, words("sensors")),
    )


def _what(words: PageTexts, report: SensorReport) -> str:
    return QUANTITIES[report.quantity].label(words.language).short


def _value(words: PageTexts, report: SensorReport) -> str:
    if report.value is None:
        return words("none")
    return f"{fixed(report.value, QUANTITIES[report.quantity].digits)} {report.unit}"


def _last_refused(context: PageContext, report: SensorReport) -> str:
    last = report.last_refused
    if last is None:
        return ""
    why = context.words.reason(last.reason.removeprefix(f"{report.topic}: "))
    return f"{context.ago(last.at)}: {last.value} ({why})"


def farm_name(context: PageContext) -> str:
    """Name of the farm, else site and device."""
    device = context.snapshot.config.device
    return device.name or f"{device.site} / {device.id}"
