"""Steps of a command on standard error: one line a step, with the time it took."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from edge_agent.contract.schema import QUANTITIES
from edge_agent.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORECASTS = ("model", "seed_recipe", "damped_anomaly", "persistence", "climatology")


@contextmanager
def timed_steps(title: str) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with the name of each step before it begins."""
    clock = SystemClock()
    began = last = clock.monotonic()
    current: str | None = None

    def finish() -> None:
        if current is not None:
            click.echo(f"{title}: {current} ({clock.monotonic() - last:.1f} s)", err=True)

    def say(step: str) -> None:
        nonlocal current, last
        finish()
        current, last = step, clock.monotonic()
        if sys.stderr.isatty():
            click.echo(f"{title}: {step} ...", err=True)

    yield say
    finish()
    click.echo(f"{title}: {clock.monotonic() - began:.1f} s in all", err=True)


def score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """RMSE at 24 h of the model and of its baselines, one line a target."""
    header = f"{'RMSE, 24 h ahead':<26}" + "".join(f"{name:>16}" for name in FORECASTS)
    lines = [header]
    for target, figures in scores.items():
        label = f"{target} ({QUANTITIES[target].unit})"
        lines.append(
            f"{label:<26}" + "".join(f"{figures[f'rmse_24h_{name}']:16.3f}" for name in FORECASTS)
        )
    return "\n".join(lines)
