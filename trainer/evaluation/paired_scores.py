"""Losses and warnings of several forecasts on the same hours of one series, as daily sums.

A triple of series, origin and lead counts where the truth passed quality control and every forecast
has a number. A model without a number is counted as absent, which is a failure of its own. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.hours import korean_clock
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from trainer.evaluation import baselines
from trainer.evaluation.daily_sums import lead_slice
from trainer.evaluation.dataset import times
from trainer.evaluation.dataset import truth as truth_of
from trainer.evaluation.events import EVENTS, normal_counts, normal_probability, normal_rates
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, SCORED_LEADS
from trainer.evaluation.point_scores import common
from trainer.evaluation.quantile_scores import crps_quantiles, interval_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.forecast import TargetForecast
    from trainer.evaluation.daily_sums import DailySums
    from trainer.evaluation.dataset import Pairs, StationSeries
    from trainer.evaluation.hindcast import Hindcast

COLD, HOT = 0.0, 30.0


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Scores on the pairs of one series.

    Attributes:
        series: The series.
        pairs: Of it alone, N of them.
        matrix: Inputs of the pairs, float32 (N, F); the references are made of them.
        damped: Target -> lead -> the two shares of the damped anomaly.
        past: Normal rates of events come from the hours before it, UTC.
        slices: Names of slices that hold every hour of the series.
    """

    series: StationSeries
    pairs: Pairs
    matrix: np.ndarray
    damped: Mapping[str, Mapping[int, tuple[float, float]]]
    past: datetime
    slices: tuple[str, ...]

    def add_to(self, sums: DailySums, hindcasts: Mapping[str, Mapping[str, Hindcast]]) -> None:
        """Add all pairs to daily sums.

        Args:
            sums: Its days hold every target hour.
            hindcasts: Target -> name of the forecast -> its numbers at the pairs.
        """
        for target in hindcasts:
            references = self._references(target)
            hours = self._known(target, references, hindcasts[target], sums)
            if hours is None:
                continue
            for name, values in references.items():
                hours.add_losses(name, values[hours.rows])
            rates = self._rates(target)
            for name, hindcast in hindcasts[target].items():
                hours.add_model(name, hindcast.take(hours.rows), rates)

    def add_guided(
        self,
        sums: DailySums,
        forecasts: Mapping[str, Mapping[str, np.ndarray]],
        models: Mapping[str, Mapping[str, Hindcast]],
    ) -> None:
        """Add the hours at which every forecast of a target has a number, these alone.

        Args:
            sums: Its days hold every target hour.
            forecasts: Target -> name -> points at the pairs.
            models: Target -> name -> points with distributions.
        """
        for target in TARGETS:
            truth = truth_of([self.series], self.pairs, target)
            values = {name: hindcast.values for name, hindcast in models[target].items()}
            rows = np.flatnonzero(common(truth, {**forecasts[target], **values}))
            if len(rows) == 0:
                continue
            hours = self._hours(target, rows, truth, sums)
            for name, points in forecasts[target].items():
                hours.add_losses(name, points[rows])
            rates = self._rates(target)
            for name, hindcast in models[target].items():
                hours.add_model(name, hindcast.take(rows), rates)

    def _references(self, target: str) -> dict[str, np.ndarray]:
        damped = baselines.DampedAnomaly(target, dict(self.damped[target]))
        return baselines.references(self.matrix, self.pairs.leads, damped)

    def _known(
        self,
        target: str,
        references: Mapping[str, np.ndarray],
        hindcasts: Mapping[str, Hindcast],
        sums: DailySums,
    ) -> _KnownHours | None:
        """The triples that count; hours that one model alone lacks are counted as absent."""
        truth = truth_of([self.series], self.pairs, target)
        values = {name: hindcast.values for name, hindcast in hindcasts.items()}
        possible = common(truth, references)
        for name, numbers in values.items():
            missing = int((possible & ~np.isfinite(numbers)).sum())
            sums.absent[target, name] = sums.absent.get((target, name), 0) + missing
        rows = np.flatnonzero(possible & common(truth, values))
        if len(rows) == 0:
            return None
        return self._hours(target, rows, truth, sums)

    def _hours(
        self, target: str, rows: np.ndarray, truth: np.ndarray, sums: DailySums
    ) -> _KnownHours:
        valid = times([self.series], self.pairs)[rows]
        leads = self.pairs.leads[rows]
        return _KnownHours(sums, target, rows, truth[rows], valid, leads, self.slices)

    def _rates(self, target: str) -> dict[str, np.ndarray]:
        hours = self.series.frame[TIME]
        before = hours < self.past
        past = self.series.truth[target][: self.series.hours][before.to_numpy()]
        return {
            event.name: normal_rates(normal_counts(event, hours.filter(before), past))
            for event in EVENTS
            if event.target == target
        }


@dataclass(frozen=True, slots=True)
class _KnownHours:
    """Triples of one series and target at which everything is known: `rows` of its pairs."""

    sums: DailySums
    target: str
    rows: np.ndarray
    truth: np.ndarray
    valid: pl.Series
    leads: np.ndarray
    slices: tuple[str, ...]

    @property
    def days(self) -> np.ndarray:
        """Row of each hour in the sums."""
        local = korean_clock(self.valid).dt.date()
        days: np.ndarray = (local - self.sums.first).dt.total_days().to_numpy().astype(np.intp)
        return days

    def masks(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and mask of each slice; all but the leads are slices of the headline lead."""
        for lead in SCORED_LEADS:
            yield lead_slice(lead), self.leads == lead
        headline = self.leads == HEADLINE_LEAD
        hour = korean_clock(self.valid).dt.hour().to_numpy()
        day = (hour >= 7) & (hour < 19)
        yield "day", headline & day
        yield "night", headline & ~day
        if self.target == AIR_TEMPERATURE:
            yield "cold", headline & (self.truth <= COLD)
            yield "hot", headline & (self.truth >= HOT)
        for name in self.slices:
            yield name, headline

    def add_losses(
        self, name: str, values: np.ndarray, more: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add a forecast's errors; `more` are losses of its distribution by column."""
        error = values - self.truth
        columns = {
            "error": error,
            "absolute": np.abs(error),
            "squared": error**2,
            **(more or {}),
        }
        days = self.days
        for part, rows in self.masks():
            self.sums.add_losses(
                (self.target, part, name),
                days[rows],
                {column: numbers[rows] for column, numbers in columns.items()},
            )

    def add_model(self, name: str, hindcast: Hindcast, rates: Mapping[str, np.ndarray]) -> None:
        """Add a model's losses, and its warnings at the headline lead."""
        forecast = hindcast.distribution(self.target, self.valid, self.leads)
        low, high, lowest, highest = (
            forecast.quantiles[:, int(np.argmin(np.abs(forecast.levels - level)))]
            for level in (0.1, 0.9, 0.05, 0.95)
        )
        truth = self.truth
        losses = {
            "crps": crps_quantiles(truth, forecast.quantiles, forecast.levels),
            "inside_80": ((truth >= low) & (truth <= high)).astype(np.float64),
            "inside_90": ((truth >= lowest) & (truth <= highest)).astype(np.float64),
            "interval_80": interval_score(truth, low, high, 0.8),
        }
        self.add_losses(name, hindcast.values, losses)
        self._add_warnings(name, forecast, rates)

    def _add_warnings(
        self, name: str, forecast: TargetForecast, rates: Mapping[str, np.ndarray]
    ) -> None:
        headline = self.leads == HEADLINE_LEAD
        days, valid = self.days[headline], self.valid.filter(headline)
        for event in EVENTS:
            if event.target != self.target:
                continue
            chance = forecast.probability(event.operator, event.threshold)[headline]
            seen = event.happened(self.truth[headline])
            warned = chance >= event.served
            normal = normal_probability(rates[event.name], valid)
            self.sums.add_warnings(
                (self.target, event.name, name),
                days,
                {
                    "seen": seen.astype(np.float64),
                    "said": chance,
                    "said_squared": chance**2,
                    "both": chance * seen,
                    "brier": (chance - seen) ** 2,
                    "normal_brier": (normal - seen) ** 2,
                    "hits": (warned & seen).astype(np.float64),
                    "false_alarms": (warned & ~seen).astype(np.float64),
                    "misses": (~warned & seen).astype(np.float64),
                },
            )
