"""Texts of a cold December in Seoul: what they call the lowest is the lowest that is published.

21 to 31 December 2018, a device without a history of alerts, every nine hours. Chances of frost are
all near 1 there, so the most probable hour says nothing of the coldest.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_agent import config
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.schema import OBSERVED, TIME
from edge_agent.core.loaded_release import DeviceRelease
from edge_agent.core.runtime import Runtime
from edge_agent.forecasting.inference import release_predictors
from edge_agent.system.console import run
from tests.fakes.clock import FakeClock
from tests.fakes.trained import shrink
from trainer import cli
from trainer.evaluation import run_folder
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[3] / "shared" / "data" / "asos"
SEOUL = DATA / "asos_hourly_108_2013_2018.parquet"
HOUR = timedelta(hours=1)
FIRST, LAST = datetime(2018, 12, 21, tzinfo=UTC), datetime(2018, 12, 31, 6, tzinfo=UTC)
TRAINED_ON_H = 800 * 24
"""Little more than the shortest record that is trained on."""
LOWEST = re.compile(r"(?:down to|the forecast's lowest is) (-?\d+\.\d)°C at about (?:.*?)(\d\d):00")

pytestmark = pytest.mark.skipif(not SEOUL.is_file(), reason="needs Seoul's record (../shared)")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small training on the hours before that December, by the commands that a person calls."""
    root = tmp_path_factory.mktemp("seoul")
    farm, short = str(root / "farm"), root / "short.parquet"
    rows = pl.read_parquet(SEOUL).sort("tm")
    last = LAST.replace(tzinfo=None) + 9 * HOUR
    rows.filter(pl.col("tm").is_between(last - TRAINED_ON_H * HOUR, last)).write_parquet(short)
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, rounds=8)
        patch.setenv("TRAINER__TRAINING__THREADS", "1")
        patch.setenv("TRAINER__STATIONS", "[108]")
        for words in (
            ("init", "--single-key", farm),
            ("import", "--config", farm, str(short)),
            ("train", "--config", farm),
        ):
            patch.setattr("sys.argv", ["trainer", *words])
            assert run(cli.cli, "trainer") == 0
    return Workspace.open(Path(farm))


@pytest.fixture
def device(workspace: Workspace, tmp_path: Path) -> Iterator[Runtime]:
    """A device at the station, with its hours and that release, which has said nothing yet."""
    (folder,) = {path.parent for path in workspace.runs.glob("*/manifest.json")}
    manifest, files, _ = run_folder.load(folder)
    release = DeviceRelease(manifest, release_predictors(manifest, lambda file: files[file.path]))
    settings = config.decode(b'[device]\nlanguage = "en"\n', "c.toml")
    runtime = Runtime(settings, tmp_path, FakeClock(FIRST), lambda: True)
    runtime.release = lambda: release  # type: ignore[method-assign]
    hours = workspace.lake.observations(108).filter(pl.col(TIME) > FIRST - timedelta(days=20))
    known = [name for name in OBSERVED if name in hours.columns]
    runtime.store.put_hourly("station:108", hours.select(TIME, pl.col(known).cast(pl.Float64)))
    yield runtime
    runtime.close()


def test_a_frost_text_says_the_lowest_of_the_forecast(device: Runtime) -> None:
    """Each text of frost and frost-watch: the minimum of the window, and the hour it comes at."""
    texts = 0
    now = FIRST
    while now <= LAST:
        decision = device.decide(now)
        assert isinstance(decision.forecast, Forecast)
        assert decision.forecast.source is Source.MODEL_RELAYED
        documents: list[dict[str, Any]] = [json.loads(m.payload) for m in decision.messages]
        (forecast,) = (
            one
            for one in documents
            if one.get("quantity") == "air_temperature_c" and "hours" in one
        )
        window = {
            at: hour["value"]
            for hour in forecast["hours"]
            if now < (at := datetime.fromisoformat(hour["valid_at"])) <= now + 24 * HOUR
        }
        lowest = min(window.values())
        for _, _, event in decision.edges:
            said = json.loads(event.payload)
            if said["rule"] not in {"frost", "frost-watch"}:
                continue
            found = LOWEST.search(said["text"])
            assert found, said["text"]
            assert float(found[1]) == pytest.approx(lowest, abs=0.0501), said["text"]
            at = datetime.fromisoformat(said["value_at"])
            assert window[at] == lowest == said["value"]
            assert int(found[2]) == (at.hour + 9) % 24
            texts += 1
        now += 9 * HOUR
    assert texts >= 40
