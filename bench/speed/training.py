"""`trainer train` on six years of one station: time, size of the models, time of a forecast.

    python -m bench.speed.training WORKSPACE [--data FILE.parquet]

Makes WORKSPACE anew and leaves it for other benchmarks. --data: hourly observations of one station
in KMA's names; without, six years of generated climate. Prints the wall time of the training beside
the sum of the LightGBM fits within it, the packed size of both models, and one forecast of both
targets at 48 leads in onnxruntime.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from edge_agent.contract.compression import pack
from edge_agent.system.console import limit_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.contract.manifest import Manifest
    from trainer.workspace.workspace import Workspace

FORECASTS = 2000
SETTINGS = "trainer.toml"


def main() -> None:
    """Train once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    limit_threads()
    if (chosen.workspace / SETTINGS).exists():
        shutil.rmtree(chosen.workspace)
    _train(make_workspace(chosen.workspace, chosen.data))


def make_workspace(root: Path, data: Path | None) -> Workspace:
    """Workspace of one station with its observations; as it is where it exists.

    Args:
        root: Its folder.
        data: Parquet in KMA's names; None = six years of generated climate.
    """
    from edge_agent.contract import kma_fields
    from edge_agent.contract.stations import station
    from trainer import setup
    from trainer.workspace import workspace

    if (root / SETTINGS).exists():
        return workspace.Workspace.open(root, {})
    if data:
        rows = pl.read_parquet(data)
    else:
        from demo.climate import generate
        from demo.places import SEOUL

        first, last = datetime(2013, 1, 1), datetime(2018, 12, 31, 23)  # noqa: DTZ001 - KST
        rows = generate([SEOUL], first, last, seed=1)
    number = int(rows["station"][0])
    created = setup.create(root, single_key=True)
    settings = root / SETTINGS
    settings.write_text(
        settings.read_text().replace("# stations = [108]", f"stations = [{number}]")
    )
    frame = kma_fields.tidy(
        rows.filter(pl.col("station") == number).drop("station"), station(number).site
    )
    created.lake.merge(number, frame, "asos", datetime(2026, 1, 1, tzinfo=UTC))
    return workspace.Workspace.open(root, {})


def _train(workspace: Workspace) -> None:
    from trainer.evaluation import run_folder
    from trainer.training import candidate

    fits: list[float] = []
    with _timed_fits(fits):
        began = time.perf_counter()
        folder = candidate.train(
            workspace, datetime(2026, 1, 1, tzinfo=UTC), champion=None, progress=lambda _: None
        )
        whole = time.perf_counter() - began
    print(
        f"training {whole:.1f} s, {len(fits)} LightGBM fits {sum(fits):.1f} s: "
        f"{whole / sum(fits):.2f} of their sum"
    )
    manifest, files, _ = run_folder.load(folder)
    models = {target: files[model.file.path] for target, model in manifest.models.items()}
    packed = sum(len(pack(body) or body) for body in models.values())
    print(
        f"models of both targets and all leads: {sum(map(len, models.values())):,} bytes, "
        f"{packed:,} packed"
    )
    _forecasts(workspace, manifest, models)


@contextlib.contextmanager
def _timed_fits(seconds: list[float]) -> Iterator[None]:
    """Note how long each call of `lightgbm.train` takes, binning included."""
    import lightgbm

    fit = lightgbm.train

    def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - handed through
        began = time.perf_counter()
        booster = fit(*given, **named)
        seconds.append(time.perf_counter() - began)
        return booster

    lightgbm.train = timed
    try:
        yield
    finally:
        lightgbm.train = fit


def _forecasts(workspace: Workspace, manifest: Manifest, models: dict[str, bytes]) -> None:
    from edge_agent.contract import features
    from edge_agent.contract.quality import clean
    from edge_agent.contract.schema import LEADS
    from edge_agent.contract.stations import station
    from edge_agent.forecasting.inference import load_predictors

    predictors = load_predictors(models, len(manifest.features.names))
    ((number, normals),) = manifest.sites.items()
    place = features.Place(station(int(number)).site, dict(normals.coefficients))
    frame = clean(workspace.lake.observations(int(number))[-features.LOOKBACK_HOURS :])
    table = features.compute(frame, place)
    matrix = features.matrix(table, np.full(len(LEADS), frame.height - 1), np.array(LEADS))
    taken = np.empty(FORECASTS)
    for row in range(FORECASTS):
        began = time.perf_counter()
        for predictor in predictors.values():
            predictor.predict(matrix)
        taken[row] = time.perf_counter() - began
    print(
        f"{len(LEADS)} leads of both targets in onnxruntime: median "
        f"{np.median(taken) * 1e3:.2f} ms, p99 {np.quantile(taken, 0.99) * 1e3:.2f} ms "
        f"of {FORECASTS}"
    )


if __name__ == "__main__":
    main()
