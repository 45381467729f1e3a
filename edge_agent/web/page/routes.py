"""Addresses beside the interface: page, style, script, login, document. Pure but for its files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import msgspec

from edge_agent.web.api.routes import AnswerContext, Route
from edge_agent.web.api.schemas import EdgeQuery

HTML: Final = "text/html; charset=utf-8"
_CSS: Final = "text/css; charset=utf-8"
_JS: Final = "text/javascript; charset=utf-8"
_SVG: Final = "image/svg+xml"
_EDGES: Final = 12
PAGE: Final = "/"
LOGIN: Final = "/login"


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Language of the page; by default that of the configuration."""

    lang: Annotated[Literal["ko", "en"], msgspec.Meta(description="Language")] | None = None


def login(language: str, *, wrong: bool = False) -> bytes:
    """The page that asks for the token."""
    from edge_agent.web.page.page import login_page

    return login_page(language, wrong=wrong).encode()


def shut(why: str, *values: str) -> bytes:
    """The page that says why there is none; see `shut_page`."""
    from edge_agent.web.page.shut_page import shut_page

    return shut_page(why, *values).encode()


@cache
def _file(name: str) -> bytes:
    return files("edge_agent.web.page").joinpath(name).read_bytes()


def _openapi(_: AnswerContext, __: msgspec.Struct) -> bytes:
    from edge_agent.web.api.openapi import document

    return document()


def _page(context: AnswerContext, query: msgspec.Struct) -> bytes:
    from edge_agent.web.page.page import page

    assert isinstance(query, PageQuery)
    snapshot = context.snapshots.newest
    configured = "ko" if snapshot is None else snapshot.config.device.language
    content = page(
        snapshot,
        context.snapshots.service,
        context.records.edges(
            EdgeQuery(limit=_EDGES), None if snapshot is None else snapshot.edges
        ).edges,
        context.now(),
        language=query.lang or configured,
        acts=context.acts,
    )
    return content.encode()


ROUTES: Final = (
    Route("/api/openapi.json", "The document of the interface", _openapi),
    Route(PAGE, "The page", _page, PageQuery, media=HTML, fresh="second"),
    # These hold nothing about the farm, and the login page needs them.
    Route("/page.css", "Its style", lambda _, __: _file("page.css"), media=_CSS, open=True),
    Route("/page.js", "Its script", lambda _, __: _file("page.js"), media=_JS, open=True),
    Route("/icon.svg", "Its sign", lambda _, __: _file("icon.svg"), media=_SVG, open=True),
)
