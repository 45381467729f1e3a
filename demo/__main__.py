"""`make demo`: from KMA's answers to an alert on a broker, in a few minutes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from demo import source
from demo.run import run
from edge_agent.contract.hours import KST
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run as run_command
from trainer.workspace.kma_sources import DATA_PORTAL


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Path(path_type=Path), help="Parquet in KMA's names.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="demo-output",
    show_default=True,
    help="Folder to work in; an older demo's is replaced.",
)
def demo(data: Path | None, out: Path) -> None:
    """Run all steps: ingest, train, gate, sign, publish, pull, forecast, alert.

    Weather: the file given, else KMA itself where KMA_SERVICE_KEY is set, else a generated climate.

    Example: python -m demo --data asos_hourly_108_2013_2018.parquet
    """
    if data is not None:
        weather = source.from_file(data)
    elif os.environ.get(DATA_PORTAL.variable):
        weather = source.live(SystemClock().now().astimezone(KST).date())
    else:
        weather = source.generated()
    if out.exists() and not (out / "central").exists() and any(out.iterdir()):
        raise click.UsageError(f"{out}: holds something that is not a demo; choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    run(weather, out.absolute())


if __name__ == "__main__":
    sys.exit(run_command(demo, "demo"))
