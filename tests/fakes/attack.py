"""One attack: what the attacker does, which guard stops it, and how that guard is taken away."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from tuf.api import _payload as tuf
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

from edge_agent.contract import manifest as contract
from edge_agent.contract import onnx_guard, site_correction
from edge_agent.contract.errors import FarmError, NothingNew, Refused
from edge_agent.system import clock_trust
from edge_agent.updates import depot, installed_release, policy, updater
from tests.fakes.depot import Yard, release
from tests.fakes.forger import Forger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pytest
    from securesystemslib.signer import Signer

    from edge_agent.contract.manifest import Manifest
    from tests.fakes.depot import Device
    from tests.fakes.hostile_web import HostileWeb

    Guard = Callable[["Scene", pytest.MonkeyPatch], None]


@dataclass
class Scene:
    """A depot, its web server, and a device that runs release 1 from it.

    Attributes:
        folder: A place for more machines and copies.
        place: Where the device is made to pull from: the server, unless an attack says otherwise.
        before: Release that must still be live after the attack was fended off.
    """

    yard: Yard
    web: HostileWeb
    device: Device
    folder: Path
    place: str | Path
    before: int = 1

    @property
    def forger(self) -> Forger:
        """The attacker's pen."""
        return Forger(self.yard)

    def stranger(self) -> Yard:
        """Somebody else's workspace with keys of its own."""
        if not (self.folder / "stranger").exists():
            return Yard.make(self.folder / "stranger")
        return Yard(self.folder / "stranger", self.yard.clock)

    def pull(self) -> int:
        """The device's poll."""
        return self.device.sync(self.place)

    def advance(self, word: str = "two") -> None:
        """Publish a release and let the device take it."""
        self.before = self.yard.publish(word)
        assert self.pull() == self.before

    def copy(self) -> Path:
        """The depot as it lies now, as a mirror or a stick keeps it."""
        copied = self.folder / "copy"
        shutil.copytree(self.yard.depot, copied)
        return copied

    def plant(
        self,
        role: str = "models",
        *,
        signers: Iterable[Signer] | None = None,
        channel: str = "stable",
        mutate: Callable[[Manifest], Manifest] = lambda manifest: manifest,
        swap: Callable[[dict[str, bytes]], None] = lambda _: None,
    ) -> None:
        """List a release 99 in a role, whatever the role's business, and make it current."""
        manifest, files = release("evil")
        manifest = mutate(
            msgspec.structs.replace(
                manifest, channel=channel, release=99, created_at="2026-03-01T03:00:00Z"
            )
        )
        swap(files)
        files = files | {f"channels/{channel}/manifest.json": contract.encode(manifest)}
        lines = {path: TargetFile.from_data(path, content) for path, content in files.items()}
        for path, line in lines.items():
            folder, _, name = path.rpartition("/")
            stored = f"targets/{folder}/{line.hashes['sha256']}.{name}"
            (self.yard.depot / stored).parent.mkdir(parents=True, exist_ok=True)
            (self.yard.depot / stored).write_bytes(files[path])
        forger = self.forger
        forger.resign(
            role,
            lambda signed: signed.targets.update(lines),
            signers=None if signers is None else list(signers),
        )
        forger.seal(role)


FAST_FORWARDS: Final = (("timestamp",), ("snapshot",), ("snapshot", "timestamp"), ("models",))
"""Roles whose versions a thief of their keys raises as far as they go."""


def fast_forward(scene: Scene, *ahead: str) -> None:
    """Raise versions by a billion; the device takes what is validly signed, and remembers it.

    Then the depot of before comes back from a backup, with two more releases.
    """
    honest, forger = scene.copy(), scene.forger
    versions = {role: forger.version(role) + 10**9 for role in ahead}
    for role in ahead:
        forger.resign(role, lambda _: None, bump=10**9)
        if role == "snapshot":
            forger.stamp(versions[role])
        elif role == "models":
            forger.seal(models=versions[role])
    with suppress(NothingNew):
        scene.pull()
    shutil.rmtree(scene.yard.depot)
    shutil.copytree(honest, scene.yard.depot)
    for word in ("two", "three"):
        scene.yard.publish(word)


@dataclass(frozen=True)
class Attack:
    """A row of the suite.

    Attributes:
        act: What the attacker does.
        says: Pattern that the error's text must match: the file and the reason.
        guards: What is taken away to see the attack succeed.
        error: Kind of the error.
        won: Whether an unguarded attack succeeded; the default is that it was swallowed.
    """

    act: Callable[[Scene], None]
    says: str
    guards: tuple[Guard, ...]
    error: type[FarmError] = Refused
    won: Callable[[Scene], bool] = field(default=lambda scene: scene.device.live() != scene.before)


def signatures(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """No signature is checked."""
    patch.setattr(tuf._DelegatorMixin, "verify_delegate", lambda *_, **__: None)


def expiry(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Nothing ever ends."""
    patch.setattr(tuf.Signed, "is_expired", lambda *_, **__: False)


def hashes(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Lengths and hashes in metadata are not compared with what is downloaded."""
    patch.setattr(tuf.BaseFile, "_verify_hashes", staticmethod(lambda *_: None))
    patch.setattr(tuf.BaseFile, "_verify_length", staticmethod(lambda *_: None))
    # What is here already is no way in: without this it would be taken for the new content.
    patch.setattr(
        depot, "_matches", lambda info, have: info.hashes["sha256"] == sha256(have).hexdigest()
    )


def manifest_hashes(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Hashes in the manifest are not compared."""
    patch.setattr(installed_release, "matches", lambda *_: True)


def memory(scene: Scene, _: pytest.MonkeyPatch) -> None:
    """The device forgets the metadata that it saw."""
    shutil.rmtree(scene.device.state / "tuf")


def versions(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """A snapshot of another version than the timestamp names will do."""
    patch.setattr(TrustedMetadataSet, "_check_final_snapshot", lambda _: None)


def root_versions(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Any root passes as the next one."""
    patch.setattr(TrustedMetadataSet, "update_root", lambda *_: None)


def numbers(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """The device forgets which releases it ran."""
    honest = updater.Updater._state

    def forgetful(self: updater.Updater) -> policy.DeviceState:
        import dataclasses

        return dataclasses.replace(honest(self), highest=0)

    patch.setattr(updater.Updater, "_state", forgetful)


def fitness(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Rules A1 to A5 are not applied."""
    patch.setattr(policy, "_fits", lambda *_, **__: None)


def paths(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Rule A6 is not applied."""
    patch.setattr(policy, "_files", lambda *_: None)


def sizes(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """A manifest may be of any length."""
    patch.setattr(updater, "MAX_BYTES", 10**9)
    patch.setattr(contract, "MAX_BYTES", 10**9)


def lengths(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """A download may be of any length."""
    honest = FetcherInterface.download_file
    patch.setattr(FetcherInterface, "download_file", lambda self, url, _: honest(self, url, 10**9))


def delegation(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """The observations role may publish any path."""
    patch.setattr(tuf.DelegatedRole, "is_delegated_path", lambda self, _: self.name[0] == "o")


def operators(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Models are not looked through."""
    patch.setattr(onnx_guard, "check", lambda *_: None)


def shards(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Corrections of farms are not looked through."""
    patch.setattr(
        site_correction, "decode", lambda *_: site_correction.Shard(site_correction.FORMAT, {})
    )


def addresses(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Corrections of farms may lie in any file."""
    patch.setattr(site_correction, "strangers", lambda *_: ())


def links(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Symbolic links are followed."""
    patch.setattr("edge_agent.updates.source.os.O_NOFOLLOW", 0)
    patch.setattr("pathlib.Path.is_symlink", lambda _: False)


def floor(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """The clock is believed, whatever it shows."""
    patch.setattr(clock_trust.Timekeeper, "floor", lambda _: clock_trust.EARLIEST)


def future(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """A release may be signed at any time."""
    patch.setattr(updater, "_signing_time", lambda _, now: now)


def replay(scene: Scene, _: pytest.MonkeyPatch) -> None:
    """The golden windows are not replayed."""
    from tests.fakes.depot import no_check

    scene.device.check = no_check


def tuf_name(target: Any) -> str:  # noqa: ANN401 - anything with a name
    """Name of a test's row."""
    return str(getattr(target, "__name__", target))
