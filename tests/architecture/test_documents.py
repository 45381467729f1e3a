"""What the documents name exists: paths in backticks, modules, links and their anchors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = "edge_agent|trainer|docs|tests|bench|demo|tools|deploy"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "RESULTS.md"],
    key=str,
)
UNITS = {
    *("trainer.toml", "trainer.service", "trainer.timer"),
    *("trainer-relay.service", "trainer-relay.timer"),
    *("trainer-warnings.service", "trainer-warnings.timer"),
}
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def _text(page: Path) -> str:
    """The page without its code blocks, in which users' own paths stand."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def _is_module(name: str) -> bool:
    """Whether a dotted name starts with a module or package, its attributes aside."""
    path = ROOT.joinpath(*name.split("."))
    candidates = [path, *list(path.parents)[: name.count(".") - 1]]
    return any(each.with_suffix(".py").is_file() for each in candidates) or path.is_dir()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_paths_in_backticks_exist(page: Path) -> None:
    """No page names a file, folder or module that was moved or deleted."""
    missing = [
        path
        for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)", _text(page))
        if not (ROOT / path).exists()
    ]
    missing += [
        name
        for name in re.findall(
            r"(?:`|python -m )((?:edge_agent|trainer|bench)(?:\.\w+)+)", page.read_text("utf-8")
        )
        if not _is_module(name) and name not in UNITS
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link has its file, and its anchor a heading there."""
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", _text(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


def test_comments_name_pages_that_exist() -> None:
    """The same for pages that the code, its settings and the units name."""
    sources = [
        path
        for folder in FOLDERS.split("|")
        for suffix in ("*.py", "*.toml", "*.service", "*.sh", "*.yml", "*.yaml")
        for path in (ROOT / folder).rglob(suffix)
        if path != Path(__file__)
    ]
    sources += [ROOT / "pyproject.toml", ROOT / "config.example.toml", ROOT / "Makefile"]
    missing = {
        f"{source.relative_to(ROOT)}: {page}"
        for source in sources
        for page in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text("utf-8"))
        if not (ROOT / page).exists()
    }
    assert not missing
