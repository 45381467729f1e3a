"""Page section: KMA's official warnings for the farm's zone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.alerts import official_messages
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.warning_zones import name_of
from edge_agent.core.official_alerts import max_age_of
from edge_agent.system.html import Markup, tag
from edge_agent.web.page.context import section

if TYPE_CHECKING:
    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.web.page.context import PageContext

_TITLE: Final = ("기상청 특보", "Official warnings (KMA)")
_NONE: Final = ("{0}: 내려진 특보가 없습니다.", "{0}: no warning stands.")
_SILENT: Final = (
    "특보 소식이 끊겼습니다. weather.go.kr에서 확인하세요.",
    "No news of warnings: look at weather.go.kr.",
)
_SEEN: Final = ("확인함", "Acknowledged")


def official_section(context: PageContext) -> Markup | None:
    """What stands, or that nothing does; nothing where the depot has no warnings or no zone."""
    words, latches = context.words, context.snapshot.official
    if not latches:
        return None
    standing = [_article(context, latch) for latch in latches if latch.raised]
    note = None
    if not all(latch.known for latch in latches):
        note = tag("p", words(_SILENT))
    elif not standing:
        note = tag("p", words(_NONE, name_of(latches[0].zone)), class_="calm")
    return section("official", words(_TITLE), note, *standing)


def _article(context: PageContext, latch: OfficialLatch) -> Markup:
    words = context.words
    text = official_messages.text_of(
        words.language,
        context.zone,
        latch,
        max_age_of(context.snapshot.config),
        Edge.RAISED,
    )
    severity = official_messages.severity_of(latch)
    acknowledge = tag(
        "p",
        tag("button", words("ack"), type_="button", data_command="ack", data_rule=latch.rule),
        class_="actions",
    )
    return tag(
        "article",
        tag("h3", official_messages.title_of(words.language, latch)),
        tag("p", text, class_="said"),
        tag("p", words(_SEEN), class_="note") if latch.acknowledged else None,
        acknowledge if context.acts and not latch.acknowledged else None,
        class_=f"alert {severity}",
    )
