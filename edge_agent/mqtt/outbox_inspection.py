"""The outbox as commands read it: beside the service, or in a file set aside as damaged."""

from __future__ import annotations

import base64
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import InputMissing, StorageError
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt import outbox_refusals
from edge_agent.mqtt.outbox_table import COLUMNS, count, message_of
from edge_agent.system.database import closed_on_error, storage_errors, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_agent.mqtt.outbox_refusals import RefusedTopic


@dataclass(frozen=True, slots=True)
class Row:
    """A message that waits, or a dead letter with the broker's reason."""

    message: Message
    refused: str | None


def open_existing(path: Path) -> sqlite3.Connection:
    """Connection to a file that must be there; nothing is created, repaired or set aside.

    Raises:
        InputMissing: There is no such file.
        StorageError: It is no database, or has no outbox.
    """
    if not path.is_file():
        raise InputMissing(f"{path}: no such file; the agent has not run yet, or look elsewhere")
    try:
        connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        with closed_on_error(connection):
            connection.execute("SELECT count(*) FROM outbox_counts").fetchone()
    except sqlite3.Error as fault:
        raise StorageError(f"{path}: not readable as an outbox: {fault}") from fault
    return connection


def rows(db: sqlite3.Connection) -> Iterator[Row]:
    """Messages that wait, oldest first, then the dead letters.

    Raises:
        StorageError: The rest of the file is damaged.
    """
    with storage_errors(db):
        for row in db.execute(f"SELECT {COLUMNS} FROM outbox ORDER BY seq"):  # noqa: S608 - fixed column names
            yield Row(message_of(row), None)
        for row in db.execute(f"SELECT {COLUMNS}, reason FROM outbox_dead ORDER BY seq"):  # noqa: S608 - fixed column names
            yield Row(message_of(row[:-1]), row[-1])


def refusals(db: sqlite3.Connection) -> tuple[tuple[RefusedTopic, ...], int]:
    """Refused topics whose messages are tried again, and how many messages are not.

    Raises:
        StorageError: The file is damaged.
    """
    with storage_errors(db):
        (number,) = db.execute("SELECT count(*) FROM outbox_dead").fetchone()
        columns = {row[1] for row in db.execute("PRAGMA table_info(outbox_dead)")}
        if "again" not in columns:  # of a version that tried none again
            return (), number
        (tried,) = db.execute("SELECT count(*) FROM outbox_dead WHERE again").fetchone()
        return outbox_refusals.refusals(db), number - tried


def retained(db: sqlite3.Connection) -> dict[str, bytes]:
    """Last delivered retained message of each topic.

    Raises:
        StorageError: The file is damaged.
    """
    with storage_errors(db):
        return dict(db.execute("SELECT topic, payload FROM outbox_retained ORDER BY seq"))


def problems(db: sqlite3.Connection) -> list[str]:
    """Everything wrong with the file and its messages; empty is good."""
    try:
        faults = [
            f"file: {verdict}"
            for (verdict,) in db.execute("PRAGMA integrity_check(20)")
            if verdict != "ok"
        ]
        for row in rows(db):
            faults.extend(f"{row.message.id}: {fault}" for fault in _faults(row.message))
    except (sqlite3.DatabaseError, StorageError) as fault:
        return [f"file: {fault}"]
    return faults


def drop(db: sqlite3.Connection, ids: Sequence[str], kinds: Sequence[str], *, dead: bool) -> int:
    """Delete messages by id and class, or all dead letters; returns how many.

    Raises:
        StorageError: The disk refused; nothing was deleted.
    """
    ranks = [tuple(Kind).index(Kind(kind)) for kind in kinds]
    deleted = 0
    with transaction(db):
        for rank in range(len(Kind)):
            if rank in ranks:
                number = db.execute("DELETE FROM outbox WHERE kind = ?", (rank,)).rowcount
            else:
                rows_of_ids = ((name, rank) for name in ids)
                number = db.executemany(
                    "DELETE FROM outbox WHERE id = ? AND kind = ?", rows_of_ids
                ).rowcount
            if number > 0:
                count(db, "dropped_by_hand", rank, number)
                deleted += number
        if dead:
            deleted += db.execute("DELETE FROM outbox_dead").rowcount
    return deleted


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON values; a payload that is no JSON is given in base64."""
    message = row.message
    document: dict[str, Any] = {
        "id": message.id,
        "kind": message.kind.value,
        "topic": message.topic,
        "retain": message.retain,
        "expires_at": message.expires_at,
    }
    if row.refused is not None:
        document["refused"] = row.refused
    try:
        document["payload"] = msgspec.json.decode(message.payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document["payload_base64"] = base64.b64encode(message.payload).decode()
    return document


def _faults(message: Message) -> Iterator[str]:
    if not message.topic or any(sign in message.topic for sign in "+#\0"):
        yield f"topic {message.topic!r} cannot be published to"
    try:
        if message.payload:
            msgspec.json.decode(message.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        yield f"payload: {in_words(fault)}"
