"""What verified forecasts teach (rules A1 to A5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, target_limits
from edge_agent.forecasting import bias_correction
from edge_agent.forecasting.bias_correction import GUIDED_SHARE, estimate
from edge_agent.forecasting.verification import BLOCK_H, SUMS, TALLY_SHAPE, block_of
from tests.fakes import forecasts

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def days(count: int, mean: float, spread: float, *, guided: float = 0.0) -> dict[int, np.ndarray]:
    """Blocks of `count` days up to now, all hours with this mean error and standard deviation.

    Args:
        count: Days.
        mean: Of the errors.
        spread: Of the errors.
        guided: Share of the hours that had guidance; those have an error of `mean` + 1.
    """
    n, m = float(BLOCK_H), float(BLOCK_H) * guided
    square = spread**2 + mean**2
    cell = [n, n * mean, n * square, n * mean, n * square, n]
    cell += [m, m * (mean + 1.0), m * (spread**2 + (mean + 1.0) ** 2), 0.0, 0.0, 0.0]
    tally = np.broadcast_to(np.array(cell), TALLY_SHAPE)
    assert len(cell) == len(SUMS)
    newest = block_of(NOW)
    return {newest - back: tally for back in range(1, 4 * count + 1)}


def test_steady_bias_is_taken_off() -> None:
    """A month of errors of 2 +- 1: nearly all of it, in every group and quarter (A1, A2)."""
    bias = estimate(days(30, 2.0, 1.0), NOW)
    assert bias.min() > 1.9
    assert bias.max() <= 2.0


def test_bias_that_may_be_chance_is_left_alone() -> None:
    """An error of 0.3 +- 4 over ten days is noise (A2)."""
    assert np.abs(estimate(days(10, 0.3, 4.0), NOW)).max() < 0.03


def test_few_days_teach_nothing() -> None:
    """Three days of the plainest bias are not enough (A3)."""
    assert estimate(days(3, 4.0, 0.1), NOW).any() == np.False_
    assert estimate({}, NOW).any() == np.False_


def test_bias_is_bounded() -> None:
    """A sensor in the sun does not bend the forecast by more than the limit (A3)."""
    high = estimate(days(30, 40.0, 1.0), NOW)
    low = estimate(days(30, -40.0, 1.0), NOW)
    for index, name in enumerate(TARGETS):
        assert high[index].max() == target_limits(name).correction
        assert low[index].min() == -target_limits(name).correction


def test_old_bias_decays() -> None:
    """After two months of no bias a bias of before is all but forgotten (A1)."""
    newest = block_of(NOW)
    old = {newest - 240 + i: tally for i, tally in enumerate(days(30, 3.0, 1.0).values())}
    both = old | days(30, 0.0, 1.0)
    assert 0.1 < estimate(both, NOW).max() < 1.3


def test_a_forecast_that_follows_kma_is_corrected_little() -> None:
    """By the hours that KMA's forecast had, and no more than a fifth of the limit (A4)."""
    assert estimate(days(30, 0.5, 0.5), NOW, guided=True).any() == np.False_
    some = estimate(days(30, -0.5, 0.3, guided=0.5), NOW, guided=True)
    assert some.min() > 0.4
    assert some.max() <= 0.5, "the other half of the hours says nothing"
    much = estimate(days(30, 30.0, 0.5, guided=1.0), NOW, guided=True)
    for index, name in enumerate(TARGETS):
        assert much[index].max() == pytest.approx(GUIDED_SHARE * target_limits(name).correction)


def test_values_and_quantiles_move_together() -> None:
    """Points by the bias, intervals with them, humidity never above 100 % (A5)."""
    learned = estimate(days(30, 2.0, 0.01), NOW)
    before = forecasts.forecast([20.0] * 48, [99.0] * 48)
    after = bias_correction.adjust(before, learned)
    warm = after.targets[AIR_TEMPERATURE]
    assert warm.values == pytest.approx([22.0] * 48, abs=1e-3)
    assert warm.quantiles - warm.values[:, None] == pytest.approx(
        before.targets[AIR_TEMPERATURE].quantiles - 20.0
    )
    damp = after.targets[RELATIVE_HUMIDITY]
    assert damp.values.max() == 100.0
    assert damp.quantiles.max() == 100.0
    assert list(after.adjusted) == ["bias"]
    corrected = bias_correction.adjust(replace(before, adjusted=("tuning",)), learned)
    assert list(corrected.adjusted) == ["tuning", "bias"]


def test_no_bias_leaves_the_forecast_as_it_is() -> None:
    """And names no correction."""
    before = forecasts.forecast([20.0] * 48)
    assert bias_correction.adjust(before, estimate({}, NOW)) is before


def test_hours_beyond_the_models_take_the_bias_of_their_last() -> None:
    """A forecast with KMA's reaches further than 48 h after an old observation."""
    before = replace(forecasts.forecast([20.0] * 48), origin=NOW - timedelta(days=90))
    before = replace(before, valid_at=[before.origin + timedelta(hours=h) for h in range(9, 57)])
    after = bias_correction.adjust(before, estimate(days(30, 2.0, 0.01), NOW))
    assert after.targets[AIR_TEMPERATURE].values == pytest.approx([22.0] * 48, abs=1e-3)


def test_origin_decides_the_lead() -> None:
    """From older observations the hours have longer leads, and their bias."""
    tallies = {block: tally.copy() for block, tally in days(30, 0.0, 1.0).items()}
    for tally in tallies.values():
        cell = tally[:, 36:]
        cell[..., SUMS.index("model")] = 3.0 * cell[..., 0]
        cell[..., SUMS.index("model_squared")] = 10.0 * cell[..., 0]
    learned = estimate(tallies, NOW)
    fresh = forecasts.forecast([20.0] * 48)
    moved = bias_correction.adjust(fresh, learned).targets[AIR_TEMPERATURE].values
    assert moved[35] == pytest.approx(20.0)
    assert moved[36] > 22.5
    assert timedelta(hours=1) == fresh.valid_at[0] - fresh.origin
