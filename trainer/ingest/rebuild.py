"""Rebuilds the tidy lake from the raw store: answers of KMA's services, and imported files.

Rules, numbered as the tests name them:
    B1  Every answer and file is read as it would be today, and merged by the lake's own rules, in
        the order in which they came: of two records of one hour the later one counts.
    B2  The result is made in memory first; only then are files replaced that differ. A run that
        is killed leaves complete files of before and after; the next run completes the work.
    B3  Nothing is lost: where the lake has rows that nothing raw holds, nothing is changed.
    B4  Revisions that are there stay: they say when a change became known. Lost ones are written
        again, with the time of the answer.
    B5  Hours of farms are left as they are: they have no raw form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.schema import TIME
from trainer.ingest import guidance_files, importer, registry
from trainer.ingest.sources.village_table import ISSUED, VALID
from trainer.ingest.warning_archive import FOLDER, KEY
from trainer.workspace import future_hours, parquet
from trainer.workspace.lake import Lake
from trainer.workspace.places import FARM
from trainer.workspace.store import MemoryStore

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.workspace.workspace import Workspace

_TIDY: Final = ("observations", "revisions", "guidance", FOLDER)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: raw answers and files read, tidy files found, and those replaced."""

    read: int
    files: int
    replaced: tuple[str, ...]


def rebuild(workspace: Workspace, now: datetime | None = None) -> Rebuilt:
    """Make observations, guidance and bulletins again from the raw store, without a request.

    Args:
        workspace: Whose lake.
        now: Rows that are still to come are removed; None = none is.

    Raises:
        InputMissing: The lake has what nothing raw holds, such as files that were imported before
            their bytes were kept; nothing is changed.
        StorageError: A raw file is damaged, or the lake cannot be written.
        TryLater: Another process works on the lake.
    """
    store = workspace.store
    with workspace.lake_lock(), workspace.warnings_lock():
        raw, shadow = workspace.raw, MemoryStore()
        files = {file.answer.sha256 for file in importer.kept_files(raw)}
        _check_imports(store.read(importer.JOURNAL) or b"", files | guidance_files.digests(raw))
        read = sum(source.rebuild(raw, Lake(shadow)) for source in registry.by_rank())
        late = set() if now is None else _remove_future(shadow, now)
        rebuilt = {part: set(shadow.names(part)) for part in _TIDY}
        for name in store.names("observations"):
            if name.startswith(f"observations/{FARM}"):
                continue
            _check_rows(name, store.read(name), shadow.read(name), [TIME], now)
        for name in store.names("guidance"):
            _check_rows(name, store.read(name), shadow.read(name), [ISSUED, VALID], now)
        for name in store.names(FOLDER):
            _check_rows(name, store.read(name), shadow.read(name), KEY, now)
        rebuilt["revisions"] -= set(store.names("revisions"))
        replaced = [name for name in sorted(late) if store.read(name) is not None]
        for name in replaced:
            store.remove(name)
        for name in sorted(set().union(*rebuilt.values())):
            content = shadow.read(name) or b""
            if store.read(name) != content:
                store.write(name, content)
                replaced.append(name)
        return Rebuilt(read, sum(map(len, rebuilt.values())), tuple(sorted(replaced)))


def _check_imports(journal: bytes, kept: set[str]) -> None:
    for line in journal.splitlines():
        entry = msgspec.json.decode(line)
        if entry["sha256"] not in kept:
            raise InputMissing(
                f"lake: {entry['file']} was imported before files were kept: import it again first "
                "(nothing was changed)"
            )


def _remove_future(shadow: MemoryStore, now: datetime) -> set[str]:
    """Remove rows that are still to come; names of the files of which nothing is left."""
    emptied = set()
    for part, time in (("observations", TIME), ("guidance", ISSUED)):
        for name in shadow.names(part):
            rows = parquet.decode(shadow.read(name) or b"")
            past = rows.filter(pl.col(time) <= future_hours.latest(now))
            if past.is_empty():
                shadow.remove(name)
                emptied.add(name)
            elif past.height < rows.height:
                shadow.write(name, parquet.encode(past))
    return emptied


def _check_rows(
    name: str, before: bytes | None, after: bytes | None, key: list[str], now: datetime | None
) -> None:
    """Rule B3. A file that cannot be read has no rows to lose, nor are those still to come."""
    try:
        old = parquet.decode(before or b"").select(key)
    except (BadData, pl.exceptions.PolarsError):
        return
    if now is not None:
        old = old.filter(pl.col(key[0]) <= future_hours.latest(now))
    lost = old if after is None else old.join(parquet.decode(after), on=key, how="anti")
    if lost.height:
        raise InputMissing(
            f"lake: {name} has {lost.height} rows, the first of {lost[key[0]][0]:%Y-%m-%d %H:%M} "
            "UTC, that no raw answer or kept file holds (nothing was changed)"
        )
