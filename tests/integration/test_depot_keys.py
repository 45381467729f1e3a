"""Keys change under a running fleet: devices follow, and a lost key is worth nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import (
    CannotCreate,
    InputMissing,
    NothingNew,
    Refused,
    TryLater,
    UsageError,
)
from tests.fakes.depot import Device, Yard, release
from trainer.commands.workspace import init
from trainer.depot import key_ceremony, roles
from trainer.depot.key_report import report
from trainer.depot.key_rotation import Rotation
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

ROLES = ("root", "targets", "snapshot", "timestamp", "models", "observations")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace with a release."""
    made = Yard.make(tmp_path / "yard")
    made.publish("one")
    return made


@pytest.fixture
def device(tmp_path: Path, yard: Yard) -> Device:
    """A device that runs release 1."""
    made = Device(tmp_path / "device", yard.pinned, yard.clock)
    assert made.sync(yard.depot) == 1
    return made


def _trusted(yard: Yard, role: str) -> tuple[str, ...]:
    found = report(FolderStore(yard.depot), KeyRing(yard.keys), yard.clock.now())
    return next(one.keyids for one in found if one.role == role)


def test_a_new_workspace_serves_devices_that_were_used_before(
    yard: Yard, device: Device, tmp_path: Path
) -> None:
    """Root keys are lost: with its root file and a first number above theirs, devices go on."""
    Rotation(yard, yard.clock).rotate("root")
    for word in ("two", "three"):
        yard.publish(word)
    assert device.sync(yard.depot) == 3
    low = Yard.make(tmp_path / "low")
    low.publish("four")
    device.root = low.pinned
    with pytest.raises(Refused, match="release 1 is not newer than 3"):
        device.sync(low.depot)
    new = Yard.make(tmp_path / "new", first=1000)
    assert new.publish("four") == 1000
    names = {name.removeprefix("metadata/") for name in new.depot_store.names("metadata")}
    assert min(int(name.split(".")[0]) for name in names - {"timestamp.json"}) == 1000
    device.root = new.pinned
    assert device.sync(new.depot) == 1000
    assert new.publish("five") == 1001
    Rotation(new, new.clock).rotate("root")
    assert device.sync(new.depot) == 1001
    assert Device(tmp_path / "fresh", new.pinned, new.clock).sync(new.depot) == 1001


def test_init_takes_the_first_number(tmp_path: Path) -> None:
    """The option reaches root, roles and releases."""
    arguments = [str(tmp_path / "work"), "--single-key", "--first-number", "70"]
    done = CliRunner().invoke(init, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert (tmp_path / "work" / "depot" / "metadata" / "70.root.json").exists()


def test_a_ceremony_goes_on_with_the_number_it_began_with(tmp_path: Path) -> None:
    """Cut short before its end, it is completed with the same number and refused with another."""
    yard = Yard.make(tmp_path / "yard", first=50)
    (yard.depot / "metadata" / "timestamp.json").unlink()
    (yard.root / "root.json").unlink()
    with pytest.raises(CannotCreate, match="begun with the number 50"):
        key_ceremony.create(yard, yard.clock)
    key_ceremony.create(yard, yard.clock, first=50)
    assert yard.publish() == 50


@pytest.mark.parametrize("role", ROLES)
def test_devices_follow_a_rotation(yard: Yard, device: Device, tmp_path: Path, role: str) -> None:
    """After any role's key changed, old and new devices take the next release."""
    old_root = yard.pinned
    before = _trusted(yard, role)
    new = Rotation(yard, yard.clock).rotate(role)
    after = _trusted(yard, role)
    assert new in after
    assert before[0] not in after
    assert len(after) == len(before)
    with pytest.raises(NothingNew):
        device.sync(yard.depot)
    yard.publish("two")
    assert device.sync(yard.depot) == 2
    late = Device(tmp_path / "late", old_root, yard.clock)
    assert late.sync(yard.depot) == 2
    fresh = Device(tmp_path / "fresh", yard.pinned, yard.clock)
    assert fresh.sync(yard.depot) == 2


@pytest.mark.parametrize("role", ROLES)
def test_the_retired_key_cannot_sign_any_more(yard: Yard, role: str) -> None:
    """Its file is set aside, and no keyring counts it."""
    before = {path.name for path in yard.keys.iterdir()}
    Rotation(yard, yard.clock).rotate(role)
    retired = {path.name for path in yard.keys.glob("*.retired")}
    assert len(retired) == 1
    assert {name.replace(".retired", ".pem") for name in retired} <= before


def test_a_root_key_that_is_lost_is_replaced_by_the_other_two(yard: Yard, device: Device) -> None:
    """Two of three keys suffice to revoke the third, which is not on this machine any more."""
    lost = _trusted(yard, "root")
    ring = KeyRing(yard.keys)
    gone = yard.keys / "root-1.pem"
    keyid = ring.load(gone).public_key.keyid
    assert keyid in lost
    gone.unlink()
    Rotation(yard, yard.clock).revoke(keyid[:12])
    assert keyid not in _trusted(yard, "root")
    yard.publish("two")
    assert device.sync(yard.depot) == 2


def test_a_lost_online_key_is_replaced_without_it(yard: Yard, device: Device) -> None:
    """A timestamp key whose file is gone needs no last signature of its own."""
    keyid = _trusted(yard, "timestamp")[0]
    next(yard.keys.glob("timestamp-*.pem")).unlink()
    Rotation(yard, yard.clock).revoke(keyid)
    yard.publish("two")
    assert device.sync(yard.depot) == 2


def test_one_root_key_alone_changes_nothing(yard: Yard) -> None:
    """With one of three root keys a rotation is refused and nothing is written."""
    for name in ("root-1.pem", "root-2.pem"):
        (yard.keys / name).unlink()
    before = {p: p.read_bytes() for p in yard.root.rglob("*") if p.is_file()}
    for role in ("root", "targets", "timestamp"):
        with pytest.raises(Refused, match="1 trusted key"):
            Rotation(yard, yard.clock).rotate(role)
    assert {p: p.read_bytes() for p in yard.root.rglob("*") if p.is_file()} == before


def test_revoke_wants_one_known_key(yard: Yard) -> None:
    """An unknown id and an ambiguous one are told apart."""
    with pytest.raises(InputMissing, match="keys show"):
        Rotation(yard, yard.clock).revoke("zz")
    with pytest.raises(UsageError, match="more of it"):
        Rotation(yard, yard.clock).revoke("")
    with pytest.raises(UsageError, match="no role"):
        Rotation(yard, yard.clock).rotate("postman")


def test_renewing_keeps_old_devices_and_new_ones_going(yard: Yard, tmp_path: Path) -> None:
    """Two years on, root and targets are signed again, and a device of the first day follows."""
    first = yard.pinned
    yard.clock.advance(800 * 86_400)
    device = Device(tmp_path / "late", first, yard.clock)
    yard.publish("two")
    with pytest.raises(TryLater, match="expired"):
        device.sync(yard.depot)
    Rotation(yard, yard.clock).renew()
    assert device.sync(yard.depot) == 2


def test_warnings_come_before_the_end(yard: Yard) -> None:
    """Nothing to say at first; near the end each role names the cure; after it, that it ended."""

    def warnings() -> dict[str, str]:
        found = report(FolderStore(yard.depot), KeyRing(yard.keys), yard.clock.now())
        return {one.role: one.warning for one in found if one.warning}

    assert warnings() == {}
    yard.clock.advance(11 * 86_400)
    assert set(warnings()) == {"timestamp"}
    yard.clock.advance(700 * 86_400)
    assert set(warnings()) == set(ROLES)
    assert "keys renew" in warnings()["root"]
    assert "has ended" in warnings()["timestamp"]


def _relay(yard: Yard, folder: Path) -> Yard:
    """A relay machine on the same depot: three kinds of key, nothing else."""
    relay = Yard(folder, yard.clock)
    relay.keys.mkdir(parents=True)
    for role in ("observations", "snapshot", "timestamp"):
        for path in yard.keys.glob(f"{role}-*.pem"):
            copy = relay.keys / path.name
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o600)
    return relay


def test_a_relay_publishes_weather_and_no_model(yard: Yard, device: Device, tmp_path: Path) -> None:
    """With the relay's keys weather arrives; a release is refused before it is written."""
    relay = _relay(yard, tmp_path / "relay")
    depot = Depot(FolderStore(yard.depot), KeyRing(relay.keys), yard.clock)
    assert depot.publish_bundles({station_path(108): b"weather"}) is True
    assert depot.publish_bundles({station_path(108): b"weather"}) is False
    from edge_agent.updates.source import FolderSource

    updater = device.updater(FolderSource(yard.depot))
    assert updater.fetch_relayed(station_path(108)) == b"weather"
    before = {p: p.read_bytes() for p in yard.depot.rglob("*.json")}
    with pytest.raises(Refused, match="'models'"):
        depot.publish("stable", *release("evil"))
    assert {p: p.read_bytes() for p in yard.depot.glob("metadata/*.json")} == {
        p: c for p, c in before.items() if p.parent.name == "metadata"
    }
    with pytest.raises(NothingNew):
        device.sync(yard.depot)


def test_a_key_file_that_others_may_read_is_refused(yard: Yard) -> None:
    """A key with open permissions signs nothing until someone has looked at it."""
    path = next(yard.keys.glob("models-*.pem"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        yard.publish("two")


def test_offline_keys_take_a_passphrase(tmp_path: Path) -> None:
    """Root and targets are encrypted; daily work needs no passphrase, a rotation does."""
    yard = Yard(tmp_path)
    key_ceremony.create(yard, yard.clock, passphrase=lambda: b"long words")
    for path in yard.keys.glob("*.pem"):
        encrypted = b"ENCRYPTED" in path.read_bytes()
        assert encrypted == path.name.startswith(roles.OFFLINE)
    assert yard.publish("one") == 1
    with pytest.raises(Refused, match="no passphrase"):
        Rotation(yard, yard.clock).rotate("models")
    with pytest.raises(Refused, match="wrong passphrase"):
        Rotation(yard, yard.clock, lambda: b"other").rotate("models")
    Rotation(yard, yard.clock, lambda: b"long words").rotate("models")
    assert yard.publish("two") == 2


def test_a_depot_is_signed_once(yard: Yard) -> None:
    """A second ceremony is refused; the keys stay."""
    before = {path.name for path in yard.keys.iterdir()}
    with pytest.raises(CannotCreate, match="signed already"):
        key_ceremony.create(yard, yard.clock)
    assert {path.name for path in yard.keys.iterdir()} == before
