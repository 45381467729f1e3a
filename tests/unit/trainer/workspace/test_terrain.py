"""Coast, inland and mountain: which station is what, and that each is scored by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from edge_agent.contract.stations import by_terrain, station
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, Bench, lower_floor
from tests.fakes.trained import AS_OF, WHEN, make_workspace
from tests.fakes.weather import FIRST, STATION, record
from trainer.evaluation import breakdown, run_folder
from trainer.evaluation.daily_sums import CHALLENGER, from_bytes
from trainer.gate import gate

if TYPE_CHECKING:
    from pathlib import Path

INCHEON, DAEGWALLYEONG, ULLEUNGDO = 112, 100, 115


@pytest.mark.parametrize(
    ("number", "terrain"),
    [(STATION, "inland"), (INCHEON, "coast"), (DAEGWALLYEONG, "mountain"), (ULLEUNGDO, "coast")],
)
def test_terrain_of_a_station(number: int, terrain: str) -> None:
    """By distance to the sea first, then by height: an island's hill is coast."""
    assert station(number).terrain == terrain


def test_one_station_has_no_terrain_of_its_own() -> None:
    """It would be the same slice told twice."""
    assert by_terrain([STATION]) == {}
    assert by_terrain([DAEGWALLYEONG, INCHEON, ULLEUNGDO]) == {
        "coast": [INCHEON, ULLEUNGDO],
        "mountain": [DAEGWALLYEONG],
    }


def test_the_gate_sums_by_terrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a station of each kind, slices are the stations' sums; references are there too."""
    lower_floor(monkeypatch)
    made = make_workspace(tmp_path / "farm")
    for number in (INCHEON, ULLEUNGDO):
        made.lake.merge(number, record()[: 735 * 24], "asos", WHEN)
    bench = Bench(made, FakeClock(AS_OF))
    folder = bench.run("one", GOOD)
    manifest = run_folder.load(folder)[0]
    (site,) = manifest.sites.values()
    numbers = (STATION, INCHEON, ULLEUNGDO)
    folder = bench.run(
        "many",
        GOOD,
        sites={str(number): site for number in numbers},
        lineage={**manifest.lineage, "stations": ",".join(map(str, numbers))},
    )
    sums = from_bytes(gate.examine(made, folder)[1]).losses
    for target in TARGETS:
        for name in (CHALLENGER, "persistence"):
            inland, coast = sums[target, "inland", name], sums[target, "coast", name]
            assert np.array_equal(inland[:, :4], sums[target, f"station:{STATION}", name][:, :4])
            one, other = (sums[target, f"station:{n}", name] for n in (INCHEON, ULLEUNGDO))
            assert np.allclose(coast[:, :4], (one + other)[:, :4])
            assert coast[:, 0].sum() > 1000
    assert (AIR_TEMPERATURE, "mountain", CHALLENGER) not in sums


def test_scores_are_told_by_terrain() -> None:
    """The rows of a terrain are those of its stations."""
    times = pl.datetime_range(FIRST, FIRST.replace(day=2), "1h", eager=True, closed="left")
    stations = np.repeat([STATION, INCHEON, ULLEUNGDO], 8)
    said = np.where(stations == STATION, 1.0, 2.0)
    leads = np.full(24, 24)
    found = breakdown.parts(
        {"model": said}, np.zeros(24), leads, times.alias(TIME), stations, crossed="model"
    )["model"][24]
    assert msgspec.to_builtins(found["inland"]) == [8, 1.0, 1.0, 1.0]
    assert msgspec.to_builtins(found["coast"]) == [16, 2.0, 2.0, 2.0]
    assert "mountain" not in found
