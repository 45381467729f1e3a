"""Errors by what the caller does next; each class carries the exit code of the command line.

    FarmError
    ├── UsageError        64  the call itself is wrong: fix the command
    ├── BadData           65  input that can never be used: drop it, count it
    ├── InputMissing      66  a file or record that must be there is not
    ├── Unavailable       69  the other side cannot serve now, and this was a one-shot
    ├── CannotCreate      73  an output cannot be made: path, permission
    ├── StorageError      74  disk or database fault: stop before harm
    ├── TryLater          75  keep what you have, the same call may succeed later
    ├── ProtocolFault     76  the other side does not follow the protocol
    ├── Refused           77  signature, permission, key: never retry as it is
    ├── ConfigError       78  configuration: a person must change it, do not restart
    ├── GateRefused       10  a candidate did not pass the gate
    └── NothingNew        11  done already

Texts are one line: what, where, what to do. They never hold a secret.
Errors of libraries are wrapped where the bytes are read, not only where the call is made.
"""

from __future__ import annotations

from typing import ClassVar, Final


class FarmError(Exception):
    """Base of every foreseeable fault; anything else is a bug (exit 70)."""

    exit_code: ClassVar[int] = 70


class UsageError(FarmError):
    """The command was called wrongly."""

    exit_code = 64


class BadData(FarmError):  # noqa: N818 - named by what the caller does
    """Data or a manifest that can never be used."""

    exit_code = 65


class InputMissing(FarmError):  # noqa: N818 - named by what the caller does
    """A file or record that the caller named is not there."""

    exit_code = 66


class Unavailable(FarmError):  # noqa: N818 - named by what the caller does
    """A one-shot command found the other side out of service."""

    exit_code = 69


class CannotCreate(FarmError):  # noqa: N818 - named by what the caller does
    """An output file or folder cannot be made."""

    exit_code = 73


class StorageError(FarmError):
    """Disk or database fault."""

    exit_code = 74


class TryLater(FarmError):  # noqa: N818 - named by what the caller does
    """Nothing is lost; the same call may succeed later."""

    exit_code = 75


class ProtocolFault(FarmError):  # noqa: N818 - named by what the caller does
    """An answer that does not follow the protocol."""

    exit_code = 76


class Refused(FarmError):  # noqa: N818 - named by what the caller does
    """A signature, key or permission was refused."""

    exit_code = 77


class ConfigError(FarmError):
    """The configuration must be changed by a person; restarting does not help."""

    exit_code = 78


class GateRefused(FarmError):  # noqa: N818 - named by what the caller does
    """A candidate model did not pass the gate."""

    exit_code = 10


class NothingNew(FarmError):  # noqa: N818 - named by what the caller does
    """The work of this call was done before."""

    exit_code = 11


_BY_EXIT_CODE: Final = {kind.exit_code: kind for kind in FarmError.__subclasses__()}


def of_exit_code(code: int, text: str) -> FarmError:
    """The fault that a child process ended with; a plain `FarmError` for any other code."""
    return _BY_EXIT_CODE.get(code, FarmError)(text)


def at_line(number: int) -> str:
    """Place of a row in a table, for people: in Parquet too the header is line 1."""
    return f"line {number}, header counted"
