"""JSON as devices write it: one bad number or byte costs one value, not the message. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData

_WORDS: Final = re.compile(
    # A text, also one without an end, or a bare word for a number that is none.
    r'"(?:[^"\\]|\\.?)*+"?|(?<![\w.])[-+]?(?:nan|inf(?:inity)?)(?![\w.])',
    re.IGNORECASE | re.DOTALL,
)
_LIKELY: Final = re.compile(r"nan|inf", re.IGNORECASE)
_PATH_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")


def decode(payload: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """The document of a payload.

    Strict JSON is read as such. Else a mark of byte order and zero bytes at the end are left out,
    bytes that are no UTF-8 are replaced, control characters within texts are kept, and NaN and
    infinities become null, as Tasmota and Python write them.

    Raises:
        BadData: It is no JSON even so.
    """
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        strict = fault
    text = payload.decode("utf-8-sig", "replace").rstrip("\x00")
    if _LIKELY.search(text):
        text = _WORDS.sub(_null, text)
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise BadData(in_words(strict)) from strict


def find(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value at `path`; None where the document has no such place.

    Args:
        document: Decoded JSON. A text on the way that holds JSON is read as such.
        path: Names joined by dots, indices in brackets, such as `SHT31.Temperature` or
            `values[0]`; a leading `$.` is allowed. A name that itself has dots is found as a
            whole first.
    """
    if isinstance(document, dict) and path in document:
        return document[path]
    value = document
    for name, index in _PATH_PART.findall(path.removeprefix("$")):
        if isinstance(value, str):
            value = _inner(value)
        if name and isinstance(value, dict):
            value = value.get(name)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return None
    return value


def _null(word: re.Match[str]) -> str:
    return word[0] if word[0].startswith('"') else "null"


def _inner(text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return decode(text.encode("utf-8", "replace"))
    except BadData:
        return None
