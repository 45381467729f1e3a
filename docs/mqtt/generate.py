"""Write the JSON Schema of every MQTT payload beside this file: python docs/mqtt/generate.py."""  # noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path

from edge_agent.alerts.payloads import SCHEMAS, json_schema

if __name__ == "__main__":
    for kind in SCHEMAS:
        (Path(__file__).parent / f"{kind}.schema.json").write_bytes(json_schema(kind))
