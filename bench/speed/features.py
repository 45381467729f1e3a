"""Seventeen lag and rolling features of 90 stations x 5 years: our engine beside others.

    python -m bench.speed.features [--stations 90] [--years 5] [--rounds 7]

Every engine starts from the tables it likes best and ends with float32 columns; all take turns in
one process, and their numbers are compared before the clock starts. pandas and mlforecast live in
an environment of their own, build/bench-venv, which the first run makes (700 MB).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from edge_agent.contract import rolling as rolling_windows
from edge_agent.contract.feature_table import ORIGIN_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

ENVIRONMENT = ROOT / "build/bench-venv"
PEERS = ("mlforecast==1.1.0", "pandas", "pyarrow", "polars", "numpy", "msgspec")
CHOSEN = tuple(w for w in ORIGIN_WINDOWS if w.series == "temperature" and w.kind != "change")
"""Eight lags of 1 to 72 h, six means of 3 to 168 h, deviation, minimum and maximum of 24 h."""


def ours(values: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """`contract.windows`, as `features.compute` calls it: a station at a time, one thread."""
    frames = [pl.DataFrame({"value": station}) for station in values]
    return lambda: [rolling_windows.statistics(f["value"].to_numpy(), CHOSEN) for f in frames]


def polars_rolling(values: np.ndarray) -> Callable[[], list[pl.DataFrame]]:
    """Polars' own rolling functions."""
    frames = [pl.DataFrame({"value": station}) for station in values]
    value = pl.col("value")
    columns = [
        (
            value.shift(w.hours)
            if w.kind == "lag"
            else getattr(value, f"rolling_{w.kind}")(w.hours, min_samples=(w.hours + 1) // 2)
        )
        .cast(pl.Float32)
        .alias(w.name)
        for w in CHOSEN
    ]
    return lambda: [frame.select(columns) for frame in frames]


def pandas(values: np.ndarray) -> Callable[[], list[Any]]:
    """What one would write first."""
    pd = importlib.import_module("pandas")

    def station(value: Any) -> Any:  # noqa: ANN401 - a library without types
        columns = {}
        for w in CHOSEN:
            if w.kind == "lag":
                column = value.shift(w.hours)
            else:
                column = getattr(value.rolling(w.hours, min_periods=(w.hours + 1) // 2), w.kind)()
            columns[w.name] = column.astype("float32")
        return pd.DataFrame(columns)

    series = [pd.Series(each) for each in values]
    return lambda: [station(each) for each in series]


def mlforecast(values: np.ndarray, library: str) -> Callable[[], Any]:
    """Its preprocessing with all threads; its lag 1 is our present, as it looks from the target."""
    transforms = importlib.import_module("mlforecast.lag_transforms")
    forecaster = importlib.import_module("mlforecast").MLForecast

    stations, hours = values.shape
    table = importlib.import_module(library).DataFrame(
        {
            "unique_id": np.repeat(np.arange(stations), hours),
            "ds": np.tile(np.arange(hours), stations),
            "y": values.ravel().astype(np.float32),
        }
    )
    rolling = [
        getattr(transforms, f"Rolling{w.kind.title()}")(w.hours, (w.hours + 1) // 2)
        for w in CHOSEN
        if w.kind != "lag"
    ]

    def run() -> Any:  # noqa: ANN401 - a frame of either library
        engine = forecaster(
            models=[],
            freq=1,
            lags=[w.hours + 1 for w in CHOSEN if w.kind == "lag"],
            lag_transforms={1: rolling},
            num_threads=os.cpu_count(),
        )
        return engine.preprocess(table, static_features=[], dropna=False)

    return run


def agree(values: np.ndarray) -> float:
    """Largest difference of any engine's number from ours, over the first stations."""
    few = values[:3]
    own = np.stack(ours(few)())
    others = [
        np.stack([frame.to_numpy().T for frame in engine(few)()])
        for engine in (polars_rolling, pandas)
    ]
    theirs = mlforecast(few, "polars")().to_numpy()[:, 3:]
    seen_from_target = theirs.reshape(len(few), -1, len(CHOSEN)).transpose(0, 2, 1)[:, :, 1:]
    return max(
        float(np.nanmax(np.abs(left - right)))
        for left, right in [(own[:, :, :-1], seen_from_target), *((own, other) for other in others)]
    )


def main() -> None:
    """Make the environment, or measure where it is this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=90)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    if importlib.util.find_spec("mlforecast") is None:
        sys.exit(_in_own_environment())
    random = np.random.default_rng(1)
    hours = np.arange(chosen.years * 8760)
    daily = (
        12.0 + 10.0 * np.sin(hours / 8766.0 * 2.0 * np.pi) + 4.0 * np.sin(hours / 24 * 2 * np.pi)
    )
    noise = random.normal(0.0, 3.0, (chosen.stations, len(hours)))
    # A tenth of a degree is what a station reports; ours wants the nearest of its own units.
    values = np.round(np.round(daily + noise, 1) * rolling_windows.UNITS) / rolling_windows.UNITS
    print(f"largest difference of any two engines: {agree(values):.1e}")
    engines = {
        "ours": ours(values),
        "mlforecast, from polars": mlforecast(values, "polars"),
        "mlforecast, from pandas": mlforecast(values, "pandas"),
        "polars rolling": polars_rolling(values),
        "pandas": pandas(values),
    }
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(chosen.rounds):
        for name, run in engines.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print(
        f"{len(CHOSEN)} features, {values.shape[0]} stations x {values.shape[1]} hours, "
        f"{chosen.rounds} rounds"
    )
    for name, seconds in median.items():
        print(
            f"{name:24} median {seconds:6.3f} s, best {min(taken[name]):6.3f} s; "
            f"{seconds / median['ours']:5.2f} of ours"
        )


def _in_own_environment() -> int:
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEERS], check=True)
    return subprocess.run([str(python), *sys.argv], check=False).returncode


if __name__ == "__main__":
    main()
