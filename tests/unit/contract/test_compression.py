"""Packed forms of files: small, repeatable, and never larger than promised."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from edge_agent.contract.compression import pack, packed_path, unpack
from edge_agent.contract.errors import BadData

CONTENT = bytes(range(64)) * 500


def test_there_and_back() -> None:
    """The same bytes come out, and the same bytes go in each time."""
    packed = pack(CONTENT)
    assert packed is not None
    assert len(packed) < len(CONTENT) / 10
    assert packed == pack(CONTENT)
    assert unpack(packed, len(CONTENT)) == CONTENT
    assert packed_path("models/a/b/model.onnx") == "models/a/b/model.onnx.gz"


@pytest.mark.parametrize("content", [b"", CONTENT[:4095], random.Random(1).randbytes(50_000)])
def test_not_worth_it(content: bytes) -> None:
    """Small files and noise travel as they are."""
    assert pack(content) is None


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        (b"", "does not unpack to exactly"),
        (b"PK\3\4", "not a gzip file"),
        (zlib.compress(CONTENT), "not a gzip file"),
        (gzip.compress(CONTENT, mtime=0)[:-9], "does not unpack to exactly"),
        (gzip.compress(CONTENT, mtime=0)[:-1] + b"?", "not a gzip file"),
        (gzip.compress(CONTENT, mtime=0) + b"more", "does not unpack to exactly"),
        (gzip.compress(CONTENT[:-1], mtime=0), "does not unpack to exactly 32000 bytes"),
        (gzip.compress(CONTENT + b"?", mtime=0), "does not unpack to exactly 32000 bytes"),
    ],
)
def test_anything_else_is_bad_data(packed: bytes, text: str) -> None:
    """Other formats, cut, damaged, with a tail, too short, too long."""
    with pytest.raises(BadData, match=text):
        unpack(packed, len(CONTENT))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 MB packed into 100 KB no more than one byte too many is made."""
    bomb = gzip.compress(bytes(100_000_000), 9)
    made: list[int] = []

    class Watched:
        def __init__(self, wbits: int) -> None:
            self._engine = zlib._decompressobj(wbits)  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self._engine, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            content: bytes = self._engine.decompress(data, most)
            made.append(len(content))
            return content

    monkeypatch.setattr(zlib, "_decompressobj", zlib.decompressobj, raising=False)
    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(BadData):
        unpack(bomb, 1000)
    assert made == [1001]
