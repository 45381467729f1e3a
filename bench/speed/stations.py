"""`trainer daily` of many stations at once: time, processor time and peak memory by their number.

    python -m bench.speed.stations FOLDER [SIZE ...] [--years N]

Ten years of generated climate (neighbours share their weather) are imported into one lake in
FOLDER, which is kept for the next time; each size (1, 3 and 10 stations; up to 97) then does the
work of one date in a workspace and a process of its own: relay, training, gate, release.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from demo.climate import generate
from demo.places import place_of
from edge_agent.contract.stations import stations
from edge_agent.system.clock import SystemClock
from trainer import setup
from trainer.ingest.importer import Import
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).parents[2]
DAY = date(2024, 1, 1)
SEED = 1
PROGRAM = "import sys; from trainer.cli import main; sys.exit(main())"
REFUSED = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds by the wall and of the processor, megabytes, exit code."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    code: int


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sizes", type=int, nargs="*", default=[1, 3, 10])
    parser.add_argument("--years", type=int, default=10)
    chosen = parser.parse_args()
    first = date(DAY.year - chosen.years, DAY.month, DAY.day)
    weather = chosen.folder.absolute() / f"weather-{chosen.years}-years"
    if not (weather / "trainer.toml").exists():
        setup.create(weather, single_key=True)
    lake = Workspace.open(weather, {})
    _fill(lake, {number for size in chosen.sizes for number in stations_of(size)}, first)
    print("stations | wall | processor | a station's, of the first's | peak memory | exit")
    first_size: float | None = None
    for size in chosen.sizes:
        root = chosen.folder / f"{size}-stations"
        shutil.rmtree(root, ignore_errors=True)
        cost = _daily(_workspace(root, stations_of(size), weather / "lake", first))
        each = cost.cpu_s / size
        first_size = first_size or each
        print(
            f"{size:8} | {cost.wall_s:5.0f} s | {cost.cpu_s:5.0f} s | {each / first_size:5.2f} | "
            f"{cost.peak_mb:6,.0f} MB | {cost.code}",
            flush=True,
        )


def stations_of(size: int) -> list[int]:
    """So many of KMA's stations, evenly from its list; the same ones whenever it is asked."""
    numbers = list(stations())
    return [numbers[round(place * (len(numbers) - 1) / max(1, size - 1))] for place in range(size)]


def _fill(weather: Workspace, numbers: Iterable[int], first: date) -> None:
    """Import the stations that the lake lacks; every hour has a row, so that none is asked for."""
    start = datetime(first.year, first.month, first.day)  # noqa: DTZ001 - KMA's labels, KST
    end = datetime(DAY.year, DAY.month, DAY.day) - timedelta(hours=1)  # noqa: DTZ001 - the same
    path = weather.root / "weather.parquet"
    for number in sorted(set(numbers) - set(weather.lake.stations())):
        frame = generate([place_of(number)], start, end, SEED).drop("station")
        frame.upsample("tm", every="1h").write_parquet(path)
        Import(weather, SystemClock()).bring(path, number)
        path.unlink()


def _workspace(root: Path, numbers: Sequence[int], lake: Path, first: date) -> Path:
    """A new workspace on a lake that stays."""
    setup.create(root, single_key=True)
    settings = root / "trainer.toml"
    text = settings.read_text()
    for default, value in (
        ("# stations = [108]", f"stations = {list(numbers)}"),
        ('# start = "2014-01-01"', f'start = "{first}"'),
        ('# lake_path = "lake"', f'lake_path = "{lake}"'),
    ):
        assert default in text, default
        text = text.replace(default, value)
    settings.write_text(text)
    return root


def _daily(root: Path) -> Cost:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "daily", "--date", str(DAY), "--config", str(root)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    if code not in {0, REFUSED}:
        raise SystemExit(errors)
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, code)


if __name__ == "__main__":
    main()
