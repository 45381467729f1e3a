"""Old hours leave the depot, and nothing else does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import NothingNew
from edge_agent.updates.source import FolderSource
from tests.fakes.depot import Device, Yard
from trainer.depot.cleanup import KEPT, remove_old_observations
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.depot.release_log import ReleaseLog
from trainer.depot.releases import rollback
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

HOURS = KEPT + 30


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about power cuts, and flushing is most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace that released once and relayed for days."""
    from trainer.depot.releases import publish_run

    made = Yard.make(tmp_path / "yard", single_key=True)
    publish_run(made, made.candidate("r1", "one"), "stable", "first", made.clock)
    publish_run(made, made.candidate("r2", "two"), "stable", "second", made.clock)
    for hour in range(HOURS):
        made.clock.advance(3600)
        words = {108: f"{hour}", 159: f"b{hour // 2}"}
        made.open().publish_bundles({station_path(n): w.encode() for n, w in words.items()})
    return made


def test_only_two_days_of_hours_stay(yard: Yard) -> None:
    """Files are bounded however long the relay runs, and each that is named is there."""
    stations = {
        number: len(list(yard.depot.glob(f"targets/observations/{number}/*")))
        for number in (108, 159)
    }
    assert stations == {108: KEPT, 159: KEPT // 2}
    for role in ("observations", "snapshot"):
        assert len(list(yard.depot.glob(f"metadata/*.{role}.json"))) <= KEPT + 1
    assert remove_old_observations(FolderStore(yard.depot)) == 0


def test_devices_and_rollbacks_find_what_they_need(yard: Yard, tmp_path: Path) -> None:
    """A new device gets release and weather; the first release can still be gone back to."""
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    assert device.sync(yard.depot) == 2
    updater = device.updater(FolderSource(yard.depot))
    assert updater.fetch_relayed(station_path(108)) == f"{HOURS - 1}".encode()
    assert updater.fetch_relayed(station_path(159)) == f"b{(HOURS - 1) // 2}".encode()
    assert [entry.release for entry in ReleaseLog(yard.records).entries()] == [1, 2]
    assert rollback(yard, 1, "two is worse", yard.clock) == 3
    assert device.sync(yard.depot) == 3


class Killed(BaseException):
    """The process is gone."""


class DyingStore(FolderStore):
    """Dies at the first removal."""

    def remove(self, name: str) -> None:
        """Die."""
        raise Killed(name)


def test_a_cut_sweep_is_made_good_by_the_next(yard: Yard, tmp_path: Path) -> None:
    """What was published before the cut is whole; leftovers go with the next hour."""
    dying = Depot(DyingStore(yard.depot), KeyRing(yard.keys), yard.clock)
    for word in (b"x", b"y"):
        with pytest.raises(Killed):
            dying.publish_bundles({station_path(108): word})
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    device.sync(yard.depot)
    assert device.updater(FolderSource(yard.depot)).fetch_relayed(station_path(108)) == b"y"
    yard.open().publish_bundles({station_path(108): b"z"})
    assert len(list(yard.depot.glob("targets/observations/108/*"))) == KEPT
    with pytest.raises(NothingNew):
        device.sync(yard.depot)
