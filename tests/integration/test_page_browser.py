"""The page in a real browser: both languages, phone and desktop, live, by keyboard, for all."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from edge_agent.core.events import EventQueue, LoopCall
from edge_agent.core.runtime import DATABASE
from edge_agent.settings import Web
from edge_agent.web.app import Application
from edge_agent.web.server import asker, serving
from tests.fakes.browser import PROGRAM, Browser
from tests.fakes.shown_farm import ShownFarm

if TYPE_CHECKING:
    from collections.abc import Iterator

AXE = Path(__file__).parents[2] / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
TOKEN = "tomatoes are red"
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is missing: run `make system`")


class Shop:
    """A farm that is served, and a browser that looks at it."""

    def __init__(self, farm: ShownFarm, inbox: EventQueue, browser: Browser, port: int) -> None:
        self.farm, self.inbox, self.browser = farm, inbox, browser
        self.address = f"http://127.0.0.1:{port}/"


@contextmanager
def _shop(folder: Path, token: str | None) -> Iterator[Shop]:
    farm, inbox = ShownFarm(folder / "state"), EventQueue()
    farm.work()

    def pump() -> None:
        # The loop of the service, on the thread that owns the database.
        while isinstance(item := inbox.get(0.0), LoopCall):
            item.call()

    with (
        serving(
            Web(port=0),
            Application(
                snapshots=farm.snapshots,
                clock=farm.clock,
                database=folder / "state" / DATABASE,
                token=lambda: token,
                ask=asker(inbox.put, farm.ask),
            ),
        ) as port,
        Browser(folder / "profile", pump) as browser,
    ):
        assert port is not None
        yield Shop(farm, inbox, browser, port)
    farm.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A farm without a token."""
    with _shop(tmp_path_factory.mktemp("open"), None) as made:
        yield made


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Shop]:
    """A farm with a token."""
    with _shop(tmp_path, TOKEN) as made:
        yield made


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    ("language", "heading"), [("ko", "앞으로 48시간"), ("en", "The next 48 hours")]
)
def test_the_page_shows_the_farm(shop: Shop, width: int, language: str, heading: str) -> None:
    """Chart of 48 points with a band and limits, nothing wider than the window, no complaint."""
    browser = shop.browser
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(f"{shop.address}?lang={language}", width)
    assert browser.run("document.documentElement.lang") == language
    assert heading in browser.run("document.getElementById('ahead').textContent")
    for chart in (0, 1):
        chosen = f"document.querySelectorAll('#ahead svg')[{chart}]"
        assert browser.run(f"{chosen}.querySelectorAll('.point').length") == 48
        assert browser.run(f"{chosen}.querySelector('.band').getBBox().height") > 20
        assert browser.run(f"{chosen}.querySelectorAll('.limit').length") >= 1
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("getComputedStyle(document.body).fontSize") >= "17px"
    assert browser.complaints == []
    assert {urlsplit(asked).netloc for asked in browser.requests} == {urlsplit(shop.address).netloc}
    size = "performance.getEntries().reduce((sum, e) => sum + (e.transferSize || 0), 0)"
    assert browser.run(size) <= 150_000
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    assert browser.run(paint) < 1000


def test_an_alert_says_why_by_keyboard_alone(shop: Shop) -> None:
    """Tab leads to the question, Enter opens the answer: chance, hour, inputs and model."""
    browser = shop.browser
    browser.open(f"{shop.address}?lang=en", 360)
    for _ in range(12):
        browser.press("Tab", 9)
        if browser.run("document.activeElement.id") == "why-heat":
            break
    assert browser.run("document.activeElement.id") == "why-heat"
    assert not browser.run("document.getElementById('why-heat').parentElement.open")
    browser.press("Enter", 13)
    browser.wait("document.getElementById('why-heat').parentElement.open")
    said = browser.run("document.querySelector('.why dl').innerText")
    for words in ("Chance", "or more)", "Station 108", "observed up to", "model release 7"):
        assert words in said


def test_news_arrive_without_a_reload(shop: Shop) -> None:
    """A new cycle changes the chart in place; what was open stays open, the page is the same."""
    browser = shop.browser
    browser.open(f"{shop.address}?lang=ko", 1280)
    browser.run("window.same = true; document.getElementById('why-heat').parentElement.open = true")
    before = browser.run("document.querySelector('#ahead .line').getAttribute('d')")
    health = browser.run("window.kept = document.getElementById('yesterday'); true")
    assert health
    shop.farm.clock.advance(60)
    shop.farm.ask("predict", b"")
    browser.run("look()")
    after = browser.run("document.querySelector('#ahead .line').getAttribute('d')")
    assert after != before
    assert browser.run("window.same") is True
    assert browser.run("document.getElementById('why-heat').parentElement.open") is True
    order = "[...document.querySelectorAll('main > section')].map(s => s.id).join()"
    assert browser.run(order) == "alerts,now,ahead,water,yesterday,model,health"


def test_a_token_opens_the_page_and_its_buttons(locked: Shop) -> None:
    """A wrong token is told so, the right one opens; the button acts on the loop and shows it."""
    browser = locked.browser
    browser.open(f"{locked.address}?lang=en", 360)
    assert browser.run("document.querySelector('section')") is None
    _enter(browser, "wrong")
    browser.wait("document.querySelector('.wrong')")
    _enter(browser, TOKEN)
    browser.wait("document.querySelector('#alerts')")
    assert browser.run("document.cookie") == ""
    browser.run("document.querySelector('button[data-command=ack]').click()")
    browser.wait("document.querySelector('.alert .note').textContent.includes('seen')")
    assert locked.farm.asked == [("ack", {"rule": "heat"})]
    assert browser.run("document.getElementById('status').textContent") == "Done."


def _enter(browser: Browser, token: str) -> None:
    browser.run(f"document.getElementById('token').value = {token!r}; document.forms[0].submit()")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is missing: run `make axe` (needs npm)")
@pytest.mark.parametrize("language", ["ko", "en"])
def test_axe_finds_nothing(shop: Shop, language: str) -> None:
    """No finding of WCAG 2.2 A and AA, nor of good practice, with everything unfolded."""
    browser = shop.browser
    browser.open(f"{shop.address}?lang={language}", 360)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.run(AXE.read_text("utf-8") + "; true")
    found = browser.run(
        "axe.run().then(r => r.violations.map(v => "
        "[v.id, v.impact, v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(' | ')]))"
    )
    assert found == []
