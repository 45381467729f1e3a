"""Split, pairs and blanked inputs: nothing of the holdout is learned from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_agent.contract import climatology
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TIME
from tests.fakes.examples import examples
from tests.fakes.weather import FIRST, SITE, STATION, Damage, place, record, spoil
from trainer.evaluation import dataset
from trainer.evaluation.dataset import WARM_UP_HOURS, Pairs, StationSeries

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def series(first: int = 0, hours: int = 900, station: int = STATION) -> StationSeries:
    """Part of the record, prepared."""
    frame = record()[first : first + hours]
    return dataset.prepare(station, frame, SITE, place().normals)


ONE, OTHER = series(), series(300, 700, 119)


@given(
    hours=st.integers(dataset.LEAST_TRAINED, 20 * dataset.LEAST_TRAINED),
    share=st.floats(0.01, 0.5),
    embargo=st.integers(0, 1000),
)
def test_split_is_chronological_with_its_embargo(hours: int, share: float, embargo: int) -> None:
    """The holdout is the newest share at least, or a month; training ends the embargo before it."""
    judged = hours >= dataset.USUAL_HOURS or hours * share >= 24 * dataset.JUDGED_DAYS
    least = hours * share if judged else min(hours * share, dataset.SCORED_HOURS)
    assume(hours - least - embargo >= dataset.LEAST_TRAINED + 1)
    last = FIRST + (hours - 1) * HOUR
    found = dataset.split(FIRST, last, share, embargo)
    assert found.holdout - found.train_end == embargo * HOUR
    assert found.first <= found.holdout <= found.last == last
    assert _held(found) >= least - 1
    assert (found.train_end - found.first) / HOUR >= dataset.LEAST_TRAINED


@pytest.mark.parametrize(
    ("days", "held"),
    [
        (546, 30),
        (2 * 365, 146),
        (2 * 365 + 157, 177.4),
        (3 * 365, 358),
        (4 * 365, 365),
        (6 * 365, 438),
    ],
)
def test_the_holdout_is_a_year_where_two_stay_for_training(days: int, held: float) -> None:
    """Up to five years the newest one, from six on a fifth; below three what two years leave."""
    found = dataset.split(FIRST, FIRST + (days * 24 - 1) * HOUR, 0.2, 168)
    assert _held(found) / 24 == pytest.approx(held, abs=0.1)


def _held(found: dataset.Split) -> float:
    return (found.last - found.holdout) / HOUR + 1


def test_a_short_record_is_refused() -> None:
    """Less than a year before the holdout: refused with what is there and what to do."""
    last = FIRST + (402 * 24 - 2) * HOUR
    text = r"of 401 days .* 1 more are needed, so that 365 come .* of 30 days .*; ingest or import"
    with pytest.raises(BadData, match=text):
        dataset.split(FIRST, last, 0.2, 168)
    dataset.split(FIRST, last + HOUR, 0.2, 168)


@settings(max_examples=examples(30))
@given(end=st.integers(0, 1300), limit=st.integers(1, 60_000), seed=st.integers(0, 9))
def test_no_training_target_at_or_after_the_end(end: int, limit: int, seed: int) -> None:
    """Every target hour lies before the end, every origin after the warm-up; no pair twice."""
    both = (ONE, OTHER)
    border = FIRST + end * HOUR
    pairs = dataset.training_pairs(both, border, limit, seed)
    assert len(pairs) <= limit
    if len(pairs) == 0:
        return
    assert (dataset.times(both, pairs) < border).all()
    assert pairs.origins.min() >= WARM_UP_HOURS
    assert (pairs.leads.min(), pairs.leads.max()) >= (1, 1)
    assert pairs.leads.max() <= max(LEADS)
    rows = np.stack([pairs.series, pairs.origins, pairs.leads])
    assert np.unique(rows, axis=1).shape[1] == len(pairs)


def test_without_a_limit_every_pair_is_there() -> None:
    """All origins at all leads, of both stations, whose target is before the end."""
    end = FIRST + 850 * HOUR
    pairs = dataset.training_pairs((ONE, OTHER), end, 10**9, 1)
    expected = {
        (index, row, lead)
        for index, one in enumerate((ONE, OTHER))
        for row in range(WARM_UP_HOURS, one.hours)
        for lead in LEADS
        if one.frame[TIME][0] + (row + lead) * HOUR < end and row + lead < one.hours
    }
    found = set(zip(*(column.tolist() for column in _columns(pairs)), strict=True))
    assert found == expected


def _columns(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return pairs.series, pairs.origins, pairs.leads


def test_a_draw_repeats_with_its_seed() -> None:
    """The same seed draws the same pairs, another one others."""
    end = FIRST + 850 * HOUR
    draws = [dataset.training_pairs((ONE,), end, 500, seed).origins.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@settings(max_examples=examples(30))
@given(start=st.integers(-10, 800), length=st.integers(-20, 300))
def test_scoring_pairs_are_complete_origins(start: int, length: int) -> None:
    """Each origin from the start has all leads, and its longest target is observed by the end."""
    first, last = FIRST + start * HOUR, FIRST + (start + length) * HOUR
    pairs = dataset.scoring_pairs((ONE,), first, last, (24, 1, 48))
    expected = [
        row
        for row in range(max(start, WARM_UP_HOURS), ONE.hours)
        if row + 48 <= min(start + length, ONE.hours - 1)
    ]
    assert pairs.origins.tolist() == [row for row in expected for _ in range(3)]
    assert pairs.leads.tolist() == [1, 24, 48] * len(expected)


def test_gather_truth_and_times_keep_the_order_of_the_pairs() -> None:
    """Rows of several stations, mixed, come back in the order they were asked for."""
    pairs = Pairs(np.array([1, 0, 1, 0]), np.array([300, 400, 301, 400]), np.array([1, 24, 48, 6]))
    both = (ONE, OTHER)
    matrix = dataset.gather(both, pairs)
    truth = dataset.truth(both, pairs, AIR_TEMPERATURE)
    times = dataset.times(both, pairs)
    for row in range(4):
        one = both[pairs.series[row]]
        origin, lead = int(pairs.origins[row]), int(pairs.leads[row])
        alone = Pairs(
            pairs.series[row : row + 1], pairs.origins[row : row + 1], pairs.leads[row : row + 1]
        )
        assert matrix[row].tobytes() == dataset.gather(both, alone)[0].tobytes()
        expected = one.frame[AIR_TEMPERATURE][origin + lead]
        assert truth[row] == expected or (np.isnan(truth[row]) and expected is None)
        assert times[row] == one.frame[TIME][0] + (origin + lead) * HOUR


def test_normals_are_of_checked_hours_before_the_end() -> None:
    """Neither a spike nor anything after the end moves a normal."""
    frame, end = record()[:9000], FIRST + 8000 * HOUR
    clean = dataset.fit_normals(frame, end)
    spiked = spoil(frame, [Damage("spike", AIR_TEMPERATURE, 5000, 3, 900.0)])
    moved = dataset.fit_normals(spiked, end)
    tables = [climatology.table(one[AIR_TEMPERATURE]) for one in (clean, moved)]
    assert np.abs(tables[0] - tables[1]).max() < 0.05
    later = spoil(frame, [Damage("spike", AIR_TEMPERATURE, 900, 800, 5.0)])
    assert dataset.fit_normals(later, end) == clean


def test_a_station_without_some_of_its_hours_never_saw_them() -> None:
    """What was measured in the hours left out, or after the end, moves no normal and no feature."""
    first, last, end = (FIRST + days * DAY for days in (200, 300, 700))
    frame = record()
    spoiled = frame.with_columns(
        pl.when(pl.col(TIME).is_between(first, last) | (pl.col(TIME) >= end))
        .then(pl.col(AIR_TEMPERATURE) + 9.0)
        .otherwise(pl.col(AIR_TEMPERATURE))
    )
    normals = [
        dataset.without(
            dataset.prepare(STATION, one, SITE, dataset.fit_normals(frame, end)), first, last, end
        )
        .table["normal_temperature"]
        .to_numpy()
        for one in (frame, spoiled)
    ]
    whole = dataset.prepare(STATION, frame, SITE, dataset.fit_normals(frame, end))
    # The first and last of the hours left out may be judged as steps.
    assert np.abs(normals[0] - normals[1]).max() < 0.02
    assert np.abs(normals[0] - whole.table["normal_temperature"].to_numpy()).max() > 0.3


def test_a_station_with_no_other_year_stays_as_it_is() -> None:
    """Less than a year beside the hours left out cannot make normals."""
    assert dataset.without(ONE, FIRST, FIRST + 500 * DAY, FIRST + 700 * DAY) is ONE


def test_a_station_that_measured_humidity_in_these_hours_alone_stays_as_it_is() -> None:
    """Without them there would be no normals of it."""
    first, last, end = (FIRST + days * DAY for days in (200, 300, 700))
    inside = pl.col(TIME).is_between(first, last)
    frame = record().with_columns(pl.when(inside).then(pl.col(RELATIVE_HUMIDITY)))
    one = dataset.prepare(STATION, frame, SITE, dataset.fit_normals(frame, end))
    assert dataset.without(one, first, last, end) is one


def test_normals_need_values() -> None:
    """A target that was never observed is named."""
    frame = record()[:2000].with_columns(pl.lit(None, pl.Float64).alias(RELATIVE_HUMIDITY))
    with pytest.raises(BadData, match="relative_humidity_pct: climatology: 0 values"):
        dataset.fit_normals(frame, datetime(2030, 1, 1, tzinfo=UTC))
