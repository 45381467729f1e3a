"""What a runtime keeps in memory of a release, and when it reads it anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import StorageError
from edge_agent.core.runtime import Runtime
from edge_agent.settings import Config, Device
from edge_agent.system.database import connect, migrate
from tests.fakes.clock import FakeClock
from tests.fakes.farm import install_release
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from pathlib import Path


def _runtime(state: Path, name: str = "edge-1") -> Runtime:
    return Runtime(Config(device=Device(id=name)), state, FakeClock(NOW), lambda: True)


def test_models_in_memory_are_taken_over(tmp_path: Path) -> None:
    """A configuration that is read anew costs no loading of models."""
    install_release(tmp_path, tuned_for="farm/edge-1")
    with closing(_runtime(tmp_path)) as before, closing(_runtime(tmp_path)) as after:
        loaded = before.release()
        assert loaded is not None
        assert loaded.tuning.keys() == loaded.manifest.models.keys()
        after.take_over(before)
        assert after.release() is loaded


def test_a_database_that_is_refused_is_closed(tmp_path: Path) -> None:
    """A newer agent's file: the runtime that never came to be leaves no connection open."""
    db = connect(tmp_path / "agent.db")
    migrate(db, "outbox", ("SELECT 1",) * 99)
    settings = Config(device=Device())
    with pytest.raises(StorageError, match="newer agent"):
        Runtime(settings, tmp_path, FakeClock(NOW), lambda: True, db)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")


def test_a_renamed_device_leaves_the_others_correction_behind(tmp_path: Path) -> None:
    """Models are read anew, with what the release has for the new name."""
    install_release(tmp_path, tuned_for="farm/edge-1")
    with closing(_runtime(tmp_path)) as before, closing(_runtime(tmp_path, "edge-2")) as after:
        before.release()
        after.take_over(before)
        loaded = after.release()
        assert loaded is not None
        assert loaded.tuning == {}
