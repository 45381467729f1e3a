"""Fields of a protobuf message, one after the other, without a schema. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(Exception):
    """Not the format that is read, or a field of another kind than its number says."""


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message: numbers for varints, slices for everything else.

    Raises:
        MalformedError: The bytes are no message.
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = varint(data, at)
            yield key >> 3, number
            continue
        if kind == _BYTES:
            size, at = varint(data, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise MalformedError(f"wire type {kind}")
        if at + size > len(data):
            raise MalformedError("cut short")
        yield key >> 3, data[at : at + size]
        at += size


def message(value: int | memoryview) -> memoryview:
    """A value that is a message, text or bytes.

    Raises:
        MalformedError: It is a number.
    """
    if isinstance(value, int):
        raise MalformedError("a number where a message belongs")
    return value


def text(value: int | memoryview) -> str:
    """A value that is a name in ASCII.

    Raises:
        MalformedError: It is none.
    """
    try:
        return bytes(message(value)).decode("ascii")
    except UnicodeDecodeError as fault:
        raise MalformedError("a name that is not text") from fault


def integers(value: int | memoryview) -> list[int]:
    """The values of one occurrence of a repeated int64 field, packed or not.

    Raises:
        MalformedError: The packed bytes are no numbers.
    """
    if isinstance(value, int):
        return [_signed(value)]
    values, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        values.append(_signed(number))
    return values


def _signed(number: int) -> int:
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends; Thrift writes them alike.

    Raises:
        MalformedError: The bytes end before it, or it has more than ten.
    """
    # Most numbers of a tree model take one byte, and it has hundreds of thousands.
    if at < len(data) and data[at] < 0x80:
        return data[at], at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise MalformedError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise MalformedError("a number without an end")
