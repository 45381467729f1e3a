"""What a collection of the village source brought, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_agent.contract.errors import NothingNew
from trainer.ingest.sources.http import QuotaSpent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.contract.dfs_grid import Cell
    from edge_agent.contract.errors import FarmError


@dataclass(slots=True)
class CellOutcome:
    """What came of one cell.

    Attributes:
        issues: Issues answered.
        rows: Rows added to the archive of forecasts.
        hours: Hours added to the lake.
    """

    issues: int = 0
    rows: int = 0
    hours: int = 0


@dataclass(slots=True)
class VillageResult:
    """What a collection did, by cell.

    Attributes:
        cells: What came of each.
        left: Base times that were to be asked for and were not answered.
        fault: The first fault, or None.
    """

    cells: dict[Cell, CellOutcome] = field(default_factory=dict)
    left: int = 0
    fault: FarmError | None = None

    def __bool__(self) -> bool:
        """Whether anything is new."""
        return any(outcome.rows or outcome.hours for outcome in self.cells.values())

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        cells = [
            {
                "nx": cell.nx,
                "ny": cell.ny,
                "issues": outcome.issues,
                "rows": outcome.rows,
                "hours": outcome.hours,
            }
            for cell, outcome in self.cells.items()
        ]
        fault = str(self.fault) if self.fault else None
        return {"cells": cells, "left": self.left, "fault": fault}

    def lines(self) -> Iterator[str]:
        """For people."""
        for cell, outcome in self.cells.items():
            yield (
                f"cell {cell}: {outcome.issues} issues, {outcome.rows} rows new; "
                f"{outcome.hours} hours new"
            )

    def check(self) -> None:
        """Return where everything was answered and something is new.

        Raises:
            NothingNew: Nothing is new.
            FarmError: The first fault.
        """
        if isinstance(self.fault, QuotaSpent):
            raise QuotaSpent(
                f"{self.fault}; {self.left} requests left: run the same command after midnight "
                "KST, KMA keeps forecasts until the next day ends and nowcasts for a day"
            )
        if self.fault is not None:
            raise self.fault
        if not self:
            raise NothingNew("the lake has every forecast and nowcast that KMA still has")
