"""A disk that fills up while the agent works: a real small file system, full to its last block."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent import config
from edge_agent.contract.errors import StorageError
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.system.disk_reserve import NAME, DiskReserve
from tests.fakes.clock import FakeClock
from tests.fakes.farm import fill_weather, install_release, no_update, write_config
from tests.fakes.full_disk import fill
from tests.integration.test_worker import NOW

if TYPE_CHECKING:
    from pathlib import Path


def _agent(place: Path, reserve_bytes: int) -> Worker:
    path = write_config(place, 1)
    path.write_text(
        path.read_text("utf-8").replace(
            'path = "state"', f'path = "state"\nreserve_bytes = {reserve_bytes}'
        ),
        "utf-8",
    )
    install_release(place / "state")
    fill_weather(place / "state")
    clock = FakeClock(NOW)
    return Worker(
        lambda: Runtime(config.load(path, {}), place / "state", clock, lambda: True),
        print,
        no_update,
    )


def test_alerts_are_written_on_a_full_disk(small_disk: Path) -> None:
    """The reserve is given back, the cycle is worked, and its alert waits for the broker."""
    with closing(_agent(small_disk, 500_000)) as agent:
        assert (small_disk / "state" / NAME).stat().st_size == 500_000
        fill(small_disk)
        with pytest.raises(StorageError, match="full"):
            agent.cycle(NOW)
        assert agent.move_to_memory() is None, "there is room again"
        assert "alerts: heat" in agent.cycle(NOW)
        assert not (small_disk / "state" / NAME).exists()
        topics = [entry.message.topic for entry in agent._runtime.outbox.due(None, limit=100)]
        assert "farm/v1/farm/edge-1/alert/heat/event" in topics


def test_without_a_reserve_it_is_said_and_heals(small_disk: Path) -> None:
    """A full disk is one clear fault, nothing is half written, and room again ends it."""
    with closing(_agent(small_disk, 0)) as agent:
        ballast = fill(small_disk)
        with pytest.raises(StorageError, match="full"):
            agent.cycle(NOW)
        assert agent._runtime.outbox.counts().waiting == {}
        ballast.unlink()
        assert "alerts: heat" in agent.cycle(NOW)


def test_a_small_disk_is_left_alone(small_disk: Path) -> None:
    """A reserve that would take more than a tenth of what is free is not taken."""
    reserve = DiskReserve(small_disk, 5_000_000)
    assert not reserve.hold()
    assert not reserve.release()
