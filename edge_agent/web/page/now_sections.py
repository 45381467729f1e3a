"""Page sections: alerts, newest readings, watering. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.derived import needed_for, values_of
from edge_agent.alerts import conditions, texts
from edge_agent.alerts.state_machine import Level
from edge_agent.contract.numbers import fixed, percent, plain
from edge_agent.contract.schema import AIR_TEMPERATURE, DERIVED, QUANTITIES, RELATIVE_HUMIDITY
from edge_agent.system.html import Markup, tag
from edge_agent.web.api import serialize
from edge_agent.web.page.context import facts, section, table

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.messages.payloads import WaterBalance
    from edge_agent.web.api import schemas
    from edge_agent.web.page.context import PageContext
    from edge_agent.web.page.texts import PageTexts
    from edge_agent.web.snapshot import RuleStatus


GRAVEST_FIRST: Final = ("critical", "warning", "info")


def alert_section(context: PageContext) -> Markup:
    """Raised alerts, each with its reasons, then the other rules."""
    words, rules = context.words, context.snapshot.rules
    alerts = serialize.alerts(context.snapshot, words.language).alerts
    pairs = list(zip(rules, alerts, strict=True))
    # An alert whose data stopped stands until they say otherwise.
    stands = [status.latch.level is Level.RAISED for status in rules]
    standing = [pair for pair, stood in zip(pairs, stands, strict=True) if stood]
    standing.sort(key=lambda pair: GRAVEST_FIRST.index(pair[0].rule.severity))
    raised = [_alert(context, *pair) for pair in standing]
    others = [pair for pair, stood in zip(pairs, stands, strict=True) if not stood]
    unknown = sum(not alert.known for alert in alerts)
    lines = [] if raised else [words("no_alerts")]
    if unknown:
        lines.append(words("not_judged", unknown, len(rules)))
    # Green is for what is known to be well.
    said = tag("p", " ".join(lines), class_=None if unknown else "calm") if lines else None
    heading = words("other_rules" if raised else "rules_n", len(others))
    return section("alerts", words("alerts"), said, *raised, _others(context, others, heading))


def _alert(context: PageContext, status: RuleStatus, alert: schemas.Alert) -> Markup:
    words, rule = context.words, status.rule
    notes = []
    if alert.since:
        notes.append(words("since", context.time(alert.since)))
    if alert.seen:
        notes.append(words("seen"))
    notes += _held_note(context, status)
    severity = texts.severity_of(words.language, rule.severity)
    title = texts.title_of(words.language, rule.name)
    return tag(
        "article",
        tag("h3", tag("span", severity, class_="badge"), " ", title),
        tag("p", _without_head(alert.text) if alert.text else words("unknown"), class_="said"),
        tag("p", " · ".join(notes), class_="note") if notes else None,
        _actions(context, rule.name),
        tag(
            "details",
            tag("summary", words("why"), id=f"why-{rule.name}"),
            _why(context, status, alert),
            class_="why",
        ),
        class_=f"alert {rule.severity}",
    )


def _held_note(context: PageContext, status: RuleStatus) -> list[str]:
    """Why a message about a rule waits, and until when; empty where none does."""
    words, held = context.words, status.latch.held_back
    if held is None or held.until is None:
        return []
    text = "held" if status.latch.untold else "held_updates"
    return [words(text, words(f"held_{held.why}"), context.time(held.until))]


def _without_head(text: str) -> str:
    """A built-in text without the severity and title that the card shows already."""
    head, colon, tail = text.partition(": ")
    return tail if colon and head.startswith("[") else text


def _actions(context: PageContext, rule: str) -> Markup | None:
    if not context.acts:
        return None
    words = context.words
    return tag(
        "p",
        tag("button", words("ack"), type_="button", data_command="ack", data_rule=rule),
        tag("button", words("snooze"), type_="button", data_command="snooze", data_rule=rule,
            data_minutes="180"),
        class_="actions",
    )  # fmt: skip


def _why(context: PageContext, status: RuleStatus, alert: schemas.Alert) -> Markup:
    words, why, rule = context.words, alert.why, status.rule
    origin = context.time(why.origin) if why.origin else None
    value = None if why.value is None else conditions.amount_of(rule.quantity, why.value)
    return facts(
        [
            (words("condition"), condition(words, status)),
            (
                words("chance"),
                words("chance_of", percent(why.probability), f"{plain(100 * why.needed)}%")
                if why.probability is not None and why.needed
                else None,
            ),
            (
                words("measured")
                if rule.now
                else texts.extreme_of(words.language, rule).capitalize(),
                f"{value}, {context.time(why.value_at)}" if value and why.value_at else None,
            ),
            (words("first_hour"), context.time(why.hour) if why.hour and not rule.now else None),
            (
                words("rests_on"),
                words("data_of", words.inputs(why.inputs), origin)
                if why.inputs and origin
                else words.inputs(why.inputs or ""),
            ),
            (
                words("made_by"),
                words.source(why.source)
                + (f", {words('release_n', why.model_release)}" if why.model_release else "")
                if why.source
                else None,
            ),
        ]
    )


def condition(words: PageTexts, status: RuleStatus) -> str:
    """Condition of a rule in words."""
    rule = status.rule
    name = conditions.compared_of(words.language, rule, rule.within_h)
    limit = conditions.limits_of(words.language, rule)
    if rule.now:
        return words("measured_now", name, limit)
    if rule.for_h > 1:
        return words("within_for", rule.within_h, name, limit, rule.for_h)
    return words("within", rule.within_h, name, limit)


def _others(
    context: PageContext, others: list[tuple[RuleStatus, schemas.Alert]], heading: str
) -> Markup | None:
    if not others:
        return None
    words = context.words
    rows = [
        tag(
            "tr",
            tag("th", texts.title_of(words.language, status.rule.name), scope="row"),
            tag("td", _chance_now(words, alert), class_="number"),
            tag("td", " · ".join([condition(words, status), *_held_note(context, status)])),
        )
        for status, alert in others
    ]
    heads = (words("rule"), words("chance"), words("condition"))
    return tag(
        "details",
        tag("summary", heading, id="other-rules"),
        table(heads, rows, words("alerts")),
    )


def _chance_now(words: PageTexts, alert: schemas.Alert) -> str:
    if not alert.known:
        return words("unknown")
    chance = alert.why.probability
    # A live rule is met or not: it has no chance.
    return words("calm") if chance is None or alert.why.needed is None else percent(chance)


def now_section(context: PageContext) -> Markup:
    """The newest readings, each with its age."""
    words, snapshot = context.words, context.snapshot
    tiles: list[Markup] = []
    station = snapshot.station
    sensors = snapshot.sensors
    if station is not None and not any(s.role == "outdoor" and s.fresh for s in sensors):
        values = dict(station.values)
        values |= {
            name: float(values_of(name, values))
            for name in DERIVED
            if values.keys() >= set(needed_for(name))
        }
        where = words.inputs(station.source)
        tiles += [
            _tile(context, where, name, values[name], station.at)
            for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY, *DERIVED)
            if name in values
        ]
    tiles += [
        _tile(
            context,
            texts.place_of(words.language, s.role).capitalize(),
            s.quantity,
            s.value,
            s.at,
            fresh=s.fresh,
        )
        for s in sensors
    ]
    body = tag("div", *tiles, class_="tiles") if tiles else tag("p", words("nothing_now"))
    return section("now", words("now"), body)


def _tile(
    context: PageContext,
    where: str,
    quantity: str,
    value: float | None,
    at: datetime | None,
    *,
    fresh: bool = True,
) -> Markup:
    words = context.words
    row = QUANTITIES[quantity]
    number = words("no_reading") if value is None else fixed(value, row.digits)
    # What never spoke is not old.
    note = " · ".join([context.ago(at), *([] if fresh else [words("stale")])]) if at else None
    return tag(
        "div",
        tag("p", where, class_="where"),
        tag("p", row.label(words.language).short, class_="what"),
        tag(
            "p",
            number,
            tag("span", row.unit, class_="unit") if value is not None else None,
            class_="big" if value is not None else "none",
        ),
        tag("p", note, class_="note") if note else None,
        class_="tile" if fresh else "tile stale",
    )


def _balance(context: PageContext, balance: WaterBalance | None) -> list[tuple[str, str | None]]:
    """How the depletion came about since its start, and the newest water reported."""
    words = context.words
    if balance is None:
        return []
    last = words("water_unreported")
    if balance.last_given_at is not None:
        last = f"{context.time(balance.last_given_at)}, {balance.last_given_mm:.1f} mm"
    start = "water_assumed" if balance.start_assumed else "water_start"
    return [
        (words("water_last"), last),
        (words(start, context.time(balance.since)), f"{balance.start_mm:.1f} mm"),
        (words("water_used"), f"+ {balance.demand_mm:.1f} mm"),
        (words("water_rain"), f"− {balance.rain_mm:.1f} mm"),
        (words("water_given"), f"− {balance.given_mm:.1f} mm"),
        (words("water_drained"), f"+ {balance.drained_mm:.1f} mm"),
        (words("water_corrected"), f"{balance.corrected_mm:+.1f} mm"),
        (words("water_filled"), f"{balance.filled_hours}, {balance.rainless_hours}"),
    ]


def water_section(context: PageContext) -> Markup | None:
    """Watering advice and how it was worked out; None without a crop."""
    words, advice = context.words, serialize.advice(context.snapshot)
    if advice is None:
        return None
    title = words("water")
    if advice.reason is not None:
        return section(
            "water", title, tag("p", words("water_refused", words.reason(advice.reason)))
        )
    if not advice.need_mm:
        sentences = [tag("p", words("water_none"), class_="calm")]
    else:
        litres = "" if advice.volume_l is None else f" ({advice.volume_l:,.0f} L)"
        sentences = [tag("p", words("water_need", f"{advice.need_mm:.1f}"), litres, class_="said")]
        if advice.start and advice.end:
            sentences.append(
                tag("p", words("water_when", context.time(advice.start), context.time(advice.end)))
            )
        else:
            sentences.append(tag("p", words("water_never")))
    calculation = facts(
        [
            (words("crop"), advice.crop),
            (words("depletion"), f"{advice.depletion_mm:.1f} mm"),
            (words("readily"), f"{advice.readily_mm:.1f} mm"),
            (words("demand"), f"{advice.demand_mm:.1f} mm"),
            (words("basis"), words("by_probe" if advice.measured else "by_balance")),
            *_balance(context, advice.balance),
        ]
    )
    why = tag("details", tag("summary", words("water_why"), id="water-why"), calculation)
    return section("water", title, *sentences, why)
