"""The soil water of the farm's field and the water reported as given, in the agent's SQLite file.

Rules (tests name the numbers):

1. A report is written at once and counted by the next cycle, in the transaction of its messages.
2. A report with an id that is known is the same report: it counts once.
3. A cycle books only on the state that it has read: where another process has booked meanwhile, it
   books nothing, and the next cycle does.
4. Of the reports that are counted the newest `KEPT` stay, for rule 2.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.agronomy.soil_water import Gift, SoilWater
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

ZONE: Final = "field"
"""Name of the one zone."""
KEPT: Final = 1000
_STEPS: Final = (
    """CREATE TABLE soil_water (zone TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE water_given (number INTEGER PRIMARY KEY, zone TEXT NOT NULL, at REAL NOT NULL,
  mm REAL NOT NULL, request TEXT UNIQUE, counted INTEGER NOT NULL DEFAULT 0) STRICT""",
)


class SoilWaterStore:
    """State and reports. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`; also the outbox's, so that the state and the advice
            made of it are committed together.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "soil_water", _STEPS)

    def state(self) -> SoilWater | None:
        """What is booked; None before the first cycle with a crop."""
        text = self._text()
        return None if text is None else msgspec.json.decode(text, type=SoilWater)

    def pending(self) -> list[Gift]:
        """Water that is not booked yet, oldest report first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT number, at, mm FROM water_given WHERE zone = ? AND NOT counted "
                "ORDER BY number",
                (ZONE,),
            ).fetchall()
        return [Gift(number, datetime.fromtimestamp(at, UTC), mm) for number, at, mm in rows]

    def report(self, at: datetime, mm: float, request: str = "") -> bool:
        """Note water that was given; False where the request is known (rule 2).

        Args:
            at: When, UTC.
            mm: How much, over the area.
            request: Id by its sender; empty: none.
        """
        with transaction(self._db) as db:
            done = db.execute(
                "INSERT OR IGNORE INTO water_given (zone, at, mm, request) VALUES (?, ?, ?, ?)",
                (ZONE, at.timestamp(), mm, request or None),
            )
            return done.rowcount == 1

    def book(self, before: SoilWater | None, after: SoilWater, counted: Iterable[int]) -> bool:
        """Replace the state; False where it is not `before` any more (rule 3).

        Args:
            before: The state that was read.
            after: The new one.
            counted: Numbers of the reports that are in it.
        """
        with transaction(self._db) as db:
            if self.state() != before:
                return False
            if after != before:
                db.execute(
                    "INSERT OR REPLACE INTO soil_water VALUES (?, ?)",
                    (ZONE, msgspec.json.encode(after).decode()),
                )
            db.executemany(
                "UPDATE water_given SET counted = 1 WHERE number = ?",
                [(number,) for number in counted],
            )
            db.execute(
                "DELETE FROM water_given WHERE counted AND number <= "
                "(SELECT max(number) FROM water_given) - ?",
                (KEPT,),
            )
        return True

    def _text(self) -> str | None:
        with storage_errors(self._db):
            row = self._db.execute(
                "SELECT state FROM soil_water WHERE zone = ?", (ZONE,)
            ).fetchone()
        # Python's sqlite3 gives rows without types.
        text: str | None = row[0] if row else None
        return text
