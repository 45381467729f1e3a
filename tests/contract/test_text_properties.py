"""Every number in a text of an alert is the number in its payload, and that in the forecast (T1).

The texts are read with patterns written here, in both languages, and what is read is compared with
the payload that the text goes out with. The payload is compared with the forecast messages.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge_agent.agronomy.derived import target_of
from edge_agent.alerts import messages
from edge_agent.alerts.evaluation import RuleDecision
from edge_agent.alerts.evidence import Evidence, Measured, from_forecast, from_readings
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract import schema
from edge_agent.contract.numbers import rounded
from edge_agent.messages import status
from edge_agent.messages.locale import Locale
from edge_agent.settings import Rule
from tests.fakes.forecasts import LEVELS, NOW, forecast
from tests.fakes.message_context import CONTEXT

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast, Operator

HOUR = timedelta(hours=1)
NUMBER: Final = r"-?\d+(?:\.\d+)?"
UNIT: Final = r" ?(?:°C|%|kPa)"
DAY: Final = {
    "ko": r"(?:(?:오늘|내일|모레)\(|\d+월 )(?P<{0}_day>\d+)일\)? ",
    "en": r"(?:(?:today|tomorrow) \()?(?P<{0}_day>\d+) \w{{3}}\)? ",
}
CLOCK: Final = {
    "ko": r"(?P<{0}>0시\(자정\)|낮 12시|(?:새벽|오전|오후) \d+시)",
    "en": r"(?P<{0}>\d\d:00)",
}
LIMIT: Final = {
    "ko": rf"(?P<threshold>{NUMBER}){UNIT} (?:이상|초과|이하|미만)",
    "en": rf"(?:at or above|above|at or below|below) (?P<threshold>{NUMBER}){UNIT}",
}
RUN: Final = {
    "ko": r"(?:일|인 상태가 (?P<for_h>\d+)시간 이상 이어질)",
    "en": r"(?: for (?P<for_h>\d+) h)?",
}


def parts(language: str) -> dict[str, str]:
    """Patterns of the parts of a text by name; each names the numbers that it holds."""
    day, clock = DAY[language], CLOCK[language]
    return {
        "first": day.format("first") + clock.format("first"),
        "at": f"(?:{day.format('at')})?{clock.format('at')}",
        "event": LIMIT[language] + RUN[language],
        "limit": LIMIT[language],
        "value": rf"(?P<value>{NUMBER}){UNIT}",
        "chance": r"(?P<chance>\d+)%",
        "within": r"(?P<within>\d+)",
        "name": r"[^\d]+?",
        "span": r"\d+(?:시간| h)",
    }


TEMPLATES: Final = {
    "ko": (
        (
            r"(?:{first}쯤부터|앞으로 {within}시간 안에) {name} {event} 가능성 {chance}, "
            r"{at}쯤 최[고저] {value} 예상\."
        ),
        (
            r"예상 최[고저]는 {at}쯤 {value}이지만, (?:{first}쯤부터|앞으로 {within}시간 안에) "
            r"{name} {event} 가능성이 {chance} 있습니다\."
        ),
        (
            r"앞으로 {within}시간 안에 {name} {event} 가능성이 {chance}로 낮아졌습니다\. "
            r"{span} 만에 해제합니다\."
        ),
        r"지금 {name} {value}(?:, 기준 {limit}입니다\.|\. {span} 만에 해제합니다\.)",
    ),
    "en": (
        (
            r"(?:from about {first}|within {within} h) {name} {event} with a chance of {chance}, "
            r"(?:up|down) to {value} at about {at}\."
        ),
        (
            r"the forecast's (?:highest|lowest) is {value} at about {at}, but "
            r"(?:from about {first}|within {within} h) the chance of {name} {event} is {chance}\."
        ),
        (
            r"the chance of {name} {event} in the next {within} h has fallen to {chance} "
            r"\(it lasted {span}\)\."
        ),
        r"{name} is {value} now(?:, limit {limit}\.| \(it lasted {span}\)\.)",
    ),
}
FORESEEN, BY_CHANCE, UNLIKELY, MEASURED = range(4)


def read(language: str, text: str) -> tuple[int, dict[str, str]]:
    """Which template a text is, and every number in it by name."""
    head = r"\[[^]\d]+\] [^:\d]+: "
    for which, template in enumerate(TEMPLATES[language]):
        found = re.fullmatch(head + template.format_map(parts(language)), text)
        if found:
            return which, {k: v for k, v in found.groupdict().items() if v is not None}
    raise AssertionError(text)


def hour_of(written: str) -> int:
    """Hour of the day of a time in Korean or English."""
    if ":" in written:
        return int(written[:2])
    if written.startswith(("0시", "낮")):
        return 0 if written.startswith("0") else 12
    part, hour = written.split(" ")
    return int(hour[:-1]) + (12 if part == "오후" else 0)


def same_time(day: str | None, written: str, at: datetime, else_day: int) -> bool:
    """Whether a time in a text is that hour in the farm's zone; without a day on another's day."""
    local = at.astimezone(CONTEXT.locale.zone)
    return (int(day or else_day), hour_of(written)) == (local.day, local.hour)


OPERATORS: st.SearchStrategy[Operator] = st.sampled_from([">=", ">", "<=", "<"])
QUANTITIES = st.sampled_from([*schema.TARGETS, *schema.DERIVED])


@st.composite
def weathers(draw: st.DrawFn) -> Forecast:
    """48 hours of both targets, spread little or much; some close to zero, some with gaps."""
    base = draw(st.floats(-25, 35))
    steps = draw(st.lists(st.floats(-4, 4), min_size=48, max_size=48))
    tiny = draw(st.booleans())
    missing = draw(st.sets(st.integers(0, 47), max_size=3))
    celsius = [None if i in missing else s / 100 if tiny else base + s for i, s in enumerate(steps)]
    damp = [None if i in missing else min(60 + 12 * s, 100.0) for i, s in enumerate(steps)]
    spread = np.linspace(-3.0, 3.0, len(LEVELS)) * draw(st.sampled_from([0.01, 0.5, 1.0, 4.0]))
    made = forecast(celsius, damp)
    targets = {
        name: replace(target, quantiles=target.values[:, None] + spread)
        for name, target in made.targets.items()
    }
    return replace(made, targets=targets)


@st.composite
def rules(draw: st.DrawFn, *, live: bool = False) -> Rule:
    """A rule on any quantity, its threshold with one digit as people write it."""
    quantity = draw(QUANTITIES)
    low, high = {schema.AIR_TEMPERATURE: (-30, 40), schema.VPD: (0, 4)}.get(quantity, (0, 100))
    return Rule(
        name="any",
        quantity=quantity,
        operator=draw(OPERATORS),
        threshold=draw(st.integers(10 * low, 10 * high)) / 10,
        within_h=draw(st.integers(3, 48)),
        probability=draw(st.floats(0.01, 0.9)),
        for_h=1 if live else draw(st.sampled_from([1, 1, 3])),
        now=live,
    )


def payload_of(language: str, rule: Rule, edge: Edge, evidence: Evidence) -> dict[str, Any]:
    """The payload of an edge."""
    context = replace(CONTEXT, locale=Locale(language, CONTEXT.locale.zone))
    latch = Latch(rule=rule.name, level=Level.RAISED, since=NOW, last_rule=rule)
    decision = RuleDecision(evidence, latch, edge, timedelta(hours=5))
    document = json.loads(messages.event_message(context, rule, decision).payload)
    assert isinstance(document, dict)
    return document


def published(weather: Forecast, rule: Rule) -> dict[datetime, float]:
    """Values of the rule's window by hour, as the forecast messages of the cycle have them."""
    values = {}
    for message in status.forecast_messages(CONTEXT, weather, weather.targets):
        document = json.loads(message.payload)
        values[document["quantity"]] = {
            datetime.fromisoformat(hour["valid_at"]): hour["value"] for hour in document["hours"]
        }
    target = target_of(weather, rule.quantity)
    assert target is not None
    derived = {
        at: rounded(value) for at, value in zip(weather.valid_at, target.values, strict=True)
    }
    end = CONTEXT.now + rule.within_h * HOUR
    hours = values.get(rule.quantity, derived)
    return {at: v for at, v in hours.items() if CONTEXT.now < at <= end and v is not None}


def compare(language: str, rule: Rule, said: dict[str, Any]) -> int:
    """Compare every number of a text with its payload; number of its template."""
    which, found = read(language, said["text"])
    digits = schema.QUANTITIES[rule.quantity].digits
    if "value" in found:
        finer = 2 if rule.now else digits
        near = {round(said["value"], n) for n in (digits, finer)}
        assert float(found["value"]) in near
        assert not re.fullmatch(r"-0(\.0*)?", found["value"])
    if "chance" in found:
        assert int(found["chance"]) == round(100 * said["probability"])
    if "threshold" in found:
        assert float(found["threshold"]) == said["threshold"] == rule.threshold
    if "within" in found:
        assert int(found["within"]) == rule.within_h
    assert found.get("for_h") == (str(rule.for_h) if rule.for_h > 1 else None)
    assert ("first" in found or "within" in found) is (which != MEASURED)
    first_day = 0
    if "first" in found:
        first = datetime.fromisoformat(said["first_hour"])
        assert same_time(found.get("first_day"), found["first"], first, 0)
        first_day = int(found["first_day"])
    if "at" in found:
        at = datetime.fromisoformat(said["value_at"])
        assert same_time(found.get("at_day"), found["at"], at, first_day)
    return which


def meets(number: float, rule: Rule) -> bool:
    """Whether a number of a text meets the rule."""
    compared = {"<": number < rule.threshold, ">": number > rule.threshold}
    return compared[rule.operator[0]] or (
        number == rule.threshold and rule.operator in {"<=", ">="}
    )


LANGUAGES = st.sampled_from(["ko", "en"])


@given(LANGUAGES, rules(), weathers())
def test_a_text_says_what_the_payload_says(language: str, rule: Rule, weather: Forecast) -> None:
    """Raised, updated, cleared: value, both hours, chance, threshold, window and run."""
    evidence = from_forecast(rule, weather, CONTEXT.now)
    assume(evidence.met is not None)
    for edge in Edge:
        said = payload_of(language, rule, edge, evidence)
        which = compare(language, rule, said)
        if edge is Edge.CLEARED:
            assert which == UNLIKELY
            continue
        assert (said["first_hour"] is not None) is evidence.met
        shown = round(said["value"], schema.QUANTITIES[rule.quantity].digits)
        assert which == (FORESEEN if meets(shown, rule) else BY_CHANCE)


@given(rules(), weathers())
def test_a_payload_says_what_the_forecast_says(rule: Rule, weather: Forecast) -> None:
    """Its value is the extreme of the window's published hours, its hour the first that meets."""
    evidence = from_forecast(rule, weather, CONTEXT.now)
    assume(evidence.met is not None)
    said = payload_of("en", rule, Edge.RAISED, evidence)
    at = datetime.fromisoformat(said["value_at"])
    hours = published(weather, rule)
    pick = min if rule.operator in {"<", "<="} else max
    assert said["value"] == pick(hours.values())
    assert at == next(hour for hour, value in hours.items() if value == said["value"])
    assert 0.01 <= said["probability"] <= 0.99
    target = target_of(weather, rule.quantity)
    assert target is not None
    chances = target.probability(rule.operator, rule.threshold)
    starts = range(rule.within_h - rule.for_h + 1)
    met = [i for i in starts if (chances[i : i + rule.for_h] >= rule.probability).all()]
    first = f"{weather.valid_at[met[0]]:%Y-%m-%dT%H:%M:%SZ}" if met else None
    assert said["first_hour"] == first


def live_rule(operator: Operator, threshold: float) -> Rule:
    """A rule on the temperature now."""
    return Rule(
        name="any",
        quantity=schema.AIR_TEMPERATURE,
        operator=operator,
        threshold=threshold,
        now=True,
    )


@given(LANGUAGES, rules(live=True), st.floats(-30, 60))
@example("en", live_rule("<", 30.0), 29.96)
@example("ko", live_rule("<=", 0.0), -0.001)
def test_a_live_text_says_the_reading(language: str, rule: Rule, reading: float) -> None:
    """The reading, its limit and no chance; never a reading that does not meet the limit shown."""
    evidence = from_readings(rule, [Measured(NOW, reading)])
    said = payload_of(language, rule, Edge.RAISED if evidence.met else Edge.CLEARED, evidence)
    assert compare(language, rule, said) == MEASURED
    assert said["probability"] == (1.0 if evidence.met else 0.0)
    assert said["value_at"] == said["first_hour"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    number = float(read(language, said["text"])[1]["value"])
    if evidence.met and said["value"] == reading:
        assert meets(number, rule)
