"""Locks on open files, between two descriptors of one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import TryLater
from edge_agent.system.file_lock import locked, try_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """A second holder gets the text of its error; the lock is free after the first `with`."""
    path = tmp_path / "lock"
    first = path.open("wb")
    with locked(first, "busy"), path.open("wb") as second:
        assert not try_lock(second)
        with (
            pytest.raises(TryLater, match="somebody else"),
            locked(path.open("wb"), "somebody else"),
        ):
            pass
    assert first.closed
    with path.open("wb") as third:
        assert try_lock(third)
