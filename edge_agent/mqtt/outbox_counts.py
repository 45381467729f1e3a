"""How the outbox stands, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.mqtt import outbox_refusals
from edge_agent.mqtt.outbox_table import RANKS, counters
from edge_agent.system.database import storage_errors

if TYPE_CHECKING:
    import sqlite3

    from edge_agent.mqtt.outbox_refusals import RefusedTopic


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers by class name; all but what waits and `refusals` since the file was made."""

    waiting: dict[str, int] = field(default_factory=dict)
    waiting_bytes: dict[str, int] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)
    dropped_for_room: dict[str, int] = field(default_factory=dict)
    dropped_expired: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    dropped_by_hand: dict[str, int] = field(default_factory=dict)
    refusals: tuple[RefusedTopic, ...] = ()


def counts_of(db: sqlite3.Connection) -> Counts:
    """What waits and what has left.

    Raises:
        StorageError: The disk refused.
    """
    with storage_errors(db):
        waiting = db.execute(
            "SELECT kind, count(*), sum(size) FROM outbox GROUP BY kind"
        ).fetchall()
        refusals = outbox_refusals.refusals(db)
    return Counts(
        waiting={RANKS[kind].value: number for kind, number, _ in waiting},
        waiting_bytes={RANKS[kind].value: size for kind, _, size in waiting},
        refusals=refusals,
        **counters(db),
    )
