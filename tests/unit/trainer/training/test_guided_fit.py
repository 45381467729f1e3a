"""Models that correct KMA's forecasts: what they are fitted on, and what follows from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract import residuals
from edge_agent.contract.bundles import ISSUED
from edge_agent.contract.guidance_features import GUIDED_LEADS, NAMES
from edge_agent.contract.hours import hour_of
from edge_agent.contract.residuals import GUIDED_KNOTS
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, TARGETS
from tests.fakes import guided as fakes
from tests.fakes.trained import AS_OF, WHEN, make_workspace
from tests.fakes.weather import STATION, record
from trainer.training import guided_dropout, guided_fit, guided_sample
from trainer.training.forecast_model import UnseenForecasts
from trainer.training.guided_fit import SHARES_OTHERWISE, fit_guided, shares_of
from trainer.training.guided_model import scale_of
from trainer.training.guided_sample import Rows, guided_series, sample
from trainer.training.lake_source import TrainingData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trainer.training.guided_model import GuidedFit
    from trainer.workspace.workspace import Workspace

GUIDANCE, ERROR, BASE = (NAMES.index(name) for name in ("guidance", "error", "base"))
_NO_PAIRS = np.zeros(0, np.intp)
NONE = UnseenForecasts(_NO_PAIRS, _NO_PAIRS, _NO_PAIRS, {t: np.zeros(0) for t in TARGETS})


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        fakes.shrink(patch, rounds=25)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Workspace with two years of hours and of forecasts."""
    made = make_workspace(tmp_path_factory.mktemp("guided") / "farm")
    fakes.archive(made)
    return made


def _data(made: Workspace) -> TrainingData:
    return TrainingData.of(made, AS_OF, {}, lambda _: None)


def _fit(made: Workspace) -> tuple[GuidedFit | None, str]:
    data = _data(made)
    end = data.borders.train_end
    return fit_guided(data.stations, end, NONE, seed=3, threads=1, progress=lambda _: None)


@pytest.fixture(scope="module")
def fitted(made: Workspace) -> GuidedFit:
    """Fitted on all but the newest months."""
    found, note = _fit(made)
    assert found is not None, note
    return found


def test_it_beats_the_forecast_and_its_base_on_unseen_hours(
    made: Workspace, fitted: GuidedFit
) -> None:
    """The error of the place changes over days: it is learned from the newest errors."""
    data = _data(made)
    (series,) = guided_series(data.stations)
    origins = np.arange(hour_of(data.borders.holdout), hour_of(data.borders.last) - 48)
    for lead in (6, 24):
        leads = np.full(len(origins), lead)
        matrix = series.inputs.matrix(AIR_TEMPERATURE, origins, leads)
        truth = series.truth(AIR_TEMPERATURE, origins + leads)
        found = [fitted.models[AIR_TEMPERATURE].predict(matrix), *matrix[:, [GUIDANCE, BASE]].T]
        known = np.isfinite(truth) & np.isfinite(found).all(axis=0)
        own, raw, base = (np.sqrt(np.mean((values - truth)[known] ** 2)) for values in found)
        assert own < 0.98 * raw
        assert own < 0.99 * base


def test_what_a_release_has_of_them(fitted: GuidedFit) -> None:
    """Both targets, intervals at every knot, and the usual shares where nothing can be compared."""
    for target in TARGETS:
        assert fitted.residuals[target].leads == GUIDED_KNOTS
        assert fitted.shares[target] == SHARES_OTHERWISE
        scale = fitted.models[target].scale
        assert scale.shape == (len(GUIDED_LEADS),)
        assert scale[0] < scale[-1]
    assert fitted.places == (STATION,)


def test_nothing_after_the_training_changes_them(
    made: Workspace, fitted: GuidedFit, tmp_path: Path
) -> None:
    """Other hours and other forecasts from the end of the training on: the same trees."""
    end = _data(made).borders.train_end
    other = make_workspace(tmp_path / "farm")
    spoiled = record().with_columns(
        pl.when(pl.col("time") >= end).then(pl.col(name) * 0.5).otherwise(pl.col(name)).alias(name)
        for name in TARGETS
    )
    other.lake.merge(STATION, spoiled[: 740 * 24], "hub", WHEN + timedelta(days=1))
    issues = fakes.guidance()
    late = pl.col(ISSUED) >= end
    fakes.archive(
        other,
        issues.with_columns(pl.when(late).then(0.0).otherwise(pl.col(t)).alias(t) for t in TARGETS),
    )
    again, _ = _fit(other)
    assert again is not None
    for target in TARGETS:
        assert again.models[target].thresholds() == fitted.models[target].thresholds()
    assert again.residuals == fitted.residuals


def test_rows_lack_what_devices_lack(made: Workspace) -> None:
    """Older issues, no newest hour, no hours at all; then the base knows no newest error."""
    data = _data(made)
    drawn = sample(data.stations, data.borders.train_end, NONE, seed=3)
    assert drawn is not None
    matrix, whole = drawn.thinned[AIR_TEMPERATURE], drawn.drawn.inputs[AIR_TEMPERATURE]
    assert len(matrix) == len(drawn.drawn.leads) <= guided_sample.PAIRS
    lost = np.isnan(matrix[:, ERROR])
    assert 0.2 < lost.mean() < 0.3
    steady = matrix[:, NAMES.index("steady_error")]
    assert (matrix[lost, BASE] == matrix[lost, GUIDANCE] + steady[lost]).all()
    cold = np.isnan(matrix[:, [NAMES.index(name) for name in ("error", "error_mean_24h")]])
    assert 0.05 < (cold.all(axis=1) & (steady == 0.0)).mean() < 0.2
    age = NAMES.index("guidance_age")
    older = matrix[:, age] > whole[:, age]
    assert 0.1 < older.mean() <= guided_sample.STALE + 0.02
    always = [NAMES.index(name) for name in guided_dropout._ALWAYS]
    assert np.isfinite(matrix[:, always]).all()
    others = [column for column in range(len(NAMES)) if column not in always]
    assert np.isnan(matrix[:, others]).any(axis=0).all()
    ahead = np.bincount(drawn.drawn.leads, minlength=67)
    assert ahead[1:5].sum() > 4 * ahead[40:44].sum() > 0


def test_too_short_an_archive_gives_none(made: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason has both numbers; without any archive it is another one."""
    monkeypatch.setattr(guided_fit, "LEAST_DAYS", 10_000)
    found, note = _fit(made)
    assert found is None
    assert note.endswith("10000 are needed")


def test_without_an_archive_there_is_a_note(tmp_path: Path) -> None:
    """It says that the archive has nothing of the cells."""
    found, note = _fit(make_workspace(tmp_path / "farm"))
    assert found is None
    assert note.startswith("the archive has no KMA forecasts")


def test_intervals_are_half_the_seasons_and_half_the_years() -> None:
    """Errors up to 1 in winter and to 3 in summer: the year's highest is 3, winter's is then 2."""
    hours = np.arange(4 * 365 * 24)
    season, _ = residuals.cells(guided_sample.times_of(hours))
    size = np.where(season == 0, 1.0, 3.0) * np.where(hours // 24 % 2, 1.0, -1.0)
    kept = (season == 0) | (season == 2)
    hours, size = hours[kept], size[kept]
    leads = np.array(GUIDED_KNOTS)[np.arange(len(hours)) // 48 % len(GUIDED_KNOTS)]
    table = np.array(guided_fit.intervals(hours, leads, size).quantiles)
    top = residuals.LEVELS.index(0.99)
    assert table[0, :, :, top] == pytest.approx(np.full((8, len(GUIDED_KNOTS)), 2.0))
    assert table[2, :, :, top] == pytest.approx(np.full((8, len(GUIDED_KNOTS)), 3.0))


def test_scale_is_the_error_of_the_base_by_lead() -> None:
    """Root mean square over neighbouring leads; leads without errors lie between the others."""
    leads = np.repeat([1, 2, 3, 4, 5, 66], 50)
    errors = np.where(leads == 66, 4.0, 2.0) * np.tile([1.0, -1.0], 150)
    scale = scale_of(leads, np.append(errors[:-1], np.nan), 66)
    assert scale[:5] == pytest.approx(np.full(5, 2.0))
    assert scale[65] == pytest.approx(4.0)
    assert 2.0 < scale[40] < 4.0


def test_shares_are_those_of_the_smaller_errors() -> None:
    """Weights by what each knows alone: 0.8 where its error has a quarter of the variance."""
    dice = np.random.default_rng(1)
    leads = np.tile(LEADS, 2000)
    truth = dice.normal(0.0, 5.0, len(leads))
    other, own = truth + 2.0 * dice.normal(size=len(leads)), truth + dice.normal(size=len(leads))
    own[leads > 40] = other[leads > 40]
    rows = Rows(leads, leads, leads, {AIR_TEMPERATURE: truth}, {}, {AIR_TEMPERATURE: other})
    shares = shares_of(AIR_TEMPERATURE, rows, own)
    assert np.array(shares[:35]) == pytest.approx(np.full(35, 0.8), abs=0.03)
    assert len(shares) == len(LEADS)
