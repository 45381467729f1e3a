"""What corrections of single farms cost a device's link and processor, by the number of farms.

    python bench/shards.py WORKSPACE

The models of WORKSPACE's newest run, with corrections of random weights (six digits each, which
pack badly) for more and more farms in as many shards as `trainer tune` makes. A real device pulls
two releases over HTTP: a first install, and the same models with all corrections new. Bytes of both
directions, TCP payload.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np

from edge_agent.contract import compression, site_correction
from edge_agent.contract.site_correction import KNOTS, TERMS, Correction, Tuning
from tests.fakes.depot import Device, Yard
from tests.fakes.served import counted, served
from trainer.evaluation import run_folder
from trainer.site_corrections import shard_files

if TYPE_CHECKING:
    from edge_agent.contract.manifest import Manifest

FARMS = (0, 10, 100, 1_000, 10_000)
DEVICE = "farm-3/edge-1"


def main(workspace: Path) -> None:
    """Print a row for each number of farms."""
    folder = max(path.parent for path in (workspace / "runs").glob("*/manifest.json"))
    manifest, files, _ = run_folder.load(folder)
    print("farms  shards  install B  new corrections B  shard B  packed B  decode ms")
    for farms in FARMS:
        with tempfile.TemporaryDirectory() as place:
            print(*_row(Path(place), manifest, files, farms), sep="  ", flush=True)


def _row(
    place: Path, manifest: Manifest, files: dict[str, bytes], farms: int
) -> tuple[int | str, ...]:
    yard = Yard.make(place / "yard", single_key=True)
    device = Device(
        place / "device", yard.pinned, yard.clock, digest=manifest.features.digest, id=DEVICE
    )
    both = [_tuned(manifest, farms, seed) for seed in (1, 2)]
    pulled = []
    with served(yard.depot) as direct, counted(direct) as (url, counts):
        for tuned, shards in both:
            yard.open().publish("stable", tuned, files | shards)
            device.sync(url)
            pulled.append(sum(counts))
            counts.clear()
    tuned, shards = both[-1]
    shard = site_correction.shard_of(tuned, DEVICE)
    if shard is None:
        return farms, 0, *pulled, 0, 0, 0
    content = shards[shard.path]
    began = time.perf_counter()
    site_correction.decode(content, tuned)
    spent = f"{1000 * (time.perf_counter() - began):.1f}"
    packed = compression.pack(content) or content
    return farms, len(tuned.tuned), *pulled, len(content), len(packed), spent


def _tuned(manifest: Manifest, farms: int, seed: int) -> tuple[Manifest, dict[str, bytes]]:
    changed = msgspec.structs.replace(manifest, scores={"bench": {"seed": float(seed)}})
    if farms == 0:
        return changed, {}
    draw = np.random.default_rng(seed)
    made = {f"farm-{number}/edge-1": _tuning(manifest, draw) for number in range(farms)}
    refs, shards = shard_files.pack(made)
    return msgspec.structs.replace(changed, tuned=refs), shards


def _tuning(manifest: Manifest, draw: np.random.Generator) -> Tuning:
    corrections = {
        target: Correction(
            model.file.sha256,
            tuple(_six(row) for row in draw.normal(0.0, 0.5, (len(KNOTS), len(TERMS)))),
            _six(draw.uniform(0.8, 1.3, len(KNOTS))),
        )
        for target, model in manifest.models.items()
    }
    scores = {target: {"rmse_ratio_24h": 0.93, "hours": 8760.0} for target in corrections}
    return Tuning(corrections, scores, "2026-10-31T23:00:00Z")


def _six(numbers: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{number:.6g}") for number in numbers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    main(parser.parse_args().workspace)
