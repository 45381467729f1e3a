"""Corrections of one farm in a forecast: where they take part, and that they take part exactly."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import features, site_correction
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.contract.site_correction import KNOTS, TERMS, Correction
from edge_agent.forecasting import forecaster
from edge_agent.forecasting.forecaster import CheckedSeries, place_of
from tests.fakes.loaded import FakeRelease, Says
from tests.fakes.tuned import correction
from tests.fakes.weather import SITE, record, values_only

FRAME = values_only(record()[3000:3400])
NEWEST: datetime = FRAME[TIME][-1]
NOW = NEWEST + timedelta(minutes=5)
PLACE = place_of(SITE, FakeRelease().manifest.sites)
SERIES = CheckedSeries.of(clean(FRAME), PLACE)


def made(release: FakeRelease, now: datetime = NOW, source: Source = Source.MODEL) -> Forecast:
    """Forecast that must be one."""
    found = forecaster.continued(SERIES, release, now, source=source)
    assert isinstance(found, Forecast)
    return found


def tuned(**corrections: Correction) -> FakeRelease:
    """A release with corrections by target."""
    return FakeRelease(tuning=corrections)


def test_a_correction_moves_values_and_width_of_its_target_alone() -> None:
    """The quantiles move with the value; the other target stays; the forecast says so."""
    plain = made(FakeRelease())
    moved = made(tuned(air_temperature_c=correction("", offset=1.5, spread=2.0)))
    before, after = (one.targets[AIR_TEMPERATURE] for one in (plain, moved))
    assert after.values == pytest.approx(before.values + 1.5)
    around = before.quantiles - before.values[:, None]
    assert after.quantiles == pytest.approx(after.values[:, None] + 2.0 * around)
    assert same(plain, moved, RELATIVE_HUMIDITY)
    assert (list(plain.adjusted), list(moved.adjusted)) == ([], ["tuning"])


def test_a_correction_reads_the_rows_of_the_models() -> None:
    """Every term at its hour and lead, old observations included."""
    drawn = np.random.default_rng(5).uniform(-0.3, 0.3, (len(KNOTS), len(TERMS)))
    made_of = Correction("", tuple(map(tuple, drawn.tolist())), (1.0,) * len(KNOTS))
    late = NEWEST + timedelta(hours=5, minutes=5)
    moved = made(tuned(air_temperature_c=made_of), late)
    leads = np.array(LEADS)
    row = SERIES.usable[-1]
    matrix = features.matrix(SERIES.table, np.full(len(leads), row), leads)
    expected = 20.0 + site_correction.change(made_of, matrix, leads)[5:]
    assert moved.targets[AIR_TEMPERATURE].values == pytest.approx(expected)


def test_missing_inputs_and_a_correction_both_widen() -> None:
    """Factors multiply."""
    release = tuned(air_temperature_c=correction("", spread=1.5))
    knots = len(release.manifest.residuals[AIR_TEMPERATURE].leads)
    factors = {AIR_TEMPERATURE: {"cloud": (2.0,) * knots}}
    release.manifest = msgspec.structs.replace(release.manifest, widening=factors)
    blind = FRAME.with_columns(pl.lit(None, pl.Float64).alias("cloud_tenths"))
    found = forecaster.continued(
        CheckedSeries.of(clean(blind), PLACE), release, NOW, source=Source.MODEL
    )
    assert isinstance(found, Forecast)
    # The fake's errors spread to 2: 80 % lie within 1.6 to either side.
    assert found.targets[AIR_TEMPERATURE].quantile(0.9) == pytest.approx([20.0 + 1.6 * 3.0] * 48)


def test_hours_of_another_place_are_not_corrected() -> None:
    """The correction was fitted on the farm's own sensors."""
    release = tuned(air_temperature_c=correction("", offset=1.5))
    plain, moved = (made(one, source=Source.MODEL_RELAYED) for one in (FakeRelease(), release))
    assert all(same(plain, moved, target) for target in TARGETS)
    assert list(moved.adjusted) == []


@pytest.mark.parametrize("hours", [13, 30])
def test_rungs_below_the_models_are_not_corrected(hours: int) -> None:
    """Persistence and normals are no model's values."""
    now = NEWEST + timedelta(hours=hours)
    release = tuned(air_temperature_c=correction("", offset=1.5))
    plain, moved = (forecaster.make(FRAME, SITE, one, now) for one in (FakeRelease(), release))
    assert isinstance(plain, Forecast)
    assert isinstance(moved, Forecast)
    assert moved.source in {Source.PERSISTENCE, Source.CLIMATOLOGY}
    assert same(plain, moved, AIR_TEMPERATURE)
    assert list(moved.adjusted) == []


def test_a_corrected_value_stays_possible() -> None:
    """Humidity never leaves 0 to 100 %."""
    moved = made(tuned(relative_humidity_pct=correction("", offset=60.0)))
    assert (moved.targets[RELATIVE_HUMIDITY].values == 100.0).all()
    assert moved.targets[RELATIVE_HUMIDITY].quantiles.max() == 100.0


def test_a_model_that_gives_no_number_is_not_mended() -> None:
    """A correction of NaN is NaN: persistence, as ever."""
    release = tuned(air_temperature_c=correction("", offset=1.5))
    release.predictors[AIR_TEMPERATURE].value = np.nan
    assert made(release).source == Source.PERSISTENCE


@given(
    st.lists(st.floats(-60, 60, width=32), min_size=48, max_size=48),
    st.lists(st.floats(0, 100, width=32), min_size=48, max_size=48),
    st.integers(0, 11),
)
def test_weights_of_zero_change_no_bit(
    degrees: list[float], humidity: list[float], age: int
) -> None:
    """Whatever the models say: the forecast with an empty correction is the forecast without."""
    says = {
        AIR_TEMPERATURE: Says(lambda _: np.array(degrees)),
        RELATIVE_HUMIDITY: Says(lambda _: np.array(humidity)),
    }
    nothing = {target: correction("") for target in TARGETS}
    now = NOW + timedelta(hours=age)
    plain = made(FakeRelease(predictors=says), now)
    moved = made(FakeRelease(predictors=says, tuning=nothing), now)
    assert all(same(plain, moved, target) for target in TARGETS)


def same(one: Forecast, other: Forecast, target: str) -> bool:
    """Whether two forecasts of a target are equal to the last bit."""
    a, b = one.targets[target], other.targets[target]
    return np.array_equal(a.values, b.values) and np.array_equal(a.quantiles, b.quantiles)
