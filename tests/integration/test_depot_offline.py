"""Four hundred days without a link: what runs goes on, and the first link brings the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import NothingNew, Refused, TryLater
from edge_agent.updates.source import FolderSource
from tests.fakes.depot import Device, Yard
from tests.fakes.served import served

if TYPE_CHECKING:
    from pathlib import Path

DAYS = 400


def test_four_hundred_days_offline(tmp_path: Path) -> None:
    """The release stays loadable every day with all metadata expired; then one sync is enough."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with served(yard.depot) as url:
        assert device.sync(url) == 1
    for _ in range(DAYS):
        yard.clock.advance(86_400)
        assert device.live() == 1
    with pytest.raises(TryLater, match="expired"):
        device.sync(yard.depot)
    for word in ("two", "three", "newest"):
        yard.publish(word)
    with served(yard.depot) as url:
        assert device.sync(url) == 4
    assert device.live() == 4


def test_the_root_changed_twice_meanwhile(tmp_path: Path) -> None:
    """A device that slept through two root rotations follows the chain, expired links included."""
    from trainer.depot.key_rotation import Rotation

    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    assert device.sync(yard.depot) == 1
    for _ in range(2):
        yard.clock.advance(500 * 86_400)
        Rotation(yard, yard.clock).rotate("root")
        Rotation(yard, yard.clock).renew()
    yard.publish("two")
    assert device.sync(yard.depot) == 2


def test_after_a_fast_forward_the_fleet_is_brought_back(tmp_path: Path) -> None:
    """A thief raised the online versions beyond reach; rotating those keys starts them anew."""
    from tests.fakes.forger import Forger
    from trainer.depot.key_rotation import Rotation

    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    device.sync(yard.depot)
    honest = {p: p.read_bytes() for p in yard.depot.rglob("*") if p.is_file()}
    forger = Forger(yard)
    forger.resign("snapshot", lambda _: None, bump=2**31)
    forger.stamp(forger.version("snapshot") + 2**31)
    forger.resign("timestamp", lambda _: None, bump=2**31)
    with pytest.raises(NothingNew):
        device.sync(yard.depot)
    # The operator restores the depot and takes the trust from both stolen keys.
    for path, content in honest.items():
        path.write_bytes(content)
    with pytest.raises(Refused, match="timestamp version 2 must be"):
        device.sync(yard.depot)
    for role in ("snapshot", "timestamp"):
        Rotation(yard, yard.clock).rotate(role)
    yard.publish("two")
    assert device.sync(yard.depot) == 2


def test_an_untrusted_clock_installs_nothing_and_keeps_all(tmp_path: Path) -> None:
    """Booted in 1970: sync and weather wait, the release is there; holdover is good enough."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    yard.open().publish_bundles({station_path(108): b"weather"})
    device = Device(tmp_path / "device", yard.pinned, yard.clock, synchronised=False)
    assert device.sync(yard.depot) == 1
    yard.publish("two")
    now = yard.clock.now()
    yard.clock.jump(-now.timestamp())
    with pytest.raises(TryLater, match="set the clock"):
        device.sync(yard.depot)
    with pytest.raises(TryLater, match="set the clock"):
        device.updater(FolderSource(yard.depot)).fetch_relayed(station_path(108))
    assert device.live() == 1
    yard.clock.jump(now.timestamp())
    assert device.sync(yard.depot) == 2
