"""Gzip forms of files in the depot, for the slow links of farms. Pure.

The depot lists and signs a release's file and its gzip form, so a device unpacks nothing whose
hash it has not checked. It unpacks no more than the length that the manifest gives for the file.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from edge_agent.contract.errors import BadData

_SUFFIX: Final = ".gz"
_LEAST_BYTES: Final = 4096
_WORTH: Final = 0.8
_GZIP: Final = 16 + zlib.MAX_WBITS


def packed_path(path: str) -> str:
    """Target path of a file's packed form."""
    return path + _SUFFIX


def pack(content: bytes) -> bytes | None:
    """Gzip form, the same for the same content; None where it saves less than a fifth."""
    if len(content) < _LEAST_BYTES:
        return None
    packed = gzip.compress(content, 9, mtime=0)
    return packed if len(packed) <= _WORTH * len(content) else None


def unpack(packed: bytes, length: int) -> bytes:
    """The file of a gzip form.

    Args:
        packed: One gzip member and nothing after it.
        length: Bytes of the file; not one more is ever unpacked.

    Raises:
        BadData: It is not gzip, is cut short, or does not hold exactly `length` bytes.
    """
    content, whole = _unpacked(packed, length)
    if len(content) != length or not whole:
        raise BadData(f"does not unpack to exactly {length} bytes")
    return content


def unpack_within(packed: bytes, most: int) -> bytes:
    """The file of a gzip form, where nobody says how long it is.

    Args:
        packed: One gzip member and nothing after it.
        most: Bytes of the longest file that is taken.

    Raises:
        BadData: It is not gzip, holds more, is cut short or goes on after its end.
    """
    content, whole = _unpacked(packed, most)
    if len(content) > most:
        raise BadData(f"unpacks to more than the limit of {most} bytes")
    if not whole:
        raise BadData("a gzip file that is cut off or goes on after its end")
    return content


def _unpacked(packed: bytes, most: int) -> tuple[bytes, bool]:
    """Content, and whether it is all of one gzip member and there is nothing after it.

    One byte more than allowed is unpacked, so that a longer content is seen.
    """
    engine = zlib.decompressobj(_GZIP)
    try:
        content = engine.decompress(packed, most + 1)
    except zlib.error as fault:
        raise BadData(f"not a gzip file: {fault}") from fault
    return content, engine.eof and not engine.unused_data
