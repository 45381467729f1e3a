"""Write the JSON Schema of every MQTT payload beside this file: python docs/mqtt/generate.py."""  # noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path

from edge_agent.messages.json_schemas import json_schema
from edge_agent.messages.official_payloads import ALL_SCHEMAS
from edge_agent.mqtt import commands

FOLDER = Path(__file__).parent


def schemas() -> dict[str, bytes]:
    """File name -> content, for every message and every command."""
    messages = {kind: json_schema(kind) for kind in ALL_SCHEMAS}
    requests = {kind: commands.json_schema(kind) for kind in commands.FORMS}
    return {f"{kind}.schema.json": content for kind, content in (messages | requests).items()}


if __name__ == "__main__":
    for name, content in schemas().items():
        (FOLDER / name).write_bytes(content)
