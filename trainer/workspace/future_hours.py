"""Hours that are still to come: refused where rows are brought in, ignored where they are read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import BadData, at_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

AHEAD: Final = timedelta(minutes=5)
"""Largest difference of clocks that is accepted."""


def latest(now: datetime) -> datetime:
    """The last time that is not still to come."""
    return now + AHEAD


def check(times: pl.Series, lines: Sequence[int] | pl.Series, now: datetime) -> None:
    """Refuse rows that are still to come.

    Args:
        times: Of rows, with a time zone.
        lines: Of the same rows in their file, as `at_line` counts them.
        now: This machine's time.

    Raises:
        BadData: One of them is later than `latest`; the text names the first, and how many.
    """
    late = (times > latest(now)).arg_true()
    if late.len():
        more = f", and {late.len() - 1} more" if late.len() > 1 else ""
        raise BadData(
            f"{at_line(lines[late[0]])}: {times[late[0]]:%Y-%m-%d %H:%M} UTC is still to come"
            f"{more}; this machine's clock says {now:%Y-%m-%d %H:%M} UTC: correct the row, or the "
            "clock"
        )
