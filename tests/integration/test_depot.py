"""Publishing and pulling over a real web server and from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import InputMissing, NothingNew, Refused, TryLater
from edge_agent.system.clock import SystemClock
from edge_agent.updates.http_source import HttpSource
from tests.fakes.depot import IMPATIENT, Device, Yard
from tests.fakes.served import served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace with its keys."""
    return Yard.make(tmp_path / "yard")


@pytest.fixture
def device(tmp_path: Path, yard: Yard) -> Device:
    """A device that was given the root."""
    return Device(tmp_path / "device", yard.pinned, yard.clock)


def test_a_release_reaches_a_device_and_the_next_poll_finds_nothing(
    yard: Yard, device: Device
) -> None:
    """What was published is live on the device, byte for byte, and is not pulled twice."""
    yard.publish("one")
    with served(yard.depot) as url:
        assert device.sync(url) == 1
        with pytest.raises(NothingNew, match="release 1"):
            device.sync(url)
    installed = device.slots.load()
    assert installed is not None
    for file in installed.manifest.files():
        stored = next(yard.depot.glob(f"targets/**/{file.sha256}.*"))
        assert installed.read(file) == stored.read_bytes()


def test_releases_follow_each_other_and_the_previous_one_is_kept(
    yard: Yard, device: Device
) -> None:
    """Every release replaces the one before it, and one step back stays possible."""
    with served(yard.depot) as url:
        for number, word in enumerate(("one", "two", "three"), start=1):
            assert yard.publish(word) == number
            assert device.sync(url) == number
    assert sorted(p.name for p in (device.state / "releases").iterdir()) == ["2", "3"]
    assert device.slots.go_back("by hand").manifest.release == 2
    assert device.live() == 2


def test_a_release_that_was_left_is_not_offered_again(yard: Yard, device: Device) -> None:
    """Going back is final for that release; a higher one is taken."""
    for word in ("one", "two"):
        yard.publish(word)
        device.sync(yard.depot)
    device.slots.go_back("by hand")
    with pytest.raises(NothingNew, match=r"release 2 was left by this device \(by hand\)"):
        device.sync(yard.depot)
    yard.publish("three")
    assert device.sync(yard.depot) == 3
    assert device.slots.pointer().left is None


def test_a_first_install_has_nothing_before_it(yard: Yard, device: Device) -> None:
    """No previous release, no trial, no way back."""
    yard.publish("one")
    device.sync(yard.depot)
    pointer = device.slots.pointer()
    assert (pointer.previous, pointer.trial) == (None, None)
    with pytest.raises(InputMissing, match="no previous release"):
        device.slots.go_back("by hand")


def test_a_lost_pointer_does_not_take_the_previous_release_along(
    yard: Yard, device: Device
) -> None:
    """Without slots.json the live one is found by its folder, and the next install keeps it."""
    for word in ("one", "two"):
        yard.publish(word)
        device.sync(yard.depot)
    (device.state / "slots.json").unlink()
    yard.publish("three")
    device.sync(yard.depot)
    assert device.slots.go_back("by hand").manifest.release == 2


def test_observations_come_by_the_same_checks(yard: Yard, device: Device) -> None:
    """Relayed bytes arrive as published; a station without any gives None."""
    yard.open().publish_bundles({station_path(108): b"parquet"})
    with served(yard.depot) as url, HttpSource(url, SystemClock(), IMPATIENT) as source:
        updater = device.updater(source)
        assert updater.fetch_relayed(station_path(108)) == b"parquet"
        assert updater.fetch_relayed(station_path(159)) is None


def test_a_depot_that_cannot_be_reached_is_tried_later(yard: Yard, device: Device) -> None:
    """A dead link is no fault of the release: exit 75, nothing changes."""
    yard.publish("one")
    with served(yard.depot) as url:
        device.sync(url)
    with pytest.raises(TryLater, match="check the link"):
        device.sync(url)
    assert device.live() == 1


def test_a_folder_gives_the_same_release_as_the_server(yard: Yard, device: Device) -> None:
    """A USB stick is a depot like any other."""
    yard.publish("one")
    assert device.sync(yard.depot) == 1
    with served(yard.depot) as url, pytest.raises(NothingNew):
        device.sync(url)


def _files(yard: Yard, pattern: str) -> list[Path]:
    return sorted(yard.depot.glob(pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "metadata/timestamp.json",
        "metadata/*.snapshot.json",
        "metadata/*.targets.json",
        "metadata/*.models.json",
        "targets/channels/stable/*.manifest.json",
        "targets/models/air_temperature_c/two/*.model.onnx",
        "targets/models/relative_humidity_pct/two/*.model.onnx",
        "targets/golden/two/*.windows.json",
    ],
)
@pytest.mark.parametrize("place", ["head", "middle", "tail"])
def test_one_flipped_byte_is_refused_and_named(
    yard: Yard, device: Device, pattern: str, place: str
) -> None:
    """A flipped byte in any file: refused, the file is named, the running release goes on."""
    yard.publish("one")
    with served(yard.depot) as url:
        if "targets.json" not in pattern:
            device.sync(url)
        before = device.live()
        yard.publish("two")
        for path in _files(yard, pattern):
            content = bytearray(path.read_bytes())
            at = {"head": 0, "middle": len(content) // 2, "tail": len(content) - 1}[place]
            content[at] ^= 0x01
            path.write_bytes(bytes(content))
        with pytest.raises(Refused) as caught:
            device.sync(url)
    name = pattern.rpartition("/")[2].lstrip("*.")
    assert name in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)
    assert device.live() == before
