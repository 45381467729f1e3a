"""Gzip forms of a release's files, for the slow links of farms. Pure.

The depot lists and signs a file and its gzip form, so a device unpacks nothing whose hash it has
not checked. It unpacks no more than the length that the manifest gives for the file.
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
    engine = zlib.decompressobj(_GZIP)
    try:
        # One byte more than allowed, so that a longer content is seen without being unpacked.
        content = engine.decompress(packed, length + 1)
    except zlib.error as fault:
        raise BadData(f"not a gzip file: {fault}") from fault
    if len(content) != length or not engine.eof or engine.unused_data:
        raise BadData(f"does not unpack to exactly {length} bytes")
    return content
