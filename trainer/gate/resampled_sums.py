"""Figures of a slice of daily sums: the value, and one per resampling of the days. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from trainer.evaluation.bootstrap import weights
from trainer.evaluation.daily_sums import LOSSES, REFERENCES, WARNINGS, lead_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.evaluation.daily_sums import DailySums


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one rule found.

    Attributes:
        rule: Its number, as in `docs/gate.md`.
        target: Quantity, or empty where the rule is about the run as a whole.
        part: Lead, season, slice or event; may be empty.
        passed: Whether it holds; always true where it does not count.
        counted: False where there is too little to decide by; the figures are shown only.
        text: The figures in words.
    """

    rule: str
    target: str
    part: str
    passed: bool
    counted: bool
    text: str

    def reason(self) -> str:
        """One line for a refusal."""
        where = " ".join(word for word in (self.target, self.part) if word)
        return f"{self.rule} {where}: {self.text}" if where else f"{self.rule} {self.text}"


@dataclass(frozen=True, slots=True)
class SliceSums:
    """SliceSums of a slice: the point value, and one per resampled record.

    Attributes:
        point: By name.
        draws: By name, shape (draws,).
        days: Days with any hour.
    """

    point: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    days: int

    def rmse(self) -> float:
        """Root mean square error."""
        return float(np.sqrt(self.point["squared"] / self.point["rows"]))

    def mean(self, name: str) -> float:
        """Mean of a column."""
        return self.point[name] / self.point["rows"]


class ResampledSums:
    """Daily sums, with one resampling of their days that all figures share.

    Args:
        daily_sums: Of a candidate and what it is compared with.
        seed: Of the resampling.
    """

    def __init__(self, daily_sums: DailySums, seed: int) -> None:
        self.daily_sums = daily_sums
        self._weights = weights(daily_sums.days, seed)
        self._seasons = daily_sums.seasons()

    def losses(self, target: str, part: str, forecast: str, season: int | None = None) -> SliceSums:
        """Sums of a slice, of one season only where given; no days where there are none."""
        return self._sums(self.daily_sums.losses, LOSSES, (target, part, forecast), season)

    def warnings(self, target: str, event: str, forecast: str) -> SliceSums:
        """Sums of an event; `days` are those on which it happened."""
        key = (target, event, forecast)
        sums = self._sums(self.daily_sums.warnings, WARNINGS, key, None)
        seen = self.daily_sums.warnings[key][:, WARNINGS.index("seen")]
        return SliceSums(sums.point, sums.draws, int(np.sum(seen > 0)))

    def parts(self, target: str, forecast: str) -> list[str]:
        """Slices there are."""
        keys = self.daily_sums.losses
        return [part for t, part, name in keys if (t, name) == (target, forecast)]

    def best_reference(self, target: str, lead: int) -> str:
        """The reference with the smallest error at a lead."""
        part = lead_slice(lead)
        return min(REFERENCES, key=lambda name: self.losses(target, part, name).point["squared"])

    def daily(self, target: str, part: str, forecast: str, other: str) -> np.ndarray:
        """Daily mean of squared error, first less second, on days with hours, in order."""
        column = LOSSES.index("squared")
        first = self.daily_sums.losses[target, part, forecast]
        second = self.daily_sums.losses[target, part, other]
        used = first[:, 0] > 0
        differences: np.ndarray = (first[used, column] - second[used, column]) / first[used, 0]
        return differences

    def mean_of_daily(self, target: str, part: str, forecast: str, other: str) -> np.ndarray:
        """Resampled means of `daily`, shape (draws,)."""
        used = self.daily_sums.losses[target, part, forecast][:, 0] > 0
        chosen = self._weights[:, used]
        differences = self.daily(target, part, forecast, other)
        means: np.ndarray = (chosen @ differences) / np.maximum(chosen.sum(axis=1), 1.0)
        return means

    def _sums(
        self,
        table: Mapping[tuple[str, str, str], np.ndarray],
        names: tuple[str, ...],
        key: tuple[str, str, str],
        season: int | None,
    ) -> SliceSums:
        chosen = slice(None) if season is None else self._seasons == season
        daily = table[key][chosen]
        total = daily.sum(axis=0)
        drawn = self._weights[:, chosen] @ daily
        return SliceSums(
            dict(zip(names, map(float, total), strict=True)),
            dict(zip(names, drawn.T, strict=True)),
            int(np.sum(daily[:, 0] > 0)),
        )


def ratio(own: SliceSums, other: SliceSums, name: str) -> tuple[float, np.ndarray]:
    """Ratio of two sums over the same hours: the value, and one per draw that has any hour."""
    drawn = other.draws[name] > 0
    value = own.point[name] / other.point[name] if other.point[name] > 0 else np.inf
    return value, own.draws[name][drawn] / other.draws[name][drawn]


def rmse_ratio(own: SliceSums, other: SliceSums) -> tuple[float, np.ndarray]:
    """Ratio of root mean square errors over the same hours."""
    value, draws = ratio(own, other, "squared")
    return float(np.sqrt(value)), np.sqrt(draws)


def upper(draws: np.ndarray, confidence: float) -> float:
    """One-sided upper bound; infinite without draws."""
    return float(np.quantile(draws, confidence)) if len(draws) else np.inf


def lower(draws: np.ndarray, confidence: float) -> float:
    """One-sided lower bound; minus infinity without draws."""
    return float(np.quantile(draws, 1.0 - confidence)) if len(draws) else -np.inf
