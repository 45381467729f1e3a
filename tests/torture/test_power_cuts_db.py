"""Power cuts at file level: writes that were not synced are dropped or torn, wherever they were.

SQLite promises that a transaction is on the disk when `COMMIT` returns under synchronous=FULL. What
a disk holds after a cut is: everything up to the last sync, and any part of what was written
since, in any order, in whole or in torn sectors. The disk here is recorded while the real outbox
works: the files are copied whenever a commit has returned. Between two such moments SQLite first
writes and syncs the log (a cut tears the log, and the main file is as before), then, at a
checkpoint, the main file (a cut tears that, and the log is whole).
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.outbox import Outbox
from edge_agent.system.database import connect, migrate, set_aside_files, transaction

if TYPE_CHECKING:
    from pathlib import Path

SECTOR = 512
_FULL = 2
_STEPS = ("CREATE TABLE ledger (seq INTEGER PRIMARY KEY, id TEXT UNIQUE) STRICT",)


@dataclass(frozen=True)
class _Moment:
    """The files when a commit had returned, and what was promised by then."""

    files: dict[str, bytes]
    alerts: tuple[str, ...]
    delivered: tuple[str, ...]
    synced: bool


def _files(path: Path) -> dict[str, bytes]:
    # Not the index in shared memory: it is never synced, and a cut loses it.
    return {
        name: (path.parent / name).read_bytes()
        for name in (path.name, f"{path.name}-wal")
        if (path.parent / name).exists()
    }


def _record(path: Path, dice: random.Random, commits: int) -> list[_Moment]:
    """A day's work in small: alerts with their ledger, deliveries, states, checkpoints."""
    alerts: list[str] = []
    delivered: list[str] = []
    moments = []
    with closing(connect(path)) as db:
        box = Outbox(db)
        migrate(db, "ledger", _STEPS)
        # Checkpoints in the middle of the work, many times over.
        db.execute("PRAGMA wal_autocheckpoint = 40")
        synced = db.execute("PRAGMA synchronous").fetchone() == (_FULL,)
        moments.append(_Moment(_files(path), (), (), synced))
        for number in range(commits):
            if number % 3 == 2:
                done = [entry.message.id for entry in box.due(None, limit=dice.randrange(4))]
                box.delivered(done)
                delivered += [name for name in done if name.startswith("a")]
            else:
                new = [f"a{number:04}-{n}" for n in range(dice.randrange(1, 4))]
                with transaction(db):
                    for name in new:
                        db.execute("INSERT INTO ledger (id) VALUES (?)", (name,))
                        text = b"x" * dice.randrange(50, 3000)
                        box.put(Message(name, "t/a", text, Kind.ALERT))
                    box.put(Message(f"s{number}", "t/s", b"1", Kind.STATE, collapse="s"))
                alerts += new
            moments.append(_Moment(_files(path), tuple(alerts), tuple(delivered), synced))
    return moments


def _cut(before: bytes, after: bytes, dice: random.Random) -> bytes:
    """What the disk may hold of a file between two syncs: any sectors of it, torn ones too."""
    length = dice.choice((len(before), len(after), dice.randint(0, len(after))))
    length = max(length, len(before))
    base = before.ljust(length, b"\0")
    made = bytearray(base)
    how = dice.choice(("dropped", "prefix", "scattered", "torn", "garbage"))
    for at in range(0, len(after), SECTOR):
        piece = after[at : at + SECTOR]
        if piece == before[at : at + SECTOR] or at >= length:
            continue
        if how == "dropped":
            continue
        if how == "prefix" and at > length // 2:
            break
        if how in {"scattered", "torn"} and dice.random() < 0.5:
            continue
        if how == "torn" and dice.random() < 0.2:
            piece = piece[: dice.randrange(len(piece))]
        if how == "garbage" and dice.random() < 0.2:
            # Disks keep what lay in the sector before the bytes that were being written.
            pairs = enumerate(zip(piece, made[at : at + SECTOR], strict=False))
            same = next((n for n, (new, old) in pairs if new != old), len(piece))
            piece = piece[:same] + dice.randbytes(len(piece) - same)
        made[at : at + len(piece)] = piece
    return bytes(made[:length])


def _cuts(folder: Path, seed: int, count: int) -> dict[str, int]:
    dice = random.Random(seed)
    moments = _record(folder / "work" / "agent.db", dice, commits=120)
    seen = {"cuts": 0, "checkpoints": 0, "finished": 0, "undone": 0}
    for number in range(count):
        index = dice.randrange(1, len(moments))
        before, after = moments[index - 1], moments[index]
        # What a commit promises holds where it was synced; else the disk may be far behind.
        synced = before if after.synced else moments[dice.randrange(index)]
        place = folder / f"cut-{number}"
        place.mkdir()
        main, log = "agent.db", "agent.db-wal"
        checkpointing = before.files[main] != after.files[main] and dice.random() < 0.5
        files = dict(after.files if checkpointing else synced.files)
        torn = main if checkpointing else log
        files[torn] = _cut(synced.files.get(torn, b""), after.files[torn], dice)
        for name, content in files.items():
            (place / name).write_bytes(content)
        seen["checkpoints"] += checkpointing
        # A checkpoint begins when the commit is safe.
        _judge(place / main, after if checkpointing else before, after, seen)
        shutil.rmtree(place)
    return seen


def _judge(path: Path, before: _Moment, after: _Moment, seen: dict[str, int]) -> None:
    with closing(connect(path)) as db:
        assert set_aside_files(path) == (), "a cut is no damage"
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ledger = tuple(name for (name,) in db.execute("SELECT id FROM ledger ORDER BY seq"))
        assert ledger in {before.alerts, after.alerts}, "whole transactions, none lost"
        waiting = {
            entry.message.id
            for entry in Outbox(db).due(None, limit=10_000)
            if entry.message.kind is Kind.ALERT
        }
    gone = set(ledger) - waiting
    assert gone in ({*before.delivered}, {*after.delivered}), "gone is what had its PUBACK"
    assert waiting <= set(ledger), "none invented"
    seen["cuts"] += 1
    changed = before.alerts != after.alerts
    seen["finished"] += changed and ledger == after.alerts
    seen["undone"] += changed and ledger == before.alerts


def test_a_hundred_power_cuts(tmp_path: Path) -> None:
    """Every alert whose commit returned is there, whole transactions only, the file is sound."""
    seen = _cuts(tmp_path, seed=2, count=100)
    assert seen["cuts"] == 100
    assert min(seen.values()) > 3, "cuts of every sort"


def test_the_judge_finds_a_lost_commit(tmp_path: Path) -> None:
    """Were the log of a commit not synced, the alerts of it would be missed."""
    dice = random.Random(3)
    moments = _record(tmp_path / "work" / "agent.db", dice, commits=12)
    now, early = moments[11], moments[4]
    path = tmp_path / "agent.db"
    for name, content in early.files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AssertionError, match="none lost"):
        _judge(path, now, now, {"cuts": 0, "finished": 0, "undone": 0})
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
