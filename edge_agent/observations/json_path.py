"""A value inside decoded JSON by a path such as `SHT31.Temperature` or `values[0]`. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")


def find(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value at `path`; None where the document has no such place.

    Args:
        document: Decoded JSON.
        path: Names joined by dots, indices in brackets; a leading `$.` is allowed. A name that
            itself has dots is found as a whole first.
    """
    if isinstance(document, dict) and path in document:
        return document[path]
    found = document
    for name, index in _PART.findall(path.removeprefix("$")):
        if name and isinstance(found, dict):
            found = found.get(name)
        elif index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            return None
    return found
