"""The DAG in a real Airflow against the stand-in: a date, the date again, nine missed days.

Airflow brings 400 MB of its own dependencies, so it lives in an environment of its own:
`make test-airflow` makes it and runs this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.kma import KmaStandIn
from tests.fakes.small_trainer import KEY, PROGRAM, settings, tree
from tests.fakes.weather import kma_record
from trainer import setup

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / "build" / "airflow" / "bin" / "airflow"
DAG = "farm_edge_daily"
FIRST, LATER = "2022-01-03", "2022-01-12"

pytestmark = [
    pytest.mark.skipif(not AIRFLOW.exists(), reason="Airflow: run `make test-airflow`"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def kma() -> Iterator[KmaStandIn]:
    """KMA with a little more than two years of hours."""
    with KmaStandIn(kma_record(days=760), key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, kma: KmaStandIn) -> Path:
    """Airflow's home, a workspace, and `trainer` on the path with a small training."""
    folder = tmp_path_factory.mktemp("airflow")
    setup.create(folder / "central", single_key=True)
    program = folder / "bin" / "trainer"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}", "utf-8")
    program.chmod(0o755)
    (folder / "env.json").write_text(
        json.dumps(
            {
                "PATH": f"{program.parent}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "HOME": str(folder),
                "AIRFLOW_HOME": str(folder / "home"),
                "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "FARM_EDGE_START": FIRST,
                "TRAINER_CONFIG": str(folder / "central" / "trainer.toml"),
            }
            | settings(kma)
        )
    )
    airflow(folder, "db", "migrate")
    return folder


def airflow(folder: Path, *arguments: str) -> str:
    """Run Airflow; its output."""
    done = subprocess.run(
        [AIRFLOW, *arguments],
        env=json.loads((folder / "env.json").read_text("utf-8")),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,  # a failed task would wait an hour for its next try
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def run(folder: Path, date: str) -> None:
    """The DAG's run at 02:00 KST of a date."""
    airflow(folder, "dags", "test", DAG, f"{date}T02:00:00+09:00")


def journal(folder: Path, date: str) -> dict[str, object]:
    """What `trainer daily` wrote down about a date."""
    path = folder / "central" / "state" / "daily" / f"{date}.json"
    return dict(json.loads(path.read_bytes()))


def newest_day(folder: Path) -> str:
    """Newest Korean day of the lake."""
    from trainer.workspace.workspace import Workspace

    lake = Workspace.open(folder / "central" / "trainer.toml").lake
    newest = lake.observations(108)["time"][-1] + timedelta(hours=9)
    return f"{newest:%Y-%m-%d}"


def test_the_dag_parses(home: Path) -> None:
    """Airflow finds the DAG with its three tasks and no import error."""
    airflow(home, "dags", "reserialize")
    assert "farm_edge_daily" in airflow(home, "dags", "list")
    assert "No data found" in airflow(home, "dags", "list-import-errors")
    assert {"plan", "ingest", "daily"} <= set(airflow(home, "tasks", "list", DAG).split())


def test_a_date_is_worked_and_again_changes_nothing(home: Path) -> None:
    """One run publishes; the same date again leaves every file of the workspace as it was."""
    run(home, FIRST)
    assert journal(home, FIRST)["release"] == 1
    before = tree(home / "central")
    run(home, FIRST)
    assert tree(home / "central") == before


def test_nine_missed_days_heal(home: Path) -> None:
    """The next run after nine days off fetches what all of them lack."""
    assert newest_day(home) == "2022-01-02"
    run(home, LATER)
    assert newest_day(home) == "2022-01-11"
    assert journal(home, LATER)["run"]
