"""docs/extending.md, "A page section": its function is shown on the page, in both languages."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

from edge_agent.web.page import page as page_module
from tests.fakes.shown_farm import CONNECTED, NOON, ShownFarm

DOCUMENT = Path(__file__).parents[4] / "docs" / "extending.md"


@pytest.mark.parametrize(("language", "text"), [("ko", "규칙 9개"), ("en", "9 rules")])
def test_a_section_is_a_function_and_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, text: str
) -> None:
    """The function of the document stands at the end of the page."""
    match = re.search(
        r"## A page section.*?```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL
    )
    assert match is not None
    file = tmp_path / "rules_section.py"
    file.write_text(textwrap.dedent(match[1]), "utf-8")
    spec = importlib.util.spec_from_file_location("rules_section", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(page_module, "SECTIONS", (*page_module.SECTIONS, module.rules_section))
    farm = ShownFarm(tmp_path / "state")
    try:
        farm.work(hours=1)
        content = page_module.page(
            farm.snapshots.newest, CONNECTED, (), NOON, language=language, acts=False
        )
    finally:
        farm.close()
    assert f"<p>{text}</p></section></main>" in content
