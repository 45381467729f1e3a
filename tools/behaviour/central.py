"""The trainer's side: a workspace, a training, the gate, a release, the depot."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tools.behaviour import weather
from tools.behaviour.folder import digests, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from tools.behaviour.folder import Folder
    from tools.behaviour.programs import Call, Programs

TRAINED_AT: Final = datetime(2026, 1, 5, 3, tzinfo=UTC)
WINTER: Final = datetime(2026, 1, 18, 0, 2, tzinfo=UTC)
SUMMER: Final = datetime(2026, 7, 19, 15, 2, tzinfo=UTC)
HOURS: Final = 24
_HEX: Final = re.compile(r'"(sig|public)": ?"[0-9a-f]+"')


@dataclass(slots=True)
class Central:
    """A trainer's workspace and every command that was run on it, in order."""

    programs: Programs
    out: Folder
    calls: list[Call] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.programs.root / "central"

    def call(self, *arguments: str, at: datetime = TRAINED_AT) -> Call:
        """`trainer` with these arguments, in the workspace."""
        cwd = self.root if self.root.exists() else self.programs.root
        call = self.programs.call("trainer", *arguments, at=at, cwd=cwd)
        self.calls.append(call)
        return call

    def make(self) -> None:
        """Workspace with a record in its lake."""
        weather.write(self.programs.root / "weather.csv")
        self.call("init", "central", "--single-key")
        settings = self.root / "trainer.toml"
        text = settings.read_text("utf-8")
        self.out.text("defaults/trainer.toml", text)
        for old, new in (
            ("# threads = 0", "threads = 1"),
            ("# holdout_share = 0.2", "holdout_share = 0.26"),
            ("# relay_days = 14", "relay_days = 20"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        settings.write_text(text, "utf-8")
        name_keys(self.programs, self.root)
        self.call("import", "../weather.csv", "--json")
        self.call("import", "../weather.csv")

    def train(self) -> str:
        """A run, judged and published; its name."""
        self.call("train", "--as-of", weather.TRAINED_TO)
        (run,) = (path.name for path in (self.root / "runs").iterdir())
        return run

    def publish(self) -> None:
        """The run on two channels, and a rollback."""
        for words in (
            ("promote", "--channel", "canary", "--percent", "10", "--device", "hill/edge-1"),
            ("promote", "--channel", "stable", "--json"),
            ("promote", "--channel", "stable"),
            ("rollout", "--channel", "canary", "--percent", "50", "--reason", "a test"),
            ("rollback", "--to", "2", "--reason", "a test"),
            ("canary", "--dry-run", "--json"),
            ("rollback", "--to", "99", "--reason", "a test"),
        ):
            self.call(*words)

    def relay(self, name: str, at: datetime) -> None:
        """Hours up to `at`, and a copy of the depot for the device of that name."""
        self.call("relay", at=at)
        self.call("relay", "--json", at=at)
        shutil.copytree(self.root / "depot", self.programs.root / f"depot-{name}")

    def look(self) -> None:
        """Commands that show, and the history that a device has exported."""
        for words in (
            ("runs",),
            ("runs", "--json"),
            ("status",),
            ("status", "--json"),
            ("status", "--quality"),
            ("status", "--quality", "--json"),
            ("keys", "show"),
            ("keys", "show", "--json"),
            ("evaluate", "--json"),
            ("report", "--json"),
            ("tune", "--dry-run"),
            ("farm", "ls"),
            ("ingest", "--rebuild"),
            ("ingest", "--source", "asos", "--dry-run"),
        ):
            self.call(*words)
        self.call("farm", "import", "../house/own.parquet", at=SUMMER + timedelta(days=2))
        self.call("farm", "ls", "--json", at=SUMMER + timedelta(days=2))
        self.call("tune", at=SUMMER + timedelta(days=2))

    def write(self, run: str) -> None:
        """Everything into the recording."""
        for number, call in enumerate(self.calls):
            self.out.text(f"trainer/{number:02} {call.words[1]}.txt", self.programs.told(call))
        folder = self.root / "runs" / run
        models = sorted((folder / "files").rglob("*"))
        self.out.lines(
            "trainer/run/files.txt",
            [f"{sha256(one)} {one.relative_to(folder)}" for one in models if one.is_file()],
        )
        for path in sorted(folder.iterdir()):
            if path.suffix in {".json", ".jsonl"}:
                self.out.document(f"trainer/run/{path.name}", json.loads(path.read_bytes()))
            elif path.suffix == ".html":
                page = path.read_text("utf-8")
                self.out.text(f"trainer/run/{path.name}", page.replace("><", ">\n<"))
            elif path.is_file():
                self.out.lines(f"trainer/run/{path.name}.sha256", [sha256(path)])
        for path in sorted(self.root.glob("*.jsonl")):
            self.out.text(f"trainer/{path.name}", path.read_text("utf-8"))
        self._depot()
        self.out.lines("trainer/lake.txt", digests(self.root / "lake"))

    def _depot(self) -> None:
        depot = self.root / "depot"
        for path in sorted(depot.rglob("*")):
            name = self.programs.plain(str(path.relative_to(depot)))
            if path.is_file() and path.suffix == ".json" and "metadata" in path.parts:
                document = _without_keys(json.loads(path.read_bytes()))
                self.out.text(f"trainer/depot/{name}", _plain_metadata(document))
        targets = [line for line in digests(depot) if " metadata/" not in line]
        self.out.lines("trainer/depot/targets.txt", targets)


def name_keys(programs: Programs, workspace: Path, prefix: str = "") -> None:
    """Have the keys of a new workspace written as their roles."""
    root = json.loads((workspace / "root.json").read_bytes())["signed"]
    targets = json.loads((workspace / "depot/metadata/1.targets.json").read_bytes())["signed"]
    delegations = targets["delegations"]
    rules = [(name, rule, root["keys"]) for name, rule in root["roles"].items()]
    rules += [(rule["name"], rule, delegations["keys"]) for rule in delegations["roles"]]
    for role, rule, keys in rules:
        for number, keyid in enumerate(rule["keyids"]):
            name = f"{prefix}{role} {number}"
            programs.stand_ins[keyid] = f"<KEYID {name}>"
            programs.stand_ins[keyid[:12]] = f"<KEYID {name}, 12>"
            programs.stand_ins[keys[keyid]["keyval"]["public"]] = f"<PUBLIC KEY {name}>"


def _without_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Metadata without digests and lengths of other metadata, which hold signatures."""
    for meta in document["signed"].get("meta", {}).values():
        for name in ("hashes", "length"):
            if name in meta:
                meta[name] = f"<{name.upper()}>"
    # Keys stand in the order of their random ids.
    for holder in (document["signed"], document["signed"].get("delegations", {})):
        if "keys" in holder:
            holder["keys"] = list(holder["keys"].values())
    return document


def _plain_metadata(document: dict[str, Any]) -> str:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return _HEX.sub(r'"\1": "<HEX>"', text) + "\n"
