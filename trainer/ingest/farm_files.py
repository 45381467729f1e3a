"""Files of a farm's own hours into the lake: what an agent has exported, or a table from elsewhere.

Such files come from other people's devices, so their size is bounded. Implausible values are
flagged where all hours are checked, by `contract.quality`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.farm_identity import EXPORT, decode
from edge_agent.contract.schema import OBSERVED, QUANTITIES, Flag, flag_column
from trainer.ingest.tables import content_of, lines_from, ours, table, warn_of_no_numbers
from trainer.workspace import parquet
from trainer.workspace.farms import admit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edge_agent.contract.farm_identity import Identity
    from edge_agent.system.ports import Clock
    from trainer.workspace.lake import Merge
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace

MAX_BYTES: Final = 100_000_000
MAX_ROWS: Final = 24 * 366 * 60
_DOUBTFUL: Final = 0.1
"""A larger share of values out of range points to a wrong unit or column."""
_MARK: Final = f"# {EXPORT} ".encode()
_log = logging.getLogger(__name__)


def bring(
    workspace: Workspace, clock: Clock, path: Path, given: Identity | None = None
) -> tuple[FarmId, Merge]:
    """Bring in one file: all of it, or nothing when it has a fault.

    Args:
        workspace: Where to.
        clock: Time of the merge; later hours are a fault.
        path: The file.
        given: Whose hours they are, where the file does not say it.

    Raises:
        InputMissing: No such file.
        UsageError: It does not say whose hours it has and neither did the caller, or both do.
        BadData: It is not what its name says, its rows are not hourly, or the farm has moved.
        TryLater: Another process is writing to the lake.
    """
    content = content_of(path, MAX_BYTES)
    try:
        now = clock.now()
        whose, frame, source = read(path.name, content, given, now)
        with workspace.lake_lock():
            brought = admit(workspace.lake, whose, frame, source, now)
    except (BadData, UsageError) as fault:
        raise type(fault)(f"{path}: {fault}") from fault
    for doubt in doubts(frame):
        _log.warning("%s: %s", path, doubt)
    return brought


def doubts(frame: pl.DataFrame) -> tuple[str, ...]:
    """Signs of another unit or a wrong column, a line for each such quantity. Pure.

    Args:
        frame: As `tables.ours` returns.
    """
    warnings = []
    for name in OBSERVED:
        quantity = QUANTITIES[name]
        given = pl.col(name).is_not_null() | (pl.col(flag_column(name)) == Flag.SOURCE)
        good = pl.col(name).is_between(quantity.low, quantity.high)
        count, usable = frame.select(given.sum(), good.sum().alias("usable")).row(0)
        if count - usable > _DOUBTFUL * count:
            warnings.append(
                f"{1 - usable / count:.0%} of {name} lie outside {quantity.low:g} to "
                f"{quantity.high:g} {quantity.unit} and will not be used: check unit and column"
            )
    return tuple(warnings)


def read(
    name: str, content: bytes, given: Identity | None = None, now: datetime | None = None
) -> tuple[Identity, pl.DataFrame, str]:
    """Whose hours a file has, the tidy hours, and what to call the source.

    Args:
        name: File name; its ending tells the kind.
        content: The file.
        given: See `bring`.
        now: Later hours are refused; None = none is.

    Raises:
        UsageError, BadData: See `bring`.
    """
    is_csv, first = name.lower().endswith(".csv"), 2
    text: str | bytes | None = None
    if is_csv:
        content = content.removeprefix(b"\xef\xbb\xbf")
        if content.startswith(_MARK):
            head, _, content = content.partition(b"\n")
            text, first = head.removeprefix(_MARK), 3
    frame = table(name, content, rows=MAX_ROWS)
    if not is_csv:
        text = parquet.metadata(content).get(EXPORT)
    if (text is None) == (given is None):
        raise UsageError(
            "it does not say whose hours it has: give --site, --device, --latitude, --longitude "
            "and --elevation"
            if given is None
            else "it says itself whose hours it has: leave --site and the others out"
        )
    whose = given if text is None else decode(text)
    assert whose is not None, "one of both is there"
    lines = lines_from(first, frame)
    warn_of_no_numbers(frame, lines, OBSERVED, name)
    return whose, ours(frame, lines=lines, now=now), "csv" if is_csv else "parquet"
