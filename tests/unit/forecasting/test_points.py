"""Single values of KMA's forecast by hour (rules P1 to P4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.forecast import Source
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import (
    NEW_SNOW,
    PRECIPITATION,
    RAIN,
    RAIN_CHANCE,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)
from edge_agent.forecasting.points import Issues, NewestGuidance
from tests.fakes.guidance_store import StoredGuidance

BASE = datetime(2026, 7, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEXT = [BASE + lead * HOUR for lead in range(2, 8)]


def issue(base: datetime, hours: dict[int, dict[str, float]]) -> pl.DataFrame:
    """An issue with values by lead."""
    rows = [{ISSUED: base, VALID: base + lead * HOUR} | row for lead, row in hours.items()]
    return pl.DataFrame(rows, schema=GUIDANCE)


def values(guidance: pl.DataFrame, name: str, now: datetime = BASE + HOUR) -> list[float | None]:
    """Values of the six hours after the issue; None = not known."""
    found = Issues.of(guidance).points(hour_of(now), NEXT).get(name)
    if found is None:
        return [None] * len(NEXT)
    assert found.source is Source.GUIDANCE
    return [None if np.isnan(value) else round(float(value), 2) for value in found.values]


def test_the_newest_issue_that_can_be_read_counts() -> None:
    """Not the one of this hour, and an older one fills only hours that the newer lacks (P1)."""
    old = issue(BASE - 3 * HOUR, {lead: {RAIN: 1.0, NEW_SNOW: 2.0} for lead in range(5, 9)})
    new = issue(BASE, {4: {RAIN: 5.0}, 5: {RAIN: 6.0}})
    early = issue(BASE + HOUR, {lead: {RAIN: 9.0} for lead in range(1, 9)})
    both = pl.concat([old, new, early])
    assert values(both, RAIN) == [1.0, 1.0, 5.0, 6.0, None, None]
    assert values(both, NEW_SNOW) == [2.0, 2.0, None, None, None, None]


def test_nothing_is_known_where_the_issues_end() -> None:
    """Neither zero nor the last value (P4)."""
    short = issue(BASE, {lead: {RAIN: 0.0, WIND_SPEED: 3.0} for lead in (2, 3)})
    assert values(short, RAIN) == [0.0, 0.0, None, None, None, None]
    assert values(short, WIND_SPEED) == [3.0, 3.0, None, None, None, None]
    assert Issues.of(short).points(hour_of(BASE), NEXT) == {}, "not published yet"
    assert Issues.of(GUIDANCE.to_frame()).points(hour_of(BASE), NEXT) == {}


def test_between_three_hours_wind_turns_and_sums_stay_unknown() -> None:
    """Through the north, and no amount is shared out (P2, P3)."""
    sparse = issue(
        BASE,
        {
            2: {
                WIND_SPEED: 4.0,
                WIND_FROM_DIRECTION: 350.0,
                RAIN: 3.0,
                PRECIPITATION: 0.0,
                RAIN_CHANCE: 30.0,
            },
            5: {WIND_SPEED: 7.0, WIND_FROM_DIRECTION: 10.0, RAIN: 6.0, PRECIPITATION: 3.0},
        },
    )
    assert values(sparse, WIND_SPEED) == [4.0, 5.0, 6.0, 7.0, None, None]
    turned = values(sparse, WIND_FROM_DIRECTION)
    assert [turned[0], turned[3]] == [350.0, 10.0]
    assert all(bearing is not None and (bearing > 350 or bearing < 10) for bearing in turned[1:3])
    assert values(sparse, RAIN) == [3.0, None, None, 6.0, None, None]
    assert values(sparse, PRECIPITATION) == [0.0, 0.0, 3.0, 3.0, None, None]
    assert values(sparse, RAIN_CHANCE) == [30.0, None, None, None, None, None]


def test_values_further_apart_than_six_hours_are_not_joined() -> None:
    """What lies between them is not known."""
    far = issue(BASE, {1: {WIND_SPEED: 2.0}, 8: {WIND_SPEED: 9.0}})
    assert values(far, WIND_SPEED) == [None] * 6


@pytest.mark.parametrize("wrong", [-1.0, 400.0, float("nan"), float("inf")])
def test_what_is_no_forecast_is_not_known(wrong: float) -> None:
    """A value beyond the limits of its quantity is no value."""
    odd = issue(BASE, {lead: {WIND_SPEED: wrong, RAIN: 1.0} for lead in range(2, 8)})
    assert values(odd, WIND_SPEED) == [None] * 6
    assert values(odd, RAIN) == [1.0] * 6


def test_issues_are_read_once_and_then_the_newer_ones() -> None:
    """Also those of days ago, where the link is down."""
    old = BASE - timedelta(days=2)
    long = issue(old, {lead: {WIND_SPEED: 3.0} for lead in range(40, 60)})
    store = StoredGuidance(long)
    held = NewestGuidance(store)
    for hour in (1, 2):
        found = held.points(BASE + hour * HOUR, NEXT)
        assert found[WIND_SPEED].values == pytest.approx([3.0] * 6)
    assert store.reads == 2, "of the last day, and of those before"
    store.frame = pl.concat([long, issue(BASE, {lead: {WIND_SPEED: 5.0} for lead in range(1, 9)})])
    found = held.points(BASE + HOUR, NEXT)
    assert found[WIND_SPEED].values == pytest.approx([5.0] * 6)
    found = held.points(BASE + HOUR, NEXT, [BASE])
    assert found == {}, "the issue that counts no more was the only one of the last day"
    assert NewestGuidance(StoredGuidance(GUIDANCE.to_frame())).points(BASE, NEXT) == {}
