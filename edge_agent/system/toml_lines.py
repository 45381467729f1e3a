"""Line of a key in a TOML text, for error messages. Pure."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\" ]+?)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_\-.]+)\s*=")


def line_of(text: str, path: str) -> int | None:
    """Number (from 1) of the line that sets `path`, or the header that holds it; None if neither.

    Args:
        text: The TOML text.
        path: Such as `rules[1].action.command`.
    """
    lines = _lines(text)
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition(".")[0]
    return None


def _lines(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    counts: Counter[str] = Counter()
    at = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[2].replace('"', "").replace(" ", "")
            if header[1] == "[[":
                at = f"{name}[{counts[name]}]"
                counts[name] += 1
            else:
                first, _, rest = name.partition(".")
                at = f"{first}[{counts[first] - 1}].{rest}" if counts[first] else name
            found.setdefault(at, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{at}.{key[1]}" if at else key[1], number)
    return found
