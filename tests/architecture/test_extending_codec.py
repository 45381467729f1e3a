"""docs/extending.md, "A sensor format": its codec, from a message to the store, in a copy."""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_FILES = 2

PROGRAM = """
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import edge_agent
from edge_agent.observations.intake import Intake
from edge_agent.observations.sensors import key_of
from edge_agent.observations.store import Store
from edge_agent.settings import Sensor
from edge_agent.system.database import connect

assert Path(edge_agent.__file__).is_relative_to(Path.cwd())
(table,) = tomllib.loads(sys.stdin.read())["sensors"]
sensor = msgspec.convert(table, Sensor)
now = datetime(2026, 7, 1, 5, tzinfo=UTC)
store, intake = Store(connect(Path("agent.db"))), Intake([sensor])
for payload in (b"12.5;60", b"warm;60", b""):
    intake.take("logger/line", payload, now)
intake.flush(store)
(sample,) = store.samples(key_of(sensor), now, now)
print(sample.value, intake.accepted, sum(intake.refused.values()))
"""


def _changed(copy: Path) -> list[str]:
    """Source files of a copy that differ from the project's, or are new."""
    files = [path.relative_to(copy) for path in copy.rglob("*.py")]
    return [
        str(file)
        for file in files
        if not (ROOT / file).is_file() or not filecmp.cmp(copy / file, ROOT / file, shallow=False)
    ]


def test_a_sensor_format_costs_two_files_at_most(tmp_path: Path) -> None:
    """The page's codec stores the value of a good line and refuses the others."""
    page = (ROOT / "docs" / "extending.md").read_text("utf-8")
    section = page.partition("\n## A sensor format\n")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", section, re.DOTALL))
    shutil.copytree(
        ROOT / "edge_agent",
        tmp_path / "edge_agent",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    codecs = tmp_path / "edge_agent" / "observations" / "codecs.py"
    codecs.write_text(f"{codecs.read_text('utf-8')}\n\n{textwrap.dedent(blocks['python'])}")
    assert 1 <= len(_changed(tmp_path)) <= MOST_FILES

    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        input=textwrap.dedent(blocks["toml"]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.stdout.split() == ["12.5", "1", "2"], result.stderr
