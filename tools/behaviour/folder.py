"""The recording: a folder of text that stays the same as long as the behaviour does."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tools.behaviour.programs import Programs


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the recording is written; texts are made plain on the way (see `Programs.plain`)."""

    path: Path
    programs: Programs

    def text(self, name: str, content: str) -> None:
        """A text file."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.programs.plain(content), "utf-8")

    def lines(self, name: str, content: Iterable[str]) -> None:
        """A text file of lines."""
        self.text(name, "".join(f"{line}\n" for line in content))

    def document(self, name: str, content: Any) -> None:  # noqa: ANN401 - any JSON
        """A JSON file, indented, its keys in the order they came."""
        self.text(name, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def schema(self, name: str, database: Path) -> None:
        """Tables, indexes, triggers and version of an SQLite file."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
            made = [f"{kind} {title}\n{sql}\n" for kind, title, sql in rows]
            (version,) = db.execute("PRAGMA user_version").fetchone()
        self.lines(name, [f"user_version {version}\n", *made])


def sha256(path: Path) -> str:
    """Digest of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(root: Path) -> list[str]:
    """Line per file below a folder: digest, size, path."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return [f"{sha256(one)} {one.stat().st_size:>9} {one.relative_to(root)}" for one in files]
