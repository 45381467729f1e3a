"""MQTT payloads about KMA's official warnings (기상특보). Pure.

An alert of this kind is no rule of the farm: it has no threshold and no value, and says who
announced it.
"""

from __future__ import annotations

from typing import Final, Literal

from edge_agent.messages.payloads import SCHEMAS, Base, EdgeName, Level, Severity, Utc

KmaLevel = Literal["advisory", "warning", "severe", "unknown"]
EndedBy = Literal["lifted", "expired", "zone_changed", "renamed"]


class OfficialWarningState(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether KMA has a warning of a kind for the farm's zone: `clear`, `raised` or `unknown`.

    `unknown`: the depot has said nothing for too long; `reason` says since when. `kma_level` is
    `advisory` (주의보), `warning` (경보) or `severe` (중대경보), `title` KMA's own words. These,
    `announced_at`, `effective_at` and `ends_at` (where the end is announced) are null, and the
    texts empty, where none stands. `as_of` is when the trainer's relay last heard from KMA.
    """

    authority: Literal["KMA"]
    rule: str
    level: Level
    severity: Severity
    since: Utc | None
    acknowledged: bool
    kind: str
    kma_level: KmaLevel | None
    title: str
    zone: str
    region: str
    announced_at: Utc | None
    effective_at: Utc | None
    ends_at: Utc | None
    as_of: Utc | None
    reason: str
    text: str
    text_ko: str
    text_en: str


class OfficialWarningEvent(
    OfficialWarningState, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """KMA issued, changed or lifted a warning for the farm's zone, or nobody can say any more.

    `ended_by` with `cleared`: `lifted` by KMA; `expired`, the depot was silent for too long;
    `zone_changed` and `renamed`, the configuration changed. Otherwise null. The keys of the warning
    are then those of the one that ended. `action` and `drill` are as in `alert-event`, and never
    set.
    """

    event_type: EdgeName
    ended_by: EndedBy | None
    lasted_s: int | None
    action: None
    drill: bool


ALL_SCHEMAS: Final[dict[str, type[Base]]] = SCHEMAS | {
    "official-state": OfficialWarningState,
    "official-event": OfficialWarningEvent,
}
"""Message kind -> struct, those of `payloads` included."""
