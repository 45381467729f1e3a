"""One series of hours under judgement: what every forecast says of the same triples, as evidence.

A triple of series, origin and lead counts where the truth passed quality control and every forecast
has a number; a model without one is counted as absent, which is a failure of its own. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.hours import korean_clock
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from trainer.evaluation import baselines
from trainer.evaluation.daily_sums import CLIMATOLOGY, DAMPED, PERSISTENCE, lead_slice
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

    from edge_agent.contract.manifest import ResidualTable
    from trainer.evaluation.daily_sums import Evidence
    from trainer.evaluation.dataset import Pairs, StationSeries

COLD, HOT = 0.0, 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says of one target at N pairs.

    Attributes:
        values: Shape (N,), NaN = no number.
        table: Residuals that lie around them.
        widened: Factor of the spread, one for all or shape (N,).
    """

    values: np.ndarray
    table: ResidualTable
    widened: np.ndarray | float = 1.0

    def take(self, rows: np.ndarray) -> Said:
        """At some of the pairs."""
        widened = self.widened[rows] if isinstance(self.widened, np.ndarray) else self.widened
        return Said(self.values[rows], self.table, widened)


@dataclass(frozen=True, slots=True)
class Judged:
    """Pairs of one series.

    Attributes:
        one: The series.
        pairs: Of it alone, N of them.
        matrix: Inputs of the pairs, float32 (N, F); the references are made of them.
        damped: Per target, lead -> the two shares of the damped anomaly.
        past: Normal rates of events come from the hours before it, UTC.
        places: Names of slices that hold every hour of the series.
    """

    one: StationSeries
    pairs: Pairs
    matrix: np.ndarray
    damped: Mapping[str, Mapping[int, tuple[float, float]]]
    past: datetime
    places: tuple[str, ...]

    def add(self, evidence: Evidence, said: Mapping[str, Mapping[str, Said]]) -> None:
        """Add the sums of all pairs to evidence.

        Args:
            evidence: Its days hold every target hour.
            said: Target -> forecast -> what it says.
        """
        for target in TARGETS:
            references = self._references(target)
            hours = self._known(target, references, said[target], evidence)
            if hours is None:
                continue
            for name, values in references.items():
                hours.losses(evidence, name, values[hours.rows], {})
            rates = self._rates(target)
            for name, one in said[target].items():
                hours.model(evidence, name, one.take(hours.rows), rates)

    def _references(self, target: str) -> dict[str, np.ndarray]:
        damped = baselines.DampedAnomaly(target, dict(self.damped[target]))
        return {
            PERSISTENCE: baselines.persistence(self.matrix, target),
            CLIMATOLOGY: baselines.climatology(self.matrix, target),
            DAMPED: damped.predict(self.matrix, self.pairs.leads),
        }

    def _known(
        self,
        target: str,
        references: Mapping[str, np.ndarray],
        said: Mapping[str, Said],
        evidence: Evidence,
    ) -> _Hours | None:
        """The triples that count; what a model lacks among the others' is noted."""
        truth = truth_of([self.one], self.pairs, target)
        values = {name: one.values for name, one in said.items()}
        possible = common(truth, references)
        for name, numbers in values.items():
            missing = int((possible & ~np.isfinite(numbers)).sum())
            evidence.absent[target, name] = evidence.absent.get((target, name), 0) + missing
        rows = np.flatnonzero(possible & common(truth, values))
        if len(rows) == 0:
            return None
        valid = times([self.one], self.pairs)[rows]
        days = _days(valid, evidence)
        return _Hours(target, rows, truth[rows], valid, days, self.pairs.leads[rows], self.places)

    def _rates(self, target: str) -> dict[str, np.ndarray]:
        one = self.one
        before = one.frame[TIME] < self.past
        past = one.truth[target][: one.hours][before.to_numpy()]
        return {
            event.name: normal_rates(normal_counts(event, one.frame[TIME].filter(before), past))
            for event in EVENTS
            if event.target == target
        }


@dataclass(frozen=True, slots=True)
class _Hours:
    """Triples of one station and target at which everything is known: `rows` of its pairs."""

    target: str
    rows: np.ndarray
    truth: np.ndarray
    valid: pl.Series
    days: np.ndarray
    leads: np.ndarray
    places: tuple[str, ...]

    def slices(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and rows; all but the leads at the headline lead."""
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
        for place in self.places:
            yield place, headline

    def losses(
        self,
        evidence: Evidence,
        name: str,
        values: np.ndarray,
        more: Mapping[str, np.ndarray],
    ) -> None:
        error = values - self.truth
        columns = {"error": error, "absolute": np.abs(error), "squared": error**2, **more}
        for part, rows in self.slices():
            evidence.add_losses(
                (self.target, part, name),
                self.days[rows],
                {column: numbers[rows] for column, numbers in columns.items()},
            )

    def model(
        self, evidence: Evidence, name: str, said: Said, rates: Mapping[str, np.ndarray]
    ) -> None:
        spread = residuals.apply(
            said.table,
            self.target,
            said.values,
            self.valid.to_list(),
            self.leads,
            widened=said.widened,
        )
        low, high, lowest, highest = (
            spread.quantiles[:, int(np.argmin(np.abs(spread.levels - level)))]
            for level in (0.1, 0.9, 0.05, 0.95)
        )
        truth = self.truth
        self.losses(
            evidence,
            name,
            said.values,
            {
                "crps": crps_quantiles(truth, spread.quantiles, spread.levels),
                "inside_80": ((truth >= low) & (truth <= high)).astype(np.float64),
                "inside_90": ((truth >= lowest) & (truth <= highest)).astype(np.float64),
                "interval_80": interval_score(truth, low, high, 0.8),
            },
        )
        headline = self.leads == HEADLINE_LEAD
        for event in EVENTS:
            if event.target != self.target:
                continue
            chance = spread.probability(event.operator, event.threshold)[headline]
            seen = event.happened(truth[headline])
            warned = chance >= event.served
            normal = normal_probability(rates[event.name], self.valid.filter(headline))
            evidence.add_warnings(
                (self.target, event.name, name),
                self.days[headline],
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


def _days(valid: pl.Series, evidence: Evidence) -> np.ndarray:
    local = korean_clock(valid).dt.date()
    found: np.ndarray = (local - evidence.first).dt.total_days().to_numpy().astype(np.intp)
    return found
