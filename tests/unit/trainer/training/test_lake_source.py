"""Many stations, one at a time: who takes part, how origins are thinned, sums that add up."""

from __future__ import annotations

import gc
import weakref
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.features import LOOKBACK_HOURS
from edge_agent.contract.manifest import SiteNormals
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.forecasting.forecaster import place_of
from tests.fakes.trained import AS_OF, WHEN, add_farm, make_workspace
from tests.fakes.weather import FIRST, SITE, STATION, record
from trainer.evaluation import dataset, holdout
from trainer.evaluation.holdout import Holdout
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.training import fit, station_sums
from trainer.training.lake_source import LakeRecord, LakeSource, ready, ready_farms, stations_until
from trainer.training.ridge import Centre, GramSums
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

OTHER, NEW, EMPTY = 112, 119, 90


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two stations with two years, one with two weeks, one with nothing."""
    one = make_workspace(tmp_path_factory.mktemp("many") / "farm")
    one.lake.merge(OTHER, record(seed=3), "asos", WHEN)
    one.lake.merge(NEW, record().tail(24 * 14), "asos", WHEN)
    chosen = (OTHER, STATION, NEW, EMPTY)
    return Workspace(one.root, msgspec.structs.replace(one.config, stations=chosen))


@pytest.fixture(scope="module")
def split() -> dataset.Split:
    """Borders of the record."""
    return dataset.split(FIRST, AS_OF, 0.2, 168)


@pytest.fixture(scope="module")
def sources(made: Workspace, split: dataset.Split) -> list[LakeSource]:
    """The stations that are trained on."""
    return ready(stations_until(made, AS_OF, _unheard), split, {}, _unheard)


def test_new_and_empty_stations_are_left_out(made: Workspace, split: dataset.Split) -> None:
    """The others are trained on in the order of their numbers; who is too new is named."""
    told: list[str] = []
    found = ready(stations_until(made, AS_OF, told.append), split, {}, told.append)
    assert [one.number for one in found] == [STATION, OTHER]
    assert told == [f"station {NEW}: left out, it is new: 2021-12-27 on"]


def test_no_station_at_all(made: Workspace) -> None:
    """Before the first record begins there is nothing to train on, and the text says what to do."""
    with pytest.raises(InputMissing, match=r"stations 112, 108, 119, 90: .*run `trainer ingest`"):
        stations_until(made, datetime(2010, 1, 1, tzinfo=FIRST.tzinfo), _unheard)


def test_a_station_that_lacks_a_target_is_left_out(tmp_path: Path) -> None:
    """Named with the target, also where its hygrometer is stuck; the others are trained on.

    How long such a record is moves no border.
    """
    one = make_workspace(tmp_path / "farm")
    dry = record().with_columns(pl.lit(None, pl.Float64).alias(RELATIVE_HUMIDITY))
    stuck = record().with_columns(pl.lit(50.0).alias(RELATIVE_HUMIDITY))
    earlier = pl.col(TIME) - pl.duration(days=740)
    one.lake.merge(OTHER, pl.concat([dry.with_columns(earlier), dry]), "asos", WHEN)
    one.lake.merge(NEW, stuck, "asos", WHEN)
    made = Workspace(one.root, msgspec.structs.replace(one.config, stations=(OTHER, STATION, NEW)))
    told: list[str] = []
    (found,) = stations_until(made, AS_OF, told.append)
    assert (found.id, found.first) == (STATION, FIRST)
    assert told == [
        f"station {number}: left out, most of its hours lack relative_humidity_pct"
        for number in (OTHER, NEW)
    ]
    alone = Workspace(one.root, msgspec.structs.replace(one.config, stations=(OTHER, EMPTY)))
    with pytest.raises(
        BadData,
        match=r"no station .*station 112: most of its hours lack relative_humidity_pct; "
        r"name a station .* in trainer.toml",
    ):
        stations_until(alone, AS_OF, _unheard)


def test_a_gap_longer_than_the_record_leaves_no_station_out(tmp_path: Path) -> None:
    """A station that paused for years is trained on: its observed hours have the targets."""
    one = make_workspace(tmp_path / "farm")
    resumed = record().with_columns(pl.col(TIME) - pl.duration(days=3 * 740))
    one.lake.merge(OTHER, pl.concat([resumed, record()]), "asos", WHEN)
    made = Workspace(one.root, msgspec.structs.replace(one.config, stations=(OTHER,)))
    (found,) = stations_until(made, AS_OF, _unheard)
    assert found.id == OTHER


def test_a_station_without_values_before_the_training_ends(
    tmp_path: Path, split: dataset.Split
) -> None:
    """It has no normals: left out and named; alone it is refused, with what to do."""
    one = make_workspace(tmp_path / "farm")
    until = pl.when(pl.col(TIME) >= split.train_end).then(pl.col(RELATIVE_HUMIDITY))
    one.lake.merge(OTHER, record().with_columns(until), "asos", WHEN)
    records = [LakeRecord(one, number, SITE, AS_OF, FIRST, AS_OF) for number in (STATION, OTHER)]
    told: list[str] = []
    (found,) = ready(records, split, {}, told.append)
    assert found.number == STATION
    reason = "relative_humidity_pct: climatology: 0 values, at least 49 are needed"
    assert told == [f"station {OTHER}: left out, {reason}"]
    with pytest.raises(BadData, match=rf"no station has normals before 2021-08-04.*{reason}"):
        ready(records[1:], split, {}, _unheard)


def _unheard(_: str) -> None:
    """Nobody listens."""


def test_a_source_is_what_it_says_before_it_is_loaded(sources: list[LakeSource]) -> None:
    """First hour and number of hours are those of the loaded station, which is never kept."""
    for one in sources:
        loaded = one.load()
        assert (one.first, one.hours, one.number) == (loaded.first, loaded.hours, loaded.number)
        assert one.load() is not loaded


@pytest.mark.parametrize("most", [10**6, 3000])
def test_thinned_holdout_is_a_part_of_the_whole(
    sources: list[LakeSource], split: dataset.Split, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Within the bound nothing is left out; beyond it stations, leads and hours share alike."""
    monkeypatch.setattr(holdout, "HOLDOUT_PAIRS", most)
    found = Holdout.of(sources, split, SCORED_LEADS)
    whole = dataset.scoring_pairs(sources, split.holdout, split.last, SCORED_LEADS)
    if most > len(whole):
        assert len(found.leads) == len(whole)
        assert np.array_equal(found.matrix, dataset.gather(_loaded(sources), whole), equal_nan=True)
        return
    assert 0.5 * most < len(found.leads) <= most
    hours = found.times.dt.hour().to_numpy()
    for values in (found.stations, found.leads, hours):
        counts = np.unique(values, return_counts=True)[1]
        assert counts.min() > 0.8 * counts.max()
    assert len(np.unique(hours)) == 24


def test_only_one_station_is_in_memory(
    sources: list[LakeSource], split: dataset.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station is let go of before the next one is read: in training and on the holdout."""
    monkeypatch.setattr(fit, "PAIRS", 2000)
    monkeypatch.setattr(fit, "LINEAR_ROWS", 200)
    alive: list[weakref.ref[np.ndarray]] = []
    real = LakeSource.load

    def load(one: LakeSource) -> dataset.StationSeries:
        gc.collect()
        assert not any(ref() is not None for ref in alive)
        found = real(one)
        alive.append(weakref.ref(found.truth[AIR_TEMPERATURE]))
        return found

    monkeypatch.setattr(LakeSource, "load", load)
    fit._Record.of(sources, split, seed=1)
    Holdout.of(sources, split, SCORED_LEADS)
    assert len(alive) == 4


def test_record_does_not_depend_on_where_stations_are_made_ready(
    sources: list[LakeSource], split: dataset.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stations from the lake, or in memory, or worked out in another order: the same numbers."""
    monkeypatch.setattr(fit, "PAIRS", 4000)
    monkeypatch.setattr(fit, "LINEAR_ROWS", 400)

    def backwards(work: Callable[..., object], items: Iterable[object]) -> Iterable[object]:
        return reversed([work(one) for one in reversed(list(items))])

    gram, one = fit._Record.of(sources, split, seed=1)
    other_gram, other = fit._Record.of(_loaded(sources), split, seed=1, each=backwards)  # type: ignore[arg-type]
    for name in ("leads", "block", "truth", "whole", "thinned", "unseen"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    for target in range(len(TARGETS)):
        a, b = (g.solve([0, 1, 2], target) for g in (gram, other_gram))
        assert np.array_equal(a.weights, b.weights)
    assert len(one.leads) == len(one.whole) > 3000


def test_sums_of_stations_are_those_of_all_their_rows() -> None:
    """Merged sums solve to what all rows solve to; another centre is refused."""
    random = np.random.default_rng(4)
    width = len(NAMES)
    parts = [random.normal(size=(300, width)).astype(np.float32) for _ in range(2)]
    changes = [random.normal(size=(300, 2)) for _ in range(2)]
    whole = GramSums(1, 2)
    for matrix, change in zip(parts, changes, strict=True):
        whole.add(0, 6, matrix, change)
    first, second = GramSums(1, 2), GramSums(1, 2, whole.centre)
    first.add(0, 6, parts[0], changes[0])
    second.add(0, 6, parts[1], changes[1])
    first.merge(second)
    assert np.allclose(first.solve([0], 0).weights, whole.solve([0], 0).weights, atol=1e-6)
    assert whole.centre is not None
    shifted = GramSums(1, 2, Centre(whole.centre.shift + 1.0, whole.centre.scale))
    with pytest.raises(ValueError, match="different centres"):
        first.merge(shifted)


def test_drawn_pairs_lie_in_the_station(sources: list[LakeSource], split: dataset.Split) -> None:
    """Each station's sample holds its own pairs only, all of whose windows are full."""
    pairs = dataset.training_pairs(sources, split.train_end, 500, 1)
    for index, one in enumerate(sources):
        drawn = station_sums.Drawn(one, pairs.alone(index))
        _, sample = station_sums.sums_and_sample(station_sums.Plan(fit._borders(split), 50), drawn)
        here = pairs.take(pairs.series == index)
        hours = [one.first + timedelta(hours=int(h)) for h in here.origins + here.leads]
        assert sample.times.to_list() == hours
        assert here.origins.min() >= LOOKBACK_HOURS


def _loaded(sources: list[LakeSource]) -> list[dataset.StationSeries]:
    return [one.load() for one in sources]


def test_farms_with_a_year_are_trained_on(
    made: Workspace, split: dataset.Split, sources: list[LakeSource]
) -> None:
    """By name, with the nearest station's normals; who brings too little is named.

    What is left out of such a farm's hours to see unseen errors does not change its normals.
    """
    add_farm(made, "vale/a")
    add_farm(made, "hill/edge-1")
    add_farm(made, "hill/new", days=200)
    add_farm(made, "hill/warm", names=(AIR_TEMPERATURE,))
    stations = _normals(sources)
    told: list[str] = []
    found = ready_farms(made, split, AS_OF, stations, told.append)
    assert [str(one.record.id) for one in found] == ["hill/edge-1", "vale/a"]
    assert told == [
        "farm hill/new: left out, it has too few hours before the training ends",
        "farm hill/warm: left out, most of its hours lack relative_humidity_pct",
    ]
    first = found[0]
    assert first.place == place_of(first.record.site, stations)
    assert len({one.number for one in (*found, *sources)}) == 4
    loaded = first.load()
    assert (first.first, first.hours, first.number) == (loaded.first, loaded.hours, loaded.number)
    quarter = split.first + timedelta(days=90)
    assert dataset.without(loaded, split.first, quarter, split.train_end) is loaded
    station = sources[0].load()
    assert dataset.without(station, split.first, quarter, split.train_end) is not station


def _normals(sources: list[LakeSource]) -> dict[str, SiteNormals]:
    return {
        str(one.number): SiteNormals(
            one.place.site.latitude,
            one.place.site.longitude,
            one.place.site.elevation_m,
            dict(one.place.normals),
        )
        for one in sources
    }
