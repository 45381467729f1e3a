"""Input of every page section, and the parts that sections are built of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_agent.contract.schema import Site
from edge_agent.system.html import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.web.api import schemas
    from edge_agent.web.page.texts import PageTexts
    from edge_agent.web.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class PageContext:
    """Input of every section.

    Attributes:
        snapshot: The agent.
        service: State of the service; None before its first turn.
        edges: Newest alert edges, newest first.
        now: UTC.
        words: Language.
        acts: Whether the page may ask for changes.
    """

    snapshot: Snapshot
    service: ServiceStatus | None
    edges: tuple[schemas.EdgeAnswer, ...]
    now: datetime
    words: PageTexts
    acts: bool

    def time(self, at: datetime) -> str:
        """Day and hour in the farm's zone."""
        return self.words.time(at.astimezone(self.zone))

    def ago(self, at: datetime) -> str:
        """How long ago."""
        length = self.now - at
        fresh = length < timedelta(minutes=1)
        return self.words("just_now") if fresh else self.words("ago", self.words.span(length))

    @property
    def zone(self) -> ZoneInfo:
        """The farm's zone."""
        return ZoneInfo(self.snapshot.config.device.timezone)

    @property
    def site(self) -> Site:
        """Where the farm is."""
        device = self.snapshot.config.device
        return Site(device.latitude, device.longitude, device.elevation_m)


def section(name: str, title: str, *children: Markup | None) -> Markup:
    """A section with its heading."""
    heading = tag("h2", title, id=f"{name}-h")
    return tag("section", heading, *children, id=name, aria_labelledby=f"{name}-h")


def facts(pairs: Iterable[tuple[str, str | None]]) -> Markup:
    """A list of names and values; pairs without a value are left out."""
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in pairs if v))


def table(heads: Iterable[str], rows: Iterable[Markup], caption: str | None = None) -> Markup:
    """A table that scrolls by itself where it is too wide."""
    content = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
    )
    return tag("div", content, class_="scroll", tabindex="0", role="group", aria_label=caption)
