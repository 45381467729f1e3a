"""The state machine of one rule (R1 to R7) and what holds its edges back (B1 to B4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import (
    Edge,
    Latch,
    Level,
    lasted,
    meaning_changed,
    retire,
    step,
)
from edge_agent.contract import schema
from edge_agent.messages.payloads import HeldBack
from edge_agent.settings import Rule
from tests.fakes.forecasts import NOW

HOUR = timedelta(hours=1)
MET = Evidence(met=True, over=False, probability=0.6, value=31.0, hour=NOW + 8 * HOUR)
BETWEEN = Evidence(met=False, over=False, probability=0.3, value=29.0, hour=NOW + 8 * HOUR)
OVER = Evidence(met=False, over=True, probability=0.1, value=25.0, hour=NOW + 8 * HOUR)
UNKNOWN = Evidence()


def heat(**keys: object) -> Rule:
    """Heat rule with some keys changed."""
    base: dict[str, object] = {
        "name": "heat",
        "quantity": schema.AIR_TEMPERATURE,
        "operator": ">=",
        "threshold": 30.0,
        "cooldown_s": 0,
    }
    return msgspec.convert(base | keys, Rule)


def walk(rule: Rule, *evidence: Evidence, cap: int = 24) -> list[Edge | None]:
    """Edges of an hourly series."""
    latch, edges = Latch(rule=rule.name), []
    for hour, item in enumerate(evidence):
        latch, edge = step(rule, latch, item, NOW + hour * HOUR, daily_cap=cap, zone=UTC)
        edges.append(edge)
    return edges


def test_raised_once_and_cleared_once() -> None:
    """An event has one start and one end, however many hours it lasts (R1)."""
    assert walk(heat(), OVER, MET, MET, MET, OVER, OVER) == [
        None,
        Edge.RAISED,
        None,
        None,
        Edge.CLEARED,
        None,
    ]


def test_hysteresis() -> None:
    """Between threshold and clear level nothing starts and nothing ends (R1)."""
    assert walk(heat(), BETWEEN, MET, BETWEEN, MET, BETWEEN, OVER) == [
        None,
        Edge.RAISED,
        None,
        None,
        None,
        Edge.CLEARED,
    ]


def test_unknown_changes_nothing() -> None:
    """Missing data neither raises, nor clears, nor updates (R2)."""
    assert walk(heat(), UNKNOWN, MET, UNKNOWN, UNKNOWN, OVER, UNKNOWN) == [
        None,
        Edge.RAISED,
        None,
        None,
        Edge.CLEARED,
        None,
    ]


def test_hold_keeps_an_alert_up() -> None:
    """No end before `hold_s` has passed (R1)."""
    assert walk(heat(hold_s=7200), MET, OVER, OVER, OVER) == [
        Edge.RAISED,
        None,
        Edge.CLEARED,
        None,
    ]


def test_cool_down_keeps_the_next_alert_back() -> None:
    """No new start before `cooldown_s` has passed since the end (B1)."""
    assert walk(heat(cooldown_s=7200), MET, OVER, MET, MET) == [
        Edge.RAISED,
        Edge.CLEARED,
        None,
        Edge.RAISED,
    ]


def test_first_alert_is_not_held_back() -> None:
    """A cool-down counts from an end, not from the start of the agent (B1)."""
    assert walk(heat(cooldown_s=86_400), MET) == [Edge.RAISED]


def test_daily_cap_counts_per_day() -> None:
    """The cap holds within a UTC day and is fresh on the next (B1)."""
    edges = walk(heat(), *([MET, OVER] * 12), cap=3)
    raised = [hour for hour, edge in enumerate(edges) if edge is Edge.RAISED]
    assert raised == [0, 2, 4, 20, 22], "05 UTC to midnight: three; two more after it"


@pytest.mark.parametrize(
    ("change", "edge"),
    [
        ({"probability": 0.79}, None),
        ({"probability": 0.81}, Edge.UPDATED),
        ({"hour": NOW + 10 * HOUR}, None),
        ({"hour": NOW + 5 * HOUR}, Edge.UPDATED),
    ],
)
def test_update_when_it_moved(change: dict[str, Any], edge: Edge | None) -> None:
    """Only what people would do something about is said again (R4)."""
    keys = {name: getattr(MET, name) for name in Evidence.__slots__}
    assert walk(heat(), MET, Evidence(**(keys | change))) == [Edge.RAISED, edge]


def test_event_that_goes_on_is_no_news() -> None:
    """While it lasts its first hour is always the next one; tomorrow's is told once (R4)."""

    def at(hour: int) -> Evidence:
        return Evidence(met=True, over=False, probability=0.6, value=31.0, hour=NOW + hour * HOUR)

    series = [at(hour) for hour in (3, 3, 3, 4, 5, 6, 7, 8, 26, 26, 26)]
    assert walk(heat(), *series) == [Edge.RAISED, *[None] * 7, Edge.UPDATED, None, None]


def test_falling_chance_is_news_only_for_what_is_ahead() -> None:
    """A frost that becomes unlikely tomorrow is told; one that ends as foreseen is not (R4)."""

    def at(hour: int, chance: float) -> Evidence:
        return Evidence(
            met=True, over=False, probability=chance, value=31.0, hour=NOW + hour * HOUR
        )

    assert walk(heat(), at(12, 0.9), at(12, 0.6)) == [Edge.RAISED, Edge.UPDATED]
    assert walk(heat(), at(2, 0.9), at(3, 0.6), at(3, 0.9)) == [Edge.RAISED, None, None]


def test_live_rule_has_no_updates() -> None:
    """A reading's hour moves all the time (R4)."""
    later = Evidence(met=True, over=False, probability=1.0, value=33.0, hour=NOW + 20 * HOUR)
    assert walk(heat(now=True), MET, later) == [Edge.RAISED, None]


def single(value: float, chance: float | None = None) -> Evidence:
    """Evidence of a forecast that meets its rule; its first hour stays."""
    return Evidence(met=True, over=False, probability=chance, value=value, hour=NOW + 8 * HOUR)


def updates(rule: Rule, *values: float) -> list[bool]:
    """Whether each value after the first is told, without a chance."""
    first, *later = walk(rule, *(single(value) for value in values))
    assert first is Edge.RAISED
    return [edge is Edge.UPDATED for edge in later]


def test_a_graver_value_is_news_where_there_is_no_chance() -> None:
    """A storm of 12 m/s that becomes a typhoon; 2.4 m/s more than was last told (R4)."""
    wind = heat(quantity=schema.WIND_SPEED, threshold=12.0)
    assert updates(wind, 15.0, 25.0, 26.0, 32.0) == [True, False, True]
    assert updates(wind, 15.0, 17.39) == [False]
    assert updates(wind, 15.0, 17.4) == [True]
    assert updates(wind, 15.0, 16.5, 18.0) == [False, True], "small steps add up"
    assert updates(wind, 25.0, 15.0, 25.0, 27.0) == [False] * 3, "no graver than was told"


@pytest.mark.parametrize(
    ("keys", "values", "news"),
    [
        ({"operator": "<=", "threshold": 10.0}, (8.0, 6.0), True),
        ({"operator": "<=", "threshold": 10.0}, (8.0, 6.1), False),
        ({"operator": "<", "threshold": 10.0}, (8.0, 12.0), False),
        ({"operator": "<=", "threshold": 0.0}, (-1.0, -1.9), False),
        ({"operator": "<=", "threshold": 0.0}, (-1.0, -2.0), True),
        ({"operator": "<=", "threshold": -10.0}, (-11.0, -13.0), True),
        ({"quantity": schema.RAIN, "operator": ">", "threshold": 0.0}, (0.1, 1.0), False),
        ({"quantity": schema.RAIN, "operator": ">", "threshold": 0.0}, (0.1, 1.1), True),
        ({"quantity": schema.RAIN_CHANCE, "threshold": 40.0}, (50.0, 59.0), False),
        ({"quantity": schema.RAIN_CHANCE, "threshold": 40.0}, (50.0, 60.0), True),
        ({"quantity": schema.PRECIPITATION, "threshold": 1.0}, (1.0, 7.0), False),
        ({"quantity": schema.WIND_FROM_DIRECTION, "threshold": 180.0}, (181.0, 359.0), False),
    ],
)
def test_how_much_graver_is_news(
    keys: dict[str, object], values: tuple[float, float], *, news: bool
) -> None:
    """A fifth of the threshold, at least ten units of the last digit; codes and angles never (R4).

    In the direction of the rule: lower is graver of `<` and `<=`.
    """
    assert updates(heat(**keys), *values) == [news]


def test_a_value_beside_a_chance_is_no_news() -> None:
    """The chance says how sure it is, and moves with it (R4)."""
    assert walk(heat(), single(31.0, 0.6), single(41.0, 0.6)) == [Edge.RAISED, None]


def test_a_latch_of_an_earlier_agent_is_told_once_more() -> None:
    """It does not say which value people heard (R4)."""
    rule = heat(quantity=schema.WIND_SPEED, threshold=12.0)
    raised, _ = decide(rule, Latch(rule="heat"), single(15.0))
    told, edge = decide(rule, replace(raised, value=None), single(15.0))
    assert edge is Edge.UPDATED
    assert decide(rule, told, single(15.0))[1] is None


def test_a_graver_value_waits_like_every_update() -> None:
    """Snoozed, in quiet hours, acknowledged; then compared with what people heard (R4, B2)."""
    rule = heat(quantity=schema.WIND_SPEED, threshold=12.0)
    raised, _ = decide(rule, Latch(rule="heat"), single(15.0))
    snoozed, edge = decide(rule, replace(raised, **SNOOZED), single(25.0))
    assert edge is None
    assert decide(rule, snoozed, single(25.0), NOW + 2 * HOUR)[1] is Edge.UPDATED
    quiet, edge = decide(rule, raised, single(25.0), quiet_until=QUIET)
    assert edge is None
    assert decide(rule, quiet, single(25.0), QUIET)[1] is Edge.UPDATED
    assert decide(rule, replace(raised, acknowledged=True), single(25.0))[1] is None
    ended, _ = decide(rule, quiet, OVER, QUIET)
    assert ended.value is None


def decide(
    rule: Rule, latch: Latch, evidence: Evidence = MET, now: datetime = NOW, **keys: datetime
) -> tuple[Latch, Edge | None]:
    """One step with a cap of 24 in UTC."""
    return step(rule, latch, evidence, now, daily_cap=24, zone=UTC, **keys)


def test_clock_set_back_a_little_repeats_no_alert() -> None:
    """Two hours back after the end: still cooling down (R6)."""
    rule = heat(cooldown_s=4 * 3600)
    ended = Latch(rule="heat", since=NOW, ended_at=NOW)
    assert decide(rule, ended, now=NOW - 2 * HOUR)[1] is None


def test_deadlines_of_a_clock_that_was_ahead_end_after_their_own_length() -> None:
    """Made in another century; hold, cool-down and snooze count from the first step now (R6)."""
    later = NOW + 400 * 24 * HOUR
    ended = Latch(rule="heat", since=later, ended_at=later)
    cooling, edge = decide(heat(cooldown_s=3600), ended)
    assert (edge, cooling.ended_at) == (None, NOW)
    assert decide(heat(cooldown_s=3600), cooling, now=NOW + HOUR)[1] is Edge.RAISED
    raised = Latch(rule="heat", level=Level.RAISED, since=later)
    holding, edge = decide(heat(hold_s=3600), raised, OVER)
    assert edge is None
    assert decide(heat(hold_s=3600), holding, OVER, NOW + HOUR)[1] is Edge.CLEARED
    snoozed, edge = decide(heat(), Latch(rule="heat", snoozed_at=later, snooze_s=60))
    assert edge is None
    assert decide(heat(), snoozed, now=NOW + timedelta(seconds=60))[1] is Edge.RAISED


def test_a_time_of_1970_is_told_no_more_once_the_clock_is_right() -> None:
    """The level holds at least since now; its end says a length that can be; it is news (R6)."""
    boot = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    raised, edge = decide(heat(), Latch(rule="heat"), now=boot)
    assert (edge, raised.since) == (Edge.RAISED, boot)
    still, _ = decide(heat(), raised, now=boot + HOUR)
    assert still.since == boot
    right, edge = decide(heat(), still, now=NOW)
    assert (edge, right.since, right.raised_at, right.changed_at) == (None, NOW, NOW, NOW)
    assert decide(heat(), right, now=NOW + HOUR)[0].since == NOW
    ended, edge = decide(heat(), right, OVER, NOW + HOUR)
    assert (edge, lasted(ended, NOW + HOUR)) == (Edge.CLEARED, HOUR)


def test_a_snooze_that_is_over_does_not_come_back() -> None:
    """The clock is set back behind its beginning (R6)."""
    snoozed = Latch(rule="heat", snoozed_at=NOW, snooze_s=60)
    over, _ = decide(heat(), snoozed, OVER, NOW + HOUR)
    assert over.snoozed_at is None
    assert decide(heat(), over, MET, NOW - HOUR)[1] is Edge.RAISED


def test_the_level_moves_whatever_holds_its_edges_back() -> None:
    """Cool-down and cap hold back what is told, not what is (R1)."""
    rule, levels = heat(cooldown_s=86_400), []
    latch = Latch(rule="heat")
    for hour, item in enumerate((MET, OVER, MET, OVER, MET)):
        latch, _ = step(rule, latch, item, NOW + hour * HOUR, daily_cap=1, zone=UTC)
        levels.append(latch.level.value)
    assert levels == ["raised", "clear", "raised", "clear", "raised"]
    assert latch.told is Level.CLEAR


QUIET = NOW + 3 * HOUR
SNOOZED: dict[str, object] = {"snoozed_at": NOW, "snooze_s": 7200}
COOLING: dict[str, object] = {"ended_at": NOW}
CAPPED: dict[str, object] = {"day": "2026-07-01", "raises": 24}


@pytest.mark.parametrize(
    ("keys", "quiet_until", "why", "until"),
    [
        ({}, None, None, None),
        (SNOOZED, None, "snooze", NOW + 2 * HOUR),
        (COOLING, None, "cool_down", NOW + HOUR),
        (CAPPED, None, "daily_cap", NOW + 19 * HOUR),
        ({}, QUIET, "quiet_hours", QUIET),
        (SNOOZED | COOLING, None, "snooze", NOW + 2 * HOUR),
        (SNOOZED | COOLING, QUIET, "quiet_hours", QUIET),
        (SNOOZED | COOLING | CAPPED, QUIET, "daily_cap", NOW + 19 * HOUR),
    ],
)
def test_what_holds_a_start_back(
    keys: dict[str, Any], quiet_until: datetime | None, why: str | None, until: datetime | None
) -> None:
    """The last of several is named; critical rules and rules with an action never wait (B1-B4)."""
    rule, latch = heat(cooldown_s=3600), Latch(rule="heat", **keys)
    after, edge = step(rule, latch, MET, NOW, daily_cap=24, zone=UTC, quiet_until=quiet_until)
    assert after.level is Level.RAISED
    assert edge is (Edge.RAISED if why is None else None)
    assert after.held_back == (HeldBack(why=why, until=until) if why else None)  # type: ignore[arg-type]
    for free in ({"severity": "critical"}, {"action": {"command": "vent_open"}}):
        _, edge = step(heat(cooldown_s=3600, **free), latch, MET, NOW, daily_cap=24, zone=UTC)
        assert edge is Edge.RAISED


def test_an_end_waits_for_the_quiet_hours_alone() -> None:
    """Neither a snooze nor an acknowledgement holds it back (B2)."""
    keys = SNOOZED | CAPPED | {"acknowledged": True}
    raised = Latch(rule="heat", level=Level.RAISED, since=NOW, raised_at=NOW, **keys)  # type: ignore[arg-type]
    assert decide(heat(), raised, OVER)[1] is Edge.CLEARED
    waiting, edge = decide(heat(), raised, OVER, quiet_until=QUIET)
    assert edge is None
    assert (waiting.level, waiting.told) == (Level.CLEAR, Level.RAISED)
    assert waiting.held_back == HeldBack(why="quiet_hours", until=QUIET)
    assert decide(heat(), waiting, OVER, QUIET)[1] is Edge.CLEARED


def test_updates_wait_for_snooze_quiet_hours_and_the_end_of_what_was_seen() -> None:
    """Found again afterwards, where they still hold (B2)."""
    raised, _ = decide(heat(), Latch(rule="heat"))
    more = Evidence(met=True, over=False, probability=0.9, value=33.0, hour=MET.hour)
    assert decide(heat(), raised, more)[1] is Edge.UPDATED
    snoozed, edge = decide(heat(), replace(raised, **SNOOZED), more)
    assert (edge, snoozed.held_back) == (None, HeldBack(why="snooze", until=NOW + 2 * HOUR))
    assert decide(heat(), snoozed, more, NOW + 2 * HOUR)[1] is Edge.UPDATED
    quiet, edge = decide(heat(), raised, more, quiet_until=QUIET)
    assert (edge, quiet.held_back) == (None, None)
    assert decide(heat(), quiet, more, QUIET)[1] is Edge.UPDATED
    seen, edge = decide(heat(), replace(raised, acknowledged=True), more)
    assert (edge, seen.held_back) == (None, HeldBack(why="acknowledged", until=None))
    ended, edge = decide(heat(), seen, OVER, NOW + HOUR)
    assert (edge, ended.acknowledged) == (Edge.CLEARED, False)


def test_an_alert_that_paused_in_the_quiet_hours_is_as_it_was_told() -> None:
    """Neither its pause nor its second start is sent (R3); it stood since the second."""
    raised, _ = decide(heat(), Latch(rule="heat"))
    paused, _ = decide(heat(), raised, OVER, NOW + HOUR, quiet_until=QUIET)
    again, edge = decide(heat(), paused, MET, NOW + 2 * HOUR, quiet_until=QUIET)
    assert (edge, again.untold) == (None, False)
    ended, edge = decide(heat(), again, OVER, NOW + 5 * HOUR)
    assert (edge, lasted(ended, NOW + 5 * HOUR)) == (Edge.CLEARED, 3 * HOUR)


def test_rule_taken_out_is_cleared() -> None:
    """An alert does not outlive its rule; what nobody was told of has no end to tell (R7)."""
    raised, _ = decide(heat(), Latch(rule="heat"))
    ended, edge = retire(raised, NOW + HOUR)
    assert (ended.level, edge) == (Level.CLEAR, Edge.CLEARED)
    assert retire(ended, NOW + HOUR)[1] is None
    untold, _ = decide(heat(), Latch(rule="heat"), quiet_until=QUIET)
    assert retire(untold, NOW + HOUR)[1] is None
    paused, _ = decide(heat(), raised, OVER, NOW + HOUR, quiet_until=QUIET)
    assert retire(paused, NOW + HOUR)[1] is Edge.CLEARED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"threshold": 31.0}, True),
        ({"operator": ">"}, True),
        ({"severity": "critical"}, True),
        ({"within_h": 12}, True),
        ({"action": {"command": "vent_open"}}, True),
        ({"clear": 28.0, "hold_s": 60, "cooldown_s": 60, "probability": 0.3}, False),
        ({"message": "hot"}, False),
    ],
)
def test_what_changes_the_meaning_of_a_rule(change: dict[str, object], *, expected: bool) -> None:
    """Only of an alert that stands, or whose end is untold (R7)."""
    raised, _ = decide(heat(), Latch(rule="heat"))
    assert meaning_changed(heat(**change), raised) is expected
    ended, _ = decide(heat(), raised, OVER)
    assert not meaning_changed(heat(**change), ended)


def test_latch_survives_its_bytes() -> None:
    """A latch read back is the latch that was written."""
    raised, _ = step(heat(clear=28.0), Latch(rule="heat"), MET, NOW, daily_cap=24, zone=UTC)
    assert msgspec.json.decode(msgspec.json.encode(raised), type=Latch) == raised
