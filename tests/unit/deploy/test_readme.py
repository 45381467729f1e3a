"""Both READMEs say the same, section by section."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
BOTH = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md")]


def _blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _headings(text: str) -> list[str]:
    """Levels of the headings, such as `##`, code blocks aside."""
    for block in _blocks(text):
        text = text.replace(block, "")
    return re.findall(r"^(#+) ", text, re.MULTILINE)


def _commands(text: str) -> list[list[str]]:
    """Lines of every code block without their comments."""
    return [[re.sub(r"\s+#.*", "", line) for line in block.splitlines()] for block in _blocks(text)]


def test_headings_stand_in_the_same_order() -> None:
    """The same number of headings, level by level."""
    english, korean = map(_headings, BOTH)
    assert len(english) > 5
    assert english == korean


def test_commands_are_the_same() -> None:
    """Every code block has the same lines; only comments are translated."""
    english, korean = map(_commands, BOTH)
    assert ["make test"] in english
    assert english == korean


def test_links_and_tables_are_the_same() -> None:
    """Nothing is linked or measured in one language alone."""
    for pattern in (r"\]\((?!README)([^)]+)\)", r"\b\d+\.\d+\b"):
        english, korean = (sorted(set(re.findall(pattern, text))) for text in BOTH)
        assert english
        assert english == korean
