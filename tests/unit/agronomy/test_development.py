"""Degree days, chill hours, and the frost that buds bear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from edge_agent.agronomy import development as growth
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME, TIME_DTYPE


def record(*celsius: float | None) -> pl.DataFrame:
    """Hours from midnight in Korea, 1 April 2026."""
    start = datetime(2026, 3, 31, 15, tzinfo=UTC)
    times = [start + timedelta(hours=i) for i in range(len(celsius))]
    return pl.DataFrame(
        {TIME: times, AIR_TEMPERATURE: celsius}, schema_overrides={TIME: TIME_DTYPE}
    )


def test_degree_days_of_single_days() -> None:
    """(30 + 20) / 2 - 10 = 15; a day whose mean is below the base gives nothing; NaN stays."""
    found = growth.degree_days([30.0, 12.0, np.nan], [20.0, 2.0, 5.0], 10.0)
    np.testing.assert_array_equal(found, [15.0, 0.0, np.nan])


def test_degree_days_of_a_record() -> None:
    """Days of the farm's zone; a day with too few hours gives nothing."""
    warm, cool = [20.0] * 12 + [30.0] * 12, [5.0] * 24
    assert growth.degree_days_of(record(*warm, *cool, *warm), 10.0, "Asia/Seoul") == 30.0
    assert growth.degree_days_of(record(*warm, *warm[:17]), 10.0, "Asia/Seoul") == 15.0
    assert growth.degree_days_of(record(*warm), 10.0, "UTC") == 0.0, "15 hours and 9 hours"
    gaps = [None] * 7 + warm[7:]
    assert growth.degree_days_of(record(*gaps), 10.0, "Asia/Seoul") == 0.0


def test_chill_is_gathered_between_frost_and_45_fahrenheit() -> None:
    """Neither at 0 C nor above 7.2 C, nor in an hour that is missing."""
    assert growth.chill_hours([0.0, 0.1, 7.2, 7.3, -4.0, np.nan, 3.0]) == 3


@pytest.mark.parametrize("crop", growth.BUD_FROST_C)
def test_buds_bear_less_the_further_they_are(crop: str) -> None:
    """From -9.4 C (15 F) for the closed bud to -2.2 C (28 F) in full bloom."""
    stages = growth.BUD_FROST_C[crop]
    values = list(stages.values())
    assert values == sorted(values)
    assert (values[0], stages["full_bloom"]) == (-9.4, -2.2)
