"""Pauses before a retry."""

from __future__ import annotations

import pytest

from edge_agent.system.jitter import backoff, jitter


def test_backoff_doubles_up_to_the_longest() -> None:
    """1, 2, 4 ... 300 s, also after very many failures."""
    ends = [backoff(failures, 1.0, 300.0) for failures in (0, 1, 2, 8, 9, 10_000)]
    assert ends == [1.0, 2.0, 4.0, 256.0, 300.0, 300.0]


@pytest.mark.parametrize(
    ("random", "pause_s"), [(0.0, 30.0), (0.5, 45.0), (0.75, 52.5)], ids=["low", "middle", "high"]
)
def test_jitter_is_uniform_between_its_ends(random: float, pause_s: float) -> None:
    """The random number is the place between the ends."""
    assert jitter(30.0, 60.0, lambda: random) == pytest.approx(pause_s)
