"""A socket in the state folder, on which the service answers other processes of this device.

Nothing is written to the disk for it, and whoever may not enter the folder may not ask.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
SOCKET: Final = "agent.sock"
ASK_S: Final = 8.0
_SEND_S: Final = 2.0
_CHUNK: Final = 65_536


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


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path of the socket; the folder's own may be longer than the 107 bytes of an address."""
    number = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}/{SOCKET}"
    finally:
        os.close(number)
