"""`trainer report`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.console import print_json, verbosity_options
from edge_agent.errors import CannotCreate, ConfigError
from trainer.commands.options import config_option, json_option, newest_run


@click.command()
@click.argument("run", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: in the run's folder."
)
@config_option
@json_option
@verbosity_options
def report(run: str | None, out: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Write one HTML page about a candidate RUN (default: the newest); it opens offline.

    Skill by lead beside the references, calibration, events, where it errs, what it uses, the
    gate's word, what was live when, and example forecasts.

    Example: trainer report --out report.html
    """
    from edge_agent.files import write_atomic
    from trainer.workspace import Workspace

    try:
        from trainer.report import build
    except ModuleNotFoundError as fault:
        raise ConfigError(
            f"trainer report needs one more package: pip install {fault.name}"
        ) from fault
    workspace = Workspace.open(config_path)
    folder = workspace.runs / run if run else newest_run(workspace.runs)
    path = out or folder / "report.html"
    content = build(workspace, folder)
    try:
        write_atomic(path, content)
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another --out") from fault
    if as_json:
        print_json({"run": folder.name, "path": str(path), "bytes": len(content)})
    else:
        click.echo(f"{path}: {len(content) / 1e3:.0f} kB")
