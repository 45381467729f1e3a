"""The page's markup: escaped, whole in both languages, honest where nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_agent.alerts.evidence import Evidence, from_forecast
from edge_agent.alerts.messages import rule_facts
from edge_agent.alerts.state_machine import Level
from edge_agent.contract.forecast import NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.messages.payloads import RefusedReading
from edge_agent.settings import Depot
from edge_agent.system.html import Markup, join, tag
from edge_agent.updates.slots import RolledBackRelease
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


def test_a_depot_is_synced_only_where_there_is_one(view: Snapshot) -> None:
    """The poll succeeds without one as well, and that is no sync."""
    assert view.config.depot == Depot()
    assert "none configured" in _page(view, "en")
    assert "설정 안 됨" in _page(view)
    assert "synced" not in _page(view, "en")
    there = replace(view, config=msgspec.structs.replace(view.config, depot=Depot(path="depot")))
    assert "synced 9 min ago" in _page(there, "en")


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


def test_what_a_sensor_sent_is_text(view: Snapshot) -> None:
    """A payload, a topic and a reason are shown as they are, and make no element of the page."""
    evil = """<img src=x onerror=alert(1)>"'><script>alert(2)</script>&#60;b&#62;"""
    report = msgspec.structs.replace(
        view.sensors[0],
        topic=f"house/{evil}",
        refused=1,
        problem=f"{evil}: is no number",
        last_refused=RefusedReading(at=NOON, value=evil, reason=f"house/{evil}: {evil}"),
    )
    for language in ("ko", "en"):
        made = _page(replace(view, sensors=(report, *view.sensors[1:])), language)
        elements = _Elements()
        elements.feed(made)
        assert elements.scripts == 1
        assert "img" not in elements.names
        assert evil.partition(">")[0] not in made
        assert elements.shown.count(evil) >= 2


class _Elements(HTMLParser):
    """Names of the elements, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.scripts = 0
        self.shown = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.scripts += tag == "script"
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.shown += data


def test_the_condition_of_a_rule_is_whole(view: Snapshot) -> None:
    """How long it must last belongs to it, as in the text of its alert."""
    assert "at or above 1.6 kPa for 3 h within 24 h" in _page(view, "en")
    assert "24시간 안에 수증기압차(VPD) 1.6 kPa 이상, 3시간 이상 이어짐" in _page(view)


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


def test_the_page_says_that_it_shows_normals(view: Snapshot) -> None:
    """Normals look like a forecast on a chart, so a sentence says that they are none."""
    assert view.decision is not None
    assert view.forecast is not None
    normals = replace(view.forecast, source=Source.CLIMATOLOGY)
    shown = replace(view, decision=replace(view.decision, forecast=normals))
    assert ("평년값입니다" in _page(shown), "평년값입니다" in _page(view)) == (True, False)
    assert "These are normals" in _page(shown, "en")


def _card(made: str, title: str) -> str:
    """The card of a raised alert."""
    card = re.search(
        rf'<article class="alert \w+"><h3>[^/]*</span> {title}</h3>.*?</article>', made
    )
    assert card is not None
    return card[0]


@pytest.mark.parametrize(("language", "title"), [("ko", "고온"), ("en", "Heat")])
def test_one_extreme_and_one_chance_on_the_whole_page(
    view: Snapshot, language: str, title: str
) -> None:
    """Card, its reasons, chart and table name the highest hour of the window alike (T1)."""
    made = _page(view, language)
    status = next(one for one in view.rules if one.rule.name == "heat")
    payload = rule_facts(status.rule, status.latch, status.evidence)
    amount = f"{payload['value']:.1f}°C"
    card = _card(made, title)
    assert card.count(amount) == 2, "in the sentence and in the reasons"
    percent = f"{round(100 * payload['probability'])}%"
    assert card.count(percent) == 2
    chart, _, others = made.partition('id="ahead-temperature-t"')
    caption = chart.rpartition("<figcaption>")[2]
    first = {"ko": "24시간 안", "en": "Within 24 h"}[language]
    within = caption.partition(first)[2].partition("</p>")[0]
    highest = {"ko": "최고", "en": "Highest"}[language]
    assert f"<span>{highest} <b>{amount}</b>" in within
    assert f'<td class="number">{amount.removesuffix("°C")}</td>' in others


def _with_temperatures(view: Snapshot, value: float) -> Snapshot:
    """The same farm with this temperature in every hour to come."""
    assert view.decision is not None
    assert view.forecast is not None
    target = view.forecast.targets[AIR_TEMPERATURE]
    flat = replace(
        target,
        values=np.full_like(target.values, value),
        quantiles=value + np.linspace(-0.02, 0.02, len(target.levels)) + 0 * target.quantiles,
    )
    forecast = replace(view.forecast, targets={**view.forecast.targets, AIR_TEMPERATURE: flat})
    rules = tuple(
        replace(one, evidence=from_forecast(one.rule, forecast, view.at))
        if not one.rule.now
        else one
        for one in view.rules
    )
    skill = tuple(msgspec.structs.replace(one, bias=-0.01) for one in view.skill)
    decision = replace(view.decision, forecast=forecast)
    return replace(view, decision=decision, rules=rules, skill=skill)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_zero_has_a_sign(view: Snapshot, language: str) -> None:
    """Nobody reads -0 or -0.0, in texts, tables, captions and titles of hours."""
    made = _page(_with_temperatures(view, -0.012), language)
    text = re.sub(r' d="[^"]*"', "", made)
    assert re.findall(r"-0(?:\.0+)?(?![.\d])", text) == []
    assert "0.0°C" in text


def test_why_a_release_was_left_is_in_the_language_of_the_page(view: Snapshot) -> None:
    """Both where the release stands and among the problems."""
    why = "the agent stopped within each of its last 3 cycles"
    left = msgspec.structs.replace(view.slots, left=RolledBackRelease(6, "ab", why))
    made = _page(replace(view, slots=left))
    assert (made.count("3번 잇달아 멈췄습니다"), why in made) == (2, False)


def test_a_sensor_that_never_spoke_is_not_old(view: Snapshot) -> None:
    """Nothing was measured, so nothing can be out of date."""
    silent = tuple(
        msgspec.structs.replace(one, value=None, at=None, age_s=None, fresh=False)
        for one in view.sensors
    )
    tiles = re.findall(r'<div class="tile[^"]*">.*?</div>', _page(replace(view, sensors=silent)))
    never = [tile for tile in tiles if "측정값 없음" in tile]
    assert len(never) == len(silent)
    assert not any("오래됨" in tile for tile in never)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_refused_sensor_is_among_the_problems(view: Snapshot, language: str) -> None:
    """With value and reason, and in the table of sensors; nothing of it is markup."""
    bad = "soil_moisture_pct = 250 is outside 0 to 100"
    problem = f"sensor house/bed: 3 refused, last <b>250: {bad}"
    last = RefusedReading(at=view.at, value="<b>250", reason=f"house/bed: {bad}")
    told = msgspec.structs.replace(view.sensors[2], refused=3, last_refused=last, problem=problem)
    shown = _page(replace(view, sensors=(*view.sensors[:2], told)), language)
    problems = re.search(r'<ul class="problems">.*?</ul>', shown)
    assert problems is not None
    expected = (
        "3 refused, last &lt;b&gt;250" if language == "en" else "값 3번 거부, 마지막 &lt;b&gt;250"
    )
    assert f"house/bed: {expected}" in problems[0]
    (row,) = re.findall(r'<tr><th scope="row">house/bed</th>.*?</tr>', shown)
    assert '<td class="number">3</td>' in row
    assert "&lt;b&gt;250 (" in row
    assert "<b>250" not in shown


def test_rules_are_others_only_beside_an_alert(view: Snapshot) -> None:
    """Without an alert the list has every rule."""
    calm = tuple(
        replace(one, latch=msgspec.structs.replace(one.latch, level=Level.CLEAR))
        for one in view.rules
    )
    assert f">다른 규칙 {len(view.rules) - 2}개<" in _page(view)
    assert f">규칙 {len(view.rules)}개<" in _page(replace(view, rules=calm))


@pytest.mark.parametrize(
    ("language", "calm", "judged"),
    [
        ("ko", "지금은 알림이 없습니다.", "규칙 {1}개 가운데 {0}개는 지금 판단할 수 없습니다."),
        ("en", "No alert now.", "{0} of {1} rules cannot be judged now."),
    ],
)
def test_no_alert_is_no_all_clear_where_rules_are_unknown(
    view: Snapshot, language: str, calm: str, judged: str
) -> None:
    """The place that says "no alert" also says how many rules cannot be judged."""
    clear = [
        replace(one, latch=msgspec.structs.replace(one.latch, level=Level.CLEAR))
        for one in view.rules
    ]
    known = [one for one in clear if one.evidence.met is not None]
    assert f'<p class="calm">{calm}</p>' in _page(replace(view, rules=tuple(known)), language)
    unknown = [replace(one, evidence=Evidence()) for one in known[:2]]
    made = _page(replace(view, rules=(*unknown, *known[2:])), language)
    assert f"<p>{calm} {judged.format(2, len(known))}</p>" in made
    stands = msgspec.structs.replace(known[-1].latch, level=Level.RAISED)
    some = (*unknown, *known[2:-1], replace(known[-1], latch=stands))
    made = _page(replace(view, rules=some), language)
    assert calm not in made
    assert f"<p>{judged.format(2, len(known))}</p>" in made


def test_buttons_are_there_only_where_they_work(view: Snapshot) -> None:
    """Without a token nothing can be changed, so nothing is offered."""
    assert "<button" not in _page(view)
    assert _page(view, acts=True).count("<button") == 5


def test_an_old_reading_is_marked(view: Snapshot) -> None:
    """A reading beyond its limit says so, in words and not by colour alone."""
    made = _page(view, "en")
    (tile,) = re.findall(r'<div class="tile stale">.*?</div>', made)
    assert "old" in tile
    assert "Field" in tile


def test_a_chart_stays_within_its_frame(view: Snapshot) -> None:
    """Every point lies inside the drawing."""
    made = _page(view)
    points = re.findall(r'class="point" cx="([\d.]+)" cy="([\d.]+)"', made)
    assert len(points) >= 96
    assert all(0 < float(x) < WIDTH and 0 < float(y) < HEIGHT for x, y in points)


def test_the_page_is_small(view: Snapshot) -> None:
    """With everything it carries: well below 150 kB."""
    assert len(_page(view, acts=True).encode()) < 100_000
