"""Lease lock in an S3 bucket, by conditional writes: a note that is held for a term and renewed.

Rules, numbered as the tests name them:
    E1  The first writer of the note holds it; conditional writes let only one be first.
    E2  A note counts for its term from the moment the bucket took it, by the bucket's own clock;
        the machines' clocks do not count. After that anyone may take it over.
    E3  The holder renews it in the background. It trusts the note for a term from the moment it
        began to write, by a monotonic clock: so it stops before another can begin.
    E4  A holder that lost the note, or could not renew it in time, writes nothing more.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edge_agent.contract.errors import StorageError, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TERM_S: Final = 120.0
"""How long a note counts. Others wait at most so long for a run that was killed."""
_RENEWALS: Final = 4
"""In each term; three of them may fail."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was read: its bytes, the tag of this version, when the bucket took it."""

    content: bytes
    tag: str
    at: datetime


class Shelf(Protocol):
    """Objects that can be written on condition. Every method raises `StorageError`."""

    def peek(self, name: str) -> Seen | None:
        """The object, or None where there is none."""
        ...

    def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
        """Write where the object still has this tag (None: does not exist); the new tag, or None.

        None says that somebody else was first; nothing was written.
        """
        ...

    def now(self) -> datetime:
        """The time by the shelf's own clock."""
        ...


class _Note(msgspec.Struct, frozen=True):
    owner: str
    term_s: float
    nonce: str


class Lease:
    """One holder's claim on a note.

    Args:
        shelf: Where the note lies.
        name: Its name.
        where: What to call the place in errors.
        monotonic: Seconds that never jump.
        term_s: How long a note counts.
        owner: Who holds it, for people.
    """

    def __init__(
        self,
        shelf: Shelf,
        name: str,
        where: str,
        monotonic: Callable[[], float],
        *,
        term_s: float = TERM_S,
        owner: str | None = None,
    ) -> None:
        self._shelf = shelf
        self._name = name
        self._where = where
        self._monotonic = monotonic
        self._owner = owner or f"{socket.gethostname()}, process {os.getpid()}"
        self._tag: str | None = None
        self._until = 0.0
        self.term_s = term_s

    def acquire(self) -> None:
        """Take the note.

        Raises:
            TryLater: Somebody else holds it.
            StorageError: The shelf cannot be read or written.
        """
        seen = self._shelf.peek(self._name)
        if seen is not None:
            note = _read(seen.content)
            left = timedelta(seconds=note.term_s) - (self._shelf.now() - seen.at)
            if note.owner and left > timedelta():
                raise self._taken(note.owner, left)
            self._tag = seen.tag
        if not self._write(self._owner):
            raise self._taken("another one that was first", timedelta(seconds=self.term_s))

    def renew(self) -> bool:
        """Make the note count for another term; False where it was taken over."""
        return self._write(self._owner)

    def check(self) -> None:
        """Return while the note is certainly held.

        Raises:
            TryLater: It may be another's by now (E4).
        """
        if self._tag is None or self._monotonic() >= self._until:
            raise TryLater(
                f"{self._where}: the lock was not renewed within {self.term_s:.0f} s and may be "
                "another's by now: nothing more is written; run the same command again"
            )

    def release(self) -> None:
        """Give the note back; one that is another's stays."""
        if self._tag is not None:
            with contextlib.suppress(StorageError):
                self._write("")
            self._tag = None

    def _write(self, owner: str) -> bool:
        began = self._monotonic()
        # A tag is a digest of the content: the nonce makes every renewal another version.
        note = _Note(owner, self.term_s, secrets.token_hex(8))
        self._tag = self._shelf.put_if(self._name, msgspec.json.encode(note), self._tag)
        self._until = began + self.term_s
        return self._tag is not None

    def _taken(self, owner: str, left: timedelta) -> TryLater:
        return TryLater(
            f"{self._where}: another process is at work here ({owner}): try again when it is done; "
            f"if it died, in {left.total_seconds():.0f} s"
        )


@contextlib.contextmanager
def held(lease: Lease) -> Iterator[Lease]:
    """Hold a lease: taken, renewed by a thread, given back.

    Raises:
        TryLater, StorageError: See `Lease.acquire`.
    """
    lease.acquire()
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease.term_s / _RENEWALS):
            # A link that is away may come back in time; if not, `check` says so.
            with contextlib.suppress(StorageError):
                if not lease.renew():
                    return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()
        lease.release()


def _read(content: bytes) -> _Note:
    try:
        return msgspec.json.decode(content, type=_Note)
    except msgspec.DecodeError:
        # The empty lock file of a folder that was copied into the bucket.
        return _Note("", 0.0, "")
