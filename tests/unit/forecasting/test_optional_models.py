"""Wind speed beside temperature and humidity: where it is measured, and unknown elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.alerts import evidence
from edge_agent.contract import optional_targets
from edge_agent.contract.climatology import COEFFICIENTS
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import Forecast, PointForecast, Source, TargetForecast
from edge_agent.contract.forecast_json import from_bytes, to_bytes
from edge_agent.contract.manifest import FileRef, ModelRef, OptionalTarget
from edge_agent.contract.schema import LEADS, TARGETS, TIME, WIND_SPEED
from edge_agent.forecasting import bias_correction, forecaster, optional_models
from edge_agent.forecasting.optional_models import OptionalModel, with_others
from edge_agent.settings import Rule
from tests.fakes.loaded import FakeRelease, Says, manifest, table
from tests.fakes.weather import SITE, record, values_only

FRAME = values_only(record()[3000:3400]).with_columns(pl.col(WIND_SPEED).fill_null(2.0))
NOW = FRAME[TIME][-1] + timedelta(minutes=5)
FLAT = (2.0, *(0.0,) * (COEFFICIENTS - 1))
TABLES = optional_targets.Tables({"108": FLAT}, table(0.5), {})
WIND = OptionalModel(Says(lambda inputs: inputs[:, -1]), TABLES)


def made(frame: pl.DataFrame, release: FakeRelease | None = None) -> Forecast:
    """Forecast of a release with wind, whose model gives the base."""
    release = release or FakeRelease(optional={WIND_SPEED: WIND})
    found = forecaster.make(frame, SITE, release, NOW)
    assert isinstance(found, Forecast)
    return found


def _silent(hours: int) -> pl.DataFrame:
    last = pl.int_range(pl.len()) >= pl.len() - hours
    return FRAME.with_columns(pl.when(~last).then(pl.col(WIND_SPEED)).alias(WIND_SPEED))


def test_wind_is_forecast_for_every_hour() -> None:
    """With quantiles that grow with the wind and never fall below a calm."""
    wind = made(FRAME).targets[WIND_SPEED]
    assert wind.unit == "m/s"
    assert len(wind.values) == len(LEADS)
    assert (wind.quantiles >= 0.0).all()
    assert np.all(np.diff(wind.quantiles, axis=1) >= 0.0)
    grown = wind.values + optional_targets.CALM
    assert wind.quantile(0.9) - wind.values == pytest.approx(0.4 * grown, rel=1e-3)


def test_the_other_targets_are_as_without_it() -> None:
    """Bit for bit."""
    plain, more = made(FRAME, FakeRelease()), made(FRAME)
    assert more.targets.keys() - plain.targets.keys() == {WIND_SPEED}
    for target in TARGETS:
        assert np.array_equal(more.targets[target].quantiles, plain.targets[target].quantiles)


@pytest.mark.parametrize("hours", [forecaster.MAX_AGE_HOURS + 1, FRAME.height])
def test_where_nothing_measures_it_it_is_unknown(hours: int) -> None:
    """No number stands in for it, and the other targets go on."""
    found = made(_silent(hours))
    assert set(found.targets) == set(TARGETS)
    assert found.source is Source.MODEL


def test_a_station_that_is_behind_still_counts() -> None:
    """From its newest hour, by longer leads; beyond the longest lead there is no number."""
    found = made(_silent(2)).targets[WIND_SPEED]
    assert np.isfinite(found.values[:-2]).all()
    assert np.isnan(found.values[-2:]).all()
    assert np.isnan(found.quantiles[-2:]).all()
    behind = forecaster.make(FRAME[:-2], SITE, FakeRelease(optional={WIND_SPEED: WIND}), NOW)
    assert isinstance(behind, Forecast)
    assert np.array_equal(found.values[:-2], behind.targets[WIND_SPEED].values)


def test_a_model_without_a_number_gives_no_forecast() -> None:
    """Of the wind; the others are not touched."""
    broken = OptionalModel(Says(np.nan), TABLES)
    found = made(FRAME, FakeRelease(optional={WIND_SPEED: broken}))
    assert set(found.targets) == set(TARGETS)


def test_what_lies_on_top_keeps_the_wind() -> None:
    """KMA's forecast has other hours; a device's own correction knows temperature and humidity."""
    found = made(FRAME)
    later = [at + timedelta(hours=3) for at in found.valid_at]
    guided = replace(
        found, valid_at=later, targets={t: found.targets[t] for t in TARGETS}, sources={}
    )
    joined = with_others(guided, found)
    wind = joined.targets[WIND_SPEED].values
    assert np.array_equal(wind[:-3], found.targets[WIND_SPEED].values[3:])
    assert np.isnan(wind[-3:]).all()
    assert len(joined.sources_of(WIND_SPEED)) == len(later)
    assert with_others(guided, None) is guided
    again = from_bytes(to_bytes(joined, digits=None)).targets[WIND_SPEED]
    assert np.array_equal(again.values, wind, equal_nan=True)
    bias = np.ones((len(TARGETS), len(bias_correction.GROUPS), 4))
    adjusted = bias_correction.adjust(found, bias)
    assert adjusted.targets[WIND_SPEED] is found.targets[WIND_SPEED]
    assert isinstance(adjusted.targets[TARGETS[0]], TargetForecast)


def test_a_model_of_other_inputs_is_left_alone() -> None:
    """A release of another version goes on with what this program knows."""
    ref = FileRef("models/wind/model.onnx", "ab" * 32, 3)
    model = ModelRef("v", "m/s", ref)
    digest = optional_targets.digest(WIND_SPEED)
    parts = {
        WIND_SPEED: OptionalTarget(digest, model, ref, ref, {}),
        "rain_mm": OptionalTarget(digest, model, ref, ref, {}),
    }
    release = msgspec.structs.replace(manifest(), optional=parts)
    assert set(optional_models.computable(release)) == {WIND_SPEED}
    with pytest.raises(BadData, match="model of wind_speed_ms"):
        optional_models.load(release, lambda _: b"not")
    other = msgspec.structs.replace(parts[WIND_SPEED], digest="other")
    release = msgspec.structs.replace(manifest(), optional={WIND_SPEED: other})
    assert optional_models.load(release, lambda _: b"not") == {}


def test_a_rule_on_wind_needs_known_hours() -> None:
    """Over a window of hours without numbers, and without a forecast, it is unknown, not calm."""
    rule = Rule(
        name="gale",
        quantity=WIND_SPEED,
        operator=">=",
        threshold=12.0,
        within_h=12,
        probability=0.5,
    )
    strong = OptionalModel(Says(14.0), TABLES)
    found = made(_silent(2), FakeRelease(optional={WIND_SPEED: strong}))
    assert evidence.from_forecast(rule, found, NOW).met is True
    calm = evidence.from_forecast(rule, made(FRAME), NOW)
    assert (calm.met, calm.over) == (False, True)
    unknown = evidence.from_forecast(rule, made(_silent(FRAME.height)), NOW)
    assert (unknown.met, unknown.over, unknown.probability) == (None, None, None)
    guided = {WIND_SPEED: PointForecast("m/s", np.full(len(LEADS), 15.0), Source.GUIDANCE)}
    storm = evidence.from_forecast(rule, replace(made(FRAME), points=guided), NOW)
    assert (storm.met, storm.over, storm.value) == (True, False, 15.0)
    guided = {WIND_SPEED: PointForecast("m/s", np.full(len(LEADS), 3.0), Source.GUIDANCE)}
    own = evidence.from_forecast(rule, replace(found, points=guided), NOW)
    assert (own.met, own.over, own.value) == (True, False, 14.0)
    both = evidence.from_forecast(rule, replace(made(FRAME), points=guided), NOW)
    assert (both.met, both.over) == (False, True)
    late = NOW + timedelta(hours=45)
    assert evidence.from_forecast(rule, made(_silent(2)), late).over is None
