"""Good and bad calls that need no release: their exit codes and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tools.behaviour.central import TRAINED_AT, WINTER, name_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tools.behaviour.folder import Folder
    from tools.behaviour.programs import Programs

GOOD: Final = """
[device]
site = "farm"
id = "edge-1"
latitude = 37.5714
longitude = 126.9658
elevation_m = 86.0
station = 108
[mqtt]
host = "127.0.0.1"
port = 1
[web]
port = 0
[storage]
path = "state"
"""
BAD: Final = """
[device]
site = "Farm 1"
id = "edge-1"
latitude = 137.5
longitude = "east"
elevation_m = 86.0
station = -1
language = "fr"
timezone = "Asia/Nowhere"
[mqtt]
host = "localhost"
prot = 1883
protocol = "4"
commands = ["dance"]
[[sensors]]
topic = "a/#/b"
quantity = "air_temperature_c"
unit = "hPa"
role = "attic"
[[rules]]
name = "hot"
quantity = "temperature"
operator = "=>"
threshold = "high"
[[rules]]
name = "hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
clear = 31.0
probability = 1.5
within_h = 100
[rules.action]
command = "vent_open"
max_run_s = -1
[irrigation]
crop = "banana"
soil = "rock"
bud_stage = "never"
[web]
host = "0.0.0.0"
[nothing]
x = 1
"""
UNKNOWN_RULE: Final = (
    GOOD + '[[rules]]\nname = "hot"\nquantity = "rain_mm"\noperator = ">="\nthreshold = 1.0\n'
)
CONTRADICTING: Final = (
    GOOD.replace("port = 1\n", 'port = 1\npassword_file = "no-such-file"\n')
    + """
[[rules]]
name = "hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
clear = 31.0
[[rules]]
name = "hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
[rules.action]
command = "vent_open"
[[sensors]]
topic = "a/b"
quantity = "air_temperature_c"
unit = "hPa"
[irrigation]
crop = "banana"
bud_stage = "never"
"""
)
CSV: Final = "station,tm,ta,hm\n108,2026-01-01 01:00,1.0,50\n108,not a time,2.0,51\n"

AGENT: Final = (
    ("check-config", "--config", "good.toml"),
    ("check-config", "--config", "good.toml", "--json"),
    ("check-config", "--config", "bad.toml"),
    ("check-config", "--config", "bad.toml", "--json"),
    ("check-config", "--config", "rule.toml"),
    ("check-config", "--config", "contradicting.toml"),
    ("check-config", "--config", "broken.toml"),
    ("check-config", "--config", "missing.toml"),
    ("check-config", "--config", "example.toml"),
    ("check-config",),
    ("status", "--config", "good.toml"),
    ("status", "--config", "bad.toml"),
    ("once", "--dry-run", "--config", "good.toml"),
    ("once", "--at", "tomorrow", "--config", "good.toml"),
    ("once", "--wait", "-1", "--config", "good.toml"),
    ("once", "--wait", "1", "--config", "good.toml"),
    ("history", "--config", "good.toml"),
    ("history", "--count", "0", "--config", "good.toml"),
    ("history", "export", "out.parquet", "--config", "good.toml"),
    ("queue", "ls", "--config", "good.toml"),
    ("queue", "verify", "--config", "good.toml"),
    ("queue", "verify", "--database", "broken.toml", "--config", "good.toml"),
    ("queue", "ls", "--database", "no.db", "--config", "good.toml"),
    ("queue", "drop", "--config", "good.toml"),
    ("release", "--config", "good.toml"),
    ("release", "--config", "good.toml", "--json"),
    ("self-test",),
    ("self-test", "--config", "good.toml"),
    ("doctor", "--config", "good.toml"),
    ("doctor", "--offline", "--config", "good.toml"),
    ("doctor", "--config", "bad.toml"),
    ("drill", "no-such-rule", "--config", "good.toml"),
    ("drill", "frost", "--wait", "1", "--config", "good.toml"),
    ("sync", "--config", "good.toml"),
    ("sync", "--from", "no-such-folder", "--config", "good.toml"),
    ("sync", "--from", "http://127.0.0.1:1/", "--config", "good.toml"),
    ("replay", "--config", "good.toml"),
    ("replay", "--observations", "no.parquet", "--from", "2026-01-01", "--to", "2026-01-02",
     "--config", "good.toml"),
    ("replay", "--explain", "no-such-id", "--config", "good.toml"),
    ("self-update", "--config", "good.toml"),
    ("install", "--dry-run", "--root", "image"),
    ("uninstall", "--dry-run", "--root", "image"),
    ("support-bundle", "no/folder/x.tar.gz", "--config", "good.toml"),
    ("run", "--config", "missing.toml"),
    ("run", "--config", "bad.toml"),
    ("dance",),
    ("once", "--dance"),
    (),
    ("--version",),
)  # fmt: skip
TRAINER: Final = (
    ("status",),
    ("init", "."),
    ("init", "empty", "--single-key"),
    ("init", "empty", "--single-key"),
    ("status", "--config", "empty/trainer.toml"),
    ("status", "--config", "empty/trainer.toml", "--json"),
    ("status", "--quality", "--config", "empty/trainer.toml"),
    ("runs", "--config", "empty/trainer.toml"),
    ("runs", "--config", "empty/trainer.toml", "--json"),
    ("train", "--config", "empty/trainer.toml"),
    ("train", "--as-of", "soon", "--config", "empty/trainer.toml"),
    ("promote", "--channel", "stable", "--config", "empty/trainer.toml"),
    ("promote", "--channel", "beta", "--config", "empty/trainer.toml"),
    ("promote", "no-run", "--channel", "stable", "--config", "empty/trainer.toml"),
    ("rollback", "--to", "1", "--reason", "x", "--config", "empty/trainer.toml"),
    ("rollout", "--channel", "stable", "--percent", "5", "--reason", "x",
     "--config", "empty/trainer.toml"),
    ("canary", "--config", "empty/trainer.toml"),
    ("evaluate", "--config", "empty/trainer.toml"),
    ("report", "--config", "empty/trainer.toml"),
    ("relay", "--config", "empty/trainer.toml"),
    ("relay", "--station", "1", "--config", "empty/trainer.toml"),
    ("tune", "--config", "empty/trainer.toml"),
    ("backtest", "--config", "empty/trainer.toml"),
    ("daily", "--date", "2026-01-04", "--config", "empty/trainer.toml"),
    ("ingest", "--config", "empty/trainer.toml"),
    ("ingest", "--station", "1", "--config", "empty/trainer.toml"),
    ("ingest", "--from", "2026-01-02", "--to", "2026-01-01", "--config", "empty/trainer.toml"),
    ("ingest", "--dry-run", "--from", "2026-01-01", "--to", "2026-01-03",
     "--config", "empty/trainer.toml"),
    ("ingest", "--rebuild", "--config", "empty/trainer.toml"),
    ("import", "bad.csv", "--config", "empty/trainer.toml"),
    ("import", "missing.csv", "--config", "empty/trainer.toml"),
    ("import", "nothing.csv", "--config", "empty/trainer.toml"),
    ("farm", "ls", "--config", "empty/trainer.toml"),
    ("farm", "import", "bad.csv", "--config", "empty/trainer.toml"),
    ("fleet", "--mqtt", "mqtt://127.0.0.1:1"),
    ("fleet", "--mqtt", "http://127.0.0.1"),
    ("publish-agent", "bad.csv", "--config", "empty/trainer.toml"),
    ("keys", "rotate", "nobody", "--config", "empty/trainer.toml"),
    ("keys", "revoke", "0000", "--config", "empty/trainer.toml"),
    ("status", "--config", "wrong.toml"),
    ("dance",),
    ("--version",),
)  # fmt: skip


def record(programs: Programs, out: Folder) -> None:
    """Run the table, a file for each program."""
    root = programs.root / "calls"
    _prepare(root, out)
    done = [programs.call("edge-agent", *words, at=WINTER, cwd=root) for words in AGENT]
    out.lines("calls/edge-agent.txt", map(programs.told, done))
    out.schema("calls/schema agent.db.sql", root / "state" / "agent.db")
    done = [programs.call("trainer", *words, at=TRAINED_AT, cwd=root) for words in TRAINER]
    name_keys(programs, root / "empty", "empty ")
    out.lines("calls/trainer.txt", map(programs.told, done))


def _prepare(root: Path, out: Folder) -> None:
    root.mkdir()
    (root / "image").mkdir()
    example = (out.path / "defaults/config.example.toml").read_text("utf-8")
    for name, text in (
        ("good.toml", GOOD),
        ("bad.toml", BAD),
        ("rule.toml", UNKNOWN_RULE),
        ("contradicting.toml", CONTRADICTING),
        ("broken.toml", "[device\nsite = 1\n"),
        ("example.toml", example),
        (
            "wrong.toml",
            "stations = [1]\n[training]\nseeds = 1\nthreads = 'two'\n[kma]\nparallel = 0\n",
        ),
        ("bad.csv", CSV),
        ("nothing.csv", ""),
    ):
        (root / name).write_text(text, "utf-8")
