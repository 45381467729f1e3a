"""Runs and releases mirrored to MLflow: the only module that imports it.

Plain files stay the truth. `mirror` brings MLflow up to them, whatever it missed before, and can be
called again at any time:

    experiment weather_24h, one MLflow run a candidate run, named and tagged by its folder
    metrics    rmse_temp, rmse_humid at 24 h; rmse, their plain mean (for sorting; units differ);
               rmse_temp_by_lead, rmse_humid_by_lead with the lead as step; the manifest's scores
    models     <station>_temp, <station>_humid: a version a run, its ONNX file in MLflow's layout
    aliases    staging, canary and production (the channel `stable`) on what is live there
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_agent.contract.errors import BadData, FarmError
from edge_agent.contract.schema import TARGETS, target_limits
from trainer.depot.release_log import ReleaseLog
from trainer.workspace.runs import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trainer.evaluation.holdout_scores import Metrics
    from trainer.workspace.workspace import Workspace

_log = logging.getLogger(__name__)

EXPERIMENT: Final = "weather_24h"
RUN_TAG: Final = "farm_edge.run"
ALIASES: Final = {"staging": "staging", "canary": "canary", "stable": "production"}
_LONGEST_PARAM: Final = 6000
_MANNERS: Final = {
    # MLflow's own defaults would hold a run up for minutes when the server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # No data of a farm goes to third parties.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Standard output belongs to the command, --json above all.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TALKERS: Final = ("mlflow", "alembic", "urllib3")
"""Loggers of every retry and migration; what matters becomes one warning here."""
_FILE: Final = "sqlite:///"


@contextmanager
def mirrored(workspace: Workspace) -> Iterator[None]:
    """Do the work inside, then mirror; a refusal by the gate is news for MLflow too."""
    try:
        yield
    except FarmError:
        mirror(workspace)
        raise
    mirror(workspace)


def mirror(workspace: Workspace) -> None:
    """Bring MLflow up to the workspace's files; does nothing without `[tracking] mlflow_uri`.

    Never raises: what MLflow cannot take is one warning, and the next call makes it good.
    """
    uri = workspace.config.tracking.mlflow_uri
    if not uri:
        return
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient

        for name in _TALKERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        place, artifacts = uri, None
        if uri.startswith(_FILE):
            import_module("sqlalchemy")
            # As every other path of the settings: relative to the workspace.
            place = f"{_FILE}{workspace.root / uri.removeprefix(_FILE)}"
            artifacts = (workspace.root / "mlartifacts").as_uri()
        client = MlflowClient(tracking_uri=place, registry_uri=place)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        _mirror(
            workspace,
            client,
            experiment.experiment_id
            if experiment
            else client.create_experiment(EXPERIMENT, artifacts),
        )
    except ModuleNotFoundError as fault:
        _log.warning(
            "tracking: %s is not installed: pip install 'farm-edge[mlflow]' (a sqlite:// address "
            "needs the whole mlflow); runs are not logged to MLflow",
            fault.name,
        )
    except Exception as fault:  # noqa: BLE001 - a mirror must never break what it mirrors
        _log.warning(
            "tracking: MLflow at %s: %s; the files are whole, the next run logs what is missing",
            uri,
            " ".join(f"{type(fault).__name__}: {fault}".split())[:200],
        )


def _mirror(workspace: Workspace, client: Any, experiment: str) -> None:  # noqa: ANN401 - MlflowClient, untyped here
    logged = _logged(client, experiment)
    runs = workspace.run_store
    for name in runs.listing():
        # With corrections for farms it is the same run again.
        if name in logged or name != plain_name(name):
            continue
        try:
            logged[name] = _log_run(client, experiment, runs.folder(name))
        except BadData as fault:
            # An older format, or a damaged folder: no reason to keep the others back.
            _log.info("tracking: %s is left out: %s", name, fault)
    live = {
        entry.channel: plain_name(entry.run) for entry in ReleaseLog(workspace.records).entries()
    }
    for channel, name in live.items():
        if name in logged:
            _point(client, ALIASES[channel], logged[name])


def _logged(client: Any, experiment: str) -> dict[str, str]:  # noqa: ANN401 - as above
    """Folder name -> MLflow run, of what is there whole; the rest is removed."""
    logged: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        batch = client.search_runs([experiment], page_token=token or None)
        for run in batch:
            name = run.data.tags.get(RUN_TAG)
            if name is not None and run.info.status == "FINISHED":
                logged[name] = run.info.run_id
            elif name is not None:
                # Cut short: it is logged again, whole.
                client.delete_run(run.info.run_id)
        token = batch.token or None
    return logged


def _log_run(client: Any, experiment: str, folder: Path) -> str:  # noqa: ANN401 - as above
    from mlflow.entities import Metric, Param
    from mlflow.models import Model

    from trainer.evaluation import run_folder

    manifest, files, metrics = run_folder.load(folder)
    run = client.create_run(experiment, run_name=folder.name, tags={RUN_TAG: folder.name})
    identity: str = run.info.run_id
    now = run.info.start_time
    client.log_batch(
        identity,
        metrics=[Metric(name, value, now, step) for name, value, step in _figures(metrics)],
        params=[
            Param(name, value[:_LONGEST_PARAM]) for name, value in manifest.lineage.items() if value
        ],
    )
    for name in (run_folder.MANIFEST, run_folder.METRICS):
        client.log_artifact(identity, str(folder / name))
    for target, model in manifest.models.items():
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            (place / "model.onnx").write_bytes(files[model.file.path])
            described = Model(run_id=identity, artifact_path=target)
            described.add_flavor("onnx", data="model.onnx", providers=["CPUExecutionProvider"])
            described.save(str(place / "MLmodel"))
            client.log_artifacts(identity, scratch, target)
        for station in manifest.sites:
            name = f"{station}_{target_limits(target).metric}"
            if not client.search_registered_models(f"name='{name}'"):
                client.create_registered_model(name)
            client.create_model_version(
                name, f"{run.info.artifact_uri}/{target}", identity, await_creation_for=0
            )
    client.set_terminated(identity)
    return identity


def _figures(metrics: Metrics) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of every metric."""
    from trainer.evaluation.holdout_scores import HEADLINE_LEAD, MODEL

    headline = []
    for target in TARGETS:
        short = target_limits(target).metric
        own = metrics.scores[target][MODEL]
        headline.append(own[HEADLINE_LEAD].rmse)
        yield f"rmse_{short}", own[HEADLINE_LEAD].rmse, 0
        for lead, score in sorted(own.items()):
            yield f"rmse_{short}_by_lead", score.rmse, lead
        for name, value in _finite(metrics.headline()[target]).items():
            yield f"{short}_{name}", value, 0
    yield "rmse", sum(headline) / len(headline), 0


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    """SQL knows no NaN."""
    return {name: value for name, value in figures.items() if value == value}  # noqa: PLR0124


def _point(client: Any, alias: str, identity: str) -> None:  # noqa: ANN401 - as above
    for version in client.search_model_versions(f"run_id='{identity}'"):
        model = client.get_registered_model(version.name)
        if str(model.aliases.get(alias)) != str(version.version):
            client.set_registered_model_alias(version.name, alias, version.version)
