"""Scores of yes-or-no events: contingency tables, Brier score, reliability. Pure.

Sources: Wilks, Statistical Methods in the Atmospheric Sciences, chapter 9; SEDI: Ferro and
Stephenson 2011 (doi 10.1175/WAF-D-10-05030.1); decomposition: Murphy 1973.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Contingency:
    """Warnings against events.

    Attributes:
        hits: Warned and happened.
        false_alarms: Warned and did not happen.
        misses: Happened without a warning.
        quiet: Neither.
    """

    hits: float
    false_alarms: float
    misses: float
    quiet: float

    @property
    def rows(self) -> float:
        """Number of hours."""
        return self.hits + self.false_alarms + self.misses + self.quiet

    @property
    def base_rate(self) -> float:
        """Share of hours with the event."""
        return _ratio(self.hits + self.misses, self.rows)

    @property
    def pod(self) -> float:
        """Probability of detection, hits / events; NaN without events."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float:
        """False alarm ratio, false alarms / warnings; NaN without warnings."""
        return _ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def pofd(self) -> float:
        """Probability of false detection, false alarms / hours without the event."""
        return _ratio(self.false_alarms, self.false_alarms + self.quiet)

    @property
    def csi(self) -> float:
        """Critical success index, hits / (hits + misses + false alarms)."""
        return _ratio(self.hits, self.hits + self.misses + self.false_alarms)

    @property
    def ets(self) -> float:
        """Equitable threat score: CSI with the hits left out that chance would give."""
        chance = _ratio((self.hits + self.misses) * (self.hits + self.false_alarms), self.rows)
        return _ratio(self.hits - chance, self.hits + self.misses + self.false_alarms - chance)

    @property
    def hss(self) -> float:
        """Heidke skill score."""
        a, b, c, d = self.hits, self.false_alarms, self.misses, self.quiet
        return _ratio(2.0 * (a * d - b * c), (a + c) * (c + d) + (a + b) * (b + d))

    @property
    def pss(self) -> float:
        """Peirce skill score, POD - POFD."""
        return self.pod - self.pofd

    @property
    def bias(self) -> float:
        """Frequency bias, warnings / events."""
        return _ratio(self.hits + self.false_alarms, self.hits + self.misses)

    @property
    def sedi(self) -> float:
        """Symmetric extremal dependence index; does not fall with the base rate.

        [ln F - ln H - ln(1-F) + ln(1-H)] / [ln F + ln H + ln(1-F) + ln(1-H)] with H = POD and
        F = POFD; NaN where either is 0 or 1.
        """
        h, f = self.pod, self.pofd
        if not (0.0 < h < 1.0 and 0.0 < f < 1.0):
            return NAN
        lf, lh, lnf, lnh = math.log(f), math.log(h), math.log1p(-f), math.log1p(-h)
        return (lf - lh - lnf + lnh) / (lf + lh + lnf + lnh)


def contingency(warned: np.ndarray, happened: np.ndarray) -> Contingency:
    """Table of two boolean vectors."""
    return Contingency(
        hits=float(np.sum(warned & happened)),
        false_alarms=float(np.sum(warned & ~happened)),
        misses=float(np.sum(~warned & happened)),
        quiet=float(np.sum(~warned & ~happened)),
    )


def brier(probability: np.ndarray, happened: np.ndarray) -> float:
    """Mean of (p - o)^2; 0 is perfect."""
    return float(np.mean((probability - happened) ** 2))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Brier score = reliability - resolution + uncertainty, over bins of equal probability.

    Attributes:
        reliability: Mean squared distance of said and seen frequency by bin; 0 is perfect.
        resolution: Spread of the seen frequencies about the base rate; more is better.
        uncertainty: Base rate times its complement.
        points: (mean probability, seen frequency, hours) of each bin that holds any.
    """

    reliability: float
    resolution: float
    uncertainty: float
    points: tuple[tuple[float, float, int], ...]


def reliability(probability: np.ndarray, happened: np.ndarray, bins: int = 10) -> Reliability:
    """Murphy's decomposition over `bins` of equal width; exact where a bin has one probability.

    Raises:
        ValueError: No rows.
    """
    if len(probability) == 0:
        raise ValueError("reliability: no rows")
    place = np.minimum((probability * bins).astype(np.intp), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = np.flatnonzero(counts)
    said = np.bincount(place, probability, bins)[used] / counts[used]
    seen = np.bincount(place, happened, bins)[used] / counts[used]
    share = counts[used] / len(probability)
    base = float(np.mean(happened))
    return Reliability(
        reliability=float(np.sum(share * (said - seen) ** 2)),
        resolution=float(np.sum(share * (seen - base) ** 2)),
        uncertainty=base * (1.0 - base),
        points=tuple(
            (float(p), float(o), int(n)) for p, o, n in zip(said, seen, counts[used], strict=True)
        ),
    )


def slope(rows: float, said: float, seen: float, said_squared: float, both: float) -> float:
    """Slope of happened on probability by least squares, from sums; 1 is reliable, NaN unknown.

    Args:
        rows: Number of hours.
        said: Sum of p.
        seen: Sum of o.
        said_squared: Sum of p^2.
        both: Sum of p * o.
    """
    spread = rows * said_squared - said * said
    return _ratio(rows * both - said * seen, spread) if spread > 1e-12 else NAN


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN
