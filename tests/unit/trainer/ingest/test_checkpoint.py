"""What `trainer.ingest.checkpoint` remembers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.errors import StorageError
from edge_agent.contract.hours import hour_of, time_of
from trainer.ingest import checkpoint
from trainer.ingest.checkpoint import Checkpoint
from trainer.workspace.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = date(2026, 5, 2)
HOURS = st.integers(400_000, 400_400)
HISTORY = st.tuples(st.integers(1, 8), st.dates(date(2020, 1, 1), date(2030, 1, 1)))


@given(st.dictionaries(HOURS, HISTORY, max_size=40), st.integers(0, 10**7))
def test_what_is_saved_is_loaded(absent: Mapping[int, tuple[int, date]], merged: int) -> None:
    """Any memory survives its file."""
    store = MemoryStore()
    checkpoint.save(store, "asos", 108, Checkpoint(merged, dict(absent)))
    assert checkpoint.load(store, "asos", 108) == Checkpoint(merged, dict(absent))


def test_long_gaps_take_little_room() -> None:
    """Years of absent hours are one entry."""
    store = MemoryStore()
    absent = dict.fromkeys(range(400_000, 440_000), (1, DAY))
    checkpoint.save(store, "asos", 108, Checkpoint(3, absent))
    assert len(store.files["ledger/asos/station=108.json"]) < 200


def test_absent_hours_wait_and_arrived_ones_are_forgotten() -> None:
    """An hour that an answer lacked waits a day; one that came is no longer absent."""
    hour = hour_of(time_of(0).replace(year=2026, month=5, day=1))
    memory = Checkpoint()
    memory.note([hour, hour + 1], {hour + 1}, DAY)
    assert memory.absent == {hour: (1, DAY)}
    assert memory.waiting(DAY) == [hour]
    assert memory.waiting(date(2026, 5, 3)) == []
    memory.note([hour], {hour}, date(2026, 5, 3))
    assert memory.absent == {}


def test_what_a_wrong_clock_noted_holds_nothing_back() -> None:
    """An ask in the far future is none; the next true day asks again."""
    memory = Checkpoint()
    memory.note([400_000], set(), date(2099, 1, 1))
    assert memory.waiting(DAY) == []
    memory.note([400_000], set(), DAY)
    assert memory.waiting(DAY) == [400_000]


def test_a_day_counts_once() -> None:
    """Two runs on one day are one chance that KMA had."""
    memory = Checkpoint()
    memory.note([400_000], set(), DAY)
    memory.note([400_000], set(), DAY)
    assert memory.absent == {400_000: (1, DAY)}


def test_hours_that_are_not_coming_are_never_asked_for() -> None:
    """After the last wait an hour waits for ever."""
    memory = Checkpoint(0, {400_000: (3, DAY), 400_001: (1, DAY)})
    assert 400_000 in memory.waiting(date(2100, 1, 1))


@pytest.mark.parametrize("content", [b"", b"{", b'{"merged":"x"}', b'{"absent":[["x",1,1,"x"]]}'])
def test_a_damaged_ledger_is_named(content: bytes) -> None:
    """The error says which file to remove, and that nothing is lost by it."""
    store = MemoryStore()
    store.write("ledger/asos/station=108.json", content)
    with pytest.raises(StorageError, match=r"station=108\.json is damaged: remove it"):
        checkpoint.load(store, "asos", 108)
