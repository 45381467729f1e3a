"""Statistics over the newest hours of a series, from running sums. Pure.

The sum over a window is the difference of two running sums, so a week costs no more than three
hours. Values come on a grid of 2^-10 and are summed as whole numbers of that unit: exact, hence
with equal bits wherever the series began, and seven times as fast as running sums of floats. A
Float64 then holds the sums, even of squares of values up to 100 over 98 years, without rounding.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.feature_table import Window

UNITS: Final = 1024.0
"""Parts of one that a value may have."""


def statistics(values: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Every window's number at every hour.

    Args:
        values: Hourly, float64, shape (N,), multiples of 2^-10; NaN = missing.
        windows: Kinds and hours as `Window` says; its series is not looked at.

    Returns:
        Float32, shape (len(windows), N); NaN where fewer than half of the hours are known.
    """
    series = _Series(values)
    out = np.empty((len(windows), len(values)), np.float32)
    for row, window in zip(out, windows, strict=True):
        getattr(series, window.kind)(window.hours, row)
    return out


class _Series:
    """One method a kind: writes the statistic of the newest `hours` hours into `out`."""

    def __init__(self, values: np.ndarray) -> None:
        known = np.isfinite(values)
        self._values = values
        self._small = values.astype(np.float32)
        self._units = np.where(known, values * UNITS, 0.0).astype(np.int64)
        self._sums = _running(self._units) / UNITS
        self._known = _running(known)
        self._counts: dict[int, np.ndarray] = {}

    def lag(self, hours: int, out: np.ndarray) -> None:
        out[:hours] = np.nan
        out[hours:] = self._small[:-hours]

    def change(self, hours: int, out: np.ndarray) -> None:
        out[:hours] = np.nan
        np.subtract(self._values[hours:], self._values[:-hours], out=out[hours:], casting=_CAST)

    def sum(self, hours: int, out: np.ndarray) -> None:
        out[:] = _over(self._sums, hours)
        out[np.isnan(self._count(hours))] = np.nan

    def mean(self, hours: int, out: np.ndarray) -> None:
        np.divide(_over(self._sums, hours), self._count(hours), out=out, casting=_CAST)

    def std(self, hours: int, out: np.ndarray) -> None:
        total, count = _over(self._sums, hours), self._count(hours)
        spread = _over(self._squares, hours) - total * total / count
        np.sqrt(np.maximum(spread / (count - 1.0), 0.0), out=out, casting=_CAST)

    def min(self, hours: int, out: np.ndarray) -> None:
        self._extreme(np.fmin, hours, out)

    def max(self, hours: int, out: np.ndarray) -> None:
        self._extreme(np.fmax, hours, out)

    def _extreme(self, choose: np.ufunc, hours: int, out: np.ndarray) -> None:
        """Extreme of two overlapping windows of half the length, from those of a quarter, ..."""
        out[:] = self._small
        span = 1
        while span < hours:
            step = min(span, hours - span)
            out[step:] = choose(out[step:], out[:-step])
            span += step
        out[np.isnan(self._count(hours))] = np.nan

    def _count(self, hours: int) -> np.ndarray:
        """Known hours of the window; NaN where they are fewer than half."""
        if hours not in self._counts:
            count = _over(self._known, hours)
            count[count < (hours + 1) // 2] = np.nan
            self._counts[hours] = count
        return self._counts[hours]

    @cached_property
    def _squares(self) -> np.ndarray:
        return _running(self._units * self._units) / UNITS**2


_CAST: Final = "same_kind"


def _running(values: np.ndarray) -> np.ndarray:
    """Sum of the first 0, 1, 2, .. whole numbers: float64, shape (N + 1,)."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums.astype(np.float64)


def _over(running: np.ndarray, hours: int) -> np.ndarray:
    """Sum of the newest `hours` values at each hour; of those there are, at the beginning."""
    out = np.empty(len(running) - 1)
    out[:hours] = running[1 : hours + 1]
    np.subtract(running[hours + 1 :], running[1:-hours], out=out[hours:])
    return out
