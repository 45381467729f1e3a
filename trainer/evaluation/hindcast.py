"""Forecasts of past hours by a release's models: the one place where they are made.

The gate, the canary, drift, the report and the corrections for farms all score what `hindcast`
gives. A release is run on its own normals, as a device would run it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import (
    golden_windows,
    guidance_features,
    guided_golden,
    missing_inputs,
    residuals,
)
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS
from edge_agent.contract.stations import station
from edge_agent.forecasting import optional_models
from edge_agent.forecasting.inference import load_predictors, release_predictors
from edge_agent.system.memory_limit import FOR_MODELS, limited_memory
from trainer.evaluation.dataset import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from edge_agent.contract.forecast import TargetForecast
    from edge_agent.contract.manifest import FileRef, Manifest, ResidualTable
    from edge_agent.forecasting.optional_models import OptionalModel
    from edge_agent.system.ports import Predictor
    from trainer.evaluation.dataset import StationSeries


@dataclass(frozen=True, slots=True)
class ReleaseModels:
    """A release or a candidate run that can forecast.

    Attributes:
        manifest: Normals, residual tables and factors of the spread.
        predictors: By target.
        guided: By target, those that correct KMA's forecasts; empty where it has none whose inputs
            this code computes.
        optional: Optional targets that it has.
    """

    manifest: Manifest
    predictors: Mapping[str, Predictor]
    guided: Mapping[str, Predictor] = field(default_factory=dict)
    optional: Mapping[str, OptionalModel] = field(default_factory=dict)

    @property
    def corrects(self) -> bool:
        """Whether it corrects KMA's forecasts, from inputs that this code computes."""
        return guidance_features.computable(self.manifest.guidance) is not None

    @classmethod
    def of(cls, manifest: Manifest, files: Mapping[str, bytes]) -> ReleaseModels:
        """From a manifest and the content of its files by target path.

        Raises:
            BadData: A model cannot be loaded.
        """
        models = {target: files[ref.file.path] for target, ref in manifest.models.items()}
        predictors = load_predictors(models, len(manifest.features.names))

        def read(file: FileRef) -> bytes:
            return files[file.path]

        guidance = guidance_features.computable(manifest.guidance)
        guided = release_predictors(guidance, read) if guidance else {}
        return cls(manifest, predictors, guided, optional_models.load(manifest, read))

    @classmethod
    def tried(cls, manifest: Manifest, files: Mapping[str, bytes]) -> ReleaseModels:
        """The same, after they forecast their golden windows within a limit of memory.

        A run or a release may come from another machine, by a bucket.

        Raises:
            BadData: A model cannot be loaded or run, or takes too much memory.
        """
        with limited_memory(FOR_MODELS, "golden windows"):
            models = cls.of(manifest, files)
            golden_windows.with_predictions(
                files[manifest.golden.path], {t: p.predict for t, p in models.predictors.items()}
            )
            if models.corrects and manifest.guidance:
                guided_golden.replay(
                    files[manifest.guidance.golden.path],
                    {t: p.predict for t, p in models.guided.items()},
                )
            optional_models.replay(manifest, models.optional, lambda file: files[file.path])
        return models


@dataclass(frozen=True, slots=True)
class Hindcast:
    """Forecasts of one target at N pairs of origin and lead.

    Attributes:
        values: In the target's unit, float64 (N,), NaN = no number.
        table: Residuals that lie around them.
        widened: Factor of the spread, one for all or shape (N,).
    """

    values: np.ndarray
    table: ResidualTable
    widened: np.ndarray | float = 1.0

    def take(self, rows: np.ndarray) -> Hindcast:
        """At some of the pairs: a mask or positions."""
        widened = self.widened[rows] if isinstance(self.widened, np.ndarray) else self.widened
        return Hindcast(self.values[rows], self.table, widened)

    def distribution(self, target: str, times: pl.Series, leads: np.ndarray) -> TargetForecast:
        """Points with their quantiles.

        Args:
            target: Quantity; its bounds hold for every quantile.
            times: Target hours, UTC, length N.
            leads: Hours ahead, shape (N,).
        """
        return residuals.apply(
            self.table, target, self.values, times.to_list(), leads, widened=self.widened
        )


def hindcast(
    models: ReleaseModels, matrix: np.ndarray, leads: np.ndarray, *, widened: bool = False
) -> dict[str, Hindcast]:
    """Forecast every target at N pairs of origin and lead.

    Args:
        models: What forecasts.
        matrix: Inputs, float32 (N, F), NaN = missing.
        leads: Hours ahead, shape (N,).
        widened: Whether the spread grows as on a device for instruments that no row has. Stations
            have them all.

    Raises:
        BadData: A model cannot compute these rows.
    """
    lacking = missing_inputs.missing(matrix) if widened else ()
    hindcasts = {}
    for target in TARGETS:
        table = models.manifest.residuals[target]
        values = models.predictors[target].predict(matrix).astype(np.float64)
        factor: np.ndarray | float = 1.0
        if widened:
            factors = models.manifest.widening.get(target, {})
            factor = missing_inputs.widening(factors, lacking, table.leads, leads)
        hindcasts[target] = Hindcast(values, table, factor)
    return hindcasts


def station_series(
    manifest: Manifest, number: int, frame: pl.DataFrame, owner: str
) -> StationSeries:
    """Hours of a station, prepared with the normals of a release.

    Args:
        manifest: The release.
        number: KMA station.
        frame: Its hourly rows, at least one.
        owner: Whose release it is, for the error.

    Raises:
        BadData: The release has no normals of the station.
    """
    return prepare(number, frame, station(number).site, normals_of(manifest, number, owner))


def normals_of(manifest: Manifest, number: int, owner: str) -> dict[str, tuple[float, ...]]:
    """Normals of a station by target; arguments and errors as `station_series`."""
    normals = manifest.sites.get(str(number))
    if normals is None:
        raise BadData(f"{owner} has no normals of station {number}")
    return normals.coefficients
