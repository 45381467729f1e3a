"""Columns and tables that a database of an earlier version lacks.

An earlier agent goes on with the file: it reads and writes what it knows by name. A step of
`database.migrate` would keep it from starting after a way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.system.database import storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3


def add_columns(connection: sqlite3.Connection, table: str, names: tuple[str, ...]) -> None:
    """Add the columns of numbers that the contract has had since the file was made."""
    with storage_errors(connection):
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    missing = [name for name in names if name not in present]
    if missing:
        with transaction(connection) as db:
            for name in missing:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {name} REAL")


def add_table(connection: sqlite3.Connection, table: str, columns: str) -> None:
    """Add a table where there is none.

    Args:
        connection: From `database.connect`.
        table: Its name.
        columns: Their definitions in SQL.
    """
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    with storage_errors(connection):
        present = connection.execute(query, (table,)).fetchone()
    if present is None:
        with transaction(connection) as db:
            db.execute(f"CREATE TABLE {table} ({columns}) STRICT")
