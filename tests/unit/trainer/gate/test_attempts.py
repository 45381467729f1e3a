"""The log of attempts only grows, and shares a chance among them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from trainer.gate.attempts import ALPHA, Attempt, alpha_of, count, quarter_of
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path


def _attempt(run: str, quarter: str = "2021Q4", channel: str = "stable") -> Attempt:
    return Attempt("2022-01-06T00:00:00Z", channel, quarter, run, 1)


def test_attempts_are_counted_by_channel_and_quarter(tmp_path: Path) -> None:
    """A new run is the next number; the same one keeps its own; elsewhere counting begins anew."""
    records = FolderStore(tmp_path)
    assert [count(records, _attempt(name)) for name in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert count(records, _attempt("d", quarter="2022Q1")) == 1
    assert count(records, _attempt("e", channel="canary")) == 1
    assert count(records, _attempt("a", channel="canary")) == 2
    assert count(records, _attempt("b")) == 2
    assert len((tmp_path / "attempts.jsonl").read_bytes().splitlines()) == 6


def test_the_chance_is_shared_from_the_sixth_attempt_on() -> None:
    """Five attempts with all of it, then a share by the number."""
    assert [alpha_of(number) for number in (1, 5, 10)] == pytest.approx([ALPHA, ALPHA, ALPHA / 10])


@pytest.mark.parametrize(("month", "quarter"), [(1, "2021Q1"), (6, "2021Q2"), (12, "2021Q4")])
def test_quarters(month: int, quarter: str) -> None:
    """Three months each."""
    assert quarter_of(datetime(2021, month, 1, tzinfo=UTC)) == quarter
