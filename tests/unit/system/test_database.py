"""Opening, transactions, migrations and the quarantine of damaged files."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import StorageError
from edge_agent.system.database import (
    connect,
    migrate,
    set_aside_files,
    slow_disk,
    transaction,
)

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT"


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """The file is in WAL mode with synchronous=FULL and foreign keys."""
    with closing(connect(tmp_path / "state" / "a.db")) as conn:
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert conn.execute("PRAGMA synchronous").fetchone() == (2,)
        assert conn.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    """An exception undoes the outermost transaction, joined inner ones included."""
    with closing(connect(tmp_path / "a.db")) as conn:
        conn.execute(TABLE)

        def fail() -> None:
            with transaction(conn):
                conn.execute("INSERT INTO t VALUES (1)")
                with transaction(conn):
                    conn.execute("INSERT INTO t VALUES (2)")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert not conn.in_transaction


def test_the_callers_own_mistakes_are_not_disk_faults(tmp_path: Path) -> None:
    """A broken constraint stays what it is."""
    with closing(connect(tmp_path / "a.db")) as conn:
        conn.execute(TABLE)
        conn.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError), transaction(conn):
            conn.execute("INSERT INTO t VALUES (1)")


def test_a_slow_disk_is_told_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slow commits within an hour are a problem; two are none, nor are quick ones."""
    moment = [0.0]

    def commit(conn: sqlite3.Connection, takes_s: float) -> None:
        times = iter((moment[0], moment[0] + takes_s))
        monkeypatch.setattr("edge_agent.system.database.time.monotonic", lambda: next(times))
        with transaction(conn):
            conn.execute("INSERT INTO t DEFAULT VALUES")
        moment[0] += 600.0

    with closing(connect(tmp_path / "a.db")) as conn:
        conn.execute(TABLE)
        for takes_s in (1.5, 0.9, 0.0, 2.0):
            commit(conn, takes_s)
        assert slow_disk(conn, moment[0]) == ""
        commit(conn, 3.2)
        text = slow_disk(conn, moment[0])
        assert text.startswith(
            "the disk is slow: 3 writes within the hour took more than 1 s, the last one 3.2 s"
        )
        assert slow_disk(conn, 3601.4) == text
        assert slow_disk(conn, 3601.6) == ""


def test_a_full_database_is_a_storage_error(tmp_path: Path) -> None:
    """No space left gives one line that names the file, and the transaction is undone."""
    with closing(connect(tmp_path / "a.db")) as conn:
        conn.execute("CREATE TABLE b (x BLOB) STRICT")
        conn.execute("PRAGMA max_page_count = 10")
        with pytest.raises(StorageError, match=r"a\.db: .*full; check free"), transaction(conn):
            conn.execute("INSERT INTO b VALUES (zeroblob(1000000))")
        assert not conn.in_transaction
        assert conn.execute("SELECT count(*) FROM b").fetchone() == (0,)


def test_steps_run_once_and_in_order(tmp_path: Path) -> None:
    """A second start runs only the steps that are new; owners do not disturb each other."""
    first = "CREATE TABLE t (x INTEGER) STRICT;\nINSERT INTO t VALUES (1)"
    second = "INSERT INTO t VALUES (2)"
    with closing(connect(tmp_path / "a.db")) as conn:
        migrate(conn, "one", [first])
        migrate(conn, "one", [first])
        migrate(conn, "two", ["CREATE TABLE u (x INTEGER) STRICT"])
        migrate(conn, "one", [first, second])
        assert conn.execute("SELECT x FROM t ORDER BY x").fetchall() == [(1,), (2,)]


def test_a_failed_step_is_undone(tmp_path: Path) -> None:
    """A step that fails halfway leaves the tables of before."""
    with closing(connect(tmp_path / "a.db")) as conn:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            migrate(conn, "one", ["CREATE TABLE t (x INTEGER) STRICT;\nNOT SQL"])
        assert conn.execute("SELECT name FROM sqlite_master WHERE name = 't'").fetchall() == []


def test_tables_of_a_newer_agent_are_left_alone(tmp_path: Path) -> None:
    """An older agent refuses a file that a newer one has changed."""
    with closing(connect(tmp_path / "a.db")) as conn:
        migrate(conn, "one", [TABLE, "CREATE TABLE u (x INTEGER) STRICT"])
        with pytest.raises(StorageError, match="of a newer agent"):
            migrate(conn, "one", [TABLE])


@pytest.mark.parametrize("damage", ["not a database", "torn page"])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """A file that fails its check is kept under another name, said, and replaced."""
    path = tmp_path / "a.db"
    if damage == "not a database":
        path.write_bytes(b"\x00garbage" * 1000)
    else:
        with closing(connect(path)) as conn:
            conn.execute("CREATE TABLE b (x BLOB) STRICT")
            conn.execute("INSERT INTO b VALUES (randomblob(100000))")
            conn.execute("CREATE INDEX i ON b (x)")
        content = bytearray(path.read_bytes())
        content[4096:12288] = b"\xff" * 8192
        path.write_bytes(content)
    broken = path.read_bytes()
    with caplog.at_level(logging.WARNING), closing(connect(path)) as conn:
        assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    (kept,) = set_aside_files(path)
    assert kept.name == "a.db.corrupt-1"
    assert kept.read_bytes() == broken
    assert "kept as a.db.corrupt-1" in caplog.text


def test_quarantine_names_are_never_reused(tmp_path: Path) -> None:
    """Each damaged file gets its own number."""
    path = tmp_path / "a.db"
    for _ in range(11):
        path.write_bytes(b"\x00garbage" * 1000)
        connect(path).close()
    assert [f.name for f in set_aside_files(path)] == [f"a.db.corrupt-{n}" for n in range(1, 12)]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    """A path below a file is refused in one line."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"a\.db: .*check free space, permissions"):
        connect(tmp_path / "file" / "a.db")
