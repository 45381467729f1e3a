"""KMA's official warnings that are in force, from the API hub (wrn_now_data.php): its parser.

    L1130100, 광주광역시 , L1130120, 광주동부 , 202608021600, 202608031100, 폭염 , 중대경보,
    변경, ,=        (one line)

Region and its name, zone and its name, issue, begin, kind, level, command, announced end; `=` ends
the row. Rules, numbered as the tests name them:

    N1  The text is UTF-8 or else EUC-KR. An answer without `#START7777` is an error. One without
        rows says that no warning is in force; its end line may be missing.
    N2  Each row is read, or the whole answer is refused and names the row: a warning that is left
        out would count as lifted. A row without its `=` is cut off.
    N3  Times are those of Korea.
    N4  A preliminary warning (예비특보) is listed as well, and is none that is in force.
    N5  A kind or level that is not known is kept in KMA's own words.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

from edge_agent.contract.errors import ProtocolFault
from edge_agent.contract.hours import KST
from edge_agent.contract.official_warnings import (
    KINDS,
    LEVELS,
    OTHER,
    OfficialWarning,
    WarningLevel,
)
from trainer.ingest.sources import hub
from trainer.ingest.sources.envelope import clean
from trainer.ingest.sources.http import Truncated

PATH: Final = "/wrn_now_data.php"
QUERY: Final = {"fe": "f", "tm": "", "disp": "0", "help": "0"}
_TITLE: Final = "API hub, warnings"
_FIELDS: Final = 10
_ZONE: Final = re.compile(r"[A-Z][0-9]{7}")
_LAND: Final = "L"
_PRELIMINARY: Final = "예비"
_KIND: Final = {korean: kind for kind, (korean, _) in KINDS.items() if kind != OTHER}
_LEVEL: Final = {korean: level for level, (korean, _) in LEVELS.items()} | {
    "주의": WarningLevel.ADVISORY
}


def parse(body: bytes, status: int) -> tuple[OfficialWarning, ...]:
    """The warnings on land that are in force or announced, each zone and kind once (N1 to N5).

    Args:
        body: As received.
        status: HTTP status.

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, Refused, ProtocolFault: Not worth one.
    """
    lines = hub.lines_of(body, status)
    rows = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    newest: dict[tuple[str, str], OfficialWarning] = {}
    for row in rows:
        warning = _read(row)
        if warning is None:
            continue
        key = warning.zone, warning.name
        if key not in newest or newest[key].announced_at <= warning.announced_at:
            newest[key] = warning
    return tuple(newest.values())


def _read(row: str) -> OfficialWarning | None:
    """The warning of a row; None for one at sea and for a preliminary one."""
    if not row.endswith("="):
        raise Truncated(f"{_TITLE}: a row is cut off: {clean(row)}")
    fields = [field.strip() for field in row.removesuffix("=").rstrip(" ,").split(",")]
    fields += [""] * (_FIELDS - len(fields))
    _, _, zone, _, announced, begins, kind_name, level_name, _, ends = fields[:_FIELDS]
    if not _ZONE.fullmatch(zone):
        raise ProtocolFault(f"{_TITLE}: unreadable row: {clean(row)}")
    if level_name == _PRELIMINARY or not zone.startswith(_LAND):
        return None
    kind = _KIND.get(kind_name, OTHER)
    level = _LEVEL.get(level_name, WarningLevel.UNKNOWN)
    at = _time(announced, row)
    values = {
        "zone": zone,
        "kind": kind,
        "name": kind_name,
        "level": level,
        "level_name": LEVELS[level][0] if level in LEVELS else level_name,
        "announced_at": at,
        "effective_at": _time(begins, row),
        "since": at,
        "ended_at": _time(ends, row) if ends else None,
    }
    if len(fields) == _FIELDS:
        with suppress(msgspec.ValidationError):
            return msgspec.convert(values, OfficialWarning)
    raise ProtocolFault(f"{_TITLE}: unreadable row: {clean(row)}")


def _time(text: str, row: str) -> datetime:
    with suppress(ValueError):
        if text.isascii():
            return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=KST).astimezone(UTC)
    raise ProtocolFault(f"{_TITLE}: unreadable row: {clean(row)}")
