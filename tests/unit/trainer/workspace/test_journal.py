"""A date's journal is written once; what cannot be read counts as none."""

from __future__ import annotations

from datetime import date

import pytest

from edge_agent.contract.errors import TryLater
from trainer.workspace.journal import Journal, Page
from trainer.workspace.store import MemoryStore

WHEN = date(2022, 1, 6)


def test_a_date_is_closed_once() -> None:
    """Of two that worked on it without knowing of each other the first one's word stays."""
    records = MemoryStore()
    one, two = Page(records, WHEN), Page(records, WHEN)
    assert one.done() is None
    one.write(Journal("2022-01-06", "r1", release=1))
    with pytest.raises(TryLater):
        two.write(Journal("2022-01-06", "r2", release=2))
    assert list(records.files) == ["state/daily/2022-01-06.json"]
    done = Page(records, WHEN).done()
    assert done is not None
    assert done.outcome() == "release 1, run r1"


@pytest.mark.parametrize("content", [b"", b"{", b'{"date": 1}'])
def test_a_damaged_journal_is_written_anew(content: bytes) -> None:
    """A crash of an older kind, or a hand: the date is worked again."""
    records = MemoryStore()
    records.write("state/daily/2022-01-06.json", content)
    page = Page(records, WHEN)
    assert page.done() is None
    page.write(Journal("2022-01-06", "r1", refused="G1"))
    done = Page(records, WHEN).done()
    assert done is not None
    assert done.outcome() == "refused by the gate, run r1"


def test_a_date_without_a_training_tells_of_the_canary() -> None:
    """Nothing is trained for a channel whose canary is on trial."""
    assert Journal("2022-01-06", "", canary="canary 2 waits").outcome() == "canary 2 waits"
