"""KMA's forecast and that of observations become one (rules J1 to J4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.contract.forecast import Forecast, NoForecast, Source, TargetForecast
from edge_agent.contract.hours import hour_of
from edge_agent.contract.residuals import LEVELS
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TARGETS
from edge_agent.forecasting.guided import REACH_H, GuidedForecast
from edge_agent.forecasting.joining import HAND_OVER_H, join
from tests.fakes import forecasts
from tests.fakes.examples import examples
from tests.fakes.forecasts import NOW

HOUR = timedelta(hours=1)
HOURS = np.arange(REACH_H)
DAY = 4.0 * np.sin(2.0 * np.pi * HOURS / 24.0)
UNITS = dict(zip(TARGETS, ("°C", "%"), strict=True))


def guided(
    temperature: np.ndarray, humidity: np.ndarray | None = None, *, share: float = 0.9
) -> GuidedForecast:
    """KMA's forecast, corrected; a narrow distribution at the levels of a release."""
    damp = np.where(np.isfinite(temperature), 60.0, np.nan) if humidity is None else humidity
    values = dict(zip(TARGETS, (temperature, damp), strict=True))
    spread = np.linspace(-1.5, 1.5, len(LEVELS))
    return GuidedForecast(
        hour=hour_of(NOW),
        issued=NOW - 2 * HOUR,
        made=dict.fromkeys(TARGETS, Source.GUIDED),
        release=7,
        raw=values,
        targets={
            name: TargetForecast(
                UNITS[name],
                points,
                np.array(LEVELS),
                np.clip(points[:, None] + spread, -90.0, 100.0),
            )
            for name, points in values.items()
        },
        shares=dict.fromkeys(TARGETS, np.full(len(LEADS), share)),
        rmse=dict.fromkeys(TARGETS),
    )


def joined(ahead: GuidedForecast, other: Forecast | NoForecast) -> Forecast:
    """What goes out."""
    both = join(ahead, other, NOW)
    assert both is not None
    return both.forecast


def test_both_are_weighted_by_the_share() -> None:
    """Values and quantiles; the greater weight names the hour (J1)."""
    made = joined(guided(np.full(REACH_H, 20.0)), forecasts.forecast([10.0] * 48))
    warm = made.targets[AIR_TEMPERATURE]
    assert warm.values == pytest.approx(np.full(48, 19.0))
    assert set(made.sources_of(AIR_TEMPERATURE)) == {Source.GUIDED}
    assert (made.source, list(made.adjusted)) == (Source.MODEL, ["guidance"])
    wide = 0.9 * 0.9375 + 0.1 * 2.4
    assert warm.quantile(0.9)[0] == pytest.approx(19.0 + wide, abs=0.02)
    little = joined(guided(np.full(REACH_H, 20.0), share=0.3), forecasts.forecast([10.0] * 48))
    assert set(little.sources_of(AIR_TEMPERATURE)) == {Source.MODEL}


def test_the_share_is_that_of_the_models_lead() -> None:
    """From an observation of five hours ago the next hour is six hours ahead (J1)."""
    ahead = guided(np.full(REACH_H, 20.0))
    shares = dict.fromkeys(TARGETS, np.array(LEADS) / 48.0)
    old = replace(forecasts.forecast([10.0] * 43), origin=NOW - 5 * HOUR)
    made = joined(replace(ahead, shares=shares), old)
    assert made.origin == NOW - 5 * HOUR
    assert made.targets[AIR_TEMPERATURE].values[0] == pytest.approx(10.0 + 10.0 * 6 / 48)
    assert len(made.valid_at) == REACH_H, "what the models do not reach is KMA's"


@pytest.mark.parametrize("source", [Source.CACHED, Source.PERSISTENCE, Source.CLIMATOLOGY])
def test_a_lower_rung_stands_behind_guidance(source: Source) -> None:
    """It has no say where guidance is, and follows it where that ends (J2, J3)."""
    values = np.where(HOURS < 30, 20.0, np.nan)
    made = joined(guided(values), forecasts.forecast([10.0] * 48, source=source))
    found = made.targets[AIR_TEMPERATURE].values
    assert found[:30] == pytest.approx(np.full(30, 20.0))
    assert found[30] == pytest.approx(10.0 + 10.0 * np.exp(-1 / HAND_OVER_H))
    assert np.all(np.diff(found[30:]) < 0.0)
    assert made.sources_of(AIR_TEMPERATURE)[29:31] == (Source.GUIDED, source)
    assert made.source is Source.GUIDED
    assert made.observed_at is None
    assert made.only_normal().any() == (source is Source.CLIMATOLOGY)


def test_without_any_other_forecast_guidance_stands_alone() -> None:
    """No release, no observation: still a forecast, with the reason as a note."""
    values = np.where((HOURS > 1) & (HOURS < 30), 20.0, np.nan)
    made = joined(guided(values), NoForecast(NOW, "no approved release is installed"))
    assert [round((at - NOW) / HOUR) for at in made.valid_at] == list(range(3, 31))
    assert made.origin == NOW
    assert list(made.notes) == ["no approved release is installed"]


def test_an_old_issue_is_told() -> None:
    """Its age has no limit, and is no secret."""
    ahead = replace(guided(np.full(REACH_H, 20.0)), issued=NOW - 30 * HOUR)
    made = joined(ahead, forecasts.forecast([10.0] * 48))
    assert list(made.notes) == ["KMA's newest forecast is 30 h old"]


def test_issues_that_are_set_aside_are_told() -> None:
    """Since when, and why."""
    aside = [NOW - 4 * HOUR, NOW - HOUR]
    made = joined(
        replace(guided(np.full(REACH_H, 20.0)), set_aside=aside), forecasts.forecast([10.0] * 48)
    )
    (note,) = made.notes
    assert note.startswith(f"KMA's forecasts since {aside[0]:%Y-%m-%dT%H:%MZ} are set aside: ")


def test_a_quantity_without_guidance_keeps_its_own() -> None:
    """The other has it (rule by quantity)."""
    none = np.full(REACH_H, np.nan)
    made = joined(guided(np.full(REACH_H, 20.0), none), forecasts.forecast([10.0] * 48))
    assert made.targets[RELATIVE_HUMIDITY].values == pytest.approx(np.full(48, 60.0))
    assert set(made.sources_of(RELATIVE_HUMIDITY)) == {Source.MODEL}
    assert join(guided(none, none), forecasts.forecast([10.0] * 48), NOW) is None


COURSE = st.lists(st.floats(-6.0, 6.0), min_size=1, max_size=8)


@settings(max_examples=examples(150))
@given(
    apart=COURSE,
    there=st.lists(st.booleans(), min_size=6, max_size=12),
    count=st.integers(6, 48),
    share=st.floats(0.02, 1.0),
    source=st.sampled_from([Source.MODEL, Source.MODEL_RELAYED, Source.PERSISTENCE]),
    width=st.floats(0.1, 3.0),
)
@example(  # The models end in the hour before guidance begins.
    apart=[1.0],
    there=[False] * 6 + [True] * 6,
    count=24,
    share=1.0,
    source=Source.MODEL,
    width=1.0,
)
def test_no_hour_differs_by_a_change_of_rung(
    apart: list[float],
    there: list[bool],
    count: int,
    share: float,
    source: Source,
    width: float,
) -> None:
    """Whatever is missing: steps are those of the forecasts themselves, quantiles keep their order.

    Both have the same course of the day, and differ by what changes smoothly.
    """
    other = 10.0 + DAY
    shift = np.interp(HOURS, np.linspace(0, REACH_H - 1, len(apart)), apart)
    known = np.repeat(there, -(-REACH_H // len(there)))[:REACH_H]
    if not known[:count].any():
        known[0] = True
    model = forecasts.forecast(list(other[:count]), source=source)
    model = replace(
        model,
        targets={
            **model.targets,
            AIR_TEMPERATURE: forecasts.target(list(other[:count]), width=width),
        },
    )
    made = joined(guided(np.where(known, other + shift, np.nan), share=share), model)
    target = made.targets[AIR_TEMPERATURE]
    usual = np.abs(np.diff(DAY)).max()
    steps = np.diff(target.values)
    hours = np.array([hour_of(at) for at in made.valid_at])
    adjacent = np.diff(hours) == 1
    # Offsets of up to 12 degrees: a twelfth of them an hour at most fades. An hour that a forecast
    # goes on for is off by less than the change turns in an hour, and that fades likewise.
    bend = np.abs(np.diff(DAY, 2)).max()
    fading = (1.0 - np.exp(-1.0 / HAND_OVER_H)) * (np.abs(shift).max() + bend)
    slope = np.abs(np.diff(shift)).max(initial=0.0)
    assert np.abs(steps[adjacent]).max(initial=0.0) <= usual + fading + 2.0 * slope + 1e-9
    assert (np.diff(target.quantiles, axis=1) >= -1e-9).all()
    assert np.isfinite(target.quantiles).all()
    for name in TARGETS:
        assert len(made.sources_of(name)) == len(made.valid_at)
        assert set(made.sources_of(name)) <= {Source.GUIDED, source}
    assert set(hours[: count - 1]) >= {hour_of(NOW) + 1 + hour for hour in range(count - 1)}
