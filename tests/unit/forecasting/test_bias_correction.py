"""What verified forecasts teach (rules A1 to A5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, target_limits
from edge_agent.forecasting import bias_correction
from edge_agent.forecasting.bias_correction import NARROWEST, estimate
from edge_agent.forecasting.verification import BLOCK_H, SUMS, TALLY_SHAPE, block_of
from tests.fakes import forecasts

NOW = datetime(2026, 7, 1, tzinfo=UTC)
NONE = dict.fromkeys(TARGETS, np.full(48, np.nan))


def days(
    count: int, mean: float, spread: float, *, kma: float | None = None, both: float = 0.0
) -> dict[int, np.ndarray]:
    """Blocks of `count` days up to now, all hours with this mean error and standard deviation.

    Args:
        count: Days.
        mean: Of the models' errors.
        spread: Of the models' errors.
        kma: Spread of the guidance's errors, whose mean is 0; None = no guidance.
        both: Covariance of the two.
    """
    n = float(BLOCK_H)
    square = spread**2 + mean**2
    cell = [n, n * mean, n * square, n * mean, n * square, n]
    cell += [0.0] * 6 if kma is None else [n, n * mean, n * square, 0.0, n * kma**2, n * both]
    tally = np.broadcast_to(np.array(cell), TALLY_SHAPE)
    assert len(cell) == len(SUMS)
    newest = block_of(NOW)
    return {newest - back: tally for back in range(1, 4 * count + 1)}


def test_steady_bias_is_taken_off() -> None:
    """A month of errors of 2 +- 1: nearly all of it, in every group and quarter (A1, A2)."""
    bias = estimate(days(30, 2.0, 1.0), NOW).bias
    assert bias.min() > 1.9
    assert bias.max() <= 2.0


def test_bias_that_may_be_chance_is_left_alone() -> None:
    """An error of 0.3 +- 4 over ten days is noise (A2)."""
    assert np.abs(estimate(days(10, 0.3, 4.0), NOW).bias).max() < 0.03


def test_few_days_teach_nothing() -> None:
    """Three days of the plainest bias are not enough (A3)."""
    assert estimate(days(3, 4.0, 0.1), NOW).bias.any() == np.False_
    assert estimate({}, NOW).bias.any() == np.False_


def test_bias_is_bounded() -> None:
    """A sensor in the sun does not bend the forecast by more than the limit (A3)."""
    high = estimate(days(30, 40.0, 1.0), NOW).bias
    low = estimate(days(30, -40.0, 1.0), NOW).bias
    for index, name in enumerate(TARGETS):
        assert high[index].max() == target_limits(name).correction
        assert low[index].min() == -target_limits(name).correction


def test_old_bias_decays() -> None:
    """After two months of no bias a bias of before is all but forgotten (A1)."""
    newest = block_of(NOW)
    old = {newest - 240 + i: tally for i, tally in enumerate(days(30, 3.0, 1.0).values())}
    both = old | days(30, 0.0, 1.0)
    assert 0.1 < estimate(both, NOW).bias.max() < 1.3


def test_guidance_weighs_by_inverse_squared_error() -> None:
    """Errors of 2 and 1: four fifths for the better one, and a narrower interval (A4, A5)."""
    learned = estimate(days(30, 0.0, 2.0, kma=1.0), NOW)
    assert learned.guidance_weight == pytest.approx(0.8)
    # Independent errors: 0.04 * 4 + 0.64 * 1 = 0.8 of the models' 4.
    assert learned.width == pytest.approx(max(np.sqrt(0.8 / 4), NARROWEST))
    alike = estimate(days(30, 0.0, 2.0, kma=2.0, both=4.0), NOW)
    assert alike.width == pytest.approx(1.0), "two that err alike are no better than one"


def test_guidance_without_pairs_has_no_weight() -> None:
    """None, or fewer days than are wanted: the models alone (A4)."""
    assert estimate(days(30, 0.0, 2.0), NOW).guidance_weight.any() == np.False_
    assert estimate(days(3, 0.0, 2.0, kma=0.5), NOW).guidance_weight.any() == np.False_


def test_values_and_quantiles_move_together() -> None:
    """Points by the bias, intervals with them, humidity never above 100 % (A5)."""
    learned = estimate(days(30, 2.0, 0.01), NOW)
    before = forecasts.forecast([20.0] * 48, [99.0] * 48)
    after = bias_correction.adjust(before, learned, NONE)
    warm = after.targets[AIR_TEMPERATURE]
    assert warm.values == pytest.approx([22.0] * 48, abs=1e-3)
    assert warm.quantiles - warm.values[:, None] == pytest.approx(
        before.targets[AIR_TEMPERATURE].quantiles - 20.0
    )
    damp = after.targets[RELATIVE_HUMIDITY]
    assert damp.values.max() == 100.0
    assert damp.quantiles.max() == 100.0
    assert list(after.adjusted) == ["bias"]
    corrected = bias_correction.adjust(replace(before, adjusted=("tuning",)), learned, NONE)
    assert list(corrected.adjusted) == ["tuning", "bias"]


def test_guidance_is_blended_where_it_speaks() -> None:
    """Hours without it stay the models'; what took part is named."""
    learned = estimate(days(30, 0.0, 2.0, kma=2.0), NOW)
    guidance = {name: np.where(np.arange(48) < 24, 30.0, np.nan) for name in TARGETS}
    after = bias_correction.adjust(forecasts.forecast([20.0] * 48), learned, guidance)
    values = after.targets[AIR_TEMPERATURE].values
    assert values[:24] == pytest.approx([25.0] * 24)
    assert values[24:] == pytest.approx([20.0] * 24)
    assert list(after.adjusted) == ["guidance"]
    spread = after.targets[AIR_TEMPERATURE]
    widths = spread.quantile(0.9) - spread.quantile(0.1)
    assert widths[0] == pytest.approx(widths[-1] * np.sqrt(0.5))


def test_both_can_be_switched_off() -> None:
    """Then the models' forecast goes out as it is."""
    learned = estimate(days(30, 2.0, 1.0, kma=0.5), NOW, bias=False, blend=False)
    before = forecasts.forecast([20.0] * 48)
    there = dict.fromkeys(TARGETS, np.full(48, 30.0))
    after = bias_correction.adjust(before, learned, there)
    assert after.targets[AIR_TEMPERATURE].values.tolist() == [20.0] * 48
    assert list(after.adjusted) == []


def test_weight_without_bias_correction_knows_of_the_bias() -> None:
    """A bias that stays counts as error of the models, and the guidance weighs more."""
    tallies = days(30, 2.0, 0.5, kma=1.0)
    kept = estimate(tallies, NOW, bias=False).guidance_weight
    assert kept == pytest.approx(4.25 / 5.25)
    assert estimate(tallies, NOW).guidance_weight.max() < 0.25


def test_origin_decides_the_lead() -> None:
    """From older observations the hours have longer leads, and their bias."""
    tallies = {block: tally.copy() for block, tally in days(30, 0.0, 1.0).items()}
    for tally in tallies.values():
        cell = tally[:, 36:]
        cell[..., SUMS.index("model")] = 3.0 * cell[..., 0]
        cell[..., SUMS.index("model_squared")] = 10.0 * cell[..., 0]
    learned = estimate(tallies, NOW)
    fresh = forecasts.forecast([20.0] * 48)
    moved = bias_correction.adjust(fresh, learned, NONE).targets[AIR_TEMPERATURE].values
    assert moved[35] == pytest.approx(20.0)
    assert moved[36] > 22.5
    assert timedelta(hours=1) == fresh.valid_at[0] - fresh.origin
