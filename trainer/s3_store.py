"""A lake in a bucket: the files of a `Store` as objects of S3 or of what speaks its language."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store as Bucket

from edge_agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


_FAULTS: Final = (BaseError, OSError)
_LIMIT: Final = timedelta(seconds=60)


class S3Store:
    """`depot_store.Store` below an s3:// address.

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
        # The environment's own names are the library's, in lower case.
        known = {
            name.lower(): env[name]
            for name in (
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_REGION",
                "AWS_DEFAULT_REGION",
                "AWS_ENDPOINT_URL",
            )
            if env.get(name)
        }
        plain = env.get("AWS_ENDPOINT_URL", "").startswith("http://")
        try:
            self._bucket = Bucket(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=known,  # type: ignore[arg-type]
                client_options={"allow_http": plain, "timeout": _LIMIT},
                retry_config={"max_retries": 4, "retry_timeout": _LIMIT},
            )
        except BaseError as fault:
            raise ConfigError(f"{address}: {_line(fault)}") from None

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, or None where it does not exist."""
        try:
            return bytes(obstore.get(self._bucket, name).bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except _FAULTS as fault:
            raise self._fault(name, "read", fault) from None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file; what is there already with the same bytes is left alone."""
        if self.read(name) == content:
            return
        try:
            obstore.put(self._bucket, name, content)
        except _FAULTS as fault:
            raise self._fault(name, "written", fault) from None

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of all files below a folder, sorted."""
        try:
            found = [
                entry["path"]
                for part in obstore.list(self._bucket, prefix=folder)
                for entry in part
            ]
        except _FAULTS as fault:
            raise self._fault(folder, "listed", fault) from None
        return tuple(sorted(found))

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no fault."""
        try:
            obstore.delete(self._bucket, name)
        except (NotFoundError, FileNotFoundError):
            return
        except _FAULTS as fault:
            raise self._fault(name, "removed", fault) from None

    def lock(self) -> AbstractContextManager[None]:
        """S3 has no locks: let one machine write to a bucket."""
        return nullcontext()

    def _fault(self, name: str, what: str, fault: BaseException) -> StorageError:
        return StorageError(f"{self._address}/{name}: cannot be {what}: {_line(fault)}")


def _line(fault: BaseException) -> str:
    return str(fault).strip().splitlines()[0][:200] if str(fault).strip() else type(fault).__name__
