"""The raw store: what was received, provably."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from edge_agent.contract.errors import StorageError
from trainer.workspace.raw import RawStore, pack
from trainer.workspace.store import MemoryStore

WHEN = datetime(2026, 5, 1, 3, tzinfo=UTC)
BODY = "한글 and bytes \n\n".encode("cp949") + bytes(range(256))


def stored() -> MemoryStore:
    """A store with three answers of one station, the eleventh among them."""
    store = MemoryStore()
    for number in (2, 11, 1):
        packed = pack({"stnIds": "108", "pageNo": str(number)}, BODY, WHEN, 200)
        RawStore(store).keep("asos", 108, number, "2024010100-2024010123_p1", packed)
    return store


def test_an_answer_comes_back_byte_for_byte() -> None:
    """Any bytes, with request, time, status, hash and length beside them."""
    raw = RawStore(stored())
    about, body = raw.read(raw.names("asos", 108)[0][1])
    assert body == BODY
    assert (about.query["pageNo"], about.fetched_at, about.status, about.length) == (
        "1",
        "2026-05-01T03:00:00Z",
        200,
        len(BODY),
    )


def test_answers_are_ordered_by_number() -> None:
    """The number decides, not the time; those after a mark are found."""
    raw = RawStore(stored())
    assert [number for number, _ in raw.names("asos", 108)] == [1, 2, 11]
    assert [number for number, _, _ in raw.since("asos", 108, 1)] == [2, 11]
    assert raw.names("asos", 90) == []


def test_the_same_answer_has_the_same_bytes() -> None:
    """No time of packing hides in the file."""
    assert pack({}, BODY, WHEN, 200) == pack({}, BODY, WHEN, 200)


def test_a_damaged_answer_is_refused_by_name() -> None:
    """Cut, flipped inside the compressed stream, or replaced by another body."""
    store = stored()
    name = RawStore(store).names("asos", 108)[0][1]
    whole = store.files[name]
    head, _, body = gzip.decompress(whole).partition(b"\n")
    forged = gzip.compress(head + b"\n" + body[:-1] + b"?")
    for content in (b"", whole[:-9], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], forged):
        store.files[name] = content
        with pytest.raises(StorageError, match=r"00000001_2024010100-2024010123_p1\.gz"):
            RawStore(store).read(name)
