"""`trainer report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import CannotCreate, ConfigError
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import chosen_run, json_option, workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.argument("run", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: in the run's folder."
)
@workspace_option
@json_option
@verbosity_options
def report(run: str | None, out: Path | None, workspace: Workspace, as_json: bool) -> None:
    """Write one HTML page about a candidate RUN (default: the newest); it opens offline.

    Skill by lead beside the references, calibration, events, where it errs, what it uses, the
    gate's word, what was live when, and example forecasts.

    Example: trainer report --out report.html
    """
    from trainer.workspace.runs import REPORT

    try:
        from trainer.report.report import build
    except ModuleNotFoundError as fault:
        raise ConfigError(
            f"trainer report needs one more package: pip install {fault.name}"
        ) from fault
    folder = chosen_run(workspace, run)
    content = build(workspace, folder)
    if out is None:
        runs = workspace.run_store
        runs.add(folder.name, REPORT, content)
        path = runs.place(folder.name, REPORT)
    else:
        _write(out, content)
        path = str(out)
    if as_json:
        print_json({"run": folder.name, "path": path, "bytes": len(content)})
    else:
        click.echo(f"{path}: {len(content) / 1e3:.0f} kB")


def _write(path: Path, content: bytes) -> None:
    from edge_agent.system.files import write_atomic

    try:
        write_atomic(path, content)
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another --out") from fault
