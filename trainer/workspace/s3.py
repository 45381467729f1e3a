"""A `Store` in a bucket of S3, or of another service with the same interface."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store as Bucket

from edge_agent.contract.errors import ConfigError, TryLater
from edge_agent.system.clock import SystemClock
from trainer.workspace.lease import Lease, Seen, held
from trainer.workspace.s3_errors import NoBucket, fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from obstore import PutMode

    from edge_agent.contract.errors import StorageError

_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
)
_ABSENT: Final = (NotFoundError, FileNotFoundError)
_CLOCK: Final = ".clock"
"""Written to learn the bucket's time."""
_FAULTS: Final = (BaseError, OSError)
_LIMIT: Final = timedelta(seconds=60)


def open_bucket(address: str) -> S3Store:
    """The store of an address, with the keys of the process's environment.

    One store for each address in a process, so that every write checks the locks that are held.

    Raises:
        ConfigError: See `S3Store`.
    """
    return _opened(address, tuple((name, os.environ.get(name, "")) for name in _VARIABLES))


@cache
def _opened(address: str, env: tuple[tuple[str, str], ...]) -> S3Store:
    return S3Store(address, dict(env))


class S3Store:
    """`store.Store` below an s3:// address.

    A put replaces a whole object at once, so that a reader or a kill sees the old or the new one.

    Args:
        address: s3://bucket/prefix.
        env: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, ...; without
            keys the machine's own role is asked.

    Raises:
        ConfigError: Not such an address, or settings that do not make sense.
    """

    def __init__(self, address: str, env: Mapping[str, str]) -> None:
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc:
            raise ConfigError(f"{address}: not an address like s3://bucket/prefix")
        self._address = address.rstrip("/")
        self._leases: list[Lease] = []
        self._key = env.get("AWS_ACCESS_KEY_ID", "")
        # The environment's own names are the library's, in lower case.
        settings = {name.lower(): env[name] for name in _VARIABLES if env.get(name)}
        plain = env.get("AWS_ENDPOINT_URL", "").startswith("http://")
        try:
            self._bucket = Bucket(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=settings,  # type: ignore[arg-type]
                client_options={"allow_http": plain, "timeout": _LIMIT},
                retry_config={"max_retries": 4, "retry_timeout": _LIMIT},
            )
        except BaseError as fault:
            raise ConfigError(f"{address}: {_line(fault)}") from None

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, or None where it does not exist."""
        seen = self.peek(name)
        return seen.content if seen else None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file; one with the same bytes is left as it is."""
        if self.read(name) == content:
            return
        self._check()
        try:
            obstore.put(self._bucket, name, content)
        except _FAULTS as fault:
            raise self._fault(name, "written", fault) from None

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of all files below a folder, sorted."""
        try:
            paths = [
                entry["path"]
                for part in obstore.list(self._bucket, prefix=folder)
                for entry in part
            ]
        except _FAULTS as fault:
            raise self._fault(folder, "listed", fault) from None
        return tuple(sorted(paths))

    def remove(self, name: str) -> None:
        """Remove a file; a file that does not exist is no fault."""
        self._check()
        try:
            obstore.delete(self._bucket, name)
        except _ABSENT:
            return
        except _FAULTS as fault:
            raise self._fault(name, "removed", fault) from None

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Replace a file only if it still holds `before`; see `Store.swap`."""
        self._check()
        seen = self.peek(name) if before is not None else None
        same = before is None or (seen is not None and seen.content == before)
        if not same or self.put_if(name, after, seen.tag if seen else None) is None:
            raise TryLater(
                f"{self._address}/{name}: another process has written it meanwhile: run the same "
                "command again"
            )

    def append(self, name: str, before: bytes | None, line: bytes) -> bool:
        """Add a line to a file only if it still holds `before`; see `Store.append`."""
        self._check()
        seen = self.peek(name)
        if (seen.content if seen else None) != before:
            return False
        return self.put_if(name, (before or b"") + line, seen.tag if seen else None) is not None

    @contextmanager
    def lock(self, name: str = "lock") -> Iterator[None]:
        """Hold a lease against other writers; see `Store.lock`.

        Raises:
            TryLater: Another process holds it.
        """
        lease = Lease(self, f".{name}", self._address, SystemClock().monotonic)
        with held(lease):
            self._leases.append(lease)
            try:
                yield
            finally:
                self._leases.remove(lease)

    def peek(self, name: str) -> Seen | None:
        """See `lease.Shelf`."""
        try:
            answer = obstore.get(self._bucket, name)
            return Seen(
                bytes(answer.bytes()), answer.meta["e_tag"] or "", answer.meta["last_modified"]
            )
        except _ABSENT as fault:
            missing = self._fault(name, "read", fault)
            if isinstance(missing, NoBucket):
                raise missing from None
            return None
        except _FAULTS as fault:
            raise self._fault(name, "read", fault) from None

    def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
        """See `lease.Shelf`."""
        try:
            mode: PutMode = "create" if tag is None else {"e_tag": tag}
            return obstore.put(self._bucket, name, content, mode=mode)["e_tag"]
        except (AlreadyExistsError, PreconditionError, *_ABSENT):
            # After a lost answer the client tries again, and then its own first try is there.
            seen = self.peek(name)
            return seen.tag if seen is not None and seen.content == content else None
        except _FAULTS as fault:
            raise self._fault(name, "written", fault) from None

    def now(self) -> datetime:
        """See `lease.Shelf`."""
        try:
            obstore.put(self._bucket, _CLOCK, b"")
            return obstore.head(self._bucket, _CLOCK)["last_modified"]
        except _FAULTS as fault:
            raise self._fault(_CLOCK, "written", fault) from None

    def _check(self) -> None:
        for lease in self._leases:
            lease.check()

    def _fault(self, name: str, what: str, fault: BaseException) -> StorageError:
        return fault_of(f"{self._address}/{name}", what, self._key, str(fault))


def _line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
