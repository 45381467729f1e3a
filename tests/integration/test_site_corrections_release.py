"""Corrections of single farms over a real depot: each device takes its own, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract import compression, site_correction
from edge_agent.contract.errors import NothingNew
from edge_agent.contract.schema import AIR_TEMPERATURE
from tests.fakes.depot import Device, Yard, release
from tests.fakes.hostile_web import HostileWeb
from tests.fakes.tuned import tuning_of, with_tunings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest

SHARDS = 4
FARMS = tuple(f"farm/edge-{number}" for number in range(12))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace with its keys."""
    return Yard.make(tmp_path / "yard")


def _publish(yard: Yard, word: str, farms: tuple[str, ...] = FARMS) -> Manifest:
    """A release with corrections of these farms: farm number n gets n tenths of a degree."""
    made, files = release(word)
    tunings = {farm: tuning_of(made, offset=_tenths(farm)) for farm in farms}
    tuned, shards = with_tunings(made, tunings, SHARDS)
    yard.open().publish("stable", tuned, files | shards)
    return tuned


def _tenths(farm: str) -> float:
    return int(farm.rpartition("-")[2]) / 10


def _device(tmp_path: Path, yard: Yard, name: str) -> Device:
    folder = tmp_path / name.replace("/", "+")
    return Device(folder, yard.pinned, yard.clock, id=name)


def _offset(device: Device, name: str | None = None) -> float | None:
    """First weight of the device's correction of temperature; None where it has none."""
    installed = device.slots.load()
    assert installed is not None
    found = installed.tuning(name or device.id)
    return None if found is None else found.corrections[AIR_TEMPERATURE].weights[0][0]


def test_each_device_takes_its_own_shard_packed_and_once(tmp_path: Path, yard: Yard) -> None:
    """Over HTTP: one shard, packed; the farm's own correction from it; nothing at the next poll."""
    tuned = _publish(yard, "one")
    with HostileWeb(yard.depot) as web:
        for name in (FARMS[3], FARMS[7], "farm/stranger"):
            device = _device(tmp_path, yard, name)
            own = site_correction.shard_of(tuned, name)
            assert own is not None
            web.asked.clear()
            assert device.sync(web.url) == 1
            taken = [asked for asked, _ in web.asked if "tuning" in asked]
            assert len(taken) == 1
            assert taken[0].startswith(f"targets/models/tuning/{own.sha256[:12]}/")
            assert taken[0].endswith(compression.packed_path("farms.json"))
            assert _offset(device) == (_tenths(name) if name in FARMS else None)
            web.asked.clear()
            with pytest.raises(NothingNew):
                device.sync(web.url)
            assert not [asked for asked, _ in web.asked if "targets/models/" in asked]


def test_a_shard_that_did_not_change_is_not_pulled_again(tmp_path: Path, yard: Yard) -> None:
    """A release with the same models and another farm's correction costs only the others."""
    tuned = _publish(yard, "one", FARMS[:11])
    same = _elsewhere(tuned, FARMS[11])
    device = _device(tmp_path, yard, same)
    with HostileWeb(yard.depot) as web:
        assert device.sync(web.url) == 1
        _publish(yard, "one")
        web.asked.clear()
        assert device.sync(web.url) == 2
        assert not [asked for asked, _ in web.asked if "targets/models/" in asked]
    assert _offset(device) == _tenths(same)


def _elsewhere(tuned: Manifest, name: str) -> str:
    """A farm of another shard."""
    there = site_correction.shard_of(tuned, name)
    return next(farm for farm in FARMS if site_correction.shard_of(tuned, farm) != there)


def test_another_name_means_no_correction_until_the_next_install(
    tmp_path: Path, yard: Yard
) -> None:
    """Never the correction of the farm that the board served before, nor a damaged release."""
    tuned = _publish(yard, "one")
    device = _device(tmp_path, yard, FARMS[3])
    device.sync(yard.depot)
    renamed = _elsewhere(tuned, device.id)
    assert _offset(device, renamed) is None
    assert _offset(device, "farm/stranger") is None
    device.id = renamed
    with pytest.raises(NothingNew):
        device.sync(yard.depot)
    assert (device.live(), _offset(device)) == (1, None)
    _publish(yard, "two")
    assert device.sync(yard.depot) == 2
    assert _offset(device) == _tenths(renamed)


def test_a_damaged_or_lost_shard_is_a_damaged_release(tmp_path: Path, yard: Yard) -> None:
    """As with any file: the previous release steps in with its own correction, until a sync."""
    _publish(yard, "one")
    device = _device(tmp_path, yard, FARMS[3])
    device.sync(yard.depot)
    _publish(yard, "two")
    device.sync(yard.depot)
    (shard,) = (device.state / "releases/2/files/models/tuning").glob("*/farms.json")
    content = shard.read_bytes()
    shard.write_bytes(content.replace(b"0.3", b"0.4", 1))
    assert (device.live(), _offset(device)) == (1, 0.3)
    shard.unlink()
    assert (device.live(), _offset(device)) == (1, 0.3)
    assert device.sync(yard.depot) == 2
    assert (device.live(), _offset(device)) == (2, 0.3)
    assert shard.read_bytes() == content
    with pytest.raises(NothingNew):
        device.sync(yard.depot)


def test_a_device_whose_only_release_is_damaged_is_mended(tmp_path: Path, yard: Yard) -> None:
    """Without another release to go back to it would forecast nothing until the next one."""
    _publish(yard, "one")
    device = _device(tmp_path, yard, FARMS[3])
    device.sync(yard.depot)
    for file in (device.state / "releases/1/files").rglob("*.*"):
        file.write_bytes(b"")
    assert device.live() == 0
    assert device.sync(yard.depot) == 1
    assert (device.live(), _offset(device)) == (1, 0.3)


def test_going_back_takes_the_correction_along(tmp_path: Path, yard: Yard) -> None:
    """Models and correction belong together, in a release without any as well."""
    yard.publish("one")
    device = _device(tmp_path, yard, FARMS[3])
    device.sync(yard.depot)
    assert _offset(device) is None
    _publish(yard, "two")
    device.sync(yard.depot)
    assert _offset(device) == 0.3
    device.slots.go_back("by hand")
    assert (device.live(), _offset(device)) == (1, None)
