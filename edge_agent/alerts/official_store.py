"""The newest file of official warnings and the state of each kind, in the agent's SQLite file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.alerts.official import OfficialLatch
from edge_agent.contract import official_warnings
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.system.added_tables import add_table
from edge_agent.system.database import storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from edge_agent.contract.official_warnings import WarningBundle

_log = logging.getLogger(__name__)
_FILE: Final = "official_file"
_STATES: Final = "official_states"


class OfficialStore:
    """File and states. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`; also the outbox's, so that a state and the message
            it causes are committed together.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._read: tuple[bytes, WarningBundle] | None = None
        add_table(connection, _FILE, "id INTEGER PRIMARY KEY, content BLOB NOT NULL")
        add_table(connection, _STATES, "kind TEXT PRIMARY KEY, state BLOB NOT NULL")

    def put(self, bundle: WarningBundle) -> bool:
        """Store a file that is newer than the stored one; whether its warnings are news."""
        before = self.bundle()
        if before is not None and before.as_of >= bundle.as_of:
            return False
        content = official_warnings.encode(bundle)
        with transaction(self._db) as db:
            db.execute(f"INSERT OR REPLACE INTO {_FILE} VALUES (1, ?)", (content,))  # noqa: S608 - a constant
        return before is None or before.warnings != bundle.warnings

    def bundle(self) -> WarningBundle | None:
        """The newest file; None before the first."""
        with storage_errors(self._db):
            row = self._db.execute(f"SELECT content FROM {_FILE} WHERE id = 1").fetchone()  # noqa: S608 - a constant
        if row is None:
            return None
        if self._read is None or self._read[0] != row[0]:
            try:
                self._read = row[0], official_warnings.decode(row[0], "stored warnings")
            except BadData as fault:
                _log.warning("%s; the next file replaces them", fault)
                return None
        return self._read[1]

    def all(self) -> dict[str, OfficialLatch]:
        """State by kind, for every kind; one that cannot be read begins anew, with a warning."""
        with storage_errors(self._db):
            rows = self._db.execute(f"SELECT kind, state FROM {_STATES}").fetchall()  # noqa: S608 - a constant
        states = {kind: OfficialLatch(kind=kind) for kind in official_warnings.KINDS}
        for kind, state in rows:
            try:
                if kind in states:
                    states[kind] = msgspec.json.decode(state, type=OfficialLatch)
            except msgspec.DecodeError as fault:
                _log.warning("official warnings, %s: %s; starting clear", kind, in_words(fault))
        return states

    def save(self, latches: Iterable[OfficialLatch]) -> None:
        """Write states, inside the caller's transaction where there is one."""
        with transaction(self._db) as db:
            db.executemany(
                f"INSERT OR REPLACE INTO {_STATES} VALUES (?, ?)",  # noqa: S608 - a constant
                [(latch.kind, msgspec.json.encode(latch)) for latch in latches],
            )
