"""docs/extending.md has a section for each kind of change, and names files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")

SECTIONS = {
    "A forecast target": "8",
    "An alert quantity": "2",
    "A KMA source": "4",
    "A sensor format": "2",
    "An MQTT field": "2 to send it, 3 more to show it",
    "A gate rule": "2",
    "A page section": "2",
    "A model family": "3",
    "A storage backend": "2",
    "A command": "2",
}
"""Title and the most source files that the change may cost."""

NEW = {"aws.py", "newest.py"}
"""Files that the examples add."""


def test_every_kind_of_change_has_its_section_and_its_cost() -> None:
    """Ten sections, in the order of the table, each with the same limit as its row."""
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(SECTIONS)
    rows = re.findall(r"^\|[^|]+\| ([^|]+) \| \[(.+)\]\(#[\w-]+\) \|$", PAGE, re.MULTILINE)
    assert {title: cost for cost, title in rows} == SECTIONS
    for title, cost in SECTIONS.items():
        first = PAGE.partition(f"\n## {title}\n\n")[2]
        assert first.startswith(f"At most {cost[0]} source files"), title


def test_every_file_named_in_backticks_exists() -> None:
    """Short names count where a file of the project ends with them."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    files = listed or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    text = re.sub(r"^ *```.*?^ *```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([\w./-]+\.(?:py|css|toml|md))`", text))
    assert len(named) > 20
    missing = {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)}
    assert missing <= NEW
