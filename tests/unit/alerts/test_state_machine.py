"""The state machine of one rule (R1 to R7)."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import msgspec
import pytest

from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import Edge, Latch, Level, retire, step
from edge_agent.contract import schema
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
    """Between threshold and clear level nothing starts and nothing ends (R3)."""
    assert walk(heat(), BETWEEN, MET, BETWEEN, MET, BETWEEN, OVER) == [
        None,
        Edge.RAISED,
        None,
        None,
        None,
        Edge.CLEARED,
    ]


def test_unknown_changes_nothing() -> None:
    """Missing data neither raises, nor clears, nor updates (R4)."""
    assert walk(heat(), UNKNOWN, MET, UNKNOWN, UNKNOWN, OVER, UNKNOWN) == [
        None,
        Edge.RAISED,
        None,
        None,
        Edge.CLEARED,
        None,
    ]


def test_hold_keeps_an_alert_up() -> None:
    """No end before `hold_s` has passed (R3)."""
    assert walk(heat(hold_s=7200), MET, OVER, OVER, OVER) == [
        Edge.RAISED,
        None,
        Edge.CLEARED,
        None,
    ]


def test_cool_down_keeps_the_next_alert_back() -> None:
    """No new alert before `cooldown_s` has passed since the end (R2)."""
    assert walk(heat(cooldown_s=7200), MET, OVER, MET, MET) == [
        Edge.RAISED,
        Edge.CLEARED,
        None,
        Edge.RAISED,
    ]


def test_first_alert_is_not_held_back() -> None:
    """A cool-down counts from an end, not from the start of the agent (R2)."""
    assert walk(heat(cooldown_s=86_400), MET) == [Edge.RAISED]


def test_daily_cap_counts_per_day() -> None:
    """The cap holds within a UTC day and is fresh on the next (R2)."""
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
    """Only what people would do something about is said again (R5)."""
    keys = {name: getattr(MET, name) for name in Evidence.__slots__}
    assert walk(heat(), MET, Evidence(**(keys | change))) == [Edge.RAISED, edge]


def test_event_that_goes_on_is_no_news() -> None:
    """While it lasts its first hour is always the next one; tomorrow's is told once (R5)."""

    def at(hour: int) -> Evidence:
        return Evidence(met=True, over=False, probability=0.6, value=31.0, hour=NOW + hour * HOUR)

    series = [at(hour) for hour in (3, 3, 3, 4, 5, 6, 7, 8, 26, 26, 26)]
    assert walk(heat(), *series) == [Edge.RAISED, *[None] * 7, Edge.UPDATED, None, None]


def test_falling_chance_is_news_only_for_what_is_ahead() -> None:
    """A frost that becomes unlikely tomorrow is told; one that ends as foreseen is not (R5)."""

    def at(hour: int, chance: float) -> Evidence:
        return Evidence(
            met=True, over=False, probability=chance, value=31.0, hour=NOW + hour * HOUR
        )

    assert walk(heat(), at(12, 0.9), at(12, 0.6)) == [Edge.RAISED, Edge.UPDATED]
    assert walk(heat(), at(2, 0.9), at(3, 0.6), at(3, 0.9)) == [Edge.RAISED, None, None]


def test_live_rule_has_no_updates() -> None:
    """A reading's hour moves all the time (R5)."""
    later = Evidence(met=True, over=False, probability=1.0, value=33.0, hour=NOW + 20 * HOUR)
    assert walk(heat(now=True), MET, later) == [Edge.RAISED, None]


def test_clock_set_back_a_little_repeats_no_alert() -> None:
    """Two hours back after the end: still cooling down (R6)."""
    rule = heat(cooldown_s=4 * 3600)
    ended = Latch(rule="heat", level=Level.CLEAR, since=NOW)
    assert step(rule, ended, MET, NOW - 2 * HOUR, daily_cap=24, zone=UTC)[1] is None


def test_clock_set_back_by_days_silences_nothing() -> None:
    """A remembered time far in the future does not hold alerts back (R6)."""
    ended = Latch(rule="heat", level=Level.CLEAR, since=NOW + 400 * 24 * HOUR)
    assert step(heat(cooldown_s=3600), ended, MET, NOW, daily_cap=24, zone=UTC)[1] is Edge.RAISED
    raised = Latch(rule="heat", level=Level.RAISED, since=NOW + 400 * 24 * HOUR)
    assert step(heat(hold_s=3600), raised, OVER, NOW, daily_cap=24, zone=UTC)[1] is Edge.CLEARED


def test_rule_taken_out_is_cleared() -> None:
    """An alert does not outlive its rule (R7)."""
    raised, _ = step(heat(), Latch(rule="heat"), MET, NOW, daily_cap=24, zone=UTC)
    ended, edge = retire(raised, NOW + HOUR)
    assert (ended.level, edge) == (Level.CLEAR, Edge.CLEARED)
    assert retire(ended, NOW + HOUR) == (ended, None)


def test_latch_survives_its_bytes() -> None:
    """A latch read back is the latch that was written."""
    raised, _ = step(heat(clear=28.0), Latch(rule="heat"), MET, NOW, daily_cap=24, zone=UTC)
    assert msgspec.json.decode(msgspec.json.encode(raised), type=Latch) == raised
