"""What holds for every series of weather and evidence."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.alerts import hold_backs
from edge_agent.alerts.evidence import Evidence, from_forecast
from edge_agent.alerts.quiet_hours import quiet, quiet_until
from edge_agent.alerts.state_machine import Edge, Latch, Level, step
from edge_agent.contract import schema
from edge_agent.contract.forecast import Source
from edge_agent.settings import Action, QuietHours, Rule
from tests.fakes.forecasts import NOW, forecast

HOUR = timedelta(hours=1)

rules = st.builds(
    Rule,
    name=st.just("any"),
    quantity=st.sampled_from(schema.TARGETS),
    operator=st.sampled_from([">=", ">", "<=", "<"]),
    threshold=st.floats(-30, 100),
    within_h=st.integers(1, 48),
    probability=st.floats(0.01, 0.99),
    for_h=st.integers(1, 6),
    hold_s=st.integers(0, 20_000),
    cooldown_s=st.integers(0, 20_000),
    severity=st.sampled_from(["info", "warning", "critical"]),
    action=st.one_of(st.none(), st.none(), st.just(Action(command="vent_open"))),
)
evidence = st.one_of(
    st.just(Evidence()),
    st.builds(
        lambda p, hour: Evidence(
            met=p >= 0.5, over=p < 0.3, probability=p, value=20.0, hour=NOW + hour * HOUR
        ),
        st.floats(0, 1),
        st.integers(0, 72),
    ),
    st.builds(
        lambda value: Evidence(met=True, over=False, value=value, hour=NOW), st.floats(-99, 99)
    ),
)
series = st.lists(st.tuples(evidence, st.integers(-7200, 90_000)), max_size=60)
temperatures = st.lists(st.one_of(st.none(), st.floats(-40, 45)), min_size=1, max_size=48)


def walk(
    rule: Rule, steps: list[tuple[Evidence, int]]
) -> list[tuple[Latch, Edge | None, Evidence]]:
    """Latch, edge and evidence after each step; the clock may jump either way."""
    latch, now, seen = Latch(rule=rule.name), NOW, []
    for item, seconds in steps:
        now += timedelta(seconds=seconds)
        latch, edge = step(rule, latch, item, now, daily_cap=24, zone=UTC)
        seen.append((latch, edge, item))
    return seen


def persons(latch: Latch, now: datetime) -> st.SearchStrategy[Latch]:
    """What a person may do to a rule at a time."""
    snoozes = st.integers(60, 10_000).map(lambda s: replace(latch, snoozed_at=now, snooze_s=s))
    seen = replace(latch, acknowledged=latch.level is Level.RAISED)
    return st.one_of(st.just(latch), st.just(seen), snoozes)


@given(rules, series)
def test_no_edge_on_missing_data(rule: Rule, steps: list[tuple[Evidence, int]]) -> None:
    """Unknown evidence never causes an edge, whatever came before."""
    for _, edge, item in walk(rule, steps):
        assert edge is None or item.met is not None


@given(rules, series)
def test_deterministic(rule: Rule, steps: list[tuple[Evidence, int]]) -> None:
    """The same evidence at the same times gives the same edges."""
    assert walk(rule, steps) == walk(rule, steps)


@given(rules, st.integers(1, 48))
def test_no_rule_is_met_without_numbers(rule: Rule, hours: int) -> None:
    """Forecasts without a number, and normals alone, say nothing about any rule."""
    empty = forecast([None] * hours, [None] * hours)
    assert from_forecast(rule, empty, NOW) == Evidence()
    normals = forecast([20.0] * hours, source=Source.CLIMATOLOGY)
    assert from_forecast(rule, normals, NOW) == Evidence()


@given(rules, temperatures, st.data())
def test_losing_hours_never_makes_an_event_likelier(
    rule: Rule, values: list[float | None], data: st.DataObject
) -> None:
    """Taking hours away can lower the chance of a window or make it unknown, not raise it."""
    lost = data.draw(st.sets(st.integers(0, len(values) - 1)))
    full = from_forecast(rule, forecast(values, values), NOW)
    fewer = [None if i in lost else v for i, v in enumerate(values)]
    part = from_forecast(rule, forecast(fewer, fewer), NOW)
    if part.probability is not None:
        assert full.probability is not None
        assert part.probability <= full.probability
    if lost and part.over:
        window = set(range(rule.within_h))
        assert not lost & window, "an alert ended on a window with an unknown hour"


zones = st.sampled_from(["UTC", "Asia/Seoul", "Europe/Berlin", "America/St_Johns"]).map(ZoneInfo)
# Days around the nights on which the clocks of Europe and America change, to the minute.
moments = st.integers(0, 254 * 1440).map(
    lambda minute: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minute)
)
wall_times = st.times().map(lambda at: f"{at:%H:%M}")


@given(rules, series, st.data())
def test_what_is_told_and_what_is_never_contradict(
    rule: Rule, steps: list[tuple[Evidence, int]], data: st.DataObject
) -> None:
    """Whatever a person, the quiet hours and the clock do.

    Starts and ends alternate. The level follows the evidence. What differs from what was told has
    a reason, which ends; what has none is told at once. Critical rules and actions never wait.
    """
    latch, now, told = Latch(rule=rule.name), NOW, Level.CLEAR
    for item, seconds in steps:
        now += timedelta(seconds=seconds)
        latch = data.draw(persons(latch, now))
        quiet = data.draw(st.one_of(st.none(), st.just(now + HOUR)))
        if hold_backs.never_waits(rule):
            quiet = None
        before = latch
        latch, edge = step(rule, latch, item, now, daily_cap=2, zone=UTC, quiet_until=quiet)
        if edge is Edge.RAISED:
            assert told is Level.CLEAR
            told = Level.RAISED
        elif edge is not None:
            assert told is Level.RAISED
            told = Level.CLEAR if edge is Edge.CLEARED else told
        assert edge is None or item.met is not None
        assert latch.told is told
        if item.met:
            assert latch.level is Level.RAISED
        if item.over and (not rule.hold_s or before.level is Level.CLEAR):
            assert latch.level is Level.CLEAR
        assert latch.known is (item.met is not None)
        held = latch.held_back
        if latch.untold and item.met is not None:
            assert held is not None
            assert not hold_backs.never_waits(rule)
        if held is not None and held.until is not None:
            longest = max(latch.snooze_s, rule.cooldown_s, 86_400)
            assert now < held.until <= now + timedelta(seconds=longest)
        assert not latch.acknowledged or latch.level is Level.RAISED


@given(rules, series)
def test_what_stands_is_told_within_the_longest_deadline(
    rule: Rule, steps: list[tuple[Evidence, int]]
) -> None:
    """Snoozed and capped with the clock anywhere: a day and a snooze later everything is told."""
    latch, now = Latch(rule=rule.name), NOW
    for index, (item, seconds) in enumerate(steps):
        now += timedelta(seconds=seconds * (index % 7 - 3) * 1000)
        latch, _ = step(rule, latch, item, now, daily_cap=1, zone=UTC)
        latch = replace(latch, snoozed_at=now, snooze_s=3600)
    met = Evidence(met=True, over=False, probability=1.0, value=20.0, hour=NOW)
    latch, _ = step(rule, latch, met, NOW, daily_cap=1, zone=UTC)
    latch, _ = step(rule, latch, met, NOW + 25 * HOUR, daily_cap=1, zone=UTC)
    assert latch.told is Level.RAISED


@given(moments, wall_times, wall_times, zones)
def test_quiet_hours_follow_the_clock_on_the_wall(
    now: datetime, start: str, end: str, zone: ZoneInfo
) -> None:
    """In every zone, on every day: quiet exactly between the two times of the wall clock."""
    rule = Rule(name="r", quantity=schema.AIR_TEMPERATURE, operator=">=", threshold=30)
    shown = f"{now.astimezone(zone):%H:%M}"
    inside = start <= shown < end if start < end else shown >= start or shown < end
    hours = QuietHours(start=start, end=end)
    assert quiet(hours, rule, now, zone, "trusted") is inside
    until = quiet_until(hours, rule, now, zone, "trusted")
    assert (until is not None) is inside
    if until is not None:
        assert now < until <= now + 26 * HOUR


@given(moments, zones, st.integers(1, 4))
def test_the_cap_counts_days_of_the_farm(now: datetime, zone: ZoneInfo, cap: int) -> None:
    """An alert each half hour for three days: the cap on each full local day, long or short."""
    rule = Rule(
        name="r", quantity=schema.AIR_TEMPERATURE, operator=">=", threshold=30, cooldown_s=0
    )
    met = Evidence(met=True, over=False, probability=1.0, value=31.0, hour=now)
    over = Evidence(met=False, over=True, probability=0.0, value=20.0, hour=now)
    latch, raised = Latch(rule="r"), Counter[str]()
    for half in range(3 * 48):
        at = now + half * timedelta(minutes=30)
        latch, edge = step(rule, latch, over if half % 2 else met, at, daily_cap=cap, zone=zone)
        raised[f"{at.astimezone(zone):%F}"] += edge is Edge.RAISED
    full = sorted(raised)[1:-1]
    assert len(full) >= 1
    assert all(raised[day] == cap for day in full)
    assert max(raised.values()) <= cap
