"""The raw half of the lake: each answer as received, with its request. Nothing is ever removed.

    raw/asos/108/00000123_2024010100-2024021023_p1.gz

A file is gzip of one line of JSON (request without the key, time, status, SHA-256, length) and
the body. Numbers rise within a station, so that a later answer is known as later whatever the
clock said. A file is never rewritten.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.workspace.store import Store

SEVERAL: Final = 0
"""Station number under which answers and files that hold several stations are kept."""

_LEVEL: Final = 1
"""JSON of numbers shrinks 12-fold at the fastest level; the next ones cost more than they save."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of an answer besides its body."""

    query: dict[str, str]
    fetched_at: str
    status: int
    sha256: str
    length: int

    @property
    def received(self) -> datetime:
        """`fetched_at` as a time, UTC."""
        return datetime.fromisoformat(self.fetched_at)


def pack(query: dict[str, str], body: bytes, fetched_at: datetime, status: int) -> bytes:
    """Content of an answer's file: query without the key, body as received."""
    time = f"{fetched_at:%Y-%m-%dT%H:%M:%SZ}"
    about = Answer(query, time, status, hashlib.sha256(body).hexdigest(), len(body))
    return gzip.compress(msgspec.json.encode(about) + b"\n" + body, _LEVEL, mtime=0)


class RawStore:
    """Raw answers by source and station.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def places(self, source: str) -> list[int]:
        """Numbers of stations, or of cells, that have answers of a source, ascending."""
        names = self._store.names(f"raw/{source}")
        return sorted({int(name.split("/")[2]) for name in names if name.endswith(".gz")})

    def names(self, source: str, station: int) -> list[tuple[int, str]]:
        """Number and file name of every answer of a station, ascending."""
        names = self._store.names(f"raw/{source}/{station}")
        return sorted(
            (int(name.rpartition("/")[2].partition("_")[0]), name)
            for name in names
            if name.endswith(".gz")
        )

    def next_number(self, source: str, station: int) -> int:
        """A number above that of every answer of a station."""
        return max((number for number, _ in self.names(source, station)), default=0) + 1

    def keep(self, source: str, station: int, number: int, label: str, packed: bytes) -> None:
        """Write one answer.

        Args:
            source: "asos", "hub", ...
            station: KMA's number.
            number: Larger than every number of this station so far; pages of a request share it.
            label: What it answers, for people who look into the folder.
            packed: What `pack` returned.
        """
        self._store.write(f"raw/{source}/{station}/{number:08d}_{label}.gz", packed)

    def keep_once(
        self, folder: str, number: int, about: dict[str, str], content: bytes, now: datetime
    ) -> None:
        """Write a file that was brought in, unless the same content is there under the same words.

        Args:
            folder: Of the raw store.
            number: Station, cell, or `SEVERAL`.
            about: What is known of the file besides its content.
            content: The file.
            now: When it was brought in.
        """
        label = hashlib.sha256(content).hexdigest()[:16]
        for _, other in self.names(folder, number):
            if other.endswith(f"_{label}.gz") and self.read(other)[0].query == about:
                return
        packed = pack(about, content, now, 0)
        self.keep(folder, number, self.next_number(folder, number), label, packed)

    def read(self, name: str) -> tuple[Answer, bytes]:
        """One answer and its body.

        Raises:
            StorageError: The file is gone or damaged.
        """
        content = self._store.read(name)
        try:
            head, _, body = gzip.decompress(content or b"").partition(b"\n")
            about = msgspec.json.decode(head, type=Answer)
        except (OSError, EOFError, ValueError, zlib.error) as fault:
            raise StorageError(
                f"lake: {name} is gone or damaged: restore it or remove it"
            ) from fault
        if hashlib.sha256(body).hexdigest() != about.sha256:
            raise StorageError(f"lake: {name} is not what was received: restore it or remove it")
        return about, body

    def since(self, source: str, station: int, number: int) -> Iterator[tuple[int, Answer, bytes]]:
        """Number, description and body of every answer above `number`, ascending."""
        for answer_number, name in self.names(source, station):
            if answer_number > number:
                yield (answer_number, *self.read(name))
