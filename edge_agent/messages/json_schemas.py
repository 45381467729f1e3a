"""JSON Schemas of message payloads, as docs/mqtt holds them. Pure."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.messages.official_payloads import ALL_SCHEMAS
from edge_agent.messages.payloads import schema_name

if TYPE_CHECKING:
    from msgspec import Struct


def definitions(
    *structs: type[Struct], ref_template: str = "#/$defs/{name}"
) -> dict[str, dict[str, Any]]:
    """JSON Schema of the structs and of those they hold, by name.

    Args:
        structs: Their docstrings become descriptions.
        ref_template: How one schema names another.
    """
    _, schemas = msgspec.json.schema_components(structs, ref_template=ref_template)
    for schema in schemas.values():
        # Python 3.13 takes the indentation off docstrings, older ones leave it on.
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return schemas


def json_schema(kind: str) -> bytes:
    """JSON Schema (draft 2020-12) of one kind of message, as docs/mqtt/<kind>.schema.json has it.

    Raises:
        KeyError: There is no such kind.
    """
    struct = ALL_SCHEMAS[kind]
    schemas = definitions(struct)
    document = schemas.pop(struct.__name__)
    document["properties"]["schema"] = {"const": schema_name(kind)}
    document |= {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": schema_name(kind),
        "$defs": schemas,
    }
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"
