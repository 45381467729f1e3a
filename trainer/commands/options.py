"""Options and defaults that several commands share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from edge_agent.errors import InputMissing

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="trainer.toml (default: TRAINER_CONFIG, then ./trainer.toml).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


class _Day(click.ParamType[date]):
    """A day like 2024-01-31."""

    name = "day"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> date:
        """Day from its ISO text."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day like 2024-01-31", param, ctx)


day_type = _Day()


def newest_run(runs: Path) -> Path:
    """Folder of the newest candidate run.

    Raises:
        InputMissing: There is none yet.
    """
    found = sorted(path.parent for path in runs.glob("*/manifest.json"))
    if not found:
        raise InputMissing(f"{runs}: no candidate run; make one with `trainer train`")
    return found[-1]
