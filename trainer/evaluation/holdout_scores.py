"""Scores of a candidate on its holdout, beside every baseline on the same pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from edge_agent.contract import missing_inputs, residuals
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.schema import TARGETS
from trainer.evaluation import baselines, breakdown
from trainer.evaluation.breakdown import Detail, Spread, Warned
from trainer.evaluation.daily_sums import CLIMATOLOGY
from trainer.evaluation.events import EVENTS, normal_rates
from trainer.evaluation.point_scores import Score, by_lead, coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.contract.forecast import TargetForecast
    from edge_agent.contract.manifest import ResidualTable
    from edge_agent.system.ports import Predictor
    from trainer.evaluation.dataset import Split
    from trainer.evaluation.holdout import Holdout

SCORED_LEADS = (1, 3, 6, 12, 24, 36, 48)
HEADLINE_LEAD = 24
MODEL = "model"
ALL_BUT_HUMIDITY = "all but humidity"


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything measured at training time.

    Attributes:
        holdout_from: First origin, UTC.
        holdout_to: Newest observation, UTC.
        scores: Target -> forecast -> lead -> score.
        coverage_80: Target -> lead -> share of observations inside the 80 % interval.
        parity: Target -> worst difference between ONNX and LightGBM.
        trained_to: End of the training targets, UTC.
        damped: Target -> lead -> the two shares of the damped anomaly, from training hours.
        detail: Target -> scores by season, block, station, of distributions and of events.
        lacking: Target -> group of inputs that a farm may not measure -> RMSE 24 h ahead without
            it; `ALL_BUT_HUMIDITY` stands for a farm with temperature and humidity only.
        guided: Target -> forecast -> lead -> score at the hours that have KMA's forecasts; see
            `guided_hindcast`.
    """

    holdout_from: str
    holdout_to: str
    scores: dict[str, dict[str, dict[int, Score]]]
    coverage_80: dict[str, dict[int, float]]
    parity: dict[str, float] = {}
    trained_to: str = ""
    damped: dict[str, dict[int, tuple[float, float]]] = {}
    detail: dict[str, Detail] = {}
    lacking: dict[str, dict[str, float]] = {}
    guided: dict[str, dict[str, dict[int, Score]]] = {}

    def headline(self) -> dict[str, dict[str, float]]:
        """Figures for the manifest: per target, RMSE of every forecast at 24 h and more."""
        out = {}
        for target, forecasts in self.scores.items():
            figures = {
                f"rmse_24h_{name}": round(scores[HEADLINE_LEAD].rmse, 4)
                for name, scores in forecasts.items()
                if HEADLINE_LEAD in scores
            }
            own = forecasts[MODEL][HEADLINE_LEAD]
            figures |= {
                "mae_24h": round(own.mae, 4),
                "bias_24h": round(own.bias, 4),
                "r2_24h": round(own.r2, 4),
                "rows_24h": float(own.rows),
                "coverage_80_24h": round(self.coverage_80[target][HEADLINE_LEAD], 4),
            }
            figures |= {
                f"rmse_{lead}h_{MODEL}": round(score.rmse, 4)
                for lead, score in forecasts[MODEL].items()
                if lead != HEADLINE_LEAD
            }
            out[target] = figures
        return out


class FittedTables(Protocol):
    """What a training fits besides its models, by target."""

    @property
    def damped(self) -> Mapping[str, baselines.DampedAnomaly]:
        """The damped-anomaly baseline."""

    @property
    def residuals(self) -> Mapping[str, ResidualTable]:
        """Past errors of the models."""

    @property
    def climatology_residuals(self) -> Mapping[str, ResidualTable]:
        """Past errors of the normals."""


def score_holdout(
    holdout: Holdout,
    split: Split,
    predictors: Mapping[str, Predictor],
    fitted: FittedTables,
    *,
    seed_recipe: Callable[[Holdout, str], np.ndarray],
    progress: Callable[[str], None],
) -> Metrics:
    """Score the exported models and all baselines on the holdout.

    Args:
        holdout: Unseen hours.
        split: Borders of the run.
        predictors: The exported graphs, as the agent runs them.
        fitted: Residual tables and the damped baseline.
        seed_recipe: Trains it on the same hours and forecasts a target: float64 (N,), NaN at other
            leads than its own.
        progress: Told each step before it begins; the seed recipe's training is one of its own.
    """
    scored: dict[str, tuple[dict[str, dict[int, Score]], dict[int, float], Detail]] = {}
    for target in TARGETS:
        progress(f"{target}: training of the seed recipe, for comparison")
        seed = seed_recipe(holdout, target)
        progress(f"{target}: scores on the holdout")
        forecasts = {
            MODEL: predictors[target].predict(holdout.matrix).astype(np.float64),
            **baselines.references(holdout.matrix, holdout.leads, fitted.damped[target]),
            "seed_recipe": seed,
        }
        scored[target] = _scores(holdout, target, forecasts, fitted)
    return Metrics(
        holdout_from=f"{split.holdout:%Y-%m-%dT%H:%M}Z",
        holdout_to=f"{split.last:%Y-%m-%dT%H:%M}Z",
        scores={target: scores for target, (scores, _, _) in scored.items()},
        coverage_80={target: covered for target, (_, covered, _) in scored.items()},
        trained_to=f"{split.train_end:%Y-%m-%dT%H:%M}Z",
        damped={
            target: {lead: fitted.damped[target].shares[lead] for lead in SCORED_LEADS}
            for target in TARGETS
        },
        detail={target: detail for target, (_, _, detail) in scored.items()},
        lacking={target: lacking(holdout, target, predictors[target]) for target in TARGETS},
    )


def _scores(
    holdout: Holdout, target: str, forecasts: Mapping[str, np.ndarray], fitted: FittedTables
) -> tuple[dict[str, dict[int, Score]], dict[int, float], Detail]:
    """Scores by lead, coverage of the 80 % interval by lead, and the detail of one target."""
    truth, leads = holdout.truth[target], holdout.leads
    hours = holdout.times.to_list()
    model, normal = (
        residuals.apply(table, target, forecasts[name], hours, leads)
        for table, name in (
            (fitted.residuals[target], MODEL),
            (fitted.climatology_residuals[target], CLIMATOLOGY),
        )
    )
    return (
        by_lead(forecasts, truth, leads),
        coverage_80(model, truth, leads),
        _detail(holdout, target, forecasts, spreads=(model, normal)),
    )


def coverage_80(forecast: TargetForecast, truth: np.ndarray, leads: np.ndarray) -> dict[int, float]:
    """Share of observations inside the 80 % interval at each of `SCORED_LEADS` that has some."""
    low, high = forecast.quantile(P10), forecast.quantile(P90)
    return {
        lead: coverage(*(values[leads == lead] for values in (truth, low, high)))
        for lead in SCORED_LEADS
        if np.isfinite(truth[leads == lead]).any()
    }


def lacking(
    holdout: Holdout, target: str, predictor: Predictor, lead: int = HEADLINE_LEAD
) -> dict[str, float]:
    """RMSE on the holdout without each group of inputs, and with temperature and humidity only."""
    rows = holdout.leads == lead
    matrix = holdout.matrix[rows]
    truth = holdout.truth[target][rows]
    known = np.isfinite(truth)
    missing: dict[str, tuple[str, ...]] = {group: (group,) for group in missing_inputs.GROUPS}
    missing[ALL_BUT_HUMIDITY] = missing_inputs.ALL_BUT_HUMIDITY
    rmse = {}
    for name, groups in missing.items():
        error = predictor.predict(missing_inputs.blanked(matrix, groups)) - truth
        rmse[name] = round(float(np.sqrt(np.mean(error[known] ** 2))), 4)
    return rmse


def _detail(
    holdout: Holdout,
    target: str,
    forecasts: Mapping[str, np.ndarray],
    *,
    spreads: tuple[TargetForecast, TargetForecast],
) -> Detail:
    leads, truth, valid = holdout.leads, holdout.truth[target], holdout.times
    rates = {name: normal_rates(counts) for name, counts in holdout.past.counts.items()}
    by_lead_spread: dict[int, dict[str, Spread]] = {}
    by_event: dict[str, dict[int, Warned]] = {e.name: {} for e in EVENTS if e.target == target}
    for lead in SCORED_LEADS:
        rows = leads == lead
        model, normal = (_rows(forecast, rows) for forecast in spreads)
        times_here = valid.filter(rows)
        by_lead_spread[lead] = breakdown.spread(model, normal, truth[rows], times_here)
        for name, warned in breakdown.events(target, model, truth[rows], times_here, rates).items():
            by_event[name][lead] = warned
    return Detail(
        parts=breakdown.parts(forecasts, truth, leads, valid, holdout.stations, crossed=MODEL),
        spread=by_lead_spread,
        events=by_event,
    )


def _rows(forecast: TargetForecast, rows: np.ndarray) -> TargetForecast:
    return replace(forecast, values=forecast.values[rows], quantiles=forecast.quantiles[rows])
