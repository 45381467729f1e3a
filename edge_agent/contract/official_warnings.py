"""Warnings of the Korea Meteorological Administration (기상특보) as the depot relays them. Pure.

One file holds the warnings of the whole country: those in force, those that were announced and
begin later, and those that ended lately. It is gzip of one JSON document (`WarningBundle`).
"""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge_agent.contract.compression import unpack_within
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData

PATH: Final = "observations/warnings/latest.json.gz"
"""Target path in the depot."""
ENDED_FOR: Final = timedelta(days=2)
"""How long a warning that ended is still in the file, so that farms learn when it ended."""
OTHER: Final = "other"
"""Kind of what `KINDS` does not name; it is told in KMA's own words."""
KINDS: Final = {
    "wind": ("강풍", "strong wind"),
    "rain": ("호우", "heavy rain"),
    "snow": ("대설", "heavy snow"),
    "cold": ("한파", "cold wave"),
    "heat": ("폭염", "heat wave"),
    "hot-night": ("열대야", "hot night"),
    "dry": ("건조", "dry air"),
    "dust": ("황사", "yellow dust"),
    "typhoon": ("태풍", "typhoon"),
    "surge": ("폭풍해일", "storm surge"),
    OTHER: ("기상", "weather"),
}
"""Kind -> KMA's word and what it is called in English; the names of topics and entities."""
ALERT_PREFIX: Final = "official-"
"""Before a kind, the name of its alert: `rule` in messages."""
_MOST_BYTES: Final = 4_000_000
"""Of the document; a day with 500 warnings takes 150 000."""
_MOST: Final = 10_000

_Zone = Annotated[str, Meta(pattern=r"^[A-Z][0-9]{7}$")]
_Words = Annotated[str, Meta(min_length=1, max_length=60)]
_Time = Annotated[datetime, Meta(tz=True)]


class WarningLevel(StrEnum):
    """Level of a warning, lowest first."""

    UNKNOWN = "unknown"
    """One that this program does not know; KMA's word for it is told."""
    ADVISORY = "advisory"
    WARNING = "warning"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        """Place in the order of levels, 0 for the lowest."""
        return list(WarningLevel).index(self)


LEVELS: Final = {
    WarningLevel.ADVISORY: ("주의보", "advisory"),
    WarningLevel.WARNING: ("경보", "warning"),
    WarningLevel.SEVERE: ("중대경보", "severe warning"),
}
"""Level -> KMA's word and what it is called in English."""


class OfficialWarning(msgspec.Struct, frozen=True, kw_only=True):
    """One warning for one zone.

    Attributes:
        zone: KMA's code.
        kind: One of `KINDS`; a kind of a newer relay counts as `OTHER`.
        name: KMA's word for the kind, such as "호우".
        level: One of `WarningLevel`; one of a newer relay counts as unknown.
        level_name: KMA's word for the level, such as "주의보".
        announced_at: Issue of the newest bulletin about it.
        effective_at: From when its present level holds.
        since: Issue of its first bulletin, over changes of level.
        ended_at: When it ends or has ended; None: not announced yet.
    """

    zone: _Zone
    kind: _Words
    name: _Words
    level: _Words
    level_name: _Words
    announced_at: _Time
    effective_at: _Time
    since: _Time
    ended_at: _Time | None = None

    @property
    def known_kind(self) -> str:
        """`kind`, or `OTHER` for one that this program does not know."""
        return self.kind if self.kind in KINDS else OTHER

    @property
    def known_level(self) -> WarningLevel:
        """`level`, or UNKNOWN for one that this program does not know."""
        try:
            return WarningLevel(self.level)
        except ValueError:
            return WarningLevel.UNKNOWN

    def stands(self, now: datetime) -> bool:
        """Whether it was announced and has not ended."""
        return self.since <= now and (self.ended_at is None or now < self.ended_at)


class WarningBundle(msgspec.Struct, frozen=True, kw_only=True):
    """Every warning that stands, begins or ended lately.

    Attributes:
        as_of: When KMA was last asked and answered in full. A zone and kind that is not named here
            had no warning at that time.
        warnings: Each zone and kind once for each name.
    """

    as_of: _Time
    warnings: Annotated[tuple[OfficialWarning, ...], Meta(max_length=_MOST)]


def order(warning: OfficialWarning) -> tuple[str, str, str]:
    """Key by which warnings are sorted in a file."""
    return warning.zone, warning.kind, warning.name


def encode(bundle: WarningBundle) -> bytes:
    """File of a bundle; equal bundles give equal bytes."""
    ordered = sorted(bundle.warnings, key=order)
    whole = msgspec.structs.replace(bundle, warnings=tuple(ordered))
    return gzip.compress(msgspec.json.encode(whole), 9, mtime=0)


def decode(content: bytes, name: str) -> WarningBundle:
    """Bundle of a file.

    Args:
        content: From the depot; keys that this program does not know are ignored.
        name: What to call the file in errors.

    Raises:
        BadData: Not gzip, too large, or not the JSON that was agreed.
    """
    try:
        text = unpack_within(content, _MOST_BYTES)
    except BadData as fault:
        raise BadData(f"{name}: {fault}") from fault
    try:
        return msgspec.json.decode(text, type=WarningBundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(f"{name}: not the warnings that were agreed: {in_words(fault)}") from fault
