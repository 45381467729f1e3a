"""The OpenAPI document of the interface, made of the table of routes. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent import __version__
from edge_agent.messages.json_schemas import definitions
from edge_agent.mqtt.commands import Request
from edge_agent.web.api import schemas as api_schemas
from edge_agent.web.api.routes import COMMANDS, JSON, ROUTES

if TYPE_CHECKING:
    from edge_agent.web.api.routes import Route

_REFERENCE: Final = "#/components/schemas/{name}"
_FAULTS: Final = {
    "400": "The request is not understood",
    "401": "A token is needed, or the one sent is wrong",
    "403": "Not from here, or no token is configured",
    "429": "Too many requests; `Retry-After` says when",
    "503": "The first hour is being worked, or the disk refuses",
}
_ABOUT: Final = """\
What a farm's device knows, as JSON. Times are UTC. With `web.token_file` every request but
`/health` needs `Authorization: Bearer <token>`; without it this machine alone may read, and
nothing may be changed. Answers carry an `ETag`; send it as `If-None-Match` and get 304 while
nothing has changed."""


@cache
def document() -> bytes:
    """The document as indented JSON; docs/openapi.json is this."""
    structs: list[type[msgspec.Struct]] = [
        api_schemas.Fault,
        api_schemas.Done,
        Request,
        *(route.answer for route in ROUTES if route.answer),
    ]
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "farm-edge device", "version": __version__, "description": _ABOUT},
        "paths": {
            **{route.path: {"get": _reading(route)} for route in ROUTES},
            **{f"/api/commands/{name}": {"post": _command(name)} for name in COMMANDS},
        },
        "components": {
            "schemas": definitions(*structs, ref_template=_REFERENCE),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    # A component is called as its struct, without "Answer".
    content = msgspec.json.encode(whole).replace(b'Answer"', b'"')
    return msgspec.json.format(content, indent=2) + b"\n"


def _reading(route: Route) -> dict[str, Any]:
    schema = _ref(route.answer) if route.answer else {"type": "string"}
    content = {route.media.partition(";")[0]: {"schema": schema if route.answer else {}}}
    return {
        "operationId": route.path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": route.summary,
        "security": [] if route.open else [{"token": []}, {}],
        "parameters": _parameters(route.query),
        "responses": {
            "200": {"description": route.summary, "content": content},
            "304": {"description": "Nothing has changed"},
            **_faults(),
        },
    }


def _command(name: str) -> dict[str, Any]:
    done = {JSON: {"schema": _ref(api_schemas.Done)}}
    return {
        "operationId": f"command_{name}",
        "summary": COMMANDS[name],
        "security": [{"token": []}],
        "requestBody": {"required": False, "content": {JSON: {"schema": _ref(Request)}}},
        "responses": {
            "200": {"description": "Done", "content": done},
            "202": {"description": "Taken; the device is busy and does it next", "content": done},
            "409": {"description": "It cannot be done; `text` says why", "content": done},
            "413": _fault("The body is too long"),
            "415": _fault("The body is not JSON"),
            **_faults(),
        },
    }


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    ((schema,), components) = msgspec.json.schema_components([query], ref_template=_REFERENCE)
    properties = components.get(query.__name__, schema).get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _plain(rule)}
        for name, rule in properties.items()
    ]


def _plain(rule: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out rather than null."""
    (first, *_) = [kind for kind in rule.get("anyOf", [rule]) if kind != {"type": "null"}]
    return {key: value for key, value in first.items() if (key, value) != ("default", None)}


def _ref(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=struct.__name__)}


def _faults() -> dict[str, Any]:
    return {code: _fault(text) for code, text in _FAULTS.items()}


def _fault(text: str) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": _ref(api_schemas.Fault)}}}
