"""A farm's past hours under the shared models, and with corrections by forward chaining.

Only hours that begin an embargo after the shared models' training count: before, the models knew
the weather of the region, so their errors there are smaller than those on new hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import residuals, site_correction
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.contract.site_correction import KNOTS, Correction
from edge_agent.forecasting.forecaster import place_of
from trainer.evaluation.dataset import WARM_UP_HOURS, gather, prepare, scoring_pairs, times, truth
from trainer.evaluation.hindcast import Hindcast, ReleaseModels, hindcast
from trainer.gate.rules_floor import LEAST_DAYS
from trainer.site_corrections import regression
from trainer.site_corrections.regression import FIRST_DAYS, ForwardChain, ModelErrors
from trainer.workspace.farms import observations

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from trainer.evaluation.dataset import Pairs, StationSeries
    from trainer.gate.decision import Terms
    from trainer.workspace.farms import Farm
    from trainer.workspace.workspace import Workspace

EVERY: Final = 5
"""Each how many-th hour is an origin: five a day, each hour of the day in turn. All hours give the
same corrections and scores within what days differ by, for five times the work."""

_DIGITS: Final = 6
"""Significant digits of what is published: the third is noise already."""


@dataclass(frozen=True, slots=True)
class SharedModels:
    """Shared models with what all farms' corrections need; small enough to be sent to a worker.

    Attributes:
        workspace: Its lake has the farms' hours.
        manifest: The release to be corrected.
        files: ONNX bytes by target path.
        damped: Per target, lead -> the two shares of the damped anomaly.
        terms: Of the gate, without the farm's name and its holdout.
        until: Newest hour that counts, UTC.
    """

    workspace: Workspace
    manifest: Manifest
    files: Mapping[str, bytes]
    damped: Mapping[str, Mapping[int, tuple[float, float]]]
    terms: Terms
    until: datetime


@dataclass(frozen=True, slots=True)
class TargetHistory:
    """One target at the N pairs of a history.

    Attributes:
        shared: Forecasts of the shared model.
        errors: Of these.
        chain: Corrections by forward chaining.
    """

    shared: Hindcast
    errors: ModelErrors
    chain: ForwardChain

    @classmethod
    def of(cls, history: FarmHistory, target: str, shared: Hindcast) -> TargetHistory:
        """Forward-chain one target."""
        leads = history.pairs.leads
        around = residuals.spread(shared.table, history.times, leads)
        errors = ModelErrors(
            terms=history.terms,
            leads=leads,
            days=(history.times - history.times.min()).dt.total_hours().to_numpy() / 24.0,
            errors=truth([history.series], history.pairs, target) - shared.values,
            around=around * np.reshape(shared.widened, (-1, 1)),
        )
        return cls(shared, errors, regression.forward_chain(errors))

    def corrected(self) -> Hindcast:
        """Forecasts with the corrections of former days."""
        widened = self.shared.widened * self.chain.spread
        return Hindcast(self.shared.values + self.chain.change, self.shared.table, widened)

    def correction(self, model: str) -> Correction:
        """Correction fitted on the whole history, for a model by its SHA-256 (hex)."""
        everything = np.ones(len(self.errors.errors), bool)
        return Correction(
            model,
            tuple(tuple(map(_rounded, row)) for row in regression.weights(self.errors)),
            tuple(map(_rounded, regression.spread(self.errors, self.chain.change, everything))),
        )


@dataclass(frozen=True, slots=True)
class FarmHistory:
    """A farm's hours that count, as N pairs of origin and lead.

    Attributes:
        series: The hours.
        pairs: Each EVERY-th origin at each of KNOTS.
        matrix: Inputs, float32 (N, F).
        terms: Of `contract.site_correction`, float64 (N, len(TERMS)).
        times: Target hours, UTC.
    """

    series: StationSeries
    pairs: Pairs
    matrix: np.ndarray
    terms: np.ndarray
    times: pl.Series

    @classmethod
    def of(cls, shared: SharedModels, farm: Farm) -> FarmHistory:
        """Read and prepare.

        Raises:
            BadData: There are none.
            StorageError: The lake cannot be read.
        """
        begin = datetime.fromisoformat(shared.terms.trained_to) + timedelta(
            hours=shared.terms.embargo_hours
        )
        first = begin - timedelta(hours=WARM_UP_HOURS)
        frame = observations(shared.workspace.lake, farm, first, shared.until)
        if frame.is_empty():
            raise too_few(0)
        normals = place_of(farm.site, shared.manifest.sites).normals
        series = prepare(0, frame, farm.site, normals)
        pairs = scoring_pairs([series], begin, shared.until, KNOTS, EVERY)
        if len(pairs) == 0:
            raise too_few(0)
        matrix = gather([series], pairs)
        return cls(series, pairs, matrix, site_correction.terms(matrix), times([series], pairs))

    @property
    def last(self) -> datetime:
        """Newest hour, UTC."""
        newest: datetime = self.series.frame[TIME][-1]
        return newest

    def targets(self, shared: SharedModels) -> dict[str, TargetHistory]:
        """Forecasts and corrections of every target."""
        models = ReleaseModels.of(shared.manifest, shared.files)
        # The spread grows for instruments that the farm never had, as on its device.
        hindcasts = hindcast(models, self.matrix, self.pairs.leads, widened=True)
        return {target: TargetHistory.of(self, target, hindcasts[target]) for target in TARGETS}


def too_few(days: int) -> BadData:
    """Error of a farm with so few days to judge by."""
    return BadData(
        f"{days} days with temperature and humidity can be judged, {LEAST_DAYS} are needed and "
        f"{FIRST_DAYS} before them, all after the shared models' training"
    )


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
