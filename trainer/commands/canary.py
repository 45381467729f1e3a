"""`trainer canary`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click
import msgspec

from edge_agent.contract.errors import GateRefused, NothingNew
from edge_agent.contract.schema import QUANTITIES
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import json_option, workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--dry-run", is_flag=True, help="Say how the trial stands; publish nothing.")
@workspace_option
@json_option
@verbosity_options
def canary(dry_run: bool, workspace: Workspace, as_json: bool) -> None:
    """Hold the canary against stable on new hours; promote it or take it back when it is time.

    `trainer daily` does the same. Exit 0: promoted. Exit 10: halted, the canary channel has
    stable's models again. Exit 11: the trial goes on, or there is none.

    Example: trainer canary --dry-run --json
    """
    from trainer.gate.canary import act, assess
    from trainer.report.mlflow_mirror import mirrored

    clock = SystemClock()
    with nullcontext() if dry_run else mirrored(workspace):
        trial = assess(workspace, clock)
        number = None if dry_run else act(workspace, trial, clock)
    if as_json:
        print_json(msgspec.to_builtins(trial) | {"release": number})
    else:
        click.echo(
            f"canary {trial.canary} against release {trial.stable} since {trial.since}: "
            f"{trial.days} of {trial.needed} days"
        )
        for target, one in trial.targets.items():
            bounds = "" if one.upper is None else f", surely {one.lower:.3f} to {one.upper:.3f}"
            click.echo(
                f"  {target}: RMSE at 24 h {one.rmse_24h_canary:.3f} against "
                f"{one.rmse_24h_stable:.3f} {QUANTITIES[target].unit}; ratio over all leads "
                f"{one.ratio:.3f}{bounds}; {one.hours} hours, {one.missing} missing"
            )
    why = "; ".join(trial.reasons)
    if trial.outcome == "halt":
        outcome = "is to be halted" if number is None else f"is halted by release {number}"
        raise GateRefused(f"canary {trial.canary} {outcome}: {why}")
    if trial.outcome == "wait":
        raise NothingNew(f"canary {trial.canary}: the trial goes on: {why}")
    if not as_json:
        outcome = "may go to stable" if number is None else f"is stable as release {number}"
        click.echo(f"canary {trial.canary} {outcome}: {why}")
