"""KMA's forecast for a farm: by the release's models or without its bias (M1 to M3, B1 to B3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract import guidance_defaults
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.forecast import Source
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import HISTORY_H, NAMES, digest
from edge_agent.contract.hours import hour_of
from edge_agent.contract.manifest import GuidanceModels
from edge_agent.contract.quality import clean
from edge_agent.contract.residuals import LEVELS
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    LEADS,
    RELATIVE_HUMIDITY,
    TARGETS,
    TIME,
    Site,
)
from edge_agent.forecasting import guidance_bias
from edge_agent.forecasting.guided import REACH_H, Guidance, GuidedForecast
from tests.fakes import guidance as kma
from tests.fakes.guidance_store import StoredGuidance
from tests.fakes.loaded import FakeRelease, Says, manifest, table

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = timedelta(hours=1)
SITE = Site(35.1, 129.03, 70.0)
START = datetime(2026, 3, 1, 2, tzinfo=UTC)
NOW = START + timedelta(days=33, hours=4, minutes=2)
HOUR_NOW = NOW.replace(minute=0)
ISSUES = kma.forecasts(START, 34)


def truth(warmer: float = 2.0, *, until: datetime = NOW, humid: bool = True) -> pl.DataFrame:
    """A farm that is so much warmer than each hour's forecast that could be read in it."""
    course = GuidanceCourse.of(ISSUES)
    hours = np.arange(hour_of(NOW) - HISTORY_H + 1, hour_of(NOW) + 1)
    rows = course.newest(hours)
    times = [datetime.fromtimestamp(int(hour) * 3600, UTC) for hour in hours]
    damp = course.at(RELATIVE_HUMIDITY, rows, hours)
    frame = pl.DataFrame(
        {
            TIME: times,
            AIR_TEMPERATURE: course.at(AIR_TEMPERATURE, rows, hours) + warmer,
            RELATIVE_HUMIDITY: damp if humid else np.full(len(hours), np.nan),
        }
    ).fill_nan(None)
    seen = frame.filter(pl.col(TIME) <= until)
    return clean(seen, start=times[0], end=times[-1])


def mos(function: Callable[[np.ndarray], np.ndarray] | None = None) -> FakeRelease:
    """A release whose models give `function` of the matrix; default: the base plus one."""
    made = manifest()
    guided = GuidanceModels(
        digest=digest(),
        names=NAMES,
        models=made.models,
        golden=made.golden,
        residuals=dict(zip(TARGETS, (table(1.0), table(5.0)), strict=True)),
        shares=dict.fromkeys(TARGETS, tuple(lead / 48.0 for lead in LEADS)),
        scores={},
    )
    says = function or (lambda matrix: matrix[:, NAMES.index("base")] + 1.0)
    return FakeRelease(
        manifest=msgspec.structs.replace(made, guidance=guided, leads=LEADS),
        guided={name: Says(says) for name in TARGETS},
    )


def made(
    observed: pl.DataFrame | None,
    release: FakeRelease | None = None,
    store: StoredGuidance | None = None,
) -> GuidedForecast:
    """The forecast of now."""
    found = Guidance(store or StoredGuidance(ISSUES), SITE).make(observed, release, NOW)
    assert found is not None
    return found


def width(found: GuidedForecast, target: str = AIR_TEMPERATURE) -> np.ndarray:
    """Of the 80 % interval."""
    part = found.targets[target]
    return np.asarray(part.quantile(0.9) - part.quantile(0.1))


def test_models_correct_the_newest_issue() -> None:
    """From the hour of the decision, with its error; intervals and shares of the release."""
    found = made(truth(), mos())
    assert found.source is Source.GUIDED
    assert found.issued == HOUR_NOW - HOUR
    warm = found.targets[AIR_TEMPERATURE].values
    leads = np.arange(1, REACH_H + 1)
    expected = found.raw[AIR_TEMPERATURE] + 2.0 * np.exp(-leads / 8.0) + 1.0
    assert warm == pytest.approx(expected, abs=0.01)
    assert width(found)[10] == pytest.approx(1.6, abs=0.05)
    assert found.shares[AIR_TEMPERATURE][23] == pytest.approx(0.5)
    assert found.rmse[AIR_TEMPERATURE] == pytest.approx(2.0, abs=0.01)


def test_an_observation_of_a_few_hours_ago_is_the_origin() -> None:
    """The leads are longer by its age, and the newest issue is read all the same (M1)."""
    matrices: list[np.ndarray] = []

    def keep(matrix: np.ndarray) -> np.ndarray:
        matrices.append(matrix)
        return matrix[:, 0]

    made(truth(until=NOW - 5 * HOUR), mos(keep))
    lead, age = (matrices[0][:, NAMES.index(name)] for name in ("lead", "guidance_age"))
    assert lead.tolist() == list(range(6, 6 + REACH_H))
    assert age[0] <= 4.0
    assert np.isfinite(matrices[0][:, NAMES.index("error")]).all()


def test_a_dead_sensor_ends_learning_and_not_knowledge() -> None:
    """After days the newest error is unknown and the mean of the month is not (M2)."""
    matrices: list[np.ndarray] = []

    def keep(matrix: np.ndarray) -> np.ndarray:
        matrices.append(matrix)
        return matrix[:, NAMES.index("base")]

    found = made(truth(until=NOW - 6 * 24 * HOUR), mos(keep))
    row = dict(zip(NAMES, matrices[0][0], strict=True))
    assert row["lead"] == 1.0
    assert np.isnan(row["error"])
    assert row["error_same_hour_30d"] == pytest.approx(2.0, abs=0.01)
    assert found.rmse[AIR_TEMPERATURE] == pytest.approx(2.0, abs=0.01)


def test_what_is_not_known_widens_the_interval() -> None:
    """No error at the origin, no error at all, an old issue (M3)."""
    release = mos()
    assert release.manifest.guidance is not None
    ramp = tuple(3.0 * (2 * level - 1) for level in LEVELS)
    narrow = table(1.0)
    growing = msgspec.structs.replace(
        narrow, quantiles=(((narrow.quantiles[0][0][0], ramp),) * 8,) * 4
    )
    release.manifest = msgspec.structs.replace(
        release.manifest,
        guidance=msgspec.structs.replace(
            release.manifest.guidance, residuals=dict.fromkeys(TARGETS, growing)
        ),
    )
    known, blind, cold = (
        width(made(observed, release)) for observed in (truth(), truth(until=NOW - 30 * HOUR), None)
    )
    assert known[0] < blind[0] < cold[0]
    assert blind[11:] == pytest.approx(known[11:])
    assert cold[23:] == pytest.approx(known[23:])
    old = StoredGuidance(ISSUES.filter(pl.col(ISSUED) < NOW - 24 * HOUR))
    stale = width(made(truth(), release, old))
    there = np.isfinite(stale)
    assert there.sum() >= 36
    assert (stale[there] > known[there]).all()


def test_without_models_the_bias_of_the_month_is_taken_off() -> None:
    """All of a plain bias at every lead, and the newest error at first (B1, B2)."""
    found = made(truth())
    assert found.source is Source.GUIDANCE
    assert found.targets[AIR_TEMPERATURE].values == pytest.approx(
        found.raw[AIR_TEMPERATURE] + 2.0, abs=0.05
    )
    assert found.release is None
    assert found.shares[AIR_TEMPERATURE] == pytest.approx(
        guidance_defaults.shares(AIR_TEMPERATURE, np.array(LEADS))
    )
    alone = made(None)
    assert alone.targets[AIR_TEMPERATURE].values == pytest.approx(alone.raw[AIR_TEMPERATURE])
    assert alone.rmse == dict.fromkeys(TARGETS)
    assert width(alone)[0] > width(found)[0]


def test_the_bias_goes_by_the_hour_of_the_day() -> None:
    """Warm nights are not taken off the afternoon (B2)."""
    errors = np.where(np.arange(24 * 40) % 24 < 12, 3.0, 0.0) + np.tile([0.3, -0.3], 12 * 40)
    zero = np.zeros(24)
    made_of = guidance_bias.forecast(
        AIR_TEMPERATURE, zero, ages=zero + 4, leads=np.arange(1, 25), errors=errors, newest=np.nan
    )
    assert made_of.values[2:10] == pytest.approx(np.full(8, 3.0), abs=0.12)
    assert made_of.values[14:22] == pytest.approx(np.zeros(8), abs=0.12)


def test_few_days_and_chance_teach_no_bias() -> None:
    """Three days of a plain bias, or a month of noise (B2)."""
    zero, leads = np.zeros(24), np.arange(1, 25)
    dice = np.random.default_rng(1)
    for errors, most in ((np.full(70, 4.0), 1e-9), (dice.normal(0.1, 3.0, 24 * 30), 0.15)):
        made_of = guidance_bias.forecast(
            AIR_TEMPERATURE, zero, ages=zero + 4, leads=leads, errors=errors, newest=np.nan
        )
        assert np.abs(made_of.values).mean() <= most


def test_the_spread_is_the_farms_within_limits() -> None:
    """Between the usual errors and its own, and never nothing (B3)."""
    zero, leads = np.zeros(24), np.arange(1, 25)

    def spread(errors: np.ndarray) -> float:
        made_of = guidance_bias.forecast(
            AIR_TEMPERATURE, zero, ages=zero + 4, leads=leads, errors=errors, newest=np.nan
        )
        return float((made_of.quantile(0.9) - made_of.quantile(0.1))[12])

    dice = np.random.default_rng(2)
    usual = spread(np.zeros(0))
    assert usual == pytest.approx(2 * 1.2816 * 1.14, rel=0.02)
    assert spread(np.zeros(24 * 30)) == pytest.approx(guidance_bias.NARROWEST * usual, rel=0.02)
    assert usual * 2.0 < spread(dice.normal(0.0, 3.0, 24 * 30)) < usual * 3.0 / 1.14


def test_hours_that_kma_lacks_have_no_number() -> None:
    """Neither value nor quantile, whatever the model says of them."""
    rows = ISSUES.filter(pl.col(VALID) <= NOW + 30 * HOUR)
    found = made(truth(), mos(lambda matrix: np.full(len(matrix), 5.0)), StoredGuidance(rows))
    values = found.targets[AIR_TEMPERATURE].values
    assert np.isfinite(values[:30]).all()
    assert np.isnan(values[30:]).all()
    assert np.isnan(found.targets[AIR_TEMPERATURE].quantiles[30:]).all()
    assert found.until == HOUR_NOW + 30 * HOUR


def test_without_an_hour_of_guidance_there_is_none() -> None:
    """No issue, only ended ones, or none allowed."""
    ended = StoredGuidance(ISSUES.filter(pl.col(VALID) <= NOW))
    for store in (StoredGuidance(ISSUES.clear()), ended):
        assert Guidance(store, SITE).make(truth(), mos(), NOW) is None
    assert Guidance(StoredGuidance(ISSUES), SITE, allowed=False).make(truth(), mos(), NOW) is None


def test_issues_are_read_again_only_when_others_came() -> None:
    """The course is held from hour to hour."""
    store = StoredGuidance(ISSUES.filter(pl.col(ISSUED) <= NOW - 3 * HOUR))
    source = Guidance(store, SITE)
    first = source.make(truth(), mos(), NOW)
    source.make(truth(), mos(), NOW + timedelta(minutes=30))
    assert store.reads == 1
    store.frame = ISSUES
    second = source.make(truth(), mos(), NOW)
    assert store.reads == 2
    assert first is not None
    assert second is not None
    assert second.issued > first.issued


def test_a_course_that_is_renewed_is_the_whole_one() -> None:
    """Bit for bit, hour by hour, through issues that are missing and values that end early."""
    frame = kma.forecasts(START, 44, every=3, first_lead=4, left_out=(260, 261, 262, 270, 280))
    frame = frame.filter(~pl.col(ISSUED).is_between(NOW + 12 * HOUR, NOW + 80 * HOUR))
    store, held = StoredGuidance(frame), Guidance(StoredGuidance(frame), SITE)
    for step in range(-30, 200, 5):
        now = NOW + step * HOUR
        one, other = held.make(None, None, now), Guidance(store, SITE).make(None, None, now)
        if one is None or other is None:
            assert one is other
            continue
        assert held._issues._held is not None
        renewed = held._issues._held[2]
        whole = GuidanceCourse.of(store.guidance(now - HISTORY_H * HOUR, now))
        skip = len(renewed.issues) - len(whole.issues)
        assert renewed.issues[skip:].tolist() == whole.issues.tolist()
        for name, values in whole.values.items():
            # The oldest of the whole one lack what is older still.
            assert np.array_equal(renewed.values[name][skip:][40:], values[40:], equal_nan=True)


def test_a_target_without_a_model_is_corrected_by_its_bias() -> None:
    """Each target by what there is."""
    release = mos()
    del release.guided[RELATIVE_HUMIDITY]
    found = made(truth(), release)
    assert found.made == {AIR_TEMPERATURE: Source.GUIDED, RELATIVE_HUMIDITY: Source.GUIDANCE}
    assert replace(found, made=dict.fromkeys(TARGETS, Source.GUIDANCE)).source is Source.GUIDANCE


def test_raw_values_are_found_by_hour() -> None:
    """And beyond the reach there are none."""
    found = made(None)
    times = [HOUR_NOW, HOUR_NOW + HOUR, HOUR_NOW + (REACH_H + 1) * HOUR]
    values = found.raw_at(AIR_TEMPERATURE, times)
    assert values[1] == found.raw[AIR_TEMPERATURE][0]
    assert np.isnan(values[[0, 2]]).all()
