"""Writes docs/openapi.json: `python -m tools.openapi`."""

from __future__ import annotations

from pathlib import Path

from edge_agent.web.api.openapi import document

if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs", "openapi.json").write_bytes(document())
