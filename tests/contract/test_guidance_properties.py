"""Inputs of guidance: nothing of the future, and equal bits however much of the past there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import GUIDED_LEADS, HISTORY_H, GuidanceInputs
from edge_agent.contract.schema import TARGETS, TIME
from tests.fakes.examples import examples
from tests.fakes.guidance import HOUR, forecasts
from tests.fakes.guided_place import SITE, observed

START = datetime(2025, 12, 20, 2, tzinfo=UTC)
BASE = int(START.timestamp()) // 3600
DAYS = 50
LEADS = np.array(GUIDED_LEADS)


@cache
def all_issues(every: int) -> pl.DataFrame:
    """Fifty days: hourly from the first hour on, or three-hourly from the fourth as until 2021."""
    return forecasts(START, DAYS, every=every, first_lead=1 if every == 1 else 4)


issues = st.builds(
    lambda every, absent, cut: all_issues(every).filter(
        ~((pl.col(ISSUED) - START).dt.total_hours() // 3).is_in(sorted(absent))
        & ((pl.col(VALID) - pl.col(ISSUED)).dt.total_hours() <= cut)
    ),
    st.sampled_from((1, 3)),
    st.sets(st.integers(0, 8 * DAYS - 1), max_size=60)
    | st.builds(
        lambda first, n: set(range(first, first + n)), st.integers(0, 380), st.integers(1, 30)
    ),
    st.sampled_from((30, 66)),
)
gaps = st.lists(
    st.builds(
        lambda first, n: range(first, first + n), st.integers(0, 24 * DAYS), st.integers(1, 90)
    ),
    max_size=5,
)
frames = st.builds(lambda holes: observed(START, 24 * DAYS, gaps=holes), gaps)
origins = st.integers(HISTORY_H, 24 * DAYS - 1)


def rows(
    frame: pl.DataFrame, guidance: pl.DataFrame, origin: int, issue: int | None = None
) -> np.ndarray:
    """Every lead of both targets at an hour, from an issue that is so many before the newest."""
    course = GuidanceCourse.of(guidance)
    inputs = GuidanceInputs.of(frame, course, SITE)
    hours = np.full(len(LEADS), BASE + origin)
    read = None if issue is None else np.maximum(course.newest(hours) - issue, -1)
    return np.stack([inputs.matrix(target, hours, LEADS, read) for target in TARGETS])


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, apart from kinds of NaN."""
    return np.array_equal(one, other, equal_nan=True)


@settings(max_examples=examples(20))
@given(frame=frames, guidance=issues, origin=origins)
def test_nothing_of_the_future(frame: pl.DataFrame, guidance: pl.DataFrame, origin: int) -> None:
    """What is observed later, and issues that cannot be read yet, change no row (G1)."""
    now = START + origin * HOUR
    known = rows(
        frame.filter(pl.col(TIME) <= now), guidance.filter(pl.col(ISSUED) <= now - HOUR), origin
    )
    assert same(rows(frame, guidance, origin), known)


@settings(max_examples=examples(20))
@given(frame=frames, guidance=issues, origin=origins)
def test_a_window_gives_the_bits_of_the_series(
    frame: pl.DataFrame, guidance: pl.DataFrame, origin: int
) -> None:
    """Hours and valid hours of the last 31 days are enough (G4)."""
    now = START + origin * HOUR
    first = now - timedelta(hours=HISTORY_H)
    window = rows(
        frame.filter(pl.col(TIME).is_between(first, now)),
        guidance.filter((pl.col(VALID) >= first) & (pl.col(ISSUED) <= now)),
        origin,
    )
    assert same(rows(frame, guidance, origin), window)


@settings(max_examples=examples(20))
@given(frame=frames, guidance=issues, origin=origins, issue=st.integers(1, 30))
def test_an_older_issue_is_read_as_if_no_later_one_had_come(
    frame: pl.DataFrame, guidance: pl.DataFrame, origin: int, issue: int
) -> None:
    """The device without a link, and the row of the training that stands for it (G1)."""
    course = GuidanceCourse.of(guidance)
    (newest,) = course.newest(np.array([BASE + origin]))
    if newest < issue:
        return
    last = course.issues[newest - issue]
    hour = pl.col(ISSUED).dt.epoch("s") // 3600
    alone = rows(frame, guidance.filter(hour <= last), origin)
    assert same(rows(frame, guidance, origin, issue), alone)
