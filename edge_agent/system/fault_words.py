"""What errors of the system and of connections mean, in words: no number, no class. Pure."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import Final

_LATE: Final = "no answer in time"
_HUNG_UP: Final = "it hung up without an answer"
_WORDS: Final[dict[type[OSError], str]] = {
    socket.gaierror: "its name is not known here",
    ConnectionRefusedError: "nothing accepts connections there",
    TimeoutError: _LATE,
    ConnectionResetError: _HUNG_UP,
    BrokenPipeError: _HUNG_UP,
}
_PROTOCOL: Final = {"RemoteProtocolError", "ReadError", "WriteError", "CloseError"}
"""Of httpx, whose import costs start-up time."""


def of_connection(fault: BaseException) -> str:
    """What an error of a connection means for people.

    Args:
        fault: Of the system, of TLS or of httpx; the system's behind one of httpx is found.
    """
    if "Timeout" in type(fault).__name__:
        return _LATE
    cause = _of_system(fault)
    if cause is not None:
        return _of_os_error(cause)
    if type(fault).__name__ in _PROTOCOL:
        return _HUNG_UP
    return " ".join(str(fault).split()) or "no connection"


def of_file(fault: BaseException) -> str:
    """What an error of a file or a program means for people; any other has its own text."""
    if isinstance(fault, subprocess.TimeoutExpired):
        return f"no answer within {fault.timeout:g} s"
    if isinstance(fault, OSError) and fault.strerror:
        place = f"{fault.filename}: " if fault.filename else ""
        return f"{place}{fault.strerror}"
    return " ".join(str(fault).split()) or "it failed"


def _of_os_error(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not valid here: {fault.verify_message.rstrip('.')}"
    if isinstance(fault, ssl.SSLError):
        reason = (fault.reason or "the handshake broke off").lower().replace("_", " ")
        return f"TLS failed: {reason}"
    for kind, words in _WORDS.items():
        if isinstance(fault, kind):
            return words
    return (fault.strerror or "no connection").lower()


def _of_system(fault: BaseException) -> OSError | None:
    """The system's error that an error comes from, or is."""
    seen: BaseException | None = fault
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
