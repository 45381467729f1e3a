"""A socket in the state folder, on which the service answers other processes of this device.

Nothing is written to the disk for it, and whoever may not enter the folder may not ask.

A second socket, in Linux's abstract name space, is named after the configuration file and answers
with that folder alone. So the service is found by its configuration where `storage.path` was
changed since its start, or where the file is broken.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_log = logging.getLogger(__name__)
SOCKET: Final = "agent.sock"
ASK_S: Final = 8.0
_SEND_S: Final = 2.0
_FIND_S: Final = 2.0
_CHUNK: Final = 65_536
_PEER: Final = struct.Struct("3i")
"""Process, account and group of the other side."""


@contextmanager
def answering(folder: Path, answer: Callable[[], bytes]) -> Iterator[None]:
    """Answer as long as the context lasts; a folder that takes no socket is logged.

    Args:
        folder: The state folder, which this process has locked.
        answer: Called in a thread of its own for each process that asks.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            (folder / SOCKET).unlink(missing_ok=True)
            with _address(folder) as address:
                listening.bind(address)
            listening.listen()
        except OSError as fault:
            _log.warning("%s: %s: status and doctor see the disk only", folder, fault.strerror)
        else:
            threading.Thread(target=_serve, args=(listening, answer), daemon=True).start()
        try:
            yield
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                (folder / SOCKET).unlink(missing_ok=True)


@contextmanager
def naming(config: Path, folder: Path) -> Iterator[None]:
    """Tell as long as the context lasts which state folder the service of a configuration uses.

    Args:
        config: The configuration file.
        folder: The state folder.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            listening.bind(_name_of(config))
            listening.listen()
        except OSError as fault:
            _log.debug("%s: %s: found by its state folder only", config, fault.strerror)
        else:
            content = os.fsencode(folder.absolute())
            threading.Thread(target=_serve, args=(listening, lambda: content), daemon=True).start()
        try:
            yield
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def folder_of(config: Path, accounts: Collection[int] = ()) -> Path | None:
    """State folder of the service that runs with a configuration file; None where none does.

    Args:
        config: The configuration file.
        accounts: Whose answer is taken, beside this process's own account and root: anybody may
            take the name.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_FIND_S)
            connection.connect(_name_of(config))
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            if _PEER.unpack(peer)[1] not in {0, os.geteuid(), *accounts}:
                return None
            parts = iter(lambda: connection.recv(_CHUNK), b"")
            content = b"".join(parts)
    except OSError:
        return None
    return Path(os.fsdecode(content)) if content else None


def ask(folder: Path) -> bytes | None:
    """What the service of this folder answers; None where none answers in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ASK_S)
            with _address(folder) as address:
                connection.connect(address)
            parts = iter(lambda: connection.recv(_CHUNK), b"")
            return b"".join(parts) or None
    except OSError:
        return None


def _serve(listening: socket.socket, answer: Callable[[], bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # closed
        with connection, suppress(OSError):
            connection.settimeout(_SEND_S)
            connection.sendall(answer())


def _name_of(config: Path) -> bytes:
    return b"\0edge-agent/" + sha256(os.fsencode(config.resolve())).hexdigest().encode()


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path of the socket; the folder's own may be longer than the 107 bytes of an address."""
    number = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}/{SOCKET}"
    finally:
        os.close(number)
