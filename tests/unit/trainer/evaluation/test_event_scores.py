"""Scores of events against published and hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.evaluation.event_scores import Contingency, brier, contingency, reliability, slope

TABLE = Contingency(hits=30, false_alarms=20, misses=10, quiet=940)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pod", 0.75),
        ("far", 0.40),
        ("pofd", 0.020833),
        ("csi", 0.50),
        ("ets", 0.482759),
        ("hss", 0.651163),
        ("pss", 0.729167),
        ("sedi", 0.889068),
        ("bias", 1.25),
        ("base_rate", 0.04),
    ],
)
def test_contingency_scores(name: str, expected: float) -> None:
    """30 hits, 20 false alarms, 10 misses, 940 quiet."""
    assert getattr(TABLE, name) == pytest.approx(expected, abs=1e-6)


def test_without_events_or_warnings_scores_are_unknown() -> None:
    """Nothing to divide by is NaN, not zero; a perfect table has no SEDI."""
    empty = Contingency(0, 0, 0, 100)
    assert all(math.isnan(v) for v in (empty.pod, empty.far, empty.csi, empty.sedi, empty.bias))
    assert math.isnan(Contingency(10, 0, 0, 90).sedi)


def test_contingency_counts() -> None:
    """One of each kind."""
    warned = np.array([True, True, False, False])
    happened = np.array([True, False, True, False])
    assert contingency(warned, happened) == Contingency(1, 1, 1, 1)


def test_brier_and_its_parts_by_hand() -> None:
    """Probabilities 0.25 (4 hours, 1 event) and 0.75 (4 hours, 2 events)."""
    said = np.array([0.25] * 4 + [0.75] * 4)
    seen = np.array([1, 0, 0, 0, 1, 1, 0, 0], np.float64)
    found = reliability(said, seen)
    assert found.points == ((0.25, 0.25, 4), (0.75, 0.5, 4))
    assert found.reliability == pytest.approx(0.5 * 0.25**2)
    assert found.resolution == pytest.approx((0.375 - 0.25) ** 2)
    assert found.uncertainty == pytest.approx(0.375 * 0.625)
    total = found.reliability - found.resolution + found.uncertainty
    assert brier(said, seen) == pytest.approx(total)
    # Seen frequency grows by 0.25 while the said one grows by 0.5.
    sums = (8.0, said.sum(), seen.sum(), (said**2).sum(), (said * seen).sum())
    assert slope(*sums) == pytest.approx(0.5)


def test_certainty_falls_into_the_last_bin() -> None:
    """A probability of 1 is counted, and no rows are an error."""
    assert reliability(np.array([1.0]), np.array([1.0])).points == ((1.0, 1.0, 1),)
    assert math.isnan(slope(2.0, 1.0, 1.0, 0.5, 0.5))
    with pytest.raises(ValueError, match="no rows"):
        reliability(np.array([]), np.array([]))
