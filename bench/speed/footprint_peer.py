"""What a farm's box would run instead: pandas and LightGBM's own predictor, bare or as a service.

    python footprint_peer.py process    one process: READY, then cycles; prints JSON
    python footprint_peer.py serve PORT the same behind FastAPI and uvicorn, with MLflow's client

Runs in an environment of its own (see footprint.py), so it imports nothing of this project. The
work is that of one hour here: a week of hourly observations of eight series, lags and rolling
statistics, 48 leads, two targets of 200 trees with 15 leaves, an interval by quantiles of errors.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta

STARTED = time.perf_counter()

import lightgbm as lgb  # noqa: E402 - the import is what is measured
import numpy as np  # noqa: E402 - see above
import pandas as pd  # type: ignore[import-untyped] # noqa: E402 - see above

SERIES, HOURS, LEADS = 8, 252, np.arange(1, 49)
LAGS, WINDOWS = (1, 2, 3, 6, 12, 24, 48), (3, 6, 12, 24, 72)
ROUNDS = 200


def observations() -> pd.DataFrame:
    """Hours up to now, a daily wave with noise in each series."""
    random = np.random.default_rng(1)
    end = datetime(2026, 7, 1, tzinfo=UTC)
    index = pd.date_range(end=end, periods=HOURS, freq="h")
    wave = np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
    columns = {f"s{i}": 20 + 5 * wave + random.normal(size=HOURS) for i in range(SERIES)}
    return pd.DataFrame(columns, index=index)


def features(frame: pd.DataFrame) -> np.ndarray:
    """A row for each lead: lags, changes, rolling statistics of the newest hour; lead, its hour."""
    parts = []
    for name in frame:
        column = frame[name]
        parts += [column.shift(lag) for lag in LAGS]
        parts += [column - column.shift(lag) for lag in (1, 3, 24)]
        parts += [column.rolling(size).mean() for size in WINDOWS]
        parts += [column.rolling(size).std() for size in (6, 24)]
        parts += [column.rolling(24).min(), column.rolling(24).max()]
    newest = pd.concat(parts, axis=1).iloc[-1].to_numpy()
    valid = [frame.index[-1] + timedelta(hours=int(lead)) for lead in LEADS]
    angle = np.array([time_.hour for time_ in valid]) / 24 * 2 * np.pi
    ahead = np.column_stack([LEADS, np.sin(angle), np.cos(angle)])
    return np.hstack([np.tile(newest, (len(LEADS), 1)), ahead])


def models() -> list[lgb.Booster]:
    """Two targets; fitted once, which is not part of any figure, and read back from text."""
    random = np.random.default_rng(2)
    width = features(observations()).shape[1]
    rows = random.normal(size=(4000, width))
    target = rows[:, 0] + random.normal(size=4000)
    settings = {"num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 1}
    fitted = lgb.train(settings, lgb.Dataset(rows, target), ROUNDS).model_to_string()
    return [lgb.Booster(model_str=fitted) for _ in range(2)]


def cycle(boosters: list[lgb.Booster], frame: pd.DataFrame) -> list[list[float]]:
    """Features and inference of one hour, with an 80 % interval."""
    matrix = features(frame)
    errors = np.array([-1.0, 0.0, 1.0])
    return [
        (model.predict(matrix, num_threads=1)[:, None] + errors).round(2).ravel().tolist()
        for model in boosters
    ]


def rss_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/status", encoding="ascii") as lines:  # noqa: PTH123 - no imports more
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def process() -> None:
    """READY, 1,000 cycles, JSON."""
    imported = time.perf_counter() - STARTED
    imported_cpu = time.process_time()
    boosters, frame = models(), observations()
    start, start_cpu = time.perf_counter(), time.process_time()
    cycle(boosters, frame)
    ready = imported + time.perf_counter() - start
    cpu = imported_cpu + time.process_time() - start_cpu
    spent = []
    start_cpu = time.process_time()
    for _ in range(1000):
        start = time.perf_counter()
        cycle(boosters, frame)
        spent.append((time.perf_counter() - start) * 1000)
    mean_cpu = time.process_time() - start_cpu
    low, high = np.quantile(spent, [0.5, 0.99])
    said = {"ready_s": ready, "ready, CPU s": cpu, "cycle median ms": low, "cycle p99 ms": high}
    print(json.dumps(said | {"cycle, CPU ms": mean_cpu, "rss_mb": rss_mb()}))


def serve(port: int) -> None:
    """A service that answers POST /predict."""
    import mlflow.pyfunc
    import uvicorn  # type: ignore[import-not-found]
    from fastapi import FastAPI  # type: ignore[import-not-found]

    app, boosters = FastAPI(), models()
    assert mlflow.pyfunc

    def predict() -> list[list[float]]:
        return cycle(boosters, observations())

    app.get("/rss")(rss_mb)
    app.post("/predict")(predict)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    process() if sys.argv[1] == "process" else serve(int(sys.argv[2]))
