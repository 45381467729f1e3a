"""From a station's hours to evidence: every forecast on the same triples of station, origin, lead.

A triple counts where the truth passed quality control and every forecast has a number; a model
without one is counted as absent, which is a failure of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.feature_table import KOREA_OFFSET_H
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from edge_agent.errors import BadData
from edge_agent.inference import load_predictors
from trainer import baselines
from trainer.dataset import gather, prepare, scoring_pairs, times
from trainer.dataset import truth as truth_of
from trainer.evaluate import common
from trainer.events import EVENTS, normal_counts, normal_probability, normal_rates
from trainer.evidence import (
    CHALLENGER,
    CLIMATOLOGY,
    DAMPED,
    PERSISTENCE,
    Evidence,
    lead_slice,
)
from trainer.holdout import origin_step
from trainer.metrics_quantiles import crps_quantiles, interval_score
from trainer.scoring import HEADLINE_LEAD, SCORED_LEADS
from trainer.stations import by_terrain
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.schema import Site
    from edge_agent.ports import Predictor
    from trainer.dataset import Pairs, StationSeries
    from trainer.lake import Lake

COLD, HOT = 0.0, 30.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model under judgement.

    Attributes:
        manifest: Normals and residual tables.
        predictors: Per target.
    """

    manifest: Manifest
    predictors: Mapping[str, Predictor]

    @classmethod
    def of(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Candidate:
        """From a release's manifest and the files it names."""
        models = {target: files[one.file.path] for target, one in manifest.models.items()}
        return cls(manifest, load_predictors(models, len(manifest.features.names)))


@dataclass(frozen=True, slots=True)
class Period:
    """What is judged.

    Attributes:
        stations: KMA numbers.
        start: First origin, UTC.
        end: Newest observation that counts, UTC.
        trained_to: End of the training targets; normal rates of events come from before it.
        damped: Per target, lead -> the two shares of the damped anomaly, from training hours.
    """

    stations: tuple[int, ...]
    start: datetime
    end: datetime
    trained_to: datetime
    damped: Mapping[str, Mapping[int, tuple[float, float]]]

    @property
    def every(self) -> int:
        """Step between origins that are judged; see `holdout.HOLDOUT_PAIRS`."""
        return origin_step(len(self.stations), self.start, self.end, SCORED_LEADS)


def collect(lake: Lake, period: Period, models: Mapping[str, Candidate]) -> Evidence:
    """Sums over every station of a period.

    Args:
        lake: Observations.
        period: Stations and hours.
        models: By name; CHALLENGER must be among them, the references use its normals.

    Raises:
        BadData: A model has no normals of a station, or there is no hour to judge.
    """
    korea = timedelta(hours=KOREA_OFFSET_H)
    first = (period.start + korea).date()
    evidence = Evidence(first, ((period.end + korea).date() - first).days + 1)
    terrains = by_terrain(period.stations)
    for number in period.stations:
        frame = lake.observations(number, end=period.end)
        if frame.height:
            places = (
                f"station:{number}",
                *(terrain for terrain, here in terrains.items() if number in here),
            )
            one = _Station(number, frame, station_of(number).site, period, places)
            one.add(evidence, models)
    if not evidence.losses:
        raise BadData(
            f"no hour between {period.start:%Y-%m-%d} and {period.end:%Y-%m-%d} can be judged"
        )
    return evidence


@dataclass(frozen=True, slots=True)
class _Station:
    number: int
    frame: pl.DataFrame
    site: Site
    period: Period
    places: tuple[str, ...]

    def add(self, evidence: Evidence, models: Mapping[str, Candidate]) -> None:
        one = self._prepared(CHALLENGER, models)
        period = self.period
        pairs = scoring_pairs([one], period.start, period.end, SCORED_LEADS, period.every)
        matrices = {CHALLENGER: gather([one], pairs)}
        for name in models:
            normals = self._normals(name, models)
            # Preparing is most of the work, and two releases mostly share their normals.
            if name == CHALLENGER or normals == one.place.normals:
                matrices[name] = matrices[CHALLENGER]
            else:
                matrices[name] = gather([self._prepared(name, models)], pairs)
        if len(pairs) == 0:
            return
        for target in TARGETS:
            said = {
                name: model.predictors[target].predict(matrices[name]).astype(np.float64)
                for name, model in models.items()
            }
            references = self._references(target, matrices[CHALLENGER], pairs.leads)
            hours = self._known(one, pairs, target, references, said, evidence=evidence)
            if hours is None:
                continue
            for name, values in references.items():
                hours.losses(evidence, name, values[hours.rows], {})
            rates = self._rates(one, target)
            for name, model in models.items():
                hours.model(evidence, name, said[name][hours.rows], model, rates)

    def _references(
        self, target: str, matrix: np.ndarray, leads: np.ndarray
    ) -> dict[str, np.ndarray]:
        damped = baselines.DampedAnomaly(target, dict(self.period.damped[target]))
        return {
            PERSISTENCE: baselines.persistence(matrix, target),
            CLIMATOLOGY: baselines.climatology(matrix, target),
            DAMPED: damped.predict(matrix, leads),
        }

    def _known(
        self,
        one: StationSeries,
        pairs: Pairs,
        target: str,
        references: Mapping[str, np.ndarray],
        said: Mapping[str, np.ndarray],
        *,
        evidence: Evidence,
    ) -> _Hours | None:
        """The triples that count; what a model lacks among the others' is noted."""
        truth = truth_of([one], pairs, target)
        possible = common(truth, references)
        for name, values in said.items():
            missing = int((possible & ~np.isfinite(values)).sum())
            evidence.absent[target, name] = evidence.absent.get((target, name), 0) + missing
        rows = np.flatnonzero(possible & common(truth, said))
        if len(rows) == 0:
            return None
        valid = times([one], pairs)[rows]
        return _Hours(
            target, rows, truth[rows], valid, _days(valid, evidence), pairs.leads[rows], self.places
        )

    def _rates(self, one: StationSeries, target: str) -> dict[str, np.ndarray]:
        before = one.frame[TIME] < self.period.trained_to
        past = one.truth[target][: one.hours][before.to_numpy()]
        return {
            event.name: normal_rates(normal_counts(event, one.frame[TIME].filter(before), past))
            for event in EVENTS
            if event.target == target
        }

    def _normals(self, name: str, models: Mapping[str, Candidate]) -> dict[str, tuple[float, ...]]:
        normals = models[name].manifest.sites.get(str(self.number))
        if normals is None:
            raise BadData(f"the {name} has no normals of station {self.number}")
        return normals.coefficients

    def _prepared(self, name: str, models: Mapping[str, Candidate]) -> StationSeries:
        return prepare(self.number, self.frame, self.site, self._normals(name, models))


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
        hour = self.valid.dt.offset_by(f"{KOREA_OFFSET_H}h").dt.hour().to_numpy()
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
        self,
        evidence: Evidence,
        name: str,
        values: np.ndarray,
        model: Candidate,
        rates: Mapping[str, np.ndarray],
    ) -> None:
        spread = residuals.apply(
            model.manifest.residuals[self.target],
            self.target,
            values,
            self.valid.to_list(),
            self.leads,
        )
        low, high, lowest, highest = (
            spread.quantiles[:, int(np.argmin(np.abs(spread.levels - level)))]
            for level in (0.1, 0.9, 0.05, 0.95)
        )
        truth = self.truth
        self.losses(
            evidence,
            name,
            values,
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
    local = valid.dt.offset_by(f"{KOREA_OFFSET_H}h").dt.date()
    found: np.ndarray = (local - evidence.first).dt.total_days().to_numpy().astype(np.intp)
    return found
