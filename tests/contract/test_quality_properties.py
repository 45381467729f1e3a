"""What holds of the quality rules for any weather and any damage."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from edge_agent.contract import quality
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DEW_POINT,
    OBSERVED,
    RAIN,
    RELATIVE_HUMIDITY,
    STATION_PRESSURE,
    TIME,
    Flag,
    flag_column,
)
from tests.fakes.examples import examples
from tests.fakes.weather import Damage, record, spoil

HOURS = 160
FLAGS = [flag_column(name) for name in OBSERVED]

starts = st.integers(0, 17_000)
damages = st.lists(
    st.builds(
        Damage,
        kind=st.sampled_from(["spike", "gap", "nan", "stuck", "source", "absent", "duplicate"]),
        name=st.sampled_from(
            [AIR_TEMPERATURE, RELATIVE_HUMIDITY, DEW_POINT, STATION_PRESSURE, RAIN]
        ),
        back=st.integers(0, HOURS - 1),
        hours=st.integers(1, 60),
        size=st.sampled_from([0.2, 7.0, 13.0, -30.0, 1e3, float("inf")]),
    ),
    max_size=6,
)


def _raw(start: int, damage: list[Damage]) -> pl.DataFrame:
    return spoil(record()[start : start + HOURS], damage)


@settings(max_examples=examples(60))
@given(start=starts, damage=damages)
def test_values_are_kept_or_null_never_changed(start: int, damage: list[Damage]) -> None:
    """A value stays exactly as it was under GOOD or ACCUMULATED, and is null under any other."""
    raw = _raw(start, damage)
    cleaned = quality.clean(raw)
    newest = raw.unique(TIME, keep="last", maintain_order=True)
    both = cleaned.join(newest, on=TIME, how="left", suffix="_given")
    for name in OBSERVED:
        kept = pl.col(flag_column(name)).is_in(quality.KEPT)
        assert both.select((pl.col(name).is_not_null() == kept).all()).item(), name
        same = pl.col(name).is_null() | (pl.col(name) == pl.col(f"{name}_given"))
        assert both.select(same.all()).item(), name
        assert both[flag_column(name)].null_count() == 0
    assert cleaned[TIME].diff().drop_nulls().eq(timedelta(hours=1)).all()


@settings(max_examples=examples(60))
@given(start=starts, damage=damages, cut=st.integers(1, HOURS - 1))
def test_rules_look_back_only(start: int, damage: list[Damage], cut: int) -> None:
    """Hours judged with all that followed are judged the same as with nothing after them."""
    raw = _raw(start, damage)
    border = raw[TIME].sort()[min(cut, raw.height - 1)]
    whole = quality.clean(raw).filter(pl.col(TIME) <= border)
    assert_frame_equal(quality.clean(raw.filter(pl.col(TIME) <= border)), whole)


@settings(max_examples=examples(60))
@given(start=starts, damage=damages)
def test_rules_are_bounded(start: int, damage: list[Damage]) -> None:
    """LOOKBACK_HOURS of history are enough to judge an hour as with all of it."""
    cleaned = quality.clean(_raw(start, damage))
    first = cleaned[TIME][0] + timedelta(hours=37)
    raw = _raw(start, damage).filter(pl.col(TIME) >= first)
    late = first + timedelta(hours=quality.LOOKBACK_HOURS)
    assert_frame_equal(
        quality.clean(raw, start=first).filter(pl.col(TIME) >= late),
        cleaned.filter(pl.col(TIME) >= late),
    )


@settings(max_examples=examples(60))
@given(start=starts, damage=damages)
def test_cleaning_again_only_adds_steps_after_what_was_taken_away(
    start: int, damage: list[Damage]
) -> None:
    """A second pass keeps every flag; new is only STEP, where a rejected hour had vouched for it.

    An hour that confirms a front rests on the hour before it, which Q4 rejected; when that is
    gone the front looks like a spike. So observations are cleaned once, from what was reported.
    """
    once = quality.clean(_raw(start, damage))
    twice = quality.clean(once)
    for name in OBSERVED:
        flag = flag_column(name)
        changed = once[flag] != twice[flag]
        assert (twice[flag].filter(changed) == Flag.STEP).all(), name
        doubted = changed | once[flag].is_in([Flag.STEP, Flag.STUCK, Flag.INCONSISTENT])
        before = doubted.shift(1, fill_value=False).cast(pl.Int8)
        near = before.rolling_max(quality.STEP_HOURS, min_samples=1) == 1
        assert near.filter(changed).all(), name


@settings(max_examples=examples(30))
@given(start=starts, damage=damages, seed=st.integers(0, 99))
def test_order_of_rows_does_not_matter(start: int, damage: list[Damage], seed: int) -> None:
    """Rows may come in any order, as long as no hour comes twice."""
    raw = _raw(start, damage).unique(TIME, keep="last", maintain_order=True)
    shuffled = raw.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(quality.clean(shuffled), quality.clean(raw))
