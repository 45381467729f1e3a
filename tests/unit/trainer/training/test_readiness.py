"""What no training could be finished on is refused before any model is fitted."""

from __future__ import annotations

import shutil
from collections import namedtuple
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract import features
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from tests.fakes.loaded import manifest as loaded
from tests.fakes.trained import AS_OF, WHEN, make_workspace
from tests.fakes.weather import FIRST, STATION, record
from trainer.gate import gate
from trainer.training import candidate, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from trainer.workspace.workspace import Workspace

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil's own


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Workspace without hours, in which a fit would be a fault."""

    def fitted(*_: object, **__: object) -> None:
        raise AssertionError("a model is fitted")

    monkeypatch.setattr(fit, "fit_candidate", fitted)
    made = make_workspace(tmp_path / "farm", days=1)
    shutil.rmtree(tmp_path / "farm" / "lake")
    return made


def _train(
    made: Workspace, rows: pl.DataFrame, judge: Callable[[Collection[date]], None] = print
) -> None:
    made.lake.merge(STATION, rows, "asos", WHEN)
    candidate.train(made, AS_OF, champion=None, progress=print, judge=judge)


def _day(number: int) -> pl.Expr:
    return pl.lit(FIRST + timedelta(days=number))


TIMES = pl.col(TIME)
BAD = {
    "short": (record().filter(_day(350) < TIMES), "observations of 385 days .* 18 more are needed"),
    "two weeks, years apart": (
        record().filter((_day(7) > TIMES) | (_day(726) < TIMES)),
        rf"{AIR_TEMPERATURE}: 168 hours have a value from 2020-01-01 .* 4380 are needed",
    ),
    "only noon": (
        record().filter(TIMES.dt.hour() == 3),
        rf"{AIR_TEMPERATURE}: \d{{3}} hours have a value",
    ),
    "a target that is not measured any more": (
        record().with_columns(pl.when(_day(580) > TIMES).then(RELATIVE_HUMIDITY)),
        rf"{RELATIVE_HUMIDITY}: no station observed it from 2021-08-11",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_too_few_hours(empty: Workspace, case: str) -> None:
    """Length, hours with values, and hours to be judged on."""
    rows, text = BAD[case]
    with pytest.raises(BadData, match=f"{text}.*ingest or import more"):
        _train(empty, rows)


def test_days_that_the_gate_would_find_too_few(empty: Workspace) -> None:
    """The judge hears the days of the holdout with temperature; the gate's names what it needs."""
    heard: list[Collection[date]] = []
    with pytest.raises(AssertionError, match="a model is fitted"):
        _train(empty, record(), judge=heard.append)
    assert len(heard[0]) == 148
    assert min(heard[0]) == date(2021, 8, 11)
    text = "nothing is trained, .* the holdout has 148 days, 97 of them .* at least 180 are needed"
    with pytest.raises(BadData, match=text):
        _train(empty, record(), judge=partial(gate.check_length, None))


def test_hours_that_the_live_release_was_trained_on_do_not_count() -> None:
    """Unless the gate could not compare with it, and then it does not count what it has seen."""
    days = [date(2021, 1, 1) + timedelta(days=number) for number in range(365)]
    live = msgspec.structs.replace(
        loaded(),
        features=msgspec.structs.replace(loaded().features, digest=features.digest()),
        lineage={gate.TRAINED_TO: "2021-06-30T15:00Z"},
    )
    with pytest.raises(BadData, match=r"the holdout has 179 days, 87 of them"):
        gate.check_length(live, days[:-5])
    gate.check_length(live, days)
    gate.check_length(loaded(), days[:-5])


def test_a_full_disk(empty: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that could not be written is not trained."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 99_000_000))
    with pytest.raises(StorageError, match="99 MB are free, 100 are needed for the run: make room"):
        _train(empty, record())
