"""The agent's SQLite file, opened so that little is lost at a power cut or a bad disk block.

One file holds everything that must change together (alert latches and the messages they cause), so
one transaction covers both. Each module that owns tables passes its SQL to `migrate`.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from edge_agent.contract.errors import StorageError
from edge_agent.system.files import make_folder, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS: Final = 5_000
PAGE_BYTES: Final = 1024
"""Transactions are small and each writes whole pages: with 4096 bytes nearly twice as many bytes a
day went to flash memory."""
WAL_LIMIT_BYTES: Final = 4_000_000
"""The write-ahead log is cut back to this after a checkpoint: flash is small."""
SLOW_S: Final = 1.0
SLOW_COMMITS: Final = 3
SLOW_WITHIN_S: Final = 3600.0
"""A disk is slow when so many commits within this time each took longer than `SLOW_S`."""
_SIDE_FILES: Final = ("", "-wal", "-shm")


class _TimedConnection(sqlite3.Connection):
    """A connection that remembers its newest slow commits: (end, length), monotonic seconds."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **options)
        self.slow_commits: deque[tuple[float, float]] = deque(maxlen=SLOW_COMMITS)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, made when absent; a file that fails its check is set aside first.

    Every commit is on the disk when it returns (WAL, synchronous=FULL). A file that is not a
    database or fails SQLite's integrity check is renamed to `<name>.corrupt-<n>` (kept for
    `edge-agent queue export --database`), a warning says so, and a new file takes its place.

    Args:
        path: Database file; its folder is made when absent.

    Returns:
        A connection for the calling thread, in autocommit mode: write inside `transaction`.

    Raises:
        StorageError: The disk refuses: no space, no permission, read-only.
    """
    try:
        make_folder(path.parent)
        try:
            return _open(path)
        except _Damaged as damage:
            aside = _set_aside(path)
            _log.warning("%s: %s; kept as %s, starting a new file", path, damage, aside.name)
            return _open(path)
    except (OSError, sqlite3.Error, _Damaged) as fault:
        raise _storage_error(str(path), fault) from fault


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection beside the agent's own that cannot write; for the calling thread.

    Raises:
        StorageError: There is no database, or the disk refuses.
    """
    try:
        # Not `mode=ro`: a reader of a write-ahead log must be allowed to make its index file.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_MS / 1000,
            isolation_level=None,
        )
        with closed_on_error(connection):
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as fault:
        raise _storage_error(str(path), fault) from fault
    return connection


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Around what is done before a connection is handed on: an error inside closes it."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything inside happens, or nothing. Inside another transaction it joins that one.

    Raises:
        StorageError: The disk refused; nothing of the outermost transaction happened.
    """
    if connection.in_transaction:
        yield connection
        return
    with storage_errors(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            _commit(connection)
        except BaseException:
            _roll_back(connection)
            raise


def _commit(connection: sqlite3.Connection) -> None:
    began = time.monotonic()
    connection.execute("COMMIT")
    end = time.monotonic()
    if end - began > SLOW_S and isinstance(connection, _TimedConnection):
        connection.slow_commits.append((end, end - began))


def slow_disk(connection: sqlite3.Connection, monotonic: float) -> str:
    """For people, that the disk takes long to write; empty where it does not.

    Args:
        connection: From `connect`; nothing is known of others.
        monotonic: Seconds on the monotonic clock.
    """
    if not isinstance(connection, _TimedConnection):
        return ""
    commits = connection.slow_commits
    if len(commits) < SLOW_COMMITS or commits[0][0] < monotonic - SLOW_WITHIN_S:
        return ""
    return (
        f"the disk is slow: {SLOW_COMMITS} writes within the hour took more than {SLOW_S:g} s, "
        f"the last one {commits[-1][1]:.1f} s; check its health, its free space and what else "
        "writes to it"
    )


@contextmanager
def storage_errors(connection: sqlite3.Connection) -> Iterator[None]:
    """Around reads: a disk error becomes a `StorageError`; an error in the SQL stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as fault:
        if _code(fault) in _SQL_ERRORS:
            raise
        raise _storage_error(_file_of(connection), fault) from fault


def migrate(connection: sqlite3.Connection, owner: str, steps: Sequence[str]) -> None:
    """Bring one owner's tables up to date; each step happens once, in order, whole or not at all.

    Args:
        connection: From `connect`.
        owner: Name of the module that owns the tables.
        steps: SQL of each step, statements ended by a semicolon at the end of a line. Append
            to it, never change a step that was released.

    Raises:
        StorageError: The disk refused, or a newer agent has written this file.
    """
    # Checked first, so that a read-only connection may call this too.
    if _steps_done(connection, owner) == len(steps):
        return
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_steps (owner TEXT PRIMARY KEY, done INTEGER) STRICT"
        )
        row = connection.execute(
            "SELECT done FROM schema_steps WHERE owner = ?", (owner,)
        ).fetchone()
        done = row[0] if row else 0
        if done > len(steps):
            raise StorageError(
                f"{_file_of(connection)}: {owner} tables are of a newer agent (step {done}, "
                f"this one knows {len(steps)}): update the agent or move the file away"
            )
        for step in steps[done:]:
            for statement in step.split(";\n"):
                connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_steps VALUES (?, ?) "
            "ON CONFLICT (owner) DO UPDATE SET done = excluded.done",
            (owner, len(steps)),
        )


def _steps_done(connection: sqlite3.Connection, owner: str) -> int:
    with storage_errors(connection):
        table = connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE name = 'schema_steps'"
        ).fetchone()
        row = (
            table
            and connection.execute(
                "SELECT done FROM schema_steps WHERE owner = ?", (owner,)
            ).fetchone()
        )
    return row[0] if row else 0


def set_aside_files(path: Path) -> tuple[Path, ...]:
    """Damaged files that `connect` has set aside beside this one, oldest first."""
    files = [
        file
        for file in path.parent.glob(f"{path.name}.corrupt-*")
        if file.name.rpartition("-")[2].isdigit()
    ]
    return tuple(sorted(files, key=lambda file: int(file.name.rpartition("-")[2])))


class _Damaged(Exception):  # noqa: N818 - a state of the file, caught right here
    """The file is not a sound database."""


_SQL_ERRORS: Final = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
"""Wrong SQL or a violated constraint: bugs, not errors of the disk."""
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(fault: sqlite3.Error) -> int:
    # Extended codes carry the plain one in their low byte; the module's own errors have none.
    code: int = getattr(fault, "sqlite_errorcode", 0)
    return code & 0xFF


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite itself has rolled back already where the disk was full.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        factory=_TimedConnection,
    )
    try:
        with closed_on_error(connection):
            _configure_and_check(connection)
    except sqlite3.DatabaseError as fault:
        if _code(fault) in _DAMAGE:
            raise _Damaged(str(fault)) from fault
        raise
    return connection


def _configure_and_check(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file only
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise _Damaged(f"fails its integrity check ({verdict})")


def _set_aside(path: Path) -> Path:
    taken = set_aside_files(path)
    number = int(taken[-1].name.rpartition("-")[2]) + 1 if taken else 1
    aside = path.with_name(f"{path.name}.corrupt-{number}")
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


def _file_of(connection: sqlite3.Connection) -> str:
    # Python's sqlite3 gives rows without types.
    name: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return name or "in-memory database"


def _storage_error(where: str, fault: Exception) -> StorageError:
    return StorageError(f"{where}: {fault}; check free space, permissions and the disk's health")
