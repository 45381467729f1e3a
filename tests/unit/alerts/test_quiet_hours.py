"""Quiet hours (H1 to H3), from a local time to another, over days that are longer and shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge_agent.alerts.evaluation import DecisionInputs, RuleDecision, evaluate_rule
from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.quiet_hours import quiet
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract import schema
from edge_agent.settings import Action, QuietHours, Rule

SEOUL = ZoneInfo("Asia/Seoul")
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(start="22:00", end="06:00")
EVENING = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)  # 21:30 in Seoul
HOUR = timedelta(hours=1)
HOT, COOL, SILENT = 35.0, 20.0, None


def rule(**keys: object) -> Rule:
    """Live heat rule with some keys changed."""
    base: dict[str, object] = {
        "name": "hot",
        "quantity": schema.AIR_TEMPERATURE,
        "operator": ">=",
        "threshold": 30.0,
        "now": True,
        "cooldown_s": 0,
    }
    return msgspec.convert(base | keys, Rule)


def walk(one: Rule, *values: float | None, hours: QuietHours = NIGHT) -> list[RuleDecision]:
    """Verdicts of hourly readings from 21:30 on, in Seoul."""
    latch, found = Latch(rule="hot"), []
    for step, value in enumerate(values):
        now = EVENING + step * HOUR
        verdict = evaluate_rule(
            DecisionInputs(
                rule=one,
                latch=latch,
                now=now,
                clock="trusted",
                zone="Asia/Seoul",
                daily_cap=24,
                quiet_hours=hours,
                readings=(Measured(now, value),),
            )
        )
        latch = verdict.latch
        found.append(verdict)
    return found


def edges(*values: float | None, **keys: object) -> list[str]:
    """What was told, by the hour of the wall clock."""
    return [
        f"{(EVENING + step * HOUR).astimezone(SEOUL):%H} {verdict.edge}"
        for step, verdict in enumerate(walk(rule(**keys), *values))
        if verdict.edge
    ]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("21:59", False),
        ("22:00", True),
        ("23:59", True),
        ("00:00", True),
        ("05:59", True),
        ("06:00", False),
        ("12:00", False),
    ],
)
def test_over_midnight(local: str, *, expected: bool) -> None:
    """From the start on, and no more at the end, by the wall clock of the farm (H1)."""
    hour, minute = map(int, local.split(":"))
    now = datetime(2026, 7, 1, hour, minute, tzinfo=SEOUL)
    assert quiet(NIGHT, rule(), now, SEOUL, "trusted") is expected
    noon = QuietHours(start="12:00", end="14:00")
    assert quiet(noon, rule(), now, SEOUL, "trusted") is (local == "12:00")


@pytest.mark.parametrize(("day", "length"), [((2026, 3, 28), 7), ((2026, 10, 24), 9)])
def test_nights_on_which_the_clocks_change(day: tuple[int, int, int], length: int) -> None:
    """One hour is missing in March and doubled in October; the wall clock decides (H1)."""
    noon = datetime(*day, 12, tzinfo=BERLIN).astimezone(UTC)
    hours = [noon + step * HOUR for step in range(24)]
    assert sum(quiet(NIGHT, rule(), at, BERLIN, "trusted") for at in hours) == length


def test_what_is_never_held_back() -> None:
    """Critical rules, rules with an action, everything under an untrusted clock, no hours (H2)."""
    night = EVENING + 3 * HOUR
    assert quiet(NIGHT, rule(), night, SEOUL, "trusted")
    assert quiet(NIGHT, rule(), night, SEOUL, "holdover")
    assert not quiet(NIGHT, rule(severity="critical"), night, SEOUL, "trusted")
    assert not quiet(NIGHT, rule(action=Action(command="fan_on")), night, SEOUL, "trusted")
    assert not quiet(NIGHT, rule(), night, SEOUL, "untrusted")
    assert not quiet(QuietHours(), rule(), night, SEOUL, "trusted")


def test_what_still_stands_in_the_morning_is_told_then() -> None:
    """Raised at midnight, told at six with the reading of then (H3)."""
    assert edges(COOL, COOL, COOL, *[HOT] * 8) == ["06 raised"]
    assert edges(COOL, COOL, COOL, *[HOT] * 8, COOL) == ["06 raised", "08 cleared"]


def test_what_came_and_went_in_the_night_is_never_told() -> None:
    """Neither its start nor its end (H3); the level moved all the same."""
    night = [COOL, HOT, HOT, COOL, HOT, COOL, COOL, COOL, COOL, COOL, COOL]
    assert edges(*night) == []
    assert [v.latch.level for v in walk(rule(), *night)][1:4] == [
        Level.RAISED,
        Level.RAISED,
        Level.CLEAR,
    ]


def test_an_end_in_the_night_is_told_in_the_morning() -> None:
    """With how long it had stood, not how long ago that was (H3)."""
    values = [HOT, HOT, HOT, *[COOL] * 8]
    assert edges(*values) == ["21 raised", "06 cleared"]
    assert [v.lasted for v in walk(rule(), *values) if v.edge is Edge.CLEARED] == [3 * HOUR]


def test_an_alert_that_paused_in_the_night_is_not_told_again() -> None:
    """Ended and begun anew: in the morning it is as people were told it is (H3)."""
    assert edges(HOT, HOT, COOL, *[HOT] * 9) == ["21 raised"]


def test_nothing_is_told_on_missing_data() -> None:
    """The morning without a reading waits for the first with one (H3)."""
    assert edges(COOL, COOL, HOT, *[SILENT] * 8, HOT) == ["08 raised"]
    assert edges(COOL, COOL, HOT, *[SILENT] * 8, COOL) == []


def test_critical_at_any_time() -> None:
    """Frost wakes the farmer (H2)."""
    assert edges(COOL, COOL, COOL, HOT, severity="critical") == ["00 raised"]
