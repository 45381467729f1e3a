"""From the hours of a period's stations to evidence: each release on its own normals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS
from edge_agent.forecasting.inference import load_predictors
from trainer.evaluation.daily_sums import CHALLENGER, Evidence
from trainer.evaluation.dataset import gather, prepare, scoring_pairs
from trainer.evaluation.holdout import origin_step
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.evaluation.paired_scores import Judged, Said
from trainer.workspace.stations import by_terrain
from trainer.workspace.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.schema import Site
    from edge_agent.system.ports import Predictor
    from trainer.evaluation.dataset import StationSeries
    from trainer.workspace.lake import Lake


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
    evidence = Evidence.spanning(period.start, period.end)
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
        if len(pairs) == 0:
            return
        matrices = {CHALLENGER: gather([one], pairs)}
        for name in models:
            normals = self._normals(name, models)
            # Preparing is most of the work, and two releases mostly share their normals.
            if name == CHALLENGER or normals == one.place.normals:
                matrices[name] = matrices[CHALLENGER]
            else:
                matrices[name] = gather([self._prepared(name, models)], pairs)
        said = {
            target: {
                name: Said(
                    model.predictors[target].predict(matrices[name]).astype(np.float64),
                    model.manifest.residuals[target],
                )
                for name, model in models.items()
            }
            for target in TARGETS
        }
        Judged(one, pairs, matrices[CHALLENGER], period.damped, period.trained_to, self.places).add(
            evidence, said
        )

    def _normals(self, name: str, models: Mapping[str, Candidate]) -> dict[str, tuple[float, ...]]:
        normals = models[name].manifest.sites.get(str(self.number))
        if normals is None:
            raise BadData(f"the {name} has no normals of station {self.number}")
        return normals.coefficients

    def _prepared(self, name: str, models: Mapping[str, Candidate]) -> StationSeries:
        return prepare(self.number, self.frame, self.site, self._normals(name, models))
