"""Harmonic normals and the sun."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_agent.contract import climatology, solar
from edge_agent.contract.climatology import COEFFICIENTS

YEARS = 3
DAYS = np.repeat(np.tile(np.arange(1.0, 366.0), YEARS), 24)
HOURS = np.tile(np.arange(24.0), 365 * YEARS)


def test_fit_gives_back_the_harmonics_it_was_made_from() -> None:
    """Coefficients of exact harmonics return within the small ridge, NaN rows left out."""
    random = np.random.default_rng(1)
    made = random.normal(0.0, 3.0, COEFFICIENTS)
    made[0] = 12.0
    values = climatology.design(DAYS, HOURS) @ made
    values[random.random(len(values)) < 0.1] = np.nan
    found = np.array(climatology.fit(DAYS, HOURS, values))
    # The ridge is a ten-thousandth of the rows; a harmonic's own weight is a quarter to a half.
    assert np.abs(found - made).max() < 0.02


def test_table_is_the_design_times_the_coefficients() -> None:
    """Entry (day - 1, hour) is the sum that the module's docstring writes down."""
    coefficients = [float(k) for k in range(COEFFICIENTS)]
    table = climatology.table(coefficients)
    assert table.shape == (366, 24)
    for day, hour in ((1, 0), (200, 13), (366, 23)):
        a, h = 2 * math.pi * (day - 1 + hour / 24) / 365.2425, 2 * math.pi * hour / 24
        annual = [1.0] + [f(k * a) for k in (1, 2, 3) for f in (math.cos, math.sin)]
        daily = [1.0] + [f(k * h) for k in (1, 2, 3) for f in (math.cos, math.sin)]
        expected = sum(
            coefficients[7 * i + j] * annual[i] * daily[j] for i in range(7) for j in range(7)
        )
        assert table[day - 1, hour] == pytest.approx(expected, abs=1e-9)


def test_a_table_cannot_be_written_to() -> None:
    """The same table is given to all who ask for these coefficients: none may change it."""
    table = climatology.table([1.0] * COEFFICIENTS)
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 99.0


def test_a_short_record_invents_no_seasons() -> None:
    """From January alone the rest of the year stays near what was seen, not hundreds of degrees."""
    values = -3.0 + 3.0 * np.sin(2 * np.pi * HOURS[: 31 * 24] / 24)
    noise = np.random.default_rng(3).normal(0, 2, 31 * 24)
    table = climatology.table(climatology.fit(DAYS[: 31 * 24], HOURS[: 31 * 24], values + noise))
    assert np.abs(table + 3.0).max() < 60.0


def test_too_few_values_are_refused() -> None:
    """Fewer values than coefficients cannot say what is normal."""
    values = np.full(100, np.nan)
    values[: COEFFICIENTS - 1] = 1.0
    with pytest.raises(ValueError, match=r"48 values, at least 49 are needed"):
        climatology.fit(DAYS[:100], HOURS[:100], values)


def test_wrong_number_of_coefficients_is_refused() -> None:
    """A table from a damaged manifest is an error, not nonsense."""
    with pytest.raises(ValueError, match="3 coefficients, expected 49"):
        climatology.table((1.0, 2.0, 3.0))


SEOUL = (37.5714, 126.9658)


@pytest.mark.parametrize(
    ("day", "daily_ra"), [(15, 16.50), (172, 41.78), (196, 40.82), (355, 15.02)]
)
def test_daily_sum_of_seoul(day: int, daily_ra: float) -> None:
    """The hourly cosines, times the solar constant, sum to FAO-56's daily radiation of Seoul.

    Within 0.6 %: an hour in which the sun rises or sets is judged at its middle.
    """
    table = solar.cos_zenith_table(*SEOUL)
    distance = 1 + 0.033 * math.cos(2 * math.pi * day / 365)
    # The Korean day is 9 hours of the UTC day before and 15 of the day itself.
    cosines = np.concatenate([table[day - 2, 16:], table[day - 1, :16]])
    total = 0.0820 * 60 * distance * cosines.sum()
    assert total == pytest.approx(daily_ra, rel=0.006)


def test_known_heights_of_the_sun() -> None:
    """Noon at the solstices is 90 - latitude -+ 23.45 degrees high; midnight has no sun."""
    # At 127.5 E the hour that ends at 04 UTC is centred on local noon.
    table = solar.cos_zenith_table(37.5, 127.5)
    for day, declination in ((172, 23.45), (355, -23.45)):
        height = math.degrees(math.asin(table[day - 1].max()))
        assert height == pytest.approx(90 - 37.5 + declination, abs=0.6)
        assert int(table[day - 1].argmax()) == 4
        assert (table[day - 1, 12:20] == 0.0).all()
    assert (table >= 0).all()
    assert (table <= 1).all()


def test_the_poles_keep_day_or_night() -> None:
    """At 80 N the sun stays up in June and down in December; the south is the other way round."""
    north, south = (solar.cos_zenith_table(latitude, 0.0) for latitude in (80.0, -80.0))
    assert (north[171] > 0).all()
    assert (north[354] == 0).all()
    assert (south[171] == 0).all()
    assert (south[354] > 0).all()
