"""`trainer evaluate` and `trainer backtest`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import chosen_run, json_option, workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.argument("run", required=False)
@workspace_option
@json_option
@verbosity_options
@click.pass_context
def evaluate(
    context: click.Context, run: str | None, workspace: Workspace, *, as_json: bool
) -> None:
    """Score a RUN (default: the newest) on its holdout again, from the lake, and look for leaks.

    Says what the gate would ask of it if nothing were live; writes nothing and counts as no
    attempt. Exit 1: an alarm, or a rule that fails.

    Example: trainer evaluate 20240501-0f1c5e33d415
    """
    from trainer.commands.steps import timed_steps
    from trainer.gate import gate

    folder = chosen_run(workspace, run)
    with timed_steps("evaluate") as say:
        say("scores on the holdout")
        decision, _ = gate.examine(workspace, folder)
    if as_json:
        print_json(decision)
    else:
        for finding in (*decision.findings, *decision.guided):
            click.echo(f"{'ok  ' if finding.passed else 'FAIL'} {finding.reason()}")
        terms = decision.terms
        click.echo(f"{terms.run}: holdout {terms.holdout_from} to {terms.holdout_to}")
    if not decision.passed:
        context.exit(1)


@click.command()
@click.option("--folds", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--step-days", type=click.IntRange(min=1), default=365, show_default=True)
@workspace_option
@json_option
@verbosity_options
def backtest(*, folds: int, step_days: int, workspace: Workspace, as_json: bool) -> None:
    """Train as of former years too, and score each on what came after it (rolling origin).

    The runs stay, never live by themselves. A record of six years has room for three folds.

    Example: trainer backtest --folds 3
    """
    from trainer.commands.steps import timed_steps
    from trainer.training import backtest as rolling

    with timed_steps("backtest") as say:
        found = rolling.backtest(
            workspace,
            SystemClock().now(),
            folds=folds,
            step=timedelta(days=step_days),
            progress=say,
        )
    if as_json:
        print_json(found)
        return
    for fold in found:
        for target, figures in fold.scores.items():
            click.echo(
                f"{fold.holdout_from[:10]} to {fold.holdout_to[:10]}  {target}: RMSE 24 h ahead "
                f"{figures['rmse_24h_model']:.3f}, skill {fold.skill(target):.3f}, 80 % interval "
                f"holds {figures['coverage_80_24h']:.3f}"
            )
