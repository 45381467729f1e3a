"""A publisher that dies between any two writes leaves readers a whole depot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import NothingNew
from tests.fakes.depot import Device, Yard, release
from trainer.depot import key_ceremony
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path


class Killed(BaseException):
    """The process is gone."""


class DyingStore(FolderStore):
    """Dies instead of making the n-th write."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.left = writes

    def write(self, name: str, content: bytes) -> None:
        """Write, or die."""
        if self.left == 0:
            raise Killed
        self.left -= 1
        super().write(name, content)


# Two models, golden windows, manifest, models role, snapshot, timestamp.
WRITES = 7


@pytest.mark.parametrize("writes", range(WRITES))
def test_a_cut_publication_is_invisible_and_the_next_one_completes(
    tmp_path: Path, writes: int
) -> None:
    """Devices go on with what was live; publishing again gives the number that was lost."""
    yard = Yard.make(tmp_path / "yard", single_key=True)
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    yard.publish("one")
    device.sync(yard.depot)
    dying = Depot(DyingStore(yard.depot, writes), KeyRing(yard.keys), yard.clock)
    with pytest.raises(Killed):
        dying.publish("stable", *release("two"))
    with pytest.raises(NothingNew):
        device.sync(yard.depot)
    late = Device(tmp_path / "late", yard.pinned, yard.clock)
    assert late.sync(yard.depot) == 1
    # Another release than the one that was lost, so that leftovers are really written over.
    assert yard.publish("three") == 2
    assert device.sync(yard.depot) == 2
    assert late.sync(yard.depot) == 2


def test_the_walk_covers_every_write(tmp_path: Path) -> None:
    """One write more than the last cut, and the publication is whole."""
    yard = Yard.make(tmp_path, single_key=True)
    store = DyingStore(yard.depot, WRITES)
    assert Depot(store, KeyRing(yard.keys), yard.clock).publish("stable", *release()) == 1
    assert store.left == 0


@pytest.mark.parametrize("writes", range(6))
def test_a_cut_ceremony_is_completed_with_the_keys_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """No key is thrown away and none is doubled; what comes out is a depot that works."""
    yard = Yard(tmp_path / "yard")
    with monkeypatch.context() as patch:
        patch.setattr(Yard, "depot_store", DyingStore(yard.depot, writes))
        with pytest.raises(Killed):
            key_ceremony.create(yard, yard.clock)
    assert not (yard.root / "root.json").exists()
    made = {path.name: path.read_bytes() for path in yard.keys.iterdir()}
    key_ceremony.create(yard, yard.clock)
    assert {path.name: path.read_bytes() for path in yard.keys.iterdir()} == made
    assert len(made) == 8
    yard.publish("one")
    assert Device(tmp_path / "device", yard.pinned, yard.clock).sync(yard.depot) == 1
