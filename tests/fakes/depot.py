"""A real depot made by the real publisher, a device that follows it, and a clock that is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.contract import manifest as contract
from edge_agent.contract.manifest import FeatureContract, FileRef, Manifest, ModelRef
from edge_agent.system.clock import SystemClock
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.updates.depot import DepotClient
from edge_agent.updates.http_source import HttpLimits, HttpSource
from edge_agent.updates.policy import DeviceState
from edge_agent.updates.slots import Slots
from edge_agent.updates.source import DepotSource, FolderSource
from edge_agent.updates.updater import Updater
from tests.fakes.clock import FakeClock
from trainer.depot import key_ceremony
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.workspace.store import Store

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DIGEST = "d1" * 32
IMPATIENT = HttpLimits(connect_s=1.0, head_s=1.0, grace_s=0.3, bytes_per_s=500.0, resumes=3)


def set_clock() -> FakeClock:
    """A clock that stands at `START`."""
    return FakeClock(START)


@dataclass(frozen=True)
class Yard:
    """A trainer's workspace: keys, depot, log."""

    root: Path
    clock: FakeClock = field(default_factory=set_clock)

    @property
    def keys(self) -> Path:
        """Key files."""
        return self.root / "keys"

    @property
    def depot(self) -> Path:
        """What is served."""
        return self.root / "depot"

    @property
    def depot_store(self) -> Store:
        """The same, for writing."""
        return FolderStore(self.depot)

    @property
    def records(self) -> Store:
        """Where the log lies."""
        return FolderStore(self.root)

    @property
    def runs(self) -> Path:
        """Candidate runs."""
        return self.root / "runs"

    @property
    def pinned(self) -> bytes:
        """Root metadata as a device is given it."""
        return (self.root / "root.json").read_bytes()

    @classmethod
    def make(cls, root: Path, *, single_key: bool = False, first: int = 1) -> Yard:
        """A workspace after its key ceremony."""
        yard = cls(root)
        key_ceremony.create(yard, yard.clock, single_key=single_key, first=first)
        return yard

    @classmethod
    def of_now(cls, folder: Path) -> Yard:
        """A workspace in a folder with a release, its key's root metadata beside it.

        Its clock stands at the machine's time, for commands that read that one.
        """
        yard = cls(folder / "yard", FakeClock(SystemClock().now()))
        key_ceremony.create(yard, yard.clock, single_key=True)
        yard.publish("one")
        (folder / "root.json").write_bytes(yard.pinned)
        return yard

    def open(self) -> Depot:
        """The publisher."""
        return Depot(self.depot_store, KeyRing(self.keys), self.clock)

    def publish(self, word: str = "one", channel: str = "stable", **changes: object) -> int:
        """Publish a small release whose bytes follow from `word`."""
        manifest, files = release(word, **changes)
        return self.open().publish(channel, manifest, files)

    def candidate(self, name: str, word: str = "one", **changes: object) -> Path:
        """A candidate run on the disk."""
        manifest, files = release(word, **changes)
        run = self.runs / name
        for path, content in files.items():
            (run / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (run / "files" / path).write_bytes(content)
        (run / "manifest.json").write_bytes(contract.encode(manifest))
        return run


def ref(path: str, content: bytes) -> FileRef:
    """Line of a manifest for a file."""
    return FileRef(path, sha256(content).hexdigest(), len(content))


def release(word: str = "one", **changes: object) -> tuple[Manifest, dict[str, bytes]]:
    """Candidate manifest and its files; everything in it follows from `word`."""
    models = {
        target: (f"models/{target}/{word}/model.onnx", onnx_bytes(f"{target} {word}"))
        for target in ("air_temperature_c", "relative_humidity_pct")
    }
    golden = (f"golden/{word}/windows.json", f'{{"golden": "{word}"}}'.encode())
    manifest = Manifest(
        schema=contract.FORMAT,
        project=contract.PROJECT,
        channel="",
        release=0,
        created_at="",
        min_agent="0.1.0",
        features=FeatureContract(DIGEST, ("a", "b"), 72, "2.1.0"),
        leads=(1, 2),
        models={
            target: ModelRef(word, "unit", ref(path, content))
            for target, (path, content) in models.items()
        },
        golden=ref(*golden),
        sites={},
        residuals={},
        climatology_residuals={},
        scores={},
        lineage={},
        reason="",
    )
    files = dict((*models.values(), golden))
    return msgspec.structs.replace(manifest, **changes), files


def onnx_bytes(
    word: str, operators: tuple[tuple[str, str], ...] = (("ai.onnx.ml", "TreeEnsembleRegressor"),)
) -> bytes:
    """Smallest ONNX model of these (domain, operator) nodes, written field by field."""

    def part(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    nodes = b"".join(
        part(1, part(4, operator.encode()) + part(7, domain.encode()))
        for domain, operator in operators
    )
    graph = nodes + part(2, word.encode())
    return varint(1 << 3) + varint(8) + part(2, b"test") + part(7, graph)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def no_check(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """A golden replay that finds nothing wrong."""


@dataclass
class Device:
    """An agent's update side in a folder of its own."""

    state: Path
    root: bytes
    clock: FakeClock
    channel: str = "stable"
    agent_version: str = "0.1.0"
    digest: str = DIGEST
    guidance_digest: str = ""
    check: Any = no_check
    id: str = "farm/edge-1"
    pinned: int = 0
    synchronised: bool = True
    pace: HttpLimits = IMPATIENT

    @property
    def slots(self) -> Slots:
        """Installed releases."""
        return Slots(self.state)

    def updater(self, source: DepotSource) -> Updater:
        """The real thing on a source."""
        return Updater(
            DepotClient(source, self.state / "tuf", self.root),
            self.slots,
            DeviceState(
                channel=self.channel,
                agent_version=self.agent_version,
                digest=self.digest,
                guidance_digest=self.guidance_digest,
                id=self.id,
                pinned=self.pinned,
            ),
            self_check=self.check,
            timekeeper=Timekeeper(self.state, self.clock, lambda: self.synchronised),
            lock=self.state / "sync.lock",
        )

    def sync(self, place: str | Path) -> int:
        """Pull from an address or a folder; the release that is live then."""
        if isinstance(place, Path):
            return self.updater(FolderSource(place)).sync().manifest.release
        from edge_agent.system.clock import SystemClock

        with HttpSource(place, SystemClock(), self.pace) as source:
            return self.updater(source).sync().manifest.release

    def live_words(self) -> str:
        """Reason of the live release."""
        installed = self.slots.load()
        return "" if installed is None else installed.manifest.reason

    def live(self) -> int:
        """Number of the live release, 0 for none."""
        installed = self.slots.load()
        return 0 if installed is None else installed.manifest.release
