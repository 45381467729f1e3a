"""The page's markup: escaped, whole in both languages, honest where nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract.forecast import NoForecast, Source
from edge_agent.system.html import Markup, join, tag
from edge_agent.web.api import serialize
from edge_agent.web.page.chart import HEIGHT, WIDTH
from edge_agent.web.page.page import page
from tests.fakes.loaded import manifest
from tests.fakes.shown_farm import CONNECTED, NOON, ShownFarm
from tests.fakes.tuned import tuning_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.web.snapshot import Snapshot

VOID = {"meta", "link", "input"}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """A farm after 27 hours of work."""
    farm = ShownFarm(tmp_path_factory.mktemp("farm"))
    farm.work()
    assert farm.snapshots.newest is not None
    yield farm.snapshots.newest
    farm.close()


def _page(view: Snapshot | None, language: str = "ko", *, acts: bool = False) -> str:
    return page(view, CONNECTED, (), NOON, language=language, acts=acts)


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_is_well_formed(view: Snapshot, language: str) -> None:
    """Every element is closed, every id is there once."""
    checked = _Balance()
    checked.feed(_page(view, language, acts=True))
    assert checked.open == []
    assert len(set(checked.ids)) == len(checked.ids)


def test_english_page_has_no_korean_of_its_own(view: Snapshot) -> None:
    """But for the farm's name and the switch every word is translated."""
    text = _page(view, "en").replace("햇살농장 1호동", "").replace("한국어", "")
    assert re.findall("[가-힣]+", text) == []


def test_text_is_escaped(view: Snapshot) -> None:
    """A name from the configuration is text, never markup."""
    device = msgspec.structs.replace(view.config.device, name='<script>alert("1")</script>')
    config = msgspec.structs.replace(view.config, device=device)
    made = _page(replace(view, config=config))
    assert "<script>alert" not in made
    assert "&lt;script&gt;alert" in made


def test_markup_escapes_what_it_did_not_make() -> None:
    """Children and attributes are escaped once; what was made here is not."""
    assert tag("p", "a < b & c", title='"x"') == '<p title="&quot;x&quot;">a &lt; b &amp; c</p>'
    assert join(Markup("<b>"), "<b>", None, 1.50) == "<b>&lt;b&gt;1.5"
    assert tag("input", required=True, disabled=False, value=None) == "<input required/>"


def test_without_a_forecast_the_page_says_why(view: Snapshot) -> None:
    """No chart, no number; the reason stands in their place."""
    assert view.decision is not None
    none = replace(view.decision, forecast=NoForecast(NOON, "no approved release is installed"))
    made = _page(replace(view, decision=none), "en")
    assert "There is no forecast: no approved release is installed" in made
    assert 'id="ahead-temperature-t"' not in made


def test_the_page_says_what_is_fitted_to_the_farm(view: Snapshot) -> None:
    """Which quantities, on observations up to when, in both languages; else nothing of it."""
    fitted = replace(view, tuning=tuning_of(manifest()))
    assert "air temperature, relative humidity (observations up to Mon 01 Jun 08:00)" in _page(
        fitted, "en"
    )
    assert "이 농장에 맞춤" in _page(fitted)
    nothing = replace(view, tuning=msgspec.structs.replace(tuning_of(manifest()), corrections={}))
    for plain in (view, nothing):
        assert "Fitted to this farm" not in _page(plain, "en")


def test_normals_claim_no_observation(view: Snapshot) -> None:
    """A forecast from normals has no age of data, and alerts do not say what was observed."""
    assert view.decision is not None
    assert view.forecast is not None
    normals = replace(view.forecast, source=Source.CLIMATOLOGY, notes=["none at hand"])
    shown = replace(view, decision=replace(view.decision, forecast=normals))
    assert serialize.data_age_s(view, NOON) == 600
    assert serialize.data_age_s(shown, NOON) is None
    assert "observed up to" in _page(view, "en")
    assert "observed up to" not in _page(shown, "en")


def test_buttons_are_there_only_where_they_work(view: Snapshot) -> None:
    """Without a token nothing can be changed, so nothing is offered."""
    assert "<button" not in _page(view)
    assert _page(view, acts=True).count("<button") == 5


def test_an_old_reading_is_marked(view: Snapshot) -> None:
    """A reading beyond its limit says so, in words and not by colour alone."""
    made = _page(view, "en")
    (tile,) = re.findall(r'<div class="tile stale">.*?</div>', made)
    assert "old" in tile
    assert "Soil" in tile


def test_a_chart_stays_within_its_frame(view: Snapshot) -> None:
    """Every point lies inside the drawing."""
    made = _page(view)
    points = re.findall(r'class="point" cx="([\d.]+)" cy="([\d.]+)"', made)
    assert len(points) >= 96
    assert all(0 < float(x) < WIDTH and 0 < float(y) < HEIGHT for x, y in points)


def test_the_page_is_small(view: Snapshot) -> None:
    """With everything it carries: well below 150 kB."""
    assert len(_page(view, acts=True).encode()) < 100_000
