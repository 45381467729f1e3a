"""Quantiles of past errors: fitted by cell, applied between knots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract import residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.residuals import FEWEST, KNOTS, LEVELS
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY
from tests.fakes.loaded import table

if TYPE_CHECKING:
    from edge_agent.contract.manifest import ResidualTable

YEAR = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(365 * 24)]


@pytest.mark.parametrize(
    ("utc", "season", "block"),
    [
        (datetime(2021, 12, 31, 14, tzinfo=UTC), 0, 7),
        (datetime(2021, 2, 28, 14, tzinfo=UTC), 0, 7),
        (datetime(2021, 2, 28, 15, tzinfo=UTC), 1, 0),
        (datetime(2021, 5, 31, 15, tzinfo=UTC), 2, 0),
        (datetime(2021, 8, 31, 15, tzinfo=UTC), 3, 0),
        (datetime(2021, 11, 30, 14, tzinfo=UTC), 3, 7),
        (datetime(2021, 7, 1, 3, tzinfo=UTC), 2, 4),
    ],
)
def test_cells_follow_the_korean_clock(utc: datetime, season: int, block: int) -> None:
    """Season and block turn at Korean midnight, which is 15 h UTC of the day before."""
    found = residuals.cells(pl.Series([utc], dtype=pl.Datetime("us", "UTC")))
    assert [int(part[0]) for part in found] == [season, block]


def _errors() -> tuple[pl.Series, np.ndarray, np.ndarray]:
    """A year of errors at every knot; each cell has a centre of its own."""
    times = pl.Series(YEAR * len(KNOTS), dtype=pl.Datetime("us", "UTC"))
    leads = np.repeat(KNOTS, len(YEAR))
    season, block = residuals.cells(times)
    noise = np.random.default_rng(5).normal(0.0, 1.0, len(leads))
    return times, leads, 100.0 * season + 10.0 * block + leads / 10 + noise


def test_fit_puts_each_cell_where_it_belongs() -> None:
    """The median of season s, block b and knot k is that of the errors made there."""
    times, leads, errors = _errors()
    errors[::17] = np.nan
    fitted = residuals.fit(times, leads, errors)
    quantiles = np.array(fitted.quantiles)
    assert quantiles.shape == (4, 8, len(KNOTS), len(LEVELS))
    s, b, k = np.meshgrid(np.arange(4), np.arange(8), np.arange(len(KNOTS)), indexing="ij")
    expected = 100.0 * s + 10.0 * b + np.array(KNOTS)[k] / 10
    # Some 270 normal errors a cell: the median's standard error is 0.08.
    assert np.abs(quantiles[..., LEVELS.index(0.5)] - expected).max() < 0.45
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_leads_go_to_the_nearest_knot() -> None:
    """Errors at 26 h count at 24, at 28 h at 30; between two the smaller takes them."""
    times, leads, errors = _errors()
    for lead, knot in ((26, 24), (28, 30), (27, 24), (45, 42), (46, 48)):
        moved = leads.copy()
        moved[leads == knot] = lead
        assert residuals.fit(times, moved, errors) == residuals.fit(times, leads, errors)


def test_a_thin_cell_takes_its_season_over_the_whole_day() -> None:
    """With fewer than FEWEST errors a cell holds the quantiles of its season and knot."""
    times, leads, errors = _errors()
    season, block = residuals.cells(times)
    here = np.flatnonzero((season == 2) & (block == 5) & (leads == 24))
    errors[here[FEWEST - 1 :]] = np.nan
    fitted = np.array(residuals.fit(times, leads, errors).quantiles)
    whole = errors[(season == 2) & (leads == 24)]
    expected = np.quantile(whole[np.isfinite(whole)], LEVELS)
    assert np.abs(fitted[2, 5, KNOTS.index(24)] - expected).max() <= 0.0005
    errors[here[FEWEST - 1]] = 0.0
    refitted = np.array(residuals.fit(times, leads, errors).quantiles)
    assert np.abs(refitted[2, 5, KNOTS.index(24)] - expected).max() > 1.0


def test_fit_needs_every_season() -> None:
    """Half a year cannot say how wrong the other half will be; the text says what is short."""
    times, leads, errors = _errors()
    errors[residuals.cells(times)[0] == 3] = np.nan
    with pytest.raises(BadData, match="0 errors in season 3 at lead 1 h, at least 50"):
        residuals.fit(times, leads, errors)


def test_a_season_without_errors_may_take_those_of_the_year() -> None:
    """Where that is asked for: its quantiles are the year's; the other seasons keep their own."""
    times, leads, errors = _errors()
    full = np.array(residuals.fit(times, leads, errors).quantiles)
    errors[residuals.cells(times)[0] == 3] = np.nan
    found = np.array(residuals.fit(times, leads, errors, whole_year=True).quantiles)
    assert (found[:3] == full[:3]).all()
    block = (residuals.cells(times)[1] == 5) & (leads == 24) & np.isfinite(errors)
    expected = np.quantile(errors[block], LEVELS)
    assert np.abs(found[3, 5, KNOTS.index(24)] - expected).max() <= 0.0005
    with pytest.raises(BadData, match="0 errors"):
        residuals.fit(times, leads, np.full_like(errors, np.nan), whole_year=True)


def _ramp() -> ResidualTable:
    """Errors that spread by one unit with every hour of lead."""
    rows = tuple(tuple(lead * (2 * level - 1) for level in LEVELS) for lead in KNOTS)
    return msgspec.structs.replace(table(1.0), leads=KNOTS, quantiles=((rows,) * 8,) * 4)


def test_apply_is_linear_between_knots_and_held_beyond() -> None:
    """At a knot the table itself, between two the weighted mean, after the last one the last."""
    for lead, width in ((1, 1), (24, 24), (27, 27), (13, 13), (48, 48), (60, 48)):
        made = residuals.apply(
            _ramp(), AIR_TEMPERATURE, np.array([5.0]), YEAR[:1], np.array([lead])
        )
        expected = 5.0 + width * (2 * np.array(LEVELS) - 1)
        expected = np.clip(expected, -40.0, 45.0)
        assert np.abs(made.quantiles[0] - expected).max() < 1e-9
        assert made.unit == "°C"


def test_apply_uses_the_cell_of_the_target_hour() -> None:
    """Each row reads season and block of its own time."""
    times, leads, errors = _errors()
    fitted = residuals.fit(times, leads, errors / 100.0)
    made = residuals.apply(fitted, AIR_TEMPERATURE, np.zeros(48), YEAR[4000:4048], np.array(LEADS))
    season, block = residuals.cells(pl.Series(YEAR[4000:4048], dtype=pl.Datetime("us", "UTC")))
    median = made.quantile(0.5)
    assert np.abs(median - (season + block / 10 + np.array(LEADS) / 1000)).max() < 0.02


def test_apply_widens_about_the_point() -> None:
    """The spread grows by the factor of each row; the point stays."""
    leads = np.array([24, 24])
    made = residuals.apply(
        _ramp(), AIR_TEMPERATURE, np.array([5.0, 5.0]), YEAR[:2], leads, widened=np.array([1, 1.5])
    )
    assert made.values.tolist() == [5.0, 5.0]
    assert made.quantiles[1] - 5.0 == pytest.approx(1.5 * (made.quantiles[0] - 5.0))


def test_reach_is_how_far_the_interval_must_go() -> None:
    """An error on the limit reaches 1, twice as far 2; a limit across zero cannot be scaled."""
    around = np.array([[float(level * 10 - 5) for level in LEVELS]] * 4)
    around[3] += 9.0
    found = residuals.reach(around, np.array([-4.0, 8.0, np.nan, -1.0]))
    assert found[:2] == pytest.approx([1.0, 2.0])
    assert np.isnan(found[2])
    assert found[3] == np.inf


@pytest.mark.parametrize("point", [-3.0, 0.0, 2.0, 50.0, 99.5, 104.0])
def test_humidity_stays_within_0_and_100(point: float) -> None:
    """Points and quantiles of humidity are bounded, and quantiles never decrease."""
    made = residuals.apply(
        table(30.0), RELATIVE_HUMIDITY, np.array([point]), YEAR[:1], np.array([24])
    )
    assert 0.0 <= made.values[0] <= 100.0
    assert made.quantiles.min() >= 0.0
    assert made.quantiles.max() <= 100.0
    assert (np.diff(made.quantiles, axis=1) >= 0).all()


def test_crossing_quantiles_are_put_in_order() -> None:
    """A table whose quantiles cross between knots still gives a distribution."""
    row = table(2.0).quantiles[0][0][0]
    crossed = msgspec.structs.replace(table(2.0), quantiles=(((row, row[::-1]),) * 8,) * 4)
    made = residuals.apply(crossed, AIR_TEMPERATURE, np.zeros(48), YEAR[:48], np.array(LEADS))
    assert (np.diff(made.quantiles, axis=1) >= 0).all()
