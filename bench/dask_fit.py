"""One fit of the trees: here, and by LightGBM's own Dask interface.

    python bench/dask_fit.py

It needs what the lock does not have: pip install scikit-learn 'dask[dataframe]'. Drawn numbers of
the shape of a training's pairs; the trainer's recipe. The trainer cuts its inputs into bins once
for all its fits, which the Dask interface cannot.
"""

from __future__ import annotations

import hashlib
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from edge_agent.contract.feature_table import NAMES
from trainer.training.fit import PAIRS
from trainer.training.trees import ROUNDS, Binned, Recipe, Trees


def main() -> None:
    """Print time and digest of each fit."""
    if lacking := [name for name in ("pandas", "pyarrow", "sklearn") if not find_spec(name)]:
        print(f"left out: {', '.join(lacking)} not installed; see the head of this file")
        return
    matrix, values = _drawn()
    for threads in (1, 2):
        begun = time.perf_counter()
        binned = Binned(matrix, Recipe(threads=threads))
        cut = time.perf_counter()
        trees = binned.fit(np.arange(PAIRS), values)
        took = time.perf_counter() - cut
        print(
            f"here, {threads} threads: bins {cut - begun:.1f} s, fit {took:.1f} s, {_digest(trees)}"
        )
    for workers in (1, 2):
        _on_dask(workers, matrix, values)


def _drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((PAIRS, len(NAMES)), dtype=np.float32)
    noise = rng.standard_normal(PAIRS)
    return matrix, 2 * matrix[:, 0] + np.sin(3 * matrix[:, 1]) + matrix[:, 2] * matrix[:, 3] + noise


def _on_dask(workers: int, matrix: np.ndarray, values: np.ndarray) -> None:
    from distributed import Client, LocalCluster, wait

    array: Any = import_module("dask.array")  # Without types.
    recipe = Recipe().all_parameters()
    del recipe["num_threads"]  # Each worker has one.
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        share = -(-PAIRS // workers)
        rows = array.from_array(matrix, chunks=(share, len(NAMES)))
        spread = client.persist([rows, array.from_array(values, chunks=(share,))])
        wait(spread)
        for _ in range(2):
            model = lightgbm.DaskLGBMRegressor(
                n_estimators=ROUNDS, client=client, tree_learner="data", **recipe
            )
            begun = time.perf_counter()
            model.fit(*spread)
            took = time.perf_counter() - begun
            print(f"{workers} workers: bins and fit {took:.1f} s, {_digest(Trees(model.booster_))}")


def _digest(trees: Trees) -> str:
    splits = repr(trees.thresholds()).encode()
    return hashlib.sha256(splits).hexdigest()[:8]


if __name__ == "__main__":
    main()
