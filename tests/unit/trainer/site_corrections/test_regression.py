"""The fit of a farm's correction: what it finds, and that it never looks ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_agent.contract.residuals import LEVELS
from edge_agent.contract.site_correction import KNOTS, TERMS
from trainer.site_corrections import regression
from trainer.site_corrections.regression import BLOCK_DAYS, FIRST_DAYS, GUARD_DAYS, ModelErrors

WIDTH = 2.0


def lack(days: int, seed: int = 0, **weights: float) -> ModelErrors:
    """A history whose errors are linear in terms plus noise within the intervals; 4 hours a day."""
    random = np.random.default_rng(seed)
    hours = np.arange(0, days * 24, 6)
    leads = np.tile(KNOTS, len(hours))
    valid = np.repeat(hours, len(KNOTS)).astype(float)
    hour, season = 2 * np.pi * (valid % 24) / 24, 2 * np.pi * valid / 8766
    terms = random.normal(0.0, 3.0, (len(valid), len(TERMS)))
    hs, hc, ss, sc = np.sin(hour), np.cos(hour), np.sin(season), np.cos(season)
    calendar = (
        np.ones(len(valid)), hs, hc, 2 * hs * hc, hc**2 - hs**2, ss, sc, ss * hs, ss * hc,
        sc * hs, sc * hc,
    )  # fmt: skip
    terms[:, : len(calendar)] = np.stack(calendar, axis=1)
    errors = random.uniform(-WIDTH, WIDTH, len(valid))
    for name, weight in weights.items():
        errors += weight * terms[:, TERMS.index(name)]
    around = np.tile([WIDTH * (2 * level - 1) for level in LEVELS], (len(valid), 1))
    return ModelErrors(terms, leads, valid / 24, errors, around)


def test_what_errors_follow_from_is_found_and_shrunk() -> None:
    """Weights are the truth over one and the penalty, at every lead."""
    found = regression.weights(lack(365 * 4, one=2.0, hour_cos=1.5, temperature_anomaly=-0.4))
    wanted = {"one": 2.0 / 1.1, "hour_cos": 1.5 / 1.3, "temperature_anomaly": -0.4 / 1.3}
    for name, weight in zip(TERMS, found.T, strict=True):
        assert weight == pytest.approx(wanted.get(name, 0.0), abs=0.05), name


def test_nothing_known_gives_no_correction() -> None:
    """Without a known error weights are zero, factors one, and nothing is chained."""
    empty = replace(lack(90), errors=np.full(90 * 4 * len(KNOTS), np.nan))
    assert not regression.weights(empty).any()
    chained = regression.forward_chain(empty)
    assert np.isnan(chained.change).all()
    everything = np.ones(len(empty.errors), bool)
    assert (regression.spread(empty, chained.change, everything) == 1.0).all()


def test_terms_that_are_never_there_cost_nothing() -> None:
    """A farm whose anomalies are all unknown (zero) is corrected by the others."""
    one = lack(365, one=2.0)
    one.terms[:, -4:] = 0.0
    found = regression.weights(one)
    assert found[:, 0] == pytest.approx(2.0 / 1.1, abs=0.1)
    assert not found[:, -4:].any()


@pytest.mark.parametrize("block", [0, 3, 6])
def test_a_block_is_corrected_by_what_came_before_it(block: int) -> None:
    """Errors from the guard before a block on may be anything: its correction stays what it was."""
    start = FIRST_DAYS + GUARD_DAYS + block * BLOCK_DAYS
    one = lack(300, one=1.0)
    later = one.days >= start - GUARD_DAYS
    spoilt = replace(one, errors=np.where(later, 1e3, one.errors))
    before = one.days < start + BLOCK_DAYS
    first, second = (regression.forward_chain(each) for each in (one, spoilt))
    np.testing.assert_array_equal(first.change[before], second.change[before])
    np.testing.assert_array_equal(first.spread[before], second.spread[before])
    assert not np.array_equal(first.change, second.change, equal_nan=True)


def test_the_first_days_are_learned_from_and_not_judged() -> None:
    """The first correction is for the hour after 60 days with a known error, and the guard."""
    one = lack(200)
    assert (
        one.days[np.isfinite(regression.forward_chain(one).change)].min() == FIRST_DAYS + GUARD_DAYS
    )
    # Days without a known error do not count among the sixty.
    gap = (one.days >= 10) & (one.days < 25)
    holed = regression.forward_chain(replace(one, errors=np.where(gap, np.nan, one.errors)))
    assert one.days[np.isfinite(holed.change)].min() == FIRST_DAYS + GUARD_DAYS + 15


def test_intervals_are_made_to_hold_four_of_five() -> None:
    """Errors three halves as wide as the release's intervals need a factor of three halves."""
    one = lack(400)
    wider = replace(one, errors=1.5 * one.errors)
    nothing, everything = np.zeros(len(one.errors)), np.ones(len(one.errors), bool)
    assert regression.spread(one, nothing, everything) == pytest.approx(1.0, abs=0.1)
    assert regression.spread(wider, nothing, everything) == pytest.approx(1.5, abs=0.15)
    for factor, bound in ((50.0, regression.MOST_SPREAD), (0.01, regression.LEAST_SPREAD)):
        absurd = replace(one, errors=factor * one.errors)
        assert (regression.spread(absurd, nothing, everything) == bound).all()


def test_few_days_say_nothing_about_intervals() -> None:
    """A factor needs sixty days; with fewer the release's intervals stay."""
    one = replace(lack(59), errors=10 * lack(59).errors)
    nothing, everything = np.zeros(len(one.errors)), np.ones(len(one.errors), bool)
    assert (regression.spread(one, nothing, everything) == 1.0).all()


def test_one_season_is_not_taken_for_the_year() -> None:
    """An offset seen in ninety days of winter is corrected there, and by less in summer."""
    found = regression.weights(lack(90, one=2.0))
    noon = np.zeros(len(TERMS))
    noon[0] = 1.0
    winter, summer = noon.copy(), noon.copy()
    middle = 2 * np.pi * 45 * 24 / 8766
    for row, season in ((winter, middle), (summer, middle + np.pi)):
        row[[TERMS.index("season_sin"), TERMS.index("season_cos")]] = np.sin(season), np.cos(season)
    assert found @ winter == pytest.approx(1.9, abs=0.2)
    assert (found @ summer < 1.0).all()
