"""The list of features, and what `features` refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import numpy as np
import polars as pl
import pytest

from edge_agent.contract import feature_table, features, quality, schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import ORIGIN_WINDOWS, SERIES, Kind
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TIME
from tests.fakes.weather import FIRST, hourly, place, record, without

DIGEST = "2ee86c7f88ca6e9a05afc1740325b629e22902c22bcadab8e3421f245f8ea3b7"
"""Of revision 1. Where this differs, models in the field no longer fit: raise `features.REVISION`
if numbers changed though the tables did not, and put the new digest here in the same commit. A
release trained before then is refused by newer agents, so train and publish one at once."""


def test_digest_is_pinned() -> None:
    """The meaning of the matrix changes only on purpose."""
    assert features.digest() == DIGEST


def test_digest_follows_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raising the revision gives another digest, so agents tell the two apart."""
    monkeypatch.setattr(features, "REVISION", features.REVISION + 1)
    assert features.digest() != DIGEST


def test_windows_are_of_known_kinds_and_series() -> None:
    """Every window names a kind that can be computed, a series that exists and whole hours."""
    assert {window.kind for window in ORIGIN_WINDOWS} == set(get_args(Kind))
    assert {window.series for window in ORIGIN_WINDOWS} <= set(SERIES)
    assert all(window.hours >= 1 for window in ORIGIN_WINDOWS)


def test_no_window_reaches_beyond_the_lookback() -> None:
    """The longest window of the oldest value read fits into FEATURE_HOURS."""
    oldest_same_hour = 23 + 24 * (feature_table.SAME_HOUR_DAYS - 1)
    longest = max(window.hours for window in ORIGIN_WINDOWS)
    # A lag reads one row further than a window of the same length.
    assert max(longest + 1, oldest_same_hour + 1) <= features.FEATURE_HOURS
    assert features.LOOKBACK_HOURS == features.FEATURE_HOURS + quality.LOOKBACK_HOURS


def test_names_are_unique_and_cover_the_other_lists() -> None:
    """No name twice; the seed recipe's inputs and the references are columns of the matrix."""
    names = features.FEATURES
    assert len(set(names)) == len(names)
    assert set(feature_table.SEED) <= set(names)
    assert set(feature_table.REFERENCES) == set(schema.TARGETS)
    assert set(feature_table.REFERENCES.values()) <= set(names)


def test_table_continues_into_the_hours_ahead() -> None:
    """After the observed rows come 48 in which the calendar is known and nothing else."""
    table = features.compute(quality.clean(record()[:300]), place())
    assert table.columns == [TIME, *feature_table.COLUMNS]
    assert {table.schema[name] for name in feature_table.COLUMNS} == {pl.Float32()}
    ahead = table[-max(LEADS) :]
    assert ahead[TIME][0] == FIRST + timedelta(hours=300)
    for name in feature_table.SERIES:
        calendar = name in {"sun", "weekday"} or name.startswith(("hour", "season", "normal"))
        assert ahead[name].is_nan().sum() == (0 if calendar else ahead.height), name


def test_missing_sensors_give_nan_and_never_zero() -> None:
    """On a farm with temperature and humidity only, all of the rest is NaN."""
    names = [n for n in schema.OBSERVED if n not in {AIR_TEMPERATURE, RELATIVE_HUMIDITY}]
    cleaned = quality.clean(without(record()[:300], *names))
    table = features.compute(cleaned, place())
    row = features.matrix(table, np.array([299]), np.array([24]))[0]
    measured = ("pressure", "sea_level", "wind", "rain", "cloud", "solar")
    for name, value in zip(features.FEATURES, row, strict=True):
        other = any(word in name for word in measured)
        assert np.isnan(value) == other, name


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (quality.clean(schema.empty_frame()), "features: no observations"),
        (quality.clean(hourly([1.0] * 5))[[0, 1, 3]], "missing or out of order; clean the frame"),
        (quality.clean(hourly([1.0] * 5))[::-1], "missing or out of order; clean the frame"),
    ],
)
def test_compute_refuses(frame: pl.DataFrame, text: str) -> None:
    """An empty frame and one with missing or disordered hours are refused with what to do."""
    with pytest.raises(BadData, match=text):
        features.compute(frame, place())


@pytest.mark.parametrize(
    ("origins", "leads", "text"),
    [
        ([0, 1], [1], r"\(2,\) origins but \(1,\) leads"),
        ([-1], [1], "outside of the table"),
        ([0], [0], "outside of the table"),
        ([5], [48], "outside of the table"),
    ],
)
def test_matrix_refuses(origins: list[int], leads: list[int], text: str) -> None:
    """Pairs outside of the table are an error, not another row."""
    table = features.compute(quality.clean(hourly([1.0] * 5)), place())
    assert len(features.matrix(table, np.array([4]), np.array([48]))) == 1
    with pytest.raises(ValueError, match=text):
        features.matrix(table, np.array(origins), np.array(leads))


def test_matrix_of_no_pairs() -> None:
    """No pairs give no rows."""
    table = features.compute(quality.clean(hourly([1.0] * 5)), place())
    none = np.array([], np.intp)
    assert features.matrix(table, none, none).shape == (0, len(features.FEATURES))
