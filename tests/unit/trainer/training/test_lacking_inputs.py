"""Trainings on records as stations have them: inputs without values, gaps, doubled rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract import golden_windows, missing_inputs
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.kma_fields import tidy
from edge_agent.contract.schema import RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.trained import AS_OF, FEW_PAIRS, WHEN, make_workspace, shrink, train
from tests.fakes.weather import FIRST, SITE, STATION, kma_record, record
from trainer import setup
from trainer.evaluation import dataset, run_folder
from trainer.evaluation.run_folder import LEFT_OUT, UNUSED
from trainer.gate import gate
from trainer.report import report
from trainer.training import candidate, fit, input_dropout, stacking
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = {
    "wind": ("ws", "wd"),
    "pressure": ("pa", "ps"),
    "rain": ("rn",),
    "cloud": ("dc10Tca",),
    "solar": ("ss", "icsr"),
}
"""Group of inputs -> KMA's fields that it is computed from."""

OTHER = 112


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, rounds=8, pairs=FEW_PAIRS)


def _blank(*groups: str) -> pl.DataFrame:
    """Two years of a station without some instruments, as KMA answers them: blank fields."""
    fields = [field for group in groups for field in FIELDS[group]]
    return kma_record().with_columns(pl.lit(None, pl.Float64).alias(field) for field in fields)


def _gap(first: int, days: int = 92) -> pl.DataFrame:
    """Two years without the hours of some days."""
    start = pl.lit(FIRST.replace(tzinfo=None)) + pl.duration(days=first)
    inside = pl.col("tm").is_between(start, start + pl.duration(days=days))
    return kma_record().filter(~inside)


def _made(root: Path, rows: pl.DataFrame) -> Workspace:
    made = setup.create(root, single_key=True)
    settings = root / "trainer.toml"
    settings.write_text(settings.read_text().replace("# threads = 0", "threads = 1"))
    made.lake.merge(STATION, tidy(rows, SITE), "asos", WHEN)
    return Workspace.open(root, {})


def _check(made: Workspace, folder: Path) -> tuple[str, ...]:
    """A run that a device takes and the gate judges; the groups of inputs it was trained without.

    Whatever a device measures of these changes no forecast.
    """
    manifest, files, metrics = run_folder.load(folder)
    bodies = {target: files[one.file.path] for target, one in manifest.models.items()}
    predictors = load_predictors(bodies, len(NAMES))
    golden_windows.replay(
        files[manifest.golden.path], {t: p.predict for t, p in predictors.items()}
    )
    decision, _ = gate.examine(made, folder)
    assert not [one for one in decision.findings if one.rule == "G5" and not one.passed]
    unused = tuple(filter(None, manifest.lineage.get(UNUSED, "").split(",")))
    random = np.random.default_rng(5)
    rows = random.normal(10.0, 5.0, (300, len(NAMES))).astype(np.float32)
    rows[:, NAMES.index("lead")] = random.integers(1, 49, len(rows))
    for target in TARGETS:
        assert metrics.parity[target] < 1e-3
        assert np.isfinite(metrics.scores[target]["model"][24].rmse)
        plain = predictors[target].predict(rows)
        for group in missing_inputs.GROUPS:
            same = np.array_equal(
                plain, predictors[target].predict(missing_inputs.blanked(rows, [group]))
            )
            assert same or group not in unused
        factors = [manifest.widening[target][group] for group in unused]
        assert all(factor == 1.0 for knots in factors for factor in knots)
    return unused


@pytest.mark.parametrize("group", FIELDS)
def test_a_group_without_values_takes_no_part(tmp_path: Path, group: str) -> None:
    """A station without one instrument is trained on, and the run says which inputs are absent."""
    made = _made(tmp_path / "farm", _blank(group))
    assert _check(made, train(made)) == (group,)


def test_a_station_with_two_instruments(tmp_path: Path) -> None:
    """Temperature and humidity are enough; run, report and words of the command name the rest."""
    made = _made(tmp_path / "farm", _blank(*FIELDS))
    told: list[str] = []
    folder = candidate.train(made, AS_OF, champion=None, progress=told.append)
    assert _check(made, folder) == missing_inputs.ALL_BUT_HUMIDITY
    named = "take no part: wind, pressure, rain, cloud, solar"
    assert [line for line in told if named in line]
    assert named in report.build(made, folder).decode()


def test_constant_wind_takes_no_part(tmp_path: Path) -> None:
    """An anemometer that always says the same teaches nothing."""
    rows = kma_record().with_columns(ws=pl.lit(3.0), wd=pl.lit(270.0))
    made = _made(tmp_path / "farm", rows)
    assert _check(made, train(made)) == ("wind",)


@pytest.mark.parametrize("first", [244, 500])
def test_three_months_without_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Autumn may be missing from training, or the window that devices check on be empty."""
    shrink(monkeypatch, rounds=8)  # enough pairs in the other seasons
    made = _made(tmp_path / "farm", _gap(first))
    told: list[str] = []
    folder = candidate.train(made, AS_OF, champion=None, progress=told.append)
    assert _check(made, folder) == ()
    thin = [line for line in told if line.endswith("of SON: its intervals are the whole year's")]
    assert len(thin) == (len(TARGETS) if first == 244 else 0)


def test_doubled_rows_change_nothing(tmp_path: Path) -> None:
    """Rows that come twice, out of order: the run of the record, byte for byte."""
    rows = kma_record()
    doubled = pl.concat([rows, rows.filter(pl.int_range(pl.len()) % 3 == 0)])
    plain, again = (
        train(_made(tmp_path / name, one)) for name, one in (("one", rows), ("two", doubled))
    )
    assert again.name == plain.name
    assert (again / "manifest.json").read_bytes() == (plain / "manifest.json").read_bytes()


def test_a_station_without_humidity_stops_no_other(tmp_path: Path) -> None:
    """The models are those of the other station alone; the run says who was left out, and why."""
    one = make_workspace(tmp_path / "farm")
    alone = run_folder.load(train(one))[0]
    dry = record().with_columns(pl.lit(None, pl.Float64).alias(RELATIVE_HUMIDITY))
    one.lake.merge(OTHER, dry, "asos", WHEN)
    both = Workspace(one.root, msgspec.structs.replace(one.config, stations=(STATION, OTHER)))
    manifest = run_folder.load(train(both))[0]
    assert manifest.models == alone.models
    assert manifest.lineage["stations"] == str(STATION)
    reason = f"station {OTHER}: left out, most of its hours lack {RELATIVE_HUMIDITY}"
    assert manifest.lineage[LEFT_OUT] == reason
    assert {LEFT_OUT, UNUSED}.isdisjoint(alone.lineage)
    assert set(manifest.sites) == {str(STATION)}


def test_what_the_first_station_lacks_is_centred_by_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing pressure counts as the mean pressure, though the first station has no barometer."""
    monkeypatch.setattr(fit, "PAIRS", 4000)
    frame = tidy(_blank("pressure"), SITE)
    split = dataset.split(FIRST, AS_OF, 0.2, 168)
    series = [
        dataset.prepare(number, rows, SITE, dataset.fit_normals(rows, split.train_end))
        for number, rows in ((STATION, frame), (OTHER, record()))
    ]
    column = NAMES.index("sea_level_pressure")
    for order in (series, series[::-1]):
        gram, made = fit._Record.of(order, split, seed=1)
        mean = gram.solve([0, 1, 2], 0).mean[column]
        assert mean == pytest.approx(float(np.nanmean(made.whole[:, column])), abs=3.0)
        assert 1000.0 < mean < 1030.0


def test_a_target_that_the_holdout_lacks(tmp_path: Path) -> None:
    """Nothing to judge by: refused with the target, the days and what to do."""
    end = dataset.split(FIRST, AS_OF, 0.2, 168).train_end.replace(tzinfo=None)
    humid = pl.when(pl.col("tm") < pl.lit(end)).then(pl.col("hm")).alias("hm")
    made = _made(tmp_path / "farm", kma_record().with_columns(humid))
    text = f"^{RELATIVE_HUMIDITY}: no station observed it from 2021-08-11 .*ingest or import more"
    with pytest.raises(BadData, match=text):
        train(made)


def test_a_target_that_only_one_part_of_the_training_has() -> None:
    """No model of the other parts could forecast it: refused with what to do."""
    split = dataset.split(FIRST, AS_OF, 0.2, 168)
    one = dataset.prepare(STATION, record(), SITE, dataset.fit_normals(record(), split.train_end))
    humid = one.truth[RELATIVE_HUMIDITY].copy()
    humid[: dataset.row_of(one, fit._borders(split)[2])] = np.nan
    late = replace(one, truth={**one.truth, RELATIVE_HUMIDITY: humid})
    with pytest.raises(BadData, match=rf"^{RELATIVE_HUMIDITY}: .* within a third .*import more"):
        fit.fit_candidate([late], split, seed=1, threads=1, progress=lambda _: None)


def test_columns_without_values_are_those_that_never_vary() -> None:
    """Blank ones and constant ones, with gaps or without; only of what is measured."""
    matrix = np.random.default_rng(1).normal(size=(50, len(NAMES))).astype(np.float32)
    blank, same, gappy, site = (
        NAMES.index(name) for name in ("pressure", "wind_speed", "solar", "latitude")
    )
    matrix[:, blank], matrix[:, same], matrix[:, site] = np.nan, 3.0, 37.0
    matrix[:, gappy] = np.where(matrix[:, 0] > 0, np.float32(0.0), np.float32(np.nan))
    assert sorted(input_dropout.without_values(matrix)) == sorted((blank, same, gappy))


def test_thin_seasons_are_those_with_too_few_errors_at_a_knot() -> None:
    """A season without hours, and one that lacks a single lead."""
    times = pl.Series(record()[TIME].to_list()).sample(60_000, with_replacement=True, seed=1)
    leads = np.random.default_rng(1).integers(1, 49, len(times))
    month = times.dt.offset_by("9h").dt.month().to_numpy()
    errors = np.where(
        np.isin(month, (9, 10, 11)) | (np.isin(month, (3, 4, 5)) & (leads == 1)), np.nan, 0.5
    )
    assert stacking.thin_seasons(times, leads, errors) == ["MAM", "SON"]
    assert stacking.thin_seasons(times, leads, np.full(len(times), 0.5)) == []
