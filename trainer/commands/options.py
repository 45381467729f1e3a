"""Options and defaults that several commands share."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.contract.errors import InputMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.workspace.workspace import Workspace

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def workspace_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --config; the command gets the open workspace as `workspace`."""

    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        help="trainer.toml (default: TRAINER_CONFIG, then ./trainer.toml).",
    )
    @wraps(command)
    def with_workspace(
        *,
        config_path: Path | None,
        **others: Any,  # noqa: ANN401 - the command's own
    ) -> None:
        from trainer.workspace.workspace import Workspace

        command(workspace=Workspace.open(config_path), **others)

    return with_workspace


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


class _Time(click.ParamType[datetime]):
    """A time like 2024-01-31T04:00Z; UTC unless it names a zone."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Time from its ISO text."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time like 2024-01-31T04:00Z", param, ctx)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


time_type = _Time()


class _Number(click.types.FloatParamType):
    """A finite number: click takes NaN and infinities."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number like 37.5", param, ctx)
        return number


number_type = _Number()


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Two numbers with a comma, such as 60,127."""

    name = "numbers"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, ...]:
        """Both numbers."""
        if isinstance(value, tuple):
            return value
        try:
            first, second = map(float, value.split(","))
        except ValueError:
            first = second = math.nan
        if not (math.isfinite(first) and math.isfinite(second)):
            self.fail(f"{value!r} is not two numbers with a comma between them", param, ctx)
        return first, second


numbers_type = _Numbers()


def chosen_run(workspace: Workspace, run: str | None) -> Path:
    """Folder of a candidate run, of the newest one where none is named.

    Raises:
        InputMissing: There is none yet.
    """
    from trainer.workspace.runs import plain_name

    runs = workspace.run_store
    # With corrections for farms it is the same run again.
    own = (name for name in runs.listing() if plain_name(name) == name)
    run = run or max(own, default=None)
    if run is None:
        raise InputMissing(
            f"{workspace.config.runs_path}: no candidate run; make one with `trainer train`"
        )
    return runs.folder(run)
