"""Inputs of the models that correct KMA's forecasts: rules G1 to G5."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from edge_agent.contract import guidance_features
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_errors import FEWEST_ERRORS, steady
from edge_agent.contract.guidance_features import (
    FADING_H,
    GUIDED_LEADS,
    NAMES,
    GuidanceInputs,
)
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
    TARGETS,
    WIND_SPEED,
)
from tests.fakes.guidance import HOUR, forecasts
from tests.fakes.guided_place import SITE, observed

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
BASE = int(START.timestamp()) // 3600
DAYS = 40
ERRORS = ("error", *(name for name in NAMES if name.startswith("error_")))
SEEN = (
    *("observed", "observed_change_1h", "observed_change_3h"),
    *("other_observed", "guidance_from_observed"),
)
PAST = (*ERRORS, *SEEN)
LEADS = np.array(GUIDED_LEADS)


def inputs(frame: pl.DataFrame, guidance: pl.DataFrame) -> GuidanceInputs:
    """Of the made-up place."""
    return GuidanceInputs.of(frame, GuidanceCourse.of(guidance), SITE)


def flat(error: float = 1.5, *, days: int = DAYS) -> GuidanceInputs:
    """KMA says 10 C and 50 %, and it is always by `error` more."""
    guidance = forecasts(START, days).with_columns(
        pl.lit(10.0).alias(AIR_TEMPERATURE), pl.lit(50.0).alias(RELATIVE_HUMIDITY)
    )
    frame = observed(START, 24 * days).with_columns(
        pl.lit(10.0 + error).alias(AIR_TEMPERATURE), pl.lit(50.0 + error).alias(RELATIVE_HUMIDITY)
    )
    return inputs(frame, guidance)


def row_of(
    given: GuidanceInputs, hour: int, lead: int, target: str = AIR_TEMPERATURE
) -> dict[str, float]:
    """One row by name."""
    matrix = given.matrix(target, np.array([BASE + hour]), np.array([lead]))
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    return dict(zip(NAMES, matrix[0].astype(float).tolist(), strict=True))


def missing(row: dict[str, float]) -> set[str]:
    """Names of inputs that are NaN."""
    return {name for name, value in row.items() if np.isnan(value)}


def test_a_steady_error_is_found_everywhere() -> None:
    """G1: observed minus what was forecast, in every lag and mean."""
    row = row_of(flat(), 35 * 24, 30)
    for name in ERRORS:
        assert row[name] == 1.5, name
    assert (row["observed"], row["other_observed"]) == (11.5, 51.5)
    assert (row["observed_change_1h"], row["observed_change_3h"]) == (0.0, 0.0)
    assert (row["guidance_from_observed"], row["steady_error"]) == (-1.5, 0.0)
    assert (row["other_error"], row["other_error_mean_24h"]) == (1.5, 1.5)
    assert (row["lead"], row["guidance_age"]) == (30, 30 + 3)
    assert not missing(row)


def test_the_error_is_of_the_newest_issue_that_could_be_read() -> None:
    """G1: the issue of 02 counts from 03 on, although 02 has a value of an older one too."""
    guidance = forecasts(START, 3)
    number = (pl.col(ISSUED) - START).dt.total_hours() / 3
    given = inputs(
        observed(START, 72).with_columns(pl.lit(100.0).alias(AIR_TEMPERATURE)),
        guidance.with_columns(number.alias(AIR_TEMPERATURE)),
    )
    errors = given.errors[AIR_TEMPERATURE]
    assert np.isnan(errors[0]), "no issue could be read"
    assert errors[1:8].tolist() == [100.0, 100.0, 100.0, 99.0, 99.0, 99.0, 98.0]


def test_base_is_guidance_and_the_newest_error_which_fades() -> None:
    """G2: by exp(-lead / 8); guidance alone without an observation at the origin."""
    given = flat()
    for lead in (1, 8, 60):
        row = row_of(given, 900, lead)
        assert row["guidance"] == 10.0
        assert row["base"] == pytest.approx(10.0 + 1.5 * np.exp(-lead / FADING_H), rel=1e-6)
    silent = inputs(observed(START, 48, gaps=[range(47, 48)]), forecasts(START, 2))
    row = row_of(silent, 47, 1)
    assert np.isnan(row["error"])
    assert np.isfinite(row["error_1h_ago"])
    assert row["base"] == row["guidance"]


def test_what_is_on_the_way_now() -> None:
    """The course that was seen and that of KMA, to the origin and from there on."""
    guidance = forecasts(START, 4).with_columns(
        (pl.col(VALID) - START).dt.total_hours().cast(pl.Float64).alias(AIR_TEMPERATURE)
    )
    number = np.arange(96.0)
    frame = observed(START, 96).with_columns(pl.Series(AIR_TEMPERATURE, number * 1.5 - 45.0))
    row = row_of(inputs(frame, guidance), 90, 12)
    assert (row["observed_change_1h"], row["observed_change_3h"]) == (1.5, 4.5)
    assert (row["guidance_change_to_origin"], row["guidance_since_origin"]) == (1.0, 12.0)
    assert row["guidance_from_observed"] == 102.0 - 90.0


@pytest.mark.parametrize(("hours", "expected"), [(6, 0.0), (72, 4.0)])
def test_what_is_wrong_for_days_is_in_the_base_at_every_lead(hours: int, expected: float) -> None:
    """G5: half a day decides. The trees see what is left of the errors."""
    guidance = forecasts(START, DAYS).with_columns(pl.lit(10.0).alias(AIR_TEMPERATURE))
    wrong = np.arange(24 * DAYS) >= 24 * DAYS - hours
    frame = observed(START, 24 * DAYS).with_columns(
        pl.Series(AIR_TEMPERATURE, np.where(wrong, 14.0, 10.0))
    )
    row = row_of(inputs(frame, guidance), 24 * DAYS - 1, 60)
    assert row["steady_error"] == expected
    assert row["error"] == row["error_mean_24h"] + (0.0 if expected else 3.0) == 4.0 - expected
    fading = (4.0 - expected) * np.exp(-60 / FADING_H)
    assert row["base"] == pytest.approx(10.0 + expected + fading, rel=1e-6)
    assert row["guidance"] == 10.0


def test_a_steady_error_ends_when_the_newest_hours_are_right() -> None:
    """G5: the mean of the day does not keep it; half of it counts between the limits."""
    day = np.array([4.0, 4.0, 4.0, -4.0, 2.65, 2.0, np.nan])
    newest = np.array([4.0, 0.5, -4.0, -4.0, 4.0, 4.0, 4.0])
    found = steady(AIR_TEMPERATURE, [newest, np.full(7, np.nan)], day)
    assert found == pytest.approx([4.0, 0.0, 0.0, -4.0, 2.65 / 2, 0.0, 0.0])


def test_without_observations_only_the_past_is_missing() -> None:
    """G3: what guidance says is there, and the base is guidance."""
    guidance = forecasts(START, 4)
    for frame in (observed(START, 96, gaps=[range(96)]), observed(START, 0)):
        row = row_of(inputs(frame, guidance), 95, 6)
        assert missing(row) == {*PAST, "other_error", "other_error_mean_24h"}
        assert row["base"] == row["guidance"]


def test_without_an_issue_everything_of_it_is_missing() -> None:
    """G3: not even an age, whether issues come later or never."""
    frame = observed(START - 5 * HOUR, 48)
    known = {"lead", "hour_sin", "hour_cos", "sun", "steady_error", *SEEN}
    known -= {"guidance_from_observed"}
    for guidance in (forecasts(START, 2), GUIDANCE.to_frame()):
        row = row_of(inputs(frame, guidance), -1, 6)
        assert missing(row) == set(NAMES) - known
        assert row["observed"] == pytest.approx(frame[AIR_TEMPERATURE][4], abs=2**-11)


def test_an_hour_that_guidance_does_not_reach_has_no_base() -> None:
    """G3: NaN in guidance and base; a category that is not there is missing by itself."""
    short = forecasts(START, 2).filter(pl.col(VALID) - pl.col(ISSUED) <= timedelta(hours=20))
    row = row_of(inputs(observed(START, 48), short), 47, 30)
    assert {"guidance", "base", "other_guidance", "sky"} <= missing(row)
    assert np.isfinite(row["error"])
    bare = forecasts(START, 2).drop(SKY, RAIN_CHANCE, WIND_SPEED)
    row = row_of(inputs(observed(START, 48), bare), 47, 12)
    assert missing(row) == {
        *("wind_speed", "wind_east", "wind_north", "sky", "sky_before"),
        *("rain_chance", "rain_chance_day"),
    }


@pytest.mark.parametrize("known", [FEWEST_ERRORS - 1, FEWEST_ERRORS])
def test_a_mean_needs_some_errors(known: int) -> None:
    """G3: five are too few."""
    given = inputs(observed(START, known + 1), forecasts(START, 1))
    row = row_of(given, known, 3)
    assert np.isnan(row["error_mean_24h"]) == (known < FEWEST_ERRORS)


def test_means_are_over_what_their_names_say() -> None:
    """Errors of one hour of the day and of the two before it are told from the others."""
    guidance = forecasts(START, DAYS).with_columns(pl.lit(0.0).alias(AIR_TEMPERATURE))
    number = np.arange(24 * DAYS)
    hour = (START.hour + number) % 24
    values = np.where(hour == 6, 9.0, 0.0) + np.where(number >= 24 * DAYS - 48, 1.0, 0.0)
    frame = observed(START, 24 * DAYS).with_columns(pl.Series(AIR_TEMPERATURE, values))
    given = inputs(frame, guidance)
    origin = 24 * DAYS - 1
    to_six = int((6 - hour[origin]) % 24)
    row = row_of(given, origin, to_six)
    assert row["error_same_hour"] == 10.0
    # Two of five days, and two of thirty, are warmer by 1.
    assert row["error_same_hour_5d"] == pytest.approx(9 / 3 + 2 / 5, abs=1e-3)
    assert row["error_same_hour_30d"] == pytest.approx(9 / 3 + 2 / 30, abs=1e-3)
    assert row["error_mean_24h"] == pytest.approx(9 / 24 + 1.0, abs=1e-3)
    assert row["error_mean_72h"] == pytest.approx(9 / 24 + 48 / 72, abs=1e-3)
    assert row_of(given, origin, (to_six + 6) % 24)["error_same_hour_5d"] == pytest.approx(0.4)


def test_errors_come_on_a_grid() -> None:
    """G4: multiples of 2^-10, so that sums of them are exact."""
    given = inputs(observed(START, 240), forecasts(START, 10, every=3, first_lead=4))
    for target in TARGETS:
        units = given.errors[target] * 1024
        known = units[np.isfinite(units)]
        assert len(known) > 200
        assert np.array_equal(known, np.round(known))


def test_the_sky_and_rain_of_the_hours_around() -> None:
    """Mean sky of the six hours before, greatest chance of rain within six hours."""
    guidance = forecasts(START, 2)
    lead = (pl.col(VALID) - pl.col(ISSUED)).dt.total_hours()
    given = inputs(
        observed(START, 48),
        guidance.with_columns(
            pl.when(lead >= 20).then(4.0).otherwise(1.0).alias(SKY),
            pl.when(lead == 30).then(90.0).otherwise(0.0).alias(RAIN_CHANCE),
        ),
    )
    # The newest issue is two hours old.
    row = row_of(given, 47, 22 - 2)
    assert row["sky"] == 4.0
    assert row["sky_before"] == pytest.approx((3 * 4.0 + 4 * 1.0) / 7)
    assert row["rain_chance_day"] == 0.0
    assert row_of(given, 47, 24 - 2)["rain_chance_day"] == 90.0


def test_the_digest_names_the_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another input, another digest."""
    before = guidance_features.digest()
    assert before == guidance_features.digest()
    monkeypatch.setattr(guidance_features, "FADING_H", 9.0)
    assert guidance_features.digest() != before


def test_an_hour_of_a_device_takes_little_time() -> None:
    """Course, inputs and all leads of both targets from 31 days: 20 ms where this was tried."""
    frame, guidance = observed(START, 744), forecasts(START, 31)
    began = time.process_time()
    given = inputs(frame, guidance)
    for target in TARGETS:
        given.matrix(target, np.full(len(LEADS), BASE + 743), LEADS)
    assert time.process_time() - began < 0.5
