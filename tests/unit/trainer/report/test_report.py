"""The report of runs whose models are columns of the matrix, over real hours of a lake."""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.schema import TARGETS
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, Bench
from tests.fakes.trained import AS_OF, make_workspace
from trainer import cli
from trainer.evaluation import run_folder
from trainer.report import facts as facts_module
from trainer.report import scores
from trainer.report.report import build
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workspace with two years in its lake and one live run."""
    root = tmp_path_factory.mktemp("report") / "farm"
    make_workspace(root)
    made = Bench(Workspace.open(root, {}), FakeClock(AS_OF))
    folder = made.run("20211231-first", GOOD)
    (folder / "gate-stable.json").write_bytes(
        msgspec.json.encode(
            {
                "passed": True,
                "reasons": [],
                "terms": {"seed": 4711},
                "findings": [{"rule": "G7", "text": "bias 0.1"}],
            }
        )
    )
    made.publish(folder)
    return made


@pytest.fixture(scope="module")
def page(bench: Bench) -> str:
    """Its report."""
    return build(bench.workspace, bench.workspace.runs / "20211231-first").decode()


class _Seen(HTMLParser):
    """Collects what a browser would fetch, the ids, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "poster"} and value:
                self.fetched.append(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        """Note one text."""
        self.text += data


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    """Every reference points into the page; there is no script, no image, no import."""
    seen = _Seen(page)
    assert seen.fetched
    assert all(value.startswith("#") for value in seen.fetched)
    assert {"script", "img", "image", "link", "iframe"} & set(seen.tags) == set()
    assert "@import" not in page
    assert page.count("url(") == page.count("url(#")


def test_names_within_the_page_are_unique_and_found(page: str) -> None:
    """Many drawings stand in one page: an id that two of them used would mix them."""
    seen = _Seen(page)
    assert len(seen.ids) == len(set(seen.ids))
    assert {value[1:] for value in seen.fetched} <= set(seen.ids)


def test_every_subject_is_there_with_its_figures(page: str) -> None:
    """All sections stand in the page, with the run's recorded RMSE and the gate's word."""
    text = _Seen(page).text
    for heading in (
        "Gate", "Skill", "Example forecasts", "Calibration", "Events", "Where it errs",
        "Importance", "Model history", "Lineage",
    ):  # fmt: skip
        assert heading in text, heading
    assert "2.00 °C" in text
    assert "best reference 3.00" in text
    assert "stable: passed" in text
    assert "4711" in text
    assert "G7" in text
    assert page.count("<svg") == 2 + 6 + 4 + 4 + 2 + 2


def test_equal_facts_give_equal_bytes(bench: Bench, page: str) -> None:
    """No date and no random name is in the page."""
    assert build(bench.workspace, bench.workspace.runs / "20211231-first").decode() == page


def test_what_people_wrote_is_text_and_not_markup(bench: Bench, tmp_path: Path) -> None:
    """A reason with a tag in it is shown as it was typed."""
    root = shutil.copytree(bench.workspace.root, tmp_path / "farm")
    log = root / "releases.jsonl"
    log.write_text(log.read_text().replace('"why":"test"', '"why":"<script>x()</script>"'))
    made = build(Workspace.open(root, {}), root / "runs" / "20211231-first").decode()
    assert "script" not in _Seen(made).tags
    assert "<script>x()</script>" in _Seen(made).text


def test_a_refusal_is_shown_with_its_reasons(bench: Bench, tmp_path: Path) -> None:
    """The page says refused and why, in the gate's words."""
    root = shutil.copytree(bench.workspace.root, tmp_path / "farm")
    (root / "releases.jsonl").write_text("")
    folder = root / "runs" / "20211231-first"
    (folder / "gate-stable.json").write_bytes(
        msgspec.json.encode({"passed": False, "reasons": ["G9 too warm by 2"], "rows": 7})
    )
    text = _Seen(build(Workspace.open(root, {}), folder).decode()).text
    assert "stable: refused" in text
    assert "G9 too warm by 2" in text
    assert "Nothing was published yet" in text


def test_a_run_of_other_feature_code_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Its models eat other numbers, so nothing about them can be drawn."""
    root = shutil.copytree(bench.workspace.root, tmp_path / "farm")
    made = Bench(Workspace.open(root, {}), bench.clock)
    first = run_folder.load(root / "runs" / "20211231-first")[0]
    other = msgspec.structs.replace(first.features, digest="0" * 64)
    folder = made.run("other", GOOD, features=other)
    with pytest.raises(BadData, match="trained by other feature code"):
        build(made.workspace, folder)


def test_many_stations_are_thinned_without_losing_an_hour_of_the_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few pairs allowed, every hour of the day still has origins."""
    monkeypatch.setattr(facts_module, "MOST_PAIRS", 3000)
    facts = facts_module.collect(bench.workspace, bench.workspace.runs / "20211231-first")
    assert facts.day_ahead.every > 1
    assert len(facts.day_ahead.pairs) <= 3000
    assert set(facts.day_ahead.pairs.origins % 24) == set(range(24))


def _call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["trainer", *words])
    return cli.entry()


def test_the_command_writes_the_newest_run_where_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """Without a name the newest run is taken, and --out gets the same page."""
    out = tmp_path / "page.html"
    config = str(bench.workspace.root)
    assert _call(monkeypatch, "report", "--out", str(out), "--config", config) == 0
    assert out.read_text() == page


def test_the_command_says_what_is_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is not there is exit 66 and one line."""
    config = str(bench.workspace.root)
    assert _call(monkeypatch, "report", "nowhere", "--config", config) == InputMissing.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_farm_lacks_is_told_where_it_was_measured(bench: Bench) -> None:
    """Each group with its error beside the whole; nothing of runs that did not measure it."""
    metrics = run_folder.load(bench.workspace.runs / "20211231-first")[2]
    measured = msgspec.structs.replace(
        metrics, lacking={key: {"wind": 7.654, "all but humidity": 8.765} for key in TARGETS}
    )
    text = _Seen(scores.lacking(measured)).text
    for word in ("nothing", "wind", "7.654", "all but humidity", "8.765"):
        assert word in text
    assert scores.lacking(msgspec.structs.replace(metrics, lacking={})) == ""
