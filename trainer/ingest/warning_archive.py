"""Archive of KMA's bulletins about warnings, and the warnings that stand by them.

    warnings/month=2026-09.parquet   rows of `sources.warnings.BULLETINS`, by month of issue
    warnings-asked.json              up to when KMA has answered in full

Rules, numbered as the tests name them:

    S1  Bulletins are added and never changed. One that KMA voids later is there twice, and counts
        for nothing.
    S2  They count in the order of issue and number; within one the end of a warning comes before
        its start.
    S3  A zone has one warning of a kind. A bulletin that starts it while it stands changes its
        level; `since` stays. The end of one kind leaves the others of the zone alone.
    S4  A command that is not known ends a warning where it gives an end and no start; else it
        starts one. So nothing that KMA announces is passed over.
    S5  Of a list of what is in force (API hub), a warning that is on it no more has ended: at its
        announced end, else when it was missing first.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
from msgspec.structs import replace

from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.official_warnings import (
    ENDED_FOR,
    KINDS,
    LEVELS,
    OTHER,
    OfficialWarning,
    WarningBundle,
    WarningLevel,
)
from trainer.ingest.sources.warnings import (
    ANNOUNCED,
    BULLETINS,
    COMMAND,
    END,
    KIND,
    LEVEL,
    NUMBER,
    START,
    VOID,
    ZONE,
)
from trainer.workspace import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trainer.workspace.store import Store

FOLDER: Final = "warnings"
KEY: Final = [ANNOUNCED, ZONE, KIND, NUMBER, COMMAND]
"""What tells a bulletin's row from every other."""
_ASKED: Final = "warnings-asked.json"
_LAND: Final = "L"
_ENDS: Final = ("2", "8")
_STARTS: Final = ("1", "3", "6", "7")
_ENDS_IT: Final = pl.col(COMMAND).is_in(_ENDS) | (
    ~pl.col(COMMAND).is_in(_STARTS) & pl.col(END).is_not_null() & pl.col(START).is_null()
)
"""Whether a row ends its warning (S4)."""
_KIND: Final = {
    1: "wind",
    2: "rain",
    3: "cold",
    4: "dry",
    5: "surge",
    7: "typhoon",
    8: "snow",
    9: "dust",
    12: "heat",
    13: "hot-night",
}
_LEVEL: Final = {0: WarningLevel.ADVISORY, 1: WarningLevel.WARNING, 2: WarningLevel.SEVERE}
_OTHER_NAMES: Final = {6: "풍랑"}
"""Kinds that concern no farm on land but have a word."""


class WarningArchive:
    """Bulletins by month of issue.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, rows: pl.DataFrame) -> int:
        """Add bulletins; the number of rows that are new (S1).

        Raises:
            StorageError: A file cannot be read or written.
        """
        added = 0
        for (month,), new in rows.group_by(pl.col(ANNOUNCED).dt.strftime("%Y-%m")):
            name = f"{FOLDER}/month={month}.parquet"
            old = self._file(name)
            whole = pl.concat([old, new]).unique().sort(BULLETINS.names())
            added += whole.height - old.height
            if whole.height > old.height:
                self._store.write(name, parquet.encode(whole))
        return added

    def since(self, time: datetime) -> pl.DataFrame:
        """Bulletins issued at `time` or later, unordered.

        Raises:
            StorageError: A file cannot be read.
        """
        first = f"{FOLDER}/month={time:%Y-%m}.parquet"
        names = [name for name in self._store.names(FOLDER) if name >= first]
        whole = pl.concat([BULLETINS.to_frame(), *(self._file(name) for name in names)])
        return whole.filter(pl.col(ANNOUNCED) >= time)

    def asked_until(self) -> datetime | None:
        """When KMA was last asked and answered in full; None: never, or the note is damaged."""
        try:
            return msgspec.json.decode(self._store.read(_ASKED) or b"", type=datetime)
        except msgspec.DecodeError:
            return None

    def note_asked(self, time: datetime) -> None:
        """Write down that KMA has answered in full at a time (aware)."""
        self._store.write(_ASKED, msgspec.json.encode(time))

    def _file(self, name: str) -> pl.DataFrame:
        content = self._store.read(name)
        if content is None:
            return BULLETINS.to_frame()
        try:
            return parquet.decode(content).select(BULLETINS.names()).cast(BULLETINS)
        except (BadData, pl.exceptions.PolarsError) as fault:
            raise StorageError(
                f"lake: {name} is damaged: `trainer ingest --rebuild` mends it from raw answers"
            ) from fault


def bundle(bulletins: pl.DataFrame, as_of: datetime) -> WarningBundle:
    """The warnings on land that stand, begin or ended lately (S2 to S4).

    Args:
        bulletins: Columns of `BULLETINS`, from before the first one that counts.
        as_of: When KMA was last asked.
    """
    kept = (
        warning
        for warning in _warnings(bulletins)
        if warning.ended_at is None or warning.ended_at > as_of - ENDED_FOR
    )
    return WarningBundle(as_of=as_of, warnings=tuple(kept))


def carried_on(
    now: Iterable[OfficialWarning], before: WarningBundle | None, as_of: datetime
) -> WarningBundle:
    """The warnings in force, with those before that have ended since (S5).

    Args:
        now: All that are in force.
        before: What was published last.
        as_of: When KMA was asked.
    """
    past = {} if before is None else {(each.zone, each.name): each for each in before.warnings}
    kept = []
    for each in now:
        old = past.pop((each.zone, each.name), None)
        goes_on = old is not None and (old.ended_at is None or old.ended_at >= each.announced_at)
        kept.append(replace(each, since=min(old.since, each.since)) if old and goes_on else each)
    for old in past.values():
        ended = as_of if old.ended_at is None else min(old.ended_at, as_of)
        if ended > as_of - ENDED_FOR:
            kept.append(replace(old, ended_at=ended))
    return WarningBundle(as_of=as_of, warnings=tuple(kept))


def _warnings(bulletins: pl.DataFrame) -> Iterable[OfficialWarning]:
    """Newest state of each zone and kind on land that ever had a warning in these bulletins."""
    voided = bulletins.filter(VOID).select(KEY)
    land = bulletins.filter(pl.col(ZONE).str.starts_with(_LAND)).join(voided, on=KEY, how="anti")
    ordered = land.with_columns(_ENDS_IT.alias("ends")).sort(
        ANNOUNCED, NUMBER, "ends", descending=[False, False, True]
    )
    states: dict[tuple[str, int], OfficialWarning] = {}
    for row in ordered.iter_rows(named=True):
        key = row[ZONE], row[KIND]
        before = states.get(key)
        if not row["ends"]:
            states[key] = _started(row, before)
        elif before is not None:
            ended = row[END] or row[ANNOUNCED]
            states[key] = replace(before, announced_at=row[ANNOUNCED], ended_at=ended)
    return states.values()


def _started(row: dict[str, Any], before: OfficialWarning | None) -> OfficialWarning:
    announced = row[ANNOUNCED]
    goes_on = before is not None and (before.ended_at is None or before.ended_at >= announced)
    kind, level = _KIND.get(row[KIND], OTHER), _LEVEL.get(row[LEVEL], WarningLevel.UNKNOWN)
    name = KINDS[kind][0] if kind != OTHER else _OTHER_NAMES.get(row[KIND], f"{row[KIND]}번 특보")
    words = LEVELS.get(level, (f"{row[LEVEL]}단계", ""))
    return OfficialWarning(
        zone=row[ZONE],
        kind=kind,
        name=name,
        level=level.value,
        level_name=words[0],
        announced_at=announced,
        effective_at=row[START] or (before.effective_at if before and goes_on else announced),
        since=before.since if before is not None and goes_on else announced,
        ended_at=row[END],
    )
