"""Inputs of optional targets: by hand, the same on a window as on a series, and unknown ones."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from edge_agent.contract import climatology, features, optional_targets
from edge_agent.contract.climatology import COEFFICIENTS
from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import hour_of
from edge_agent.contract.optional_targets import Pairs
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import OPTIONAL_TARGETS, TARGETS, TIME, WIND_SPEED
from tests.fakes.loaded import table
from tests.fakes.weather import place, record, values_only

FLAT = (2.0, *(0.0,) * (COEFFICIENTS - 1))
FRAME = values_only(record()[3000:3600])
LEADS = np.array([1, 6, 24, 25, 48])


def _pairs(hours: int) -> Pairs:
    """Pairs from the newest hour of the last `hours` hours."""
    cleaned = clean(FRAME.tail(hours))
    computed = features.compute(cleaned, place())
    origins = np.full(len(LEADS), cleaned.height - 1)
    return Pairs(
        features.matrix(computed, origins, LEADS),
        optional_targets.recent(WIND_SPEED, computed)[origins],
        hour_of(cleaned[TIME][-1]) + LEADS,
    )


def test_what_every_release_has_is_as_before() -> None:
    """Wind speed is no input's name more; the features are those of releases before."""
    assert TARGETS == ("air_temperature_c", "relative_humidity_pct")
    assert OPTIONAL_TARGETS == (WIND_SPEED,)
    assert not any("wind_speed_anomaly" in name for name in features.FEATURES)


def test_a_window_gives_the_bits_of_a_long_series() -> None:
    """A device reads 240 hours, the trainer years."""
    season = tuple(np.random.default_rng(1).normal(size=COEFFICIENTS))
    assert np.array_equal(
        optional_targets.extended(WIND_SPEED, _pairs(600), season),
        optional_targets.extended(WIND_SPEED, _pairs(features.LOOKBACK_HOURS), season),
        equal_nan=True,
    )


def test_columns_by_hand() -> None:
    """Normal, anomalies, level of the last week, and the base that is made of them."""
    pairs = _pairs(600)
    normal, newest, same, level, base = optional_targets.added(WIND_SPEED, pairs, FLAT).T
    wind = FRAME[WIND_SPEED].to_numpy().astype(np.float64)
    assert normal == pytest.approx([2.0] * 5)
    assert newest == pytest.approx([wind[-1] - 2.0] * 5, abs=1e-3)
    assert same[2:] == pytest.approx([wind[-1] - 2.0, wind[-24] - 2.0, wind[-1] - 2.0], abs=1e-3)
    assert level == pytest.approx([np.nanmean(wind[-168:]) - 2.0] * 5, abs=1e-3)
    expected = 2.0 + 0.5 * level[0] + 0.73 * (newest[0] - 0.5 * level[0])
    expected += 0.03 * (same[0] - 0.5 * level[0])
    assert base[0] == pytest.approx(max(expected, 0.0), abs=1e-3)
    assert (base >= 0.0).all()


def test_without_the_newest_value_there_is_no_base() -> None:
    """A week without half of its hours has no level, which the base then goes without."""
    pairs = _pairs(600)
    column = features.FEATURES.index("wind_speed")
    silent = pairs.matrix.copy()
    silent[:, column] = np.nan
    added = optional_targets.added(WIND_SPEED, Pairs(silent, pairs.recent, pairs.hours), FLAT)
    assert np.isnan(added[:, -1]).all()
    unknown = Pairs(pairs.matrix, np.full(5, np.nan), pairs.hours)
    added = optional_targets.added(WIND_SPEED, unknown, FLAT)
    assert np.isnan(added[:, 3]).all()
    assert np.isfinite(added[:, -1]).all()


def test_the_normal_is_that_of_the_day_and_hour() -> None:
    """Also behind a leap day."""
    season = tuple(np.random.default_rng(2).normal(size=COEFFICIENTS))
    pairs = _pairs(600)
    at = FRAME[TIME].dt.offset_by("1h")[-1]
    (first, *_), *_ = optional_targets.added(WIND_SPEED, pairs, season)
    expected = climatology.table(season)[at.timetuple().tm_yday - 1, at.hour]
    assert first == pytest.approx(expected, rel=1e-6)


def test_the_digest_follows_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of other inputs is recognised."""
    before = optional_targets.digest(WIND_SPEED)
    monkeypatch.setattr(optional_targets, "LEVEL_SHARE", 0.4)
    assert optional_targets.digest(WIND_SPEED) != before


def test_tables_are_read_strictly() -> None:
    """To bytes and back; an unknown field is refused."""
    tables = optional_targets.Tables({"108": FLAT}, table(1.0), {})
    content = msgspec.json.encode(tables)
    assert optional_targets.decode_tables(content) == tables
    surprise = json.dumps({**json.loads(content), "surprise": 1}).encode()
    for wrong in (b"{", surprise):
        with pytest.raises(BadData, match=r"^optional target: "):
            optional_targets.decode_tables(wrong)
