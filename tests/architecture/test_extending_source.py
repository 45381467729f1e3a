"""docs/extending.md, "A KMA source": from its row to hours in the lake, in a copy."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MOST_FILES = 4
PAGE = ROOT / "docs" / "extending.md"
ANSWER = [
    {"tm": f"2024-05-01 {hour:02}:00", "ta": f"{10 + hour}.5", "hm": "60"} for hour in (1, 2, 3)
]
COMMAND = """
from pathlib import Path

import trainer

assert Path(trainer.__file__).is_relative_to(Path.cwd().parent)
from trainer.cli import main

main()
"""
RANKS = """
from datetime import UTC, datetime

import polars as pl

from trainer.workspace.merge_rules import rank_of
from trainer.workspace.workspace import Workspace

lake = Workspace.open(None).lake
rows = lake.observations(108).drop("source")
for source in ("nowcast", "hub", "asos", "aws"):
    warmer = rows.with_columns(pl.col("air_temperature_c") + 1.0 + rank_of(source))
    done = lake.merge(108, warmer, source, datetime(2024, 5, 2, tzinfo=UTC))
    print(source, rank_of(source).name, done.revised, *set(lake.observations(108)["source"]))
"""


class _Aws(BaseHTTPRequestHandler):
    """Answers every request with three hours of the station; refuses another key."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        good = query["stn"] == ["108"] and query["serviceKey"] == ["demo key"]
        body = json.dumps(ANSWER if good else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


@pytest.fixture
def url() -> Iterator[str]:
    """Address of a local service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Aws) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/aws"
        server.shutdown()


def _blocks() -> list[str]:
    section = PAGE.read_text("utf-8").partition("\n## A KMA source\n")[2].partition("\n## ")[0]
    found = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def _edit(path: Path, *changes: tuple[str, str]) -> None:
    """Put text behind an anchor that stands there once."""
    text = path.read_text("utf-8")
    for anchor, added in changes:
        assert text.count(anchor) == 1, anchor
        text = text.replace(anchor, anchor + added)
    path.write_text(text, "utf-8")


def _extended(folder: Path) -> Path:
    """A copy of the source, changed as the page says."""
    ignore = shutil.ignore_patterns("__pycache__")
    for package in ("edge_agent", "trainer"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignore)
    address, row, parser, run, line = _blocks()
    copy = folder / "trainer"
    _edit(
        copy / "workspace/kma_sources.py",
        ('VilageFcstInfoService_2.0"\n', textwrap.indent(address, "    ")),
        ('DATA_PORTAL, "nowcast"\n)\n', row),
        ("SOURCES: Final = (ASOS, HUB, VILLAGE, WARNING", ", AWS"),
    )
    (copy / "ingest/sources/aws.py").write_text(parser, "utf-8")
    (copy / "ingest/aws.py").write_text(run, "utf-8")
    _edit(
        copy / "ingest/registry.py",
        ("from trainer.ingest import ", "aws, "),
        ("kma_sources import ASOS, ", "AWS, "),
        ("    VILLAGE.name: village,\n", textwrap.indent(line, "    ")),
    )
    return copy


def _changed(copy: Path) -> list[Path]:
    files = [path.relative_to(copy.parent) for path in copy.rglob("*.py")]
    return [
        file
        for file in files
        if not (ROOT / file).is_file()
        or not filecmp.cmp(copy.parent / file, ROOT / file, shallow=False)
    ]


def test_a_source_costs_four_files_at_most(tmp_path: Path, url: str) -> None:
    """The source is planned, fetched and rebuilt, and replaces only what its rank allows."""
    copy = _extended(tmp_path)
    assert 1 <= len(_changed(copy)) <= MOST_FILES
    work = tmp_path / "work"
    work.mkdir()
    (work / "trainer.toml").write_text(f'[kma]\naws_url = "{url}"\n', "utf-8")

    def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=work,
            env={"PYTHONPATH": str(tmp_path), "KMA_SERVICE_KEY": "demo key"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    ingest = ("ingest", "--source", "aws")
    shown = " ".join(run(COMMAND, "ingest", "--help").stdout.split())
    assert "or hours of automatic weather stations" in shown
    assert json.loads(run(COMMAND, *ingest, "--dry-run", "--json").stdout)["requests"] == 1
    first = run(COMMAND, *ingest, "--json")
    assert (first.returncode, json.loads(first.stdout or "{}").get("added")) == (0, 3), first.stderr
    assert run(COMMAND, *ingest).returncode == 11
    (tidy,) = (work / "lake/observations").rglob("*.parquet")
    rows = tidy.read_bytes()
    tidy.unlink()
    assert run(COMMAND, "ingest", "--rebuild").returncode == 0
    assert tidy.read_bytes() == rows
    ranks = run(RANKS)
    assert ranks.stdout.splitlines() == [
        "nowcast GRID 0 aws",
        "hub NEAR_REAL_TIME 3 aws+hub",
        "asos RECORD 3 asos",
        "aws NEAR_REAL_TIME 0 asos",
    ], ranks.stderr
