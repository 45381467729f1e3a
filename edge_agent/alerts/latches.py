"""Latches of rules, kept over restarts in the agent's SQLite file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.alerts.state_machine import Latch
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_log = logging.getLogger(__name__)
_STEPS: Final = ("CREATE TABLE latches (rule TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT",)


class Latches:
    """Latches by rule name. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`; also the outbox's, so that a latch and the message
            it causes are committed together.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "latches", _STEPS)

    def all(self) -> dict[str, Latch]:
        """Every latch; one that cannot be read (of a newer agent) is left out, with a warning."""
        with storage_errors(self._db):
            rows = self._db.execute("SELECT rule, state FROM latches ORDER BY rule").fetchall()
        latches = {}
        for name, state in rows:
            try:
                latches[name] = msgspec.json.decode(state, type=Latch)
            except msgspec.DecodeError as fault:
                _log.warning("latch of rule %s: %s; starting clear", name, fault)
        return latches

    def save(self, latches: Iterable[Latch]) -> None:
        """Write latches, inside the caller's transaction where there is one."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO latches VALUES (?, ?) "
                "ON CONFLICT (rule) DO UPDATE SET state = excluded.state",
                [(latch.rule, msgspec.json.encode(latch)) for latch in latches],
            )

    def forget(self, rule: str) -> None:
        """Drop the latch of a rule that is gone."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM latches WHERE rule = ?", (rule,))
