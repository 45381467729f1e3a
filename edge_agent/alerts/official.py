"""KMA's official warnings on a farm: what the newest file says, and what people are told. Pure.

Rules, numbered as the tests name them:

O1  One alert for each kind. It is raised when KMA has issued a warning of that kind for the
    farm's zone, before it takes effect as well, and cleared when KMA has lifted it or its announced
    end has come.
O2  A change of level, or of the zones within the farm's, is an update. An acknowledged alert tells
    only what raises the level, and its end.
O3  Where the file is older than the limit nothing is known: an alert that stands ends as `expired`,
    unless its end was announced and has passed. When the file is new again what stands is raised.
O4  On a clock that nobody vouches for, the time of the file counts: nothing expires.
O5  A warning of another zone than the configured one ends as `zone_changed`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.official_warnings import (
    ALERT_PREFIX,
    KINDS,
    OfficialWarning,
    WarningBundle,
    WarningLevel,
)
from edge_agent.contract.warning_zones import concerns

if TYPE_CHECKING:
    from datetime import timedelta

RULES: Final = tuple(f"{ALERT_PREFIX}{kind}" for kind in KINDS)
"""Names of these alerts, as `rule` in messages."""


class OfficialLatch(msgspec.Struct, frozen=True, kw_only=True):
    """State of one kind, kept over restarts.

    Attributes:
        kind: One of `KINDS`.
        zone: The farm's zone when this was decided.
        raised: Whether people were told of a warning and not of its end.
        known: Whether the file was new enough.
        told: The warnings that stand, or of a cleared alert those that ended.
        since: Issue of the first of them.
        ended_at: When the last alert ended.
        ended_by: Why; empty before the first.
        acknowledged: A person has seen the alert that stands.
    """

    kind: str
    zone: str = ""
    raised: bool = False
    known: bool = False
    told: tuple[OfficialWarning, ...] = ()
    since: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    acknowledged: bool = False

    @property
    def rule(self) -> str:
        """Name of the alert."""
        return f"{ALERT_PREFIX}{self.kind}"

    @property
    def level(self) -> WarningLevel:
        """The highest level of `told`."""
        return max((each.known_level for each in self.told), key=lambda level: level.rank)

    @property
    def announced_at(self) -> datetime:
        """Issue of the newest bulletin about `told`."""
        return max(each.announced_at for each in self.told)

    @property
    def effective_at(self) -> datetime:
        """From when all of `told` hold at their present level."""
        return max(each.effective_at for each in self.told)

    @property
    def ends_at(self) -> datetime | None:
        """Announced end of the last of `told`; None where one has none."""
        ends = [each.ended_at for each in self.told]
        return None if None in ends else max(filter(None, ends))


def own_warnings(bundle: WarningBundle, zone: str) -> WarningBundle:
    """The warnings of a bundle that concern a zone."""
    own = tuple(each for each in bundle.warnings if concerns(each.zone, zone))
    return replace(bundle, warnings=own)


def step(
    latch: OfficialLatch,
    own: WarningBundle,
    zone: str,
    now: datetime,
    max_age: timedelta | None,
) -> tuple[OfficialLatch, Edge | None]:
    """One decision about one kind (O1 to O5).

    Args:
        latch: Its state before.
        own: From `own_warnings`, the newest file.
        zone: The farm's.
        now: Aware UTC time.
        max_age: Age from which a file says nothing any more; None: on an untrusted clock.
    """
    if latch.raised and latch.zone != zone:
        return end(latch, now, "zone_changed")
    latch = replace(latch, zone=zone)
    # A clock that is some minutes behind does not hide what the file says.
    moment = own.as_of if max_age is None else max(now, own.as_of)
    if max_age is not None and now - own.as_of > max_age:
        return _silent(latch, now)
    standing = tuple(
        each for each in own.warnings if each.known_kind == latch.kind and each.stands(moment)
    )
    latch = replace(latch, known=True)
    if not standing:
        return end(latch, _lifted_at(latch, own), "lifted") if latch.raised else (latch, None)
    before = latch
    latch = replace(latch, told=standing, since=min(each.since for each in standing))
    if not before.raised:
        return replace(latch, raised=True, acknowledged=False), Edge.RAISED
    if _shown(standing) == _shown(before.told):
        return latch, None
    rises = latch.level.rank > before.level.rank
    if rises:
        latch = replace(latch, acknowledged=False)
    return latch, None if latch.acknowledged else Edge.UPDATED


def end(latch: OfficialLatch, at: datetime, why: str) -> tuple[OfficialLatch, Edge | None]:
    """End an alert that stands; no edge where none does."""
    if not latch.raised:
        return latch, None
    ended = replace(latch, raised=False, acknowledged=False, ended_at=at, ended_by=why)
    return ended, Edge.CLEARED


def acknowledged(latch: OfficialLatch) -> OfficialLatch:
    """The state once a person has seen the alert that stands."""
    return replace(latch, acknowledged=True)


def _silent(latch: OfficialLatch, now: datetime) -> tuple[OfficialLatch, Edge | None]:
    ends = [each.ended_at for each in latch.told]
    passed = [at for at in ends if at is not None and at <= now]
    latch = replace(latch, known=False)
    if latch.raised and len(passed) == len(ends):
        return end(latch, max(passed), "lifted")
    return end(latch, now, "expired")


def _lifted_at(latch: OfficialLatch, own: WarningBundle) -> datetime:
    """When the last of the warnings that were told ended: as KMA said, else by the file's time."""
    keys = {(each.zone, each.name) for each in latch.told}
    named = [
        each.ended_at
        for each in own.warnings
        if each.ended_at is not None and (each.zone, each.name) in keys
    ]
    return max(named, default=own.as_of)


def _shown(warnings: tuple[OfficialWarning, ...]) -> list[tuple[str, str, str, str]]:
    """What an update is about."""
    return sorted((each.zone, each.name, each.level, each.level_name) for each in warnings)
