"""The daily quota of `trainer.ingest.quota`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.fakes.clock import FakeClock
from trainer.ingest.quota import Quota
from trainer.ingest.sources.http import QuotaSpent

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a-key-that-is-secret"


def spend(quota: Quota, times: int) -> None:
    """Make requests."""
    for _ in range(times):
        quota.spend()


def test_the_limit_holds_and_ends_at_midnight_in_korea(tmp_path: Path) -> None:
    """15:00 UTC is midnight in Korea, when KMA counts anew."""
    clock = FakeClock(datetime(2026, 5, 1, 14, 59, tzinfo=UTC))
    quota = Quota(tmp_path / "requests.json", "asos", KEY, 3, clock)
    spend(quota, 3)
    with pytest.raises(QuotaSpent, match=r"3 requests made today.*midnight KST"):
        quota.spend()
    assert quota.left() == 0
    clock.advance(60)
    assert quota.left() == 3
    spend(quota, 3)


def test_a_restart_remembers(tmp_path: Path) -> None:
    """A closed quota is exact; one that was killed has counted a little too much, never less."""
    clock, path = FakeClock(), tmp_path / "requests.json"
    first = Quota(path, "asos", KEY, 100, clock)
    spend(first, 30)
    killed = Quota(path, "asos", KEY, 100, clock)
    assert killed.left() <= 70
    first.close()
    assert Quota(path, "asos", KEY, 100, clock).left() == 70


def test_services_and_keys_count_apart_and_no_key_is_kept(tmp_path: Path) -> None:
    """KMA counts by service and key; the file tells keys apart without holding one."""
    clock, path = FakeClock(), tmp_path / "requests.json"
    for service, key, times in (("asos", KEY, 5), ("hub", KEY, 7), ("asos", "other", 9)):
        quota = Quota(path, service, key, 100, clock)
        spend(quota, times)
        quota.close()
    lefts = [
        Quota(path, s, k, 100, clock).left()
        for s, k in (("asos", KEY), ("hub", KEY), ("asos", "other"))
    ]
    assert lefts == [95, 93, 91]
    assert KEY not in path.read_text()


def test_a_damaged_count_is_a_fresh_one(tmp_path: Path) -> None:
    """KMA says itself when its quota is reached."""
    path = tmp_path / "requests.json"
    path.write_bytes(b"{")
    assert Quota(path, "asos", KEY, 10, FakeClock()).left() == 10
