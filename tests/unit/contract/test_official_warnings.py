"""The file of official warnings: what is agreed between relay and device."""

from __future__ import annotations

import gzip
from datetime import timedelta

import msgspec
import pytest

from edge_agent.contract.errors import BadData
from edge_agent.contract.official_warnings import (
    OTHER,
    WarningBundle,
    WarningLevel,
    decode,
    encode,
)
from tests.fakes.official_warning import NOW, warning


def test_a_bundle_comes_back_whatever_the_order() -> None:
    """Equal warnings give equal bytes, so that nothing new is nothing to fetch."""
    two = (warning(kind="wind", name="강풍"), warning())
    content = encode(WarningBundle(as_of=NOW, warnings=two))
    assert content == encode(WarningBundle(as_of=NOW, warnings=two[::-1]))
    assert decode(content, "file").warnings == two[::-1]


def test_what_a_newer_relay_sends_is_told_and_not_dropped() -> None:
    """A kind, a level and keys that this program does not know."""
    plain = msgspec.to_builtins(warning(kind="meteors", level="final"))
    text = msgspec.json.encode({"as_of": NOW, "warnings": [plain | {"new": 1}], "more": {}})
    (unknown,) = decode(gzip.compress(text), "file").warnings
    assert (unknown.known_kind, unknown.known_level) == (OTHER, WarningLevel.UNKNOWN)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut off"),
        (b"{}", "not a gzip file"),
        (gzip.compress(b"{}", mtime=0), "as_of: is missing"),
        (gzip.compress(b"[" * 100_000, mtime=0), "not the warnings"),
        (gzip.compress(b" " * 5_000_000, mtime=0), "more than the limit"),
        (encode(WarningBundle(as_of=NOW, warnings=(warning(),)))[:-9], "cut off"),
        (encode(WarningBundle(as_of=NOW, warnings=())) + b"more", "goes on after its end"),
        (gzip.compress(b'{"as_of":"2026-09-26T02:00:00","warnings":[]}', mtime=0), "as_of"),
        (
            gzip.compress(b'{"as_of":"2026-09-26T02:00:00Z","warnings":[{"zone":"x"}]}', mtime=0),
            "zone",
        ),
    ],
)
def test_a_file_that_is_none_is_named(content: bytes, said: str) -> None:
    """Whatever is wrong with the bytes, the error names the file."""
    with pytest.raises(BadData, match=f"^file: .*({said})"):
        decode(content, "file")


def test_a_warning_stands_from_its_issue_to_its_end() -> None:
    """It is told before it begins, and no longer than until it ends."""
    later = NOW + timedelta(hours=2)
    announced = warning(effective_at=later, ended_at=later + timedelta(hours=1))
    assert not announced.stands(NOW - timedelta(minutes=1))
    assert announced.stands(NOW)
    assert announced.stands(later + timedelta(minutes=59))
    assert not announced.stands(later + timedelta(hours=1))
