"""Runs mirrored into a real MLflow: its own server on its SQLite store (`make test-mlflow`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE
from tests.fakes.clock import FakeClock
from tests.fakes.mosquitto import free_port
from tests.fakes.runs import GOOD, POOR, Bench
from tests.fakes.trained import AS_OF, make_workspace
from trainer import cli
from trainer.report import mlflow_mirror
from trainer.workspace.workspace import Workspace

WANTED = "MLflow with its server is not installed (800 MB): run `make test-mlflow`"
mlflow: Any = pytest.importorskip("mlflow", reason=WANTED)
pytest.importorskip("sqlalchemy", reason=WANTED)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own warnings are not this project's
VARIABLE = "TRAINER__TRACKING__MLFLOW_URI"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of an empty MLflow."""
    port = free_port()
    words = [
        *("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--workers", "1"),
        *("--artifacts-destination", str(tmp_path / "artifacts")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with (tmp_path / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _await(f"{address}/health", running)
        yield address
    finally:
        os.killpg(running.pid, 15)
        running.wait(30)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Address of an empty SQLite store without a server, which starts sooner."""
    return f"sqlite:///{tmp_path}/mlflow.db"


def _await(address: str, running: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert running.poll() is None, "the server ended"
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs, the first on stable."""
    root = tmp_path_factory.mktemp("mlflow") / "farm"
    made = Bench(make_workspace(root), FakeClock(AS_OF))
    made.publish(made.run("20211230-first", GOOD))
    made.run("20211231-second", POOR)
    return root


@pytest.fixture
def root(_seed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(_seed, tmp_path / "farm")


def _open(root: Path, uri: str) -> Workspace:
    return Workspace.open(root, {VARIABLE: uri})


def _client(uri: str) -> Any:  # noqa: ANN401 - MLflow's, untyped here
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def _runs(client: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    experiment = client.get_experiment_by_name("weather_24h")
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a run is there twice"
    return {run.info.run_name: run for run in found}


def _live(client: Any, alias: str, name: str = "108_temp") -> str:  # noqa: ANN401 - as above
    version = client.get_model_version_by_alias(name, alias)
    return str(client.get_run(version.run_id).info.run_name)


def test_runs_models_and_stages_are_in_mlflow(
    root: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Names are those promised; what MLflow's ONNX flavour loads is the file that devices run."""
    mlflow_mirror.mirror(_open(root, server))
    assert [r.message for r in caplog.records if r.name == "trainer.report.mlflow_mirror"] == []
    client = _client(server)
    runs = _runs(client)
    assert set(runs) == {"20211230-first", "20211231-second"}
    metrics = runs["20211231-second"].data.metrics
    assert (metrics["rmse_temp"], metrics["rmse_humid"], metrics["rmse"]) == (2.0, 2.0, 2.0)
    assert runs["20211230-first"].data.params["stations"] == "108"
    names = {model.name: model for model in client.search_registered_models()}
    assert set(names) == {"108_temp", "108_humid"}
    assert len(client.search_model_versions("name='108_temp'")) == 2
    assert _live(client, "production") == "20211230-first"
    mlflow.set_tracking_uri(server)
    loaded = mlflow.onnx.load_model("models:/108_temp@production")
    (file,) = (root / "runs/20211230-first/files/models" / AIR_TEMPERATURE).glob("*/model.onnx")
    assert loaded.SerializeToString(deterministic=True) == file.read_bytes()


def test_mirroring_again_adds_nothing(root: Path, store: str) -> None:
    """The mirror can be called at any time, by any command."""
    for _ in range(2):
        mlflow_mirror.mirror(_open(root, store))
    client = _client(store)
    assert len(_runs(client)) == 2
    assert len(client.search_model_versions("name='108_humid'")) == 2


def test_what_was_cut_short_is_logged_again_whole(root: Path, store: str) -> None:
    """A run that was being logged when the power went is replaced, not kept beside."""
    client = _client(store)
    experiment = client.create_experiment("weather_24h")
    client.create_run(
        experiment, run_name="20211230-first", tags={mlflow_mirror.RUN_TAG: "20211230-first"}
    )
    mlflow_mirror.mirror(_open(root, store))
    assert _runs(client)["20211230-first"].data.metrics["rmse_temp"] == 2.0


def test_an_outage_is_one_warning_and_is_made_good(
    root: Path, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With nobody at the address nothing breaks, and the next call brings everything."""
    mlflow_mirror.mirror(_open(root, f"http://127.0.0.1:{free_port()}"))
    assert [record.name for record in caplog.records] == ["trainer.report.mlflow_mirror"]
    mlflow_mirror.mirror(_open(root, store))
    assert len(_runs(_client(store))) == 2


def test_a_rollback_moves_the_alias_back(
    root: Path,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After a rollback by the command, production is the older run; stdout is one document."""
    made = Bench(_open(root, server), FakeClock(AS_OF))
    made.publish(root / "runs" / "20211231-second")
    mlflow_mirror.mirror(made.workspace)
    assert _live(_client(server), "production") == "20211231-second"
    monkeypatch.setenv(VARIABLE, server)
    words = ["rollback", "--to", "1", "--reason", "cold", "--json", "--config", str(root)]
    monkeypatch.setattr(sys, "argv", ["trainer", *words])
    capfd.readouterr()
    assert cli.entry() == 0
    assert json.loads(capfd.readouterr().out)["release"] == 3
    assert _live(_client(server), "production") == "20211230-first"


def test_a_sqlite_file_needs_no_server(root: Path) -> None:
    """A relative file lies in the workspace, its artefacts beside it."""
    mlflow_mirror.mirror(_open(root, "sqlite:///mlflow.db"))
    assert (root / "mlflow.db").is_file()
    assert len(_runs(_client(f"sqlite:///{root}/mlflow.db"))) == 2
    assert list((root / "mlartifacts").rglob("model.onnx"))
