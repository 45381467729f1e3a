"""A database in memory while the disk refuses writes, and the way back to the disk.

Rules (tests name the numbers):

1. Everything that can still be read is copied: queue, latches, observations, forecasts.
2. The copy is sound: tables of a damaged file are copied row by row, up to the damage.
3. The way back replaces the content of the disk by that of memory, in one transaction. Until it
   has succeeded the database in memory is the one in use.
4. A file that was deleted or replaced while it was open is noticed: SQLite would go on writing to
   the deleted file without an error.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
from typing import TYPE_CHECKING

from edge_agent.contract.errors import StorageError
from edge_agent.system import fault_words
from edge_agent.system.database import PAGE_BYTES, connect, transaction
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_Identity = tuple[int, int]


def into_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """A database in memory with everything that can be read of another one; it may be empty."""
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
    # Nobody writes there; without `immutable` SQLite would create files beside it.
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
        _check_disk(path.parent, _size(memory))
        with contextlib.closing(connect(path)) as disk:
            # A backup into a file with a write-ahead log must have that file's page size.
            page = _pragma(disk, "page_size")
            if page == _pragma(memory, "page_size"):
                memory.backup(disk)
            else:
                with contextlib.closing(_empty(page)) as fitting:
                    _salvage(memory, fitting)
                    fitting.backup(disk)
    except (OSError, sqlite3.Error) as fault:
        raise StorageError(f"{path}: {fault_words.of_file(fault)}: still kept in memory") from fault


def identity(path: Path) -> _Identity | None:
    """Device and inode of a file, which tell it from another of the same name; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _empty(page_bytes: int = PAGE_BYTES) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute(f"PRAGMA page_size = {page_bytes}")
    return database


def _size(database: sqlite3.Connection) -> int:
    return _pragma(database, "page_count") * _pragma(database, "page_size")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _check_disk(folder: Path, size: int) -> None:
    """Raise `OSError` where the disk still refuses writes; cheap, as it is called once a minute."""
    probe = folder / ".probe"
    write_atomic(probe, b"probe")
    probe.unlink()
    # The write-ahead log holds all of it once more.
    if shutil.disk_usage(folder).free < 3 * size:
        raise OSError("not room enough yet")


def _salvage(damaged: sqlite3.Connection, target: sqlite3.Connection) -> None:
    objects = damaged.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL "
        "AND name NOT LIKE 'sqlite%' ORDER BY type DESC"
    ).fetchall()
    for _, _, sql in objects:
        target.execute(sql)
    # The list of migration steps comes first: without it the other tables cannot be used.
    tables = [name for kind, name, _ in objects if kind == "table"]
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
