"""The agent's last window and the trainer's full series give the same bits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.contract import feature_table, features, quality
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DEW_POINT,
    LEADS,
    RAIN,
    RELATIVE_HUMIDITY,
    STATION_PRESSURE,
    TIME,
    WIND_SPEED,
)
from tests.fakes.examples import examples
from tests.fakes.weather import Damage, place, record, spoil

if TYPE_CHECKING:
    import pytest

HOURS = 500
LEAD_HOURS = np.array(LEADS)
_NAMES = (AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED, STATION_PRESSURE, RAIN, DEW_POINT)

damages = st.lists(
    st.builds(
        Damage,
        kind=st.sampled_from(["spike", "gap", "nan", "stuck", "source", "absent", "duplicate"]),
        name=st.sampled_from(_NAMES),
        back=st.integers(0, HOURS - 1),
        hours=st.integers(1, 80),
        size=st.sampled_from([0.1, -0.3, 3.7, 14.0, -40.0, 1e4, 1 / 3]),
    ),
    max_size=8,
)


def _newest(frame: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """Table row and matrix of the newest hour of a raw frame."""
    cleaned = quality.clean(frame)
    table = features.compute(cleaned, place())
    origins = np.full(len(LEADS), cleaned.height - 1)
    return table[cleaned.height - 1], features.matrix(table, origins, LEAD_HOURS)


@settings(max_examples=examples(60))
@given(start=st.integers(0, 17_000), damage=damages)
def test_window_equals_full_frame_bit_for_bit(start: int, damage: list[Damage]) -> None:
    """The last LOOKBACK_HOURS give the same float32 row as the whole series, whatever is wrong.

    Seen failing with `windows._running` in float32: running sums then remember where they began.
    """
    full = spoil(record()[start : start + HOURS], damage)
    newest = full[TIME].max()
    assert isinstance(newest, type(full[TIME][0]))
    window = full.filter(pl.col(TIME) > newest - timedelta(hours=features.LOOKBACK_HOURS))
    # The grid begins where the window does even if its first row is missing.
    here, there = _newest(window), _newest(full)
    for name in feature_table.COLUMNS:
        left, right = here[0][name].to_numpy(), there[0][name].to_numpy()
        assert left.tobytes() == right.tobytes(), name
    assert here[1].dtype == np.float32
    for column, name in enumerate(features.FEATURES):
        assert here[1][:, column].tobytes() == there[1][:, column].tobytes(), name


@settings(max_examples=examples(40))
@given(start=st.integers(0, 17_000), cut=st.integers(50, 390), damage=damages)
def test_nothing_after_the_origin_changes_its_row(
    start: int, cut: int, damage: list[Damage]
) -> None:
    """Whatever is done to later hours, the rows of an origin stay as they were: no leak."""
    assert _unmoved(record()[start : start + 400], cut, damage)


def test_a_planted_future_value_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: a series that looks one hour ahead is seen by it."""
    inputs = features._inputs
    later = [Damage("spike", AIR_TEMPERATURE, 189, 5, 1.0)]
    assert _unmoved(record()[1000:1400], 209, later)
    monkeypatch.setattr(features, "_inputs", lambda: [series.shift(-1) for series in inputs()])
    assert not _unmoved(record()[1000:1400], 209, later)


def _unmoved(frame: pl.DataFrame, cut: int, damage: list[Damage]) -> bool:
    """Whether the matrix of row `cut` is the same after all later rows were spoiled."""
    past, later = frame[: cut + 1], frame[cut + 1 :]
    within = [replace(one, back=one.back % later.height) for one in damage]
    spoiled = pl.concat([past, spoil(later, within)])
    origin = past[TIME][-1]
    return _row_at(frame, origin).tobytes() == _row_at(spoiled, origin).tobytes()


def _row_at(frame: pl.DataFrame, origin: object) -> np.ndarray:
    cleaned = quality.clean(frame)
    row = int(np.flatnonzero((cleaned[TIME] == origin).to_numpy())[0])
    table = features.compute(cleaned, place())
    return features.matrix(table, np.full(len(LEADS), row), LEAD_HOURS)
