"""One process at a time speaks for the device, even where somebody deletes its lock."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge_agent import config
from edge_agent.contract.errors import StorageError, Unavailable
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.system.instance_lock import LOCK, InstanceLock
from tests.fakes.clock import FakeClock
from tests.fakes.farm import write_config

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 7, 1, 12, 20, tzinfo=UTC)


def test_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    """The right to speak ends with the process that held it, and is held by one at a time."""
    with InstanceLock(tmp_path) as first, InstanceLock(tmp_path) as second:
        assert (first.held(), second.held(), first.held()) == (True, False, True)
    with InstanceLock(tmp_path) as third:
        assert third.held()


def test_a_deleted_lock_is_taken_anew(tmp_path: Path) -> None:
    """Who is asked first after the file or its folder went has it, and the other one has not."""
    state = tmp_path / "state"
    with InstanceLock(state) as first, InstanceLock(state) as second:
        assert first.held()
        shutil.rmtree(state)
        assert first.held()
        assert not second.held()
        (state / LOCK).unlink()
        assert second.held()
        assert not first.held()


def test_a_disk_that_refuses_keeps_nobody_from_speaking(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, however often it is asked."""
    (tmp_path / "file").write_bytes(b"")
    with InstanceLock(tmp_path / "file") as lock:
        assert lock.held()
        assert lock.held()
    assert caplog.text.count("cannot see if another agent runs") == 1


def test_the_database_is_left_to_another_agent(tmp_path: Path) -> None:
    """While another process holds the folder nothing is written there: not now, not on return."""
    alone = True
    path = write_config(tmp_path, 1)
    text = path.read_text("utf-8")
    path.write_text(text.replace("[storage]", "[storage]\nreserve_bytes = 0"), "utf-8")

    def opened() -> Runtime:
        return Runtime(config.load(path, {}), tmp_path / "state", FakeClock(NOW), lambda: True)

    def no_update(_: Path) -> str:
        return ""

    with closing(Worker(opened, lambda _: None, no_update, alone=lambda: alone)) as agent:
        agent.cycle(NOW)
        alone = False
        for job in (agent.cycle, agent.watch):
            with pytest.raises(StorageError, match="another edge-agent runs on this folder"):
                job(NOW)
        assert agent.move_to_memory() is not None
        with pytest.raises(Unavailable, match="another edge-agent runs on this folder"):
            agent.move_to_disk()
        alone = True
        assert agent.move_to_disk() is not None
