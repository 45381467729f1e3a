"""A database in memory for as long as the disk refuses, and the way back.

Rules (tests name the numbers):

1. Everything that can still be read comes along: queue, latches, observations, forecasts.
2. The copy is sound: of a damaged file tables are carried over row by row, up to the damage.
3. The way back replaces what the disk has by what memory has, in one transaction. Until it has
   succeeded memory is the truth.
4. A file that was deleted or replaced while it was open is noticed, for SQLite would write on into
   nowhere without a word.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
from typing import TYPE_CHECKING

from edge_agent.contract.errors import StorageError
from edge_agent.system.database import PAGE_BYTES, connect, transaction
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_Identity = tuple[int, int]


def into_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """A database in memory with all that can still be read of another one; it may be empty."""
    copy = _empty()
    with contextlib.suppress(sqlite3.DatabaseError):
        source.backup(copy)
        if copy.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
            return copy
    with contextlib.closing(copy):
        salvaged = _empty()
        try:
            _salvage(copy, salvaged)
        except (sqlite3.DatabaseError, StorageError) as fault:
            _log.warning("nothing of the database can be read: %s", fault)
            salvaged.close()
            return _empty()
    return salvaged


def read_into_memory(path: Path) -> sqlite3.Connection:
    """The same of a file that cannot be opened for writing, such as one on a read-only disk."""
    # Nobody writes there: without `immutable` SQLite would want to make files beside it.
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as source:
            return into_memory(source)
    except sqlite3.Error:
        return _empty()


def back_to_disk(memory: sqlite3.Connection, path: Path) -> None:
    """Write what memory holds to the disk; a damaged file there is set aside first.

    Raises:
        StorageError: The disk still refuses; what it has is unchanged.
    """
    try:
        _try_out(path.parent, _size(memory))
        with contextlib.closing(connect(path)) as disk:
            # What goes into a file with a write-ahead log must have that file's size of page.
            page = _pragma(disk, "page_size")
            if page == _pragma(memory, "page_size"):
                memory.backup(disk)
            else:
                with contextlib.closing(_empty(page)) as fitting:
                    _salvage(memory, fitting)
                    fitting.backup(disk)
    except (OSError, sqlite3.Error) as fault:
        raise StorageError(f"{path}: {fault}: still kept in memory") from fault


def identity(path: Path) -> _Identity | None:
    """What tells this file from another of the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _empty(page_bytes: int = PAGE_BYTES) -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute(f"PRAGMA page_size = {page_bytes}")
    return made


def _size(database: sqlite3.Connection) -> int:
    return _pragma(database, "page_count") * _pragma(database, "page_size")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _try_out(folder: Path, size: int) -> None:
    """Find out cheaply whether the disk takes writes again: this is asked once a minute."""
    probe = folder / ".probe"
    write_atomic(probe, b"probe")
    probe.unlink()
    # The write-ahead log holds all of it once more.
    if shutil.disk_usage(folder).free < 3 * size:
        raise OSError("not room enough yet")


def _salvage(damaged: sqlite3.Connection, target: sqlite3.Connection) -> None:
    made = damaged.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL "
        "AND name NOT LIKE 'sqlite%' ORDER BY type DESC"
    ).fetchall()
    for _, _, sql in made:
        target.execute(sql)
    # A table that is known to be made must be there, so the list of steps comes first or nothing.
    tables = [name for kind, name, _ in made if kind == "table"]
    for table in sorted(tables, key=lambda name: name != "schema_steps"):
        # Generated columns are not among these.
        columns = ", ".join(row[1] for row in damaged.execute(f"PRAGMA table_info({table})"))
        places = ", ".join("?" * (columns.count(",") + 1))
        with transaction(target):
            for row in _readable(damaged, table, columns):
                target.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})", row)  # noqa: S608 - names from the schema


def _readable(damaged: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[object]]:
    try:
        yield from damaged.execute(f"SELECT {columns} FROM {table} NOT INDEXED")  # noqa: S608 - names from the schema
    except sqlite3.DatabaseError as fault:
        if table == "schema_steps":
            raise
        _log.warning("table %s is lost from here on: %s", table, fault)
