"""The device's client of The Update Framework (TUF): the only place that verifies metadata.

python-tuf's client checks signatures and thresholds, the chain of roots from the one given by hand,
expiry, version rollback of every role, mix-and-match, lengths and hashes. This module adds a source
that may be a folder, metadata that is flushed to the disk before it is used, and errors by what the
caller does next.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract import compression
from edge_agent.contract.errors import (
    BadData,
    ConfigError,
    FarmError,
    Refused,
    StorageError,
    TryLater,
)
from edge_agent.system.files import make_folder, write_atomic
from edge_agent.updates.source import NoSuchFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tuf.api.metadata import TargetFile
    from tuf.ngclient import FetcherInterface, Updater

    from edge_agent.updates.source import DepotSource

_METADATA: Final = "metadata/"
_TARGETS: Final = "targets/"


class DepotClient:
    """A depot in TUF's layout.

    Args:
        source: Transport; not trusted.
        folder: Verified metadata, kept between runs to detect a rollback.
        root: Bytes of the first root metadata, brought to the device by hand.
    """

    def __init__(self, source: DepotSource, folder: Path, root: bytes) -> None:
        self._source = source
        self._folder = folder
        self._root = root
        self._client: Updater | None = None
        self._fetcher: FetcherInterface | None = None
        self._name = ""

    def refresh(self, now: datetime) -> None:
        """Learn what is current.

        Args:
            now: Time that expiry is checked against, aware UTC.

        Raises:
            Refused: Some metadata is forged, older than what was seen before, or damaged.
            TryLater: The depot cannot be reached, is incomplete, or was not renewed in time.
            ConfigError: The root brought by hand is none.
            StorageError: The device's disk failed.
        """
        with self._explained():
            self._client = self._open(now)
            self._client.refresh()

    def fetch(self, path: str, limit: int, have: bytes | None = None) -> bytes | None:
        """Verified content of a target, or None where no trusted role lists it.

        Where the depot lists a compressed form too, that is downloaded. Its decompressed content is
        checked against the length and hash that are signed for the target itself.

        Args:
            path: Target path.
            limit: Longest content accepted, bytes; checked by the signed length beforehand.
            have: Content of an earlier download; returned as it is where it still matches.

        Raises:
            Refused: The content or the role that lists it is forged or damaged, or it is too long.
            TryLater: See `refresh`, which must have been called.
            StorageError: The device's disk failed.
        """
        assert self._client is not None, "refresh comes first"
        assert self._fetcher is not None
        with self._explained():
            info = self._client.get_targetinfo(path)
            if info is None:
                return None
            if info.length > limit:
                raise Refused(
                    f"{path}: {info.length} bytes, more than the limit of {limit}: not downloaded"
                )
            if have is not None and _matches(info, have):
                return have
            packed = self._client.get_targetinfo(compression.packed_path(path))
            if packed is None or packed.length >= info.length:
                return self._download(info)
            content = _unpacked(self._download(packed), info, packed.path)
            info.verify_length_and_hashes(content)
            return content
        raise AssertionError("unreachable")

    def _download(self, info: TargetFile) -> bytes:
        assert self._fetcher is not None
        folder, _, name = info.path.rpartition("/")
        stored = f"{_TARGETS}{folder}/{info.hashes['sha256']}.{name}"
        content = self._fetcher.download_bytes(stored, info.length)
        info.verify_length_and_hashes(content)
        return content

    def offered(self, path: str) -> str | None:
        """SHA-256 (hex) of a target that the top-level role itself lists, or None.

        Delegated roles are ignored: their keys may be on a server.
        """
        assert self._client is not None, "refresh comes first"
        target = self._client._trusted_set.targets.targets.get(path)  # noqa: SLF001 - as in _open
        return None if target is None else str(target.hashes["sha256"])

    def _open(self, now: datetime) -> Updater:
        client, self._fetcher = _client(self._source, self._folder, self._root, self._set_name)
        # python-tuf reads the wall clock; here the caller passes the time.
        client._trusted_set.reference_time = now  # noqa: SLF001 - there is no public setter
        return client

    def _set_name(self, name: str) -> None:
        self._name = name

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        from tuf.api import exceptions as tuf
        from tuf.api.serialization import DeserializationError

        try:
            yield
        except FarmError:
            raise
        except DeserializationError as fault:
            if not self._name:  # nothing has been downloaded yet
                raise ConfigError(
                    "[depot] root_file is no root.json of a trainer: copy it again"
                ) from fault
            raise Refused(f"{self._source.where()}: {self._name}: {_one_line(fault)}") from fault
        except tuf.ExpiredMetadataError as fault:
            raise TryLater(
                f"{self._source.where()}: {self._name}: {fault}: nobody renewed it; what is "
                "installed goes on, new releases wait"
            ) from fault
        except tuf.DownloadHTTPError as fault:
            raise TryLater(
                f"{fault}: the copy of the depot is incomplete: try again, or copy it again"
            ) from fault
        except tuf.BadVersionNumberError as fault:
            raise Refused(
                f"{self._source.where()}: {self._name}: {_one_line(fault)} (older than what this "
                "device saw before, or files of two depots mixed: a stale or hostile copy)"
            ) from fault
        except (tuf.RepositoryError, tuf.DownloadLengthMismatchError) as fault:
            raise Refused(f"{self._source.where()}: {self._name}: {_one_line(fault)}") from fault
        except tuf.DownloadError as fault:
            raise TryLater(f"{self._source.where()}: {self._name}: {_one_line(fault)}") from fault
        except OSError as fault:
            raise StorageError(f"{self._folder}: {fault.strerror}: check the disk") from fault


def _matches(info: TargetFile, have: bytes) -> bool:
    from tuf.api.exceptions import LengthOrHashMismatchError

    try:
        info.verify_length_and_hashes(have)
    except LengthOrHashMismatchError:
        return False
    return True


def _unpacked(packed: bytes, info: TargetFile, path: str) -> bytes:
    try:
        return compression.unpack(packed, info.length)
    except BadData as fault:
        raise Refused(f"{path}: {fault}") from fault


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__


def _client(
    source: DepotSource, folder: Path, root: bytes, note: Callable[[str], None]
) -> tuple[Updater, FetcherInterface]:
    """python-tuf's client on our source and our disk; imported here, as it costs start-up time."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface, Updater

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            note(url)
            try:
                yield from source.read(url)
            except NoSuchFile as fault:
                raise DownloadHTTPError(str(fault), 404) from fault

    class DurableUpdater(Updater):
        def _persist_file(self, filename: str, data: bytes) -> None:
            write_atomic(Path(filename), data)

    make_folder(folder)
    fetcher = Fetcher()
    client = DurableUpdater(str(folder), _METADATA, None, _TARGETS, fetcher=fetcher, bootstrap=root)
    return client, fetcher
