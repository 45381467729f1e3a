"""Past forecasts and their errors in SQLite: about two megabytes for two months."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.forecasting.verification import SHAPE, TALLY_SHAPE, PastForecast, block_of
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping


FORESEEN_H: Final = 5 * 24
"""Hours that forecasts are kept for scoring: the longest window, and days for late observations."""
TALLIES_DAYS: Final = 60
_VALUES: Final = "<f4"
_SUMS: Final = "<f4"
_STEPS: Final = (
    """CREATE TABLE foreseen (origin INTEGER PRIMARY KEY, issued INTEGER NOT NULL,
  source TEXT NOT NULL, body BLOB NOT NULL, chances TEXT NOT NULL) STRICT;
CREATE TABLE tallies (block INTEGER, source TEXT, body BLOB NOT NULL,
  PRIMARY KEY (block, source)) STRICT, WITHOUT ROWID;
CREATE TABLE rule_scores (issued INTEGER, rule TEXT, squared REAL NOT NULL,
  happened INTEGER NOT NULL, PRIMARY KEY (issued, rule)) STRICT, WITHOUT ROWID""",
)


class VerificationStore:
    """The device's own verification. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "track", _STEPS)

    def put_past_forecast(self, forecast: PastForecast) -> None:
        """Keep a forecast for scoring, unless there is one of the same origin (rule V2)."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR IGNORE INTO foreseen VALUES (?, ?, ?, ?, ?)",
                (
                    _seconds(forecast.origin),
                    _seconds(forecast.issued_at),
                    forecast.source,
                    forecast.values.astype(_VALUES).tobytes(),
                    msgspec.json.encode(forecast.chances).decode(),
                ),
            )

    def past_forecasts(self, since: datetime) -> list[PastForecast]:
        """Kept forecasts from origins at `since` or later, oldest first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT issued, origin, source, body, chances FROM foreseen "
                "WHERE origin >= ? AND length(body) = ? ORDER BY origin",
                (_seconds(since), _size(SHAPE, _VALUES)),
            ).fetchall()
        return [
            PastForecast(
                _time(issued),
                _time(origin),
                source,
                np.frombuffer(body, _VALUES).reshape(SHAPE),
                msgspec.json.decode(chances, type=dict[str, float]),
            )
            for issued, origin, source, body, chances in rows
        ]

    def put_tallies(self, tallies: Mapping[tuple[int, str], np.ndarray]) -> None:
        """Write sums by block and source, in place of what was there."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO tallies VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
                [
                    (block, source, sums.astype(_SUMS).tobytes())
                    for (block, source), sums in tallies.items()
                ],
            )

    def tallies(self, since: datetime) -> dict[tuple[int, str], np.ndarray]:
        """Sums by block and source, of the block of `since` and later ones."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT block, source, body FROM tallies "
                "WHERE block >= ? AND length(body) = ? ORDER BY block",
                (block_of(since), _size(TALLY_SHAPE, _SUMS)),
            ).fetchall()
        return {
            (block, source): np.frombuffer(body, _SUMS).astype(np.float64).reshape(TALLY_SHAPE)
            for block, source, body in rows
        }

    def put_rule_scores(self, scores: Mapping[tuple[datetime, str], tuple[float, bool]]) -> None:
        """Write squared error of a chance and whether the event came, by decision and meaning."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT OR REPLACE INTO rule_scores VALUES (?, ?, ?, ?)",
                [
                    (_seconds(issued), rule, squared, int(happened))
                    for (issued, rule), (squared, happened) in scores.items()
                ],
            )

    def rule_scores(self, since: datetime) -> dict[str, tuple[int, float, float]]:
        """Meaning -> decisions scored, Brier score, share in which the event came."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT rule, count(*), avg(squared), avg(happened) FROM rule_scores "
                "WHERE issued >= ? GROUP BY rule ORDER BY rule",
                (_seconds(since),),
            ).fetchall()
        return {rule: (count, brier, share) for rule, count, brier, share in rows}

    def prune(self, now: datetime) -> None:
        """Drop what is too old."""
        oldest = now - timedelta(days=TALLIES_DAYS)
        with transaction(self._db) as db:
            db.execute(
                "DELETE FROM foreseen WHERE origin < ?",
                (_seconds(now - timedelta(hours=FORESEEN_H)),),
            )
            db.execute("DELETE FROM tallies WHERE block < ?", (block_of(oldest),))
            db.execute("DELETE FROM rule_scores WHERE issued < ?", (_seconds(oldest),))

    def drop_after(self, end: datetime) -> None:
        """Delete what is later than `end`."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM foreseen WHERE origin > ?", (_seconds(end),))
            db.execute("DELETE FROM tallies WHERE block > ?", (block_of(end),))
            db.execute("DELETE FROM rule_scores WHERE issued > ?", (_seconds(end),))


def _size(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of an array; a row of an agent with other targets has another size and is left out."""
    return math.prod(shape) * np.dtype(dtype).itemsize


def _seconds(time: datetime) -> int:
    return int(time.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
