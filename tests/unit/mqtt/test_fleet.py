"""A fleet on one broker comes back spread over the configured window, however long it was away."""

from __future__ import annotations

import pytest

from edge_agent.mqtt.backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S
from tests.fakes.fleet import busiest_second, returns

DEVICES = 10_000
AWAY_S = [0.5, 5.0, 60.0, 600.0, 3600.0]


@pytest.mark.parametrize("window_s", [60.0, 300.0])
@pytest.mark.parametrize("away_s", AWAY_S)
def test_the_window_is_kept(away_s: float, window_s: float) -> None:
    """No second sees more than three times the even rate, and the last comes late in the window."""
    times = returns(DEVICES, away_s, window_s)
    assert busiest_second(times) <= 3 * DEVICES / window_s
    assert max(times) >= 0.9 * (window_s - min(away_s, window_s / 2))


@pytest.mark.parametrize("away_s", [60.0, 600.0])
def test_the_default_comes_back_soon_enough_for_an_alert(away_s: float) -> None:
    """Without a window every device is back within the longest pause, spread over it."""
    times = returns(DEVICES, away_s, FIRST_PAUSE_S)
    assert max(times) <= LONGEST_PAUSE_S
    assert busiest_second(times) <= 3 * DEVICES / LONGEST_PAUSE_S


def test_without_a_window_a_blink_brings_all_at_once() -> None:
    """Why a shared broker wants one: half of the fleet would be back within two seconds."""
    assert busiest_second(returns(DEVICES, 0.5, FIRST_PAUSE_S)) > DEVICES / 2
