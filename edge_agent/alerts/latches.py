"""Latches of rules, kept over restarts in the agent's SQLite file."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from edge_agent.alerts.state_machine import Latch, Level
from edge_agent.contract.decoder_words import in_words
from edge_agent.system.added_tables import add_table
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_log = logging.getLogger(__name__)
_STEPS: Final = ("CREATE TABLE latches (rule TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT",)
_LONGEST_SNOOZE: Final = timedelta(days=7)


class Latches:
    """Latches by rule name. Every method raises `StorageError` when the disk refuses.

    The value that people heard is in a table of its own: an earlier agent cannot read a latch with
    a field that it does not know. It counts as long as the level is the one it was written with.

    Args:
        connection: From `database.connect`; also the outbox's, so that a latch and the message
            it causes are committed together.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "latches", _STEPS)
        add_table(connection, "told_values", "rule TEXT PRIMARY KEY, since TEXT, value REAL")
        self._take_over_snoozes()

    def all(self) -> dict[str, Latch]:
        """Every latch; one that cannot be read (of a newer agent) is left out, with a warning."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT rule, state, since, value FROM latches LEFT JOIN told_values USING (rule) "
                "ORDER BY rule"
            ).fetchall()
        latches = {}
        for name, state, since, value in rows:
            try:
                latch = msgspec.json.decode(state, type=Latch)
            except msgspec.DecodeError as fault:
                _log.warning("latch of rule %s: %s; starting clear", name, in_words(fault))
                continue
            latches[name] = replace(latch, value=value) if since == str(latch.since) else latch
        return latches

    def save(self, latches: Iterable[Latch]) -> None:
        """Write latches, inside the caller's transaction where there is one."""
        written = list(latches)
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO latches VALUES (?, ?) "
                "ON CONFLICT (rule) DO UPDATE SET state = excluded.state",
                [(each.rule, msgspec.json.encode(replace(each, value=None))) for each in written],
            )
            db.executemany(
                "INSERT OR REPLACE INTO told_values VALUES (?, ?, ?)",
                [(each.rule, str(each.since), each.value) for each in written],
            )

    def _take_over_snoozes(self) -> None:
        """Move acknowledged and snoozed rules here from the table of earlier agents.

        No step of `migrate`: an earlier agent that comes back makes its table anew.
        """
        with storage_errors(self._db):
            table = "SELECT 1 FROM sqlite_schema WHERE name = 'quiet'"
            if self._db.execute(table).fetchone() is None:
                return
        with transaction(self._db) as db:
            latches = self.all()
            for rule, until, seen in db.execute("SELECT rule, until, seen FROM quiet").fetchall():
                latch = latches.get(rule, Latch(rule=rule))
                latch = replace(latch, acknowledged=bool(seen) and latch.level is Level.RAISED)
                if until is not None:
                    # Its length was not stored; no request was longer.
                    begin = datetime.fromtimestamp(until, UTC) - _LONGEST_SNOOZE
                    length_s = int(_LONGEST_SNOOZE.total_seconds())
                    latch = replace(latch, snoozed_at=begin, snooze_s=length_s)
                self.save([latch])
            db.execute("DROP TABLE quiet")
            db.execute("DELETE FROM schema_steps WHERE owner = 'quiet'")

    def forget(self, rule: str) -> None:
        """Drop the latch of a rule that is gone."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM latches WHERE rule = ?", (rule,))
            db.execute("DELETE FROM told_values WHERE rule = ?", (rule,))
