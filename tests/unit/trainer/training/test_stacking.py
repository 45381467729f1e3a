"""Weights of the members by lead, and intervals that one part of the record owes another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from edge_agent.contract import residuals
from edge_agent.contract.schema import LEADS
from trainer.training import stacking


def _members(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.normal(0.0, 2.0, (count, stacking.MEMBERS)), random.integers(1, 49, count)


def test_the_weights_of_a_known_mixture_are_found() -> None:
    """Truth that is 0.7 (ridge + 0.5 rest) + 0.3 change gives those weights, far out."""
    members, leads = _members()
    noise = np.random.default_rng(2).normal(0.0, 0.1, len(leads))
    found = stacking.weights(members, members @ np.array([0.7, 0.35, 0.3]) + noise, leads)
    assert found.shape == (len(LEADS), stacking.MEMBERS)
    np.testing.assert_allclose(found[20:], np.tile([0.7, 0.35, 0.3], (28, 1)), atol=0.02)


def test_near_by_only_ridge_and_its_rest_take_part() -> None:
    """The trees on the whole change never saw short leads and count nothing there."""
    members, leads = _members()
    found = stacking.weights(members, members[:, 2], leads)
    near = stacking.FAR_LEAD + stacking.NEAR - 1
    assert (found[:near, 0] == 1.0).all()
    assert (found[:near, 2] == 0.0).all()
    assert (found[near:, 2] > 0.9).all()


def test_weights_are_a_mean_of_two_forecasts_and_a_share_of_a_correction() -> None:
    """Whatever the truth: v and 1 - v add to one, the share never exceeds v, none is negative."""
    members, leads = _members(6000)
    for seed in range(5):
        change = np.random.default_rng(seed).normal(0.0, 3.0, len(leads)) - 2.0 * members[:, 1]
        found = stacking.weights(members, change, leads)
        np.testing.assert_allclose(found[:, 0] + found[:, 2], 1.0, atol=1e-6)
        assert (found >= 0.0).all()
        assert (found[:, 1] <= found[:, 0] + 1e-6).all()


def test_unknown_truth_and_unseen_leads_are_left_out() -> None:
    """NaN rows change nothing; a lead without rows keeps the ridge alone."""
    members, leads = _members(4000)
    change = members @ np.array([0.5, 0.0, 0.5])
    members[::5] = np.nan
    change[1::7] = np.nan
    keep = leads > 20
    found = stacking.weights(members[keep], change[keep], leads[keep])
    np.testing.assert_allclose(found[30:, 0], 0.5, atol=1e-4)
    assert (found[0] == [1.0, 0.0, 0.0]).all()


def _errors(spreads: tuple[float, ...]) -> tuple[pl.Series, np.ndarray, np.ndarray, np.ndarray]:
    """A year of hourly errors for each spread, one part of the record each."""
    hours = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(hours=h) for h in range(365 * 24)]
    random = np.random.default_rng(4)
    block = np.repeat(np.arange(len(spreads)), len(hours))
    leads = random.choice(residuals.KNOTS, len(block))
    errors = random.normal(0.0, 1.0, len(block)) * np.array(spreads)[block]
    times = pl.Series(hours * len(spreads), dtype=pl.Datetime("us", "UTC"))
    return times, leads, errors, block


def test_years_that_differ_widen_the_intervals() -> None:
    """With parts of unequal spread the table is wider than the plain quantiles of all."""
    times, leads, errors, block = _errors((0.6, 1.0, 1.8))
    plain = np.array(residuals.fit(times, leads, errors).quantiles)
    wide = np.array(stacking.intervals(times, leads, errors, block).quantiles)
    ratio = wide[..., -1] / plain[..., -1]
    # One factor a knot, whatever the season and the part of the day, and smooth over knots.
    assert np.ptp(ratio, axis=(0, 1)).max() < 0.01
    assert np.abs(np.diff(ratio.mean(axis=(0, 1)))).max() < 0.03
    assert ratio.mean() > 1.1


def test_years_alike_keep_the_plain_quantiles() -> None:
    """Parts of one distribution need no widening beyond the noise of a finite sample."""
    times, leads, errors, block = _errors((1.0, 1.0, 1.0))
    plain = np.array(residuals.fit(times, leads, errors).quantiles)
    wide = np.array(stacking.intervals(times, leads, errors, block).quantiles)
    assert (wide[..., -1] / plain[..., -1]).mean() < 1.05


def test_a_part_whose_season_the_others_lack_is_no_judge() -> None:
    """Half a year against the other half: the plain table stands."""
    times, leads, errors, _ = _errors((1.0,))
    season, _ = residuals.cells(times)
    halves = (season >= 2).astype(int)
    found = stacking.intervals(times, leads, errors, halves)
    assert found == residuals.fit(times, leads, errors)


def test_a_part_without_truth_is_no_judge() -> None:
    """A sensor that was absent for a third of the record: the other parts alone judge."""
    times, leads, errors, block = _errors((0.6, 1.0, 1.8))
    errors[block == 2] = np.nan
    found = stacking.intervals(times, leads, errors, block)
    seen = block < 2
    assert found == stacking.intervals(times.filter(seen), leads[seen], errors[seen], block[seen])


def test_widening_is_the_growth_of_the_error_at_each_knot() -> None:
    """Half as much again at knots from 24 h on; unknown pairs do not count, smaller is no gain."""
    leads = np.repeat(residuals.KNOTS, 50)
    errors = np.random.default_rng(6).normal(0.0, 1.0, len(leads))
    lacking = np.where(leads >= 24, 1.5, 0.9) * errors
    errors[::7] = np.nan
    found = stacking.widening(leads, errors, lacking)
    assert found == tuple(1.5 if knot >= 24 else 1.0 for knot in residuals.KNOTS)


def test_a_knot_without_pairs_widens_nothing() -> None:
    """Nothing measured, nothing claimed."""
    found = stacking.widening(np.full(10, 24), np.ones(10), np.full(10, 2.0))
    assert found == tuple(2.0 if knot == 24 else 1.0 for knot in residuals.KNOTS)
