"""A part of the work has a limit of memory, and the rest has none of it."""

from __future__ import annotations

import resource

import pytest

from edge_agent.contract.errors import BadData
from edge_agent.system.memory_limit import limited_memory


def test_what_asks_for_more_is_refused_and_the_limit_ends() -> None:
    """Within it goes; beyond it is an error of the data; afterwards the former limit is back."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited_memory(200_000_000, "x"):
        assert len(bytearray(100_000_000)) == 100_000_000
    with (
        pytest.raises(BadData, match=r"^x: takes more than 200 MB of memory$"),
        limited_memory(200_000_000, "x"),
    ):
        bytearray(400_000_000)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(400_000_000)) == 400_000_000


def test_a_lower_limit_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own update has one already."""
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, 10**9))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: seen.append(limits))
    with limited_memory(10**12, "x"):
        pass
    assert seen == [(10**9, 10**9), (10**9, 10**9)]
