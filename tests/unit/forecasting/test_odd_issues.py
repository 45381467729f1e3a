"""Issues of KMA's forecast that are far from everything else (rules O1 to O3, M4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.hours import hour_of, time_of
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.forecasting.guided import Guidance, GuidedForecast
from edge_agent.forecasting.odd_issues import UNSEEN, ObservedHours, rows
from tests.fakes.guidance_store import StoredGuidance
from tests.unit.forecasting.test_guided import NOW, SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

HOUR = timedelta(hours=1)
FIRST = hour_of(NOW) - 1 - 3 * 40
"""Base time of the first of 41 issues, three hours apart; the last came an hour ago."""
LAST = 40


def weather(hours: np.ndarray) -> np.ndarray:
    """Temperature, with a course of the day."""
    return np.asarray(15.0 + 5.0 * np.sin(2.0 * np.pi * hours / 24.0))


def issues(
    changed: Collection[int] = (), change: Callable[[np.ndarray], np.ndarray] | None = None
) -> pl.DataFrame:
    """Issues that are a degree too cold, some of them changed."""
    frames = []
    for number in range(LAST + 1):
        hours = FIRST + 3 * number + np.arange(1, 67)
        values = weather(hours) - 1.0
        if number in changed:
            values = values + 15.0 if change is None else change(values)
        frames.append(
            pl.DataFrame(
                {
                    ISSUED: [time_of(FIRST + 3 * number)] * len(hours),
                    VALID: [time_of(int(hour)) for hour in hours],
                    AIR_TEMPERATURE: values,
                    RELATIVE_HUMIDITY: np.full(len(hours), 60.0),
                },
                schema_overrides=GUIDANCE,
            )
        )
    return pl.concat([GUIDANCE.to_frame(), *frames], how="diagonal")


def seen(
    *, warmer: float = 0.0, since: int | None = None, until: int = hour_of(NOW)
) -> pl.DataFrame:
    """What the farm saw of the weather; from an hour on by so much warmer than it was."""
    hours = np.arange(FIRST - 48, until + 1)
    more = np.where(hours >= (hours[0] if since is None else since), warmer, 0.0)
    frame = pl.DataFrame(
        {
            TIME: [time_of(int(hour)) for hour in hours],
            AIR_TEMPERATURE: weather(hours) + more,
            RELATIVE_HUMIDITY: 60.0 + hours % 3,
        }
    )
    return clean(frame, start=time_of(int(hours[0])), end=time_of(hour_of(NOW)))


def odd(frame: pl.DataFrame, truth: pl.DataFrame) -> list[int]:
    """Numbers of the issues that are set aside."""
    values = {name: truth[name].cast(float).to_numpy() for name in TARGETS}
    return rows(GuidanceCourse.of(frame), ObservedHours(hour_of(truth[TIME][0]), values))


@pytest.mark.parametrize(
    "change", [lambda v: 0.0 * v, lambda v: v + 15.0, lambda v: v - 15.0, lambda v: 0.0 * v + 40.0]
)
def test_an_absurd_issue_is_set_aside(change: Callable[[np.ndarray], np.ndarray]) -> None:
    """The newest, one of long ago, and several days of them; the right ones count."""
    for changed in ([LAST], [20], [LAST - 1], [10, 11, 30], list(range(12, LAST + 1))):
        assert odd(issues(changed, change), seen()) == changed


@pytest.mark.parametrize("warmer", [-5.0, 4.0])
def test_a_place_that_differs_from_its_cell_is_guarded_too(warmer: float) -> None:
    """By as much as KMA's grid does not know (O2)."""
    for change in (20.0, -20.0):
        found = odd(issues([30, LAST], lambda v, by=change: v + by), seen(warmer=warmer))  # type: ignore[misc]
        assert found == [30, LAST]


@pytest.mark.parametrize("wrong", [-3.0, 3.0, 5.0])
def test_a_common_error_is_not_absurd(wrong: float) -> None:
    """The models take it off, or the weights."""
    assert odd(issues(range(20, LAST + 1), lambda v: v + wrong), seen()) == []


def test_a_change_of_weather_that_only_the_newer_issue_knows_counts() -> None:
    """A cold front three hours earlier: what is observed leaves the older one (O2)."""
    front = FIRST + 3 * 38
    cold = range(38, LAST + 1)
    assert odd(issues(cold, lambda v: v - 9.0), seen(warmer=-9.0, since=front)) == []


def test_a_wrong_sensor_sets_nothing_aside() -> None:
    """It is far from the older issue too; nor is an issue kept since a sensor likes it (O2)."""
    frame = issues([LAST])
    assert odd(frame, seen(warmer=12.0)) == []
    assert odd(issues(), seen(warmer=15.0, since=hour_of(NOW) - 10)) == []


def test_without_an_observation_few_are_set_aside() -> None:
    """One that stands alone; more in a row are a forecast (O2)."""
    blind = seen(until=FIRST - 40)
    assert odd(issues([30]), blind) == [30]
    assert odd(issues(range(30, 36)), blind)[:UNSEEN] == [30, 31]
    assert odd(issues(range(30, LAST + 1)), blind) == [30, 31]


def test_the_others_go_on_as_if_it_had_not_come() -> None:
    """The forecast and the errors of past hours, bit for bit; it is told (M4)."""

    def made(frame: pl.DataFrame) -> GuidedForecast:
        found = Guidance(StoredGuidance(frame), SITE).make(seen(), None, NOW)
        assert found is not None
        return found

    for bad in ([LAST], [20, 21], [LAST - 2, LAST]):
        found = made(issues(bad))
        times = [time_of(FIRST + 3 * number) for number in bad]
        there = made(issues().filter(~pl.col(ISSUED).is_in(times)))
        for name in TARGETS:
            one, other = found.targets[name], there.targets[name]
            assert np.array_equal(one.quantiles, other.quantiles)
            assert found.rmse[name] == there.rmse[name]
        assert found.issued == there.issued
        assert list(found.set_aside) == (times[-1:] if bad[-1] == LAST else [])


def test_issues_that_are_set_aside_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """And when they count again."""
    store = StoredGuidance(issues([LAST]))
    guidance = Guidance(store, SITE)
    for _ in range(3):
        guidance.make(seen(), None, NOW)
    store.frame = issues().filter(pl.col(ISSUED) < NOW - 2 * HOUR)
    guidance.make(seen(), None, NOW)
    first, second = caplog.messages
    assert first.startswith(f"KMA's forecasts since {NOW - HOUR:%Y-%m-%dT%H}:00Z are set aside")
    assert second == "KMA's newest forecast counts again"
