"""The page of all sections, and the page that asks for the token. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.system.html import Markup, join, tag
from edge_agent.web.page.context import PageContext
from edge_agent.web.page.forecast_section import forecast_section
from edge_agent.web.page.history_sections import (
    device_section,
    farm_name,
    model_section,
    yesterday_section,
)
from edge_agent.web.page.now_sections import alert_section, now_section, water_section
from edge_agent.web.page.official_section import official_section
from edge_agent.web.page.texts import PageTexts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.web.api import schemas
    from edge_agent.web.snapshot import Snapshot


SECTIONS: Final[tuple[Callable[[PageContext], Markup | None], ...]] = (
    official_section,
    alert_section,
    now_section,
    forecast_section,
    water_section,
    yesterday_section,
    model_section,
    device_section,
)
"""From top to bottom; one that returns None is left out."""


def page(
    snapshot: Snapshot | None,
    service: ServiceStatus | None,
    edges: tuple[schemas.EdgeAnswer, ...],
    now: datetime,
    *,
    language: str,
    acts: bool,
) -> str:
    """The page in one language.

    Args:
        snapshot: The agent; None before its first hour is worked.
        service: State of the service; None before its first turn.
        edges: Newest alert edges, newest first.
        now: UTC.
        language: "ko" or "en".
        acts: Whether changes may be asked for.
    """
    words = PageTexts(language)
    if snapshot is None:
        waiting = tag("p", words("starting"), class_="calm", id="starting")
        return document(words, words("title"), waiting)
    context = PageContext(snapshot, service, edges, now, words, acts)
    at = tag("p", words("as_of", context.time(now)), class_="as-of", id="as-of")
    body = join(at, *(section(context) for section in SECTIONS))
    return document(words, farm_name(context), body)


def login_page(language: str, *, wrong: bool) -> str:
    """The page that asks for the token."""
    words = PageTexts(language)
    form = tag(
        "form",
        tag("label", words("token"), for_="token"),
        tag("input", id="token", name="token", type_="password", required=True,
            autocomplete="current-password", aria_describedby="token-help"),
        tag("button", words("enter"), type_="submit"),
        tag("p", words("token_help"), id="token-help", class_="note"),
        tag("p", words("token_wrong"), role="alert", class_="wrong") if wrong else None,
        method="post",
        action=f"login?lang={language}",
        class_="login",
    )  # fmt: skip
    return document(words, words("title"), form, live=False)


def document(words: PageTexts, title: str, body: Markup, *, live: bool = True) -> str:
    """A document around a body.

    Its addresses are relative, so that a proxy may serve it below a path of its own.

    Args:
        words: Its language.
        title: Its heading.
        body: What it holds.
        live: Whether it renews itself.
    """
    other, label = ("en", "English") if words.language == "ko" else ("ko", "한국어")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light"),
        tag("title", f"{title} · {words('title')}" if title != words("title") else title),
        tag("link", rel="icon", href="icon.svg", type_="image/svg+xml"),
        tag("link", rel="stylesheet", href="page.css"),
        tag("script", src="page.js", defer=True) if live else None,
    )
    top = tag(
        "header",
        tag("a", words("skip"), href="#content", class_="skip"),
        tag("h1", title),
        tag("a", label, href=f"./?lang={other}", hreflang=other, lang=other, class_="language"),
    )
    status = tag("p", role="status", id="status", data_lost=words("lost"),
                 data_done=words("done"), data_failed=words("failed"))  # fmt: skip
    foot = tag("footer", tag("p", words("offline_note")))
    main = tag("main", body, id="content", tabindex="-1")
    html = tag("html", head, tag("body", top, status, main, foot), lang=words.language)
    return f"<!doctype html>\n{html}\n"
