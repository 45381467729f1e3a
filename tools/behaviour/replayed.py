"""What `edge-agent replay` prints over a part of the record, by rules of a configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tools.behaviour.device import Device
    from tools.behaviour.folder import Folder

_SECONDS: Final = re.compile(r'"seconds": ?[0-9.]+')
RULES: Final = """
[[rules]]
name = "cold-hours"
quantity = "air_temperature_c"
operator = "<="
threshold = 14.0
within_h = 12
probability = 0.6
for_h = 2
clear = 15.0
hold_s = 7200
cooldown_s = 7200
severity = "critical"
message = "{time} {value}{unit} {probability} {lead_h} {severity} {rule} {threshold}"
[rules.action]
command = "vent_close"
value = 0.0
expires_s = 3600
max_run_s = 900
[[rules]]
name = "thirsty-air"
quantity = "vapour_pressure_deficit_kpa"
operator = ">"
threshold = 0.8
[[rules]]
name = "damp"
quantity = "relative_humidity_pct"
operator = ">="
threshold = 70.0
severity = "info"
"""


def record(device: Device, out: Folder) -> None:
    """Three days by the built-in rules, then by others."""
    text = (device.root / "config.toml").read_text("utf-8")
    (device.root / "rules.toml").write_text(text + RULES, "utf-8")
    lake = "../central/lake/observations/station=108"
    for name, settings, year, span in (
        ("winter", "config.toml", 2026, ("2026-01-08T00:00Z", "2026-01-10T23:00Z")),
        ("autumn, own rules", "rules.toml", 2025, ("2025-10-10T00:00Z", "2025-10-12T23:00Z")),
    ):
        words = ("replay", "--observations", f"{lake}/year={year}.parquet")
        call = device.programs.call(
            "edge-agent", *words, "--from", span[0], "--to", span[1], "--config", settings,
            at=device.after, cwd=device.root,
        )  # fmt: skip
        told = device.programs.told(call)
        out.text(f"replay/{name}.txt", _SECONDS.sub(r'"seconds":<SECONDS>', told))
