"""Why a broker could not be reached or understood, in plain words. Pure."""

from __future__ import annotations

import socket


def in_words(fault: Exception, host: str, port: int, *, reached: bool) -> str:
    """What an exception of the network means for people.

    Args:
        fault: Of an attempt to connect, or of a connection.
        host: The broker's.
        port: The broker's.
        reached: Whether a connection stood.
    """
    place = f"{host}:{port}"
    if isinstance(fault, socket.gaierror):
        return f"the name {host} is not known here"
    if isinstance(fault, ConnectionRefusedError):
        return f"nothing accepts connections at {place}"
    if isinstance(fault, TimeoutError):
        return f"no answer from {place}"
    if isinstance(fault, OSError):
        why = fault.strerror or str(fault)
        return f"connection lost: {why}" if reached else f"{place} cannot be reached: {why}"
    return f"the broker's answer cannot be read ({type(fault).__name__}: {fault})"
