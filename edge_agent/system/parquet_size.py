"""What a Parquet file unpacks to, read from its footer and page headers before it is unpacked.

A column of one value takes some bytes in a file and gigabytes in memory, so the length of a file
bounds nothing. The footer's own sums are not taken: page headers are what a decoder goes by.

Field numbers: parquet-format's parquet.thrift (FileMetaData, RowGroup, ColumnChunk,
ColumnMetaData, PageHeader) in Thrift's compact protocol. Unknown fields are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from edge_agent.contract.errors import BadData
from edge_agent.contract.protobuf import MalformedError, varint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MAGIC: Final = b"PAR1"
_LONGEST_FOOTER: Final = 1_000_000
"""Bytes. 100 row groups of 40 columns with statistics take half of it."""
_MOST_PAGES: Final = 50_000
_MOST_COLUMNS: Final = 1000
_DEEPEST: Final = 16
_BYTES_A_VALUE: Final = 16
"""Of a text in memory; a number takes 8."""
_DELTA_BYTE_ARRAY: Final = 7
_HEADER: Final = 100_000
"""Longest page header that is looked at, in bytes; it may hold statistics."""

_Struct: TypeAlias = dict[int, Any]


@dataclass(frozen=True, slots=True)
class UnpackedLimits:
    """Most that a file may unpack to.

    Attributes:
        rows: Rows.
        memory: Bytes of all columns that are read, unpacked.
    """

    rows: int
    memory: int


def check(content: bytes, limits: UnpackedLimits, columns: Collection[str] | None = None) -> None:
    """Refuse a file that would unpack to more than the limits. Pure; unpacks nothing.

    Args:
        content: The file.
        limits: Most that it may unpack to.
        columns: Those that will be read; None = all.

    Raises:
        BadData: It is larger, not Parquet, or has a coding whose size cannot be known beforehand.
    """
    try:
        footer = _footer(content)
        rows, groups = footer.get(3, 0), footer.get(4, [])
        if rows > limits.rows or sum(group.get(3, 0) for group in groups) > limits.rows:
            raise BadData(f"more than {limits.rows} rows")
        if len(footer.get(2, ())) > _MOST_COLUMNS:
            raise BadData(f"more than {_MOST_COLUMNS} columns")
        memory = 0
        for page in _pages(content, groups, columns):
            memory += page.size + _BYTES_A_VALUE * page.values
            if memory > limits.memory:
                raise BadData(f"more than {limits.memory} bytes of memory, unpacked")
    except (MalformedError, AttributeError, KeyError, TypeError, IndexError) as fault:
        # A field of another type than the format's surfaces where it is used.
        raise BadData("not a readable Parquet file") from fault


class _Page(NamedTuple):
    size: int
    """Bytes, unpacked."""
    values: int


def _footer(content: bytes) -> _Struct:
    length = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != _MAGIC or content[:4] != _MAGIC or length > len(content) - 12:
        raise MalformedError("no footer")
    if length > _LONGEST_FOOTER:
        raise BadData(f"a footer of more than {_LONGEST_FOOTER} bytes: too many columns or parts")
    return _CompactReader(content[-8 - length : -8]).struct()


def _pages(
    content: bytes, groups: list[_Struct], columns: Collection[str] | None
) -> Iterator[_Page]:
    pages = 0
    for group in groups:
        for chunk in group[1]:
            about = chunk[3]
            name = about[3][0].decode("utf-8", "replace")
            if columns is not None and name not in columns:
                continue
            at = about.get(11) or about[9]
            end = at + about[7]
            if at < 0 or end > len(content):
                raise MalformedError("a column outside of the file")
            while at < end:
                reader = _CompactReader(content[at : min(end, at + _HEADER)])
                header = reader.struct()
                at += reader.at + header[3]
                pages += 1
                if header[2] < 0 or header[3] < 0:
                    raise MalformedError("a page of negative size")
                if pages > _MOST_PAGES:
                    raise BadData(f"more than {_MOST_PAGES} pages")
                yield _page(header, name)


def _page(header: _Struct, name: str) -> _Page:
    for number, encoding in ((5, 2), (8, 4), (7, 2)):
        if number in header:
            about = header[number]
            if about.get(encoding) == _DELTA_BYTE_ARRAY:
                raise BadData(
                    f"column {name} is coded as DELTA_BYTE_ARRAY, whose size cannot be known "
                    "before it is unpacked: write the file with another encoding"
                )
            if about[1] < 0:
                raise MalformedError("a negative count")
            return _Page(header[2], about[1])
    return _Page(header[2], 0)


class _CompactReader:
    """Thrift's compact protocol over bytes: structs as {field number: value}."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._deep = 0
        self.at = 0

    def struct(self) -> _Struct:
        self._deep += 1
        if self._deep > _DEEPEST:
            raise MalformedError("nested too deep")
        fields: _Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            step = head >> 4
            number = number + step if step else self._signed()
            kind = head & 15
            # The value of a boolean field is its type.
            fields[number] = kind == 1 if kind in {1, 2} else self._value(kind)
        self._deep -= 1
        return fields

    def _value(self, kind: int) -> object:
        if kind in {1, 2, 3}:
            return self._byte()
        if kind in {4, 5, 6}:
            return self._signed()
        if kind == 7:
            return self._take(8)
        if kind == 8:
            return self._take(self._varint())
        if kind in {9, 10}:
            return self._list()
        if kind == 12:
            return self.struct()
        raise MalformedError(f"type {kind}")

    def _list(self) -> list[object]:
        self._deep += 1
        if self._deep > _DEEPEST:
            raise MalformedError("nested too deep")
        head = self._byte()
        size = head >> 4
        if size == 15:
            size = self._varint()
        # Every element takes a byte or more, so a false size ends with the data.
        values = [self._value(head & 15) for _ in range(size)]
        self._deep -= 1
        return values

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value, self.at = varint(self._data, self.at)
        return value

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise MalformedError("cut short")
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise MalformedError("cut short")
        self.at += size
        return self._data[self.at - size : self.at]
