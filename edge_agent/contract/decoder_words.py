"""What is wrong with JSON from outside, in words: no type, no path, no regular expression. Pure."""

from __future__ import annotations

import re
from typing import Final

_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "object": "an object in { }",
    "array": "a list in [ ]",
    "datetime": "a time such as 2026-01-31T04:00:00Z",
    "date": "a day such as 2026-01-31",
}
_LIMITS: Final = {">=": "of {} or more", "<=": "of {} or less", ">": "above {}", "<": "below {}"}
_LENGTHS: Final = {">=": "of at least {}", "<=": "of at most {}", "==": "of just {}"}
_PARTS: Final = {"str": "characters", "array": "values", "object": "keys", "bytes": "bytes"}
_WHOLE: Final = {
    "Input data was truncated": "not JSON: it is empty or cut off",
    "Number out of range": "is too large a number",
    "Integer value out of range": "is too large a number",
}
_PLACE: Final = re.compile(r" - at (?:`([^`]*)`|(key in) `([^`]*)`)$")
_EXPECTED: Final = re.compile(r"Expected `([^`]*)`(.*)", re.DOTALL)
_GOT: Final = re.compile(r", got `([^`]*)`")
_LENGTH: Final = re.compile(r" of length (>=|<=|==) (\d+)")
_LIMIT: Final = re.compile(r" (>=|<=|>|<) (\S+)")
_KEY: Final = re.compile(r"Object (contains unknown|missing required) field `([^`]*)`")
_BYTE: Final = re.compile(r"JSON is malformed: .*\(byte (\d+)\)")
_ENUM: Final = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)


def in_words(fault: Exception, example: str = "") -> str:
    """What an error of a decoder means for people; its key comes first where it is known.

    Args:
        fault: Of msgspec, or of reading text or nested values on the way.
        example: Text that is taken where a form is asked for.
    """
    if isinstance(fault, UnicodeDecodeError):
        return f"byte {fault.start} is no UTF-8"
    if isinstance(fault, RecursionError):
        return "is nested too deeply"
    text = " ".join(str(fault).split())
    place = _PLACE.search(text)
    at = (place[1] or place[3]).lstrip("$").lstrip(".") if place else ""
    what = text[: place.start()] if place else text
    if key := _KEY.fullmatch(what):
        at = f"{at}.{key[2]}" if at else key[2]
        return f"{at}: {'is no known key' if key[1] == 'contains unknown' else 'is missing'}"
    said = _said(what, example)
    return f"{at}: {said}" if at else said


def _said(what: str, example: str) -> str:
    if byte := _BYTE.fullmatch(what):
        return f"not JSON: wrong from byte {byte[1]} on"
    if what.startswith("Invalid RFC3339 encoded "):
        return (
            f"must be {_KINDS.get(what.rsplit(maxsplit=1)[-1], 'a time of day such as 07:30:00')}"
        )
    if value := _ENUM.fullmatch(what):
        return f"{value[1]} is none of the values that it can have"
    if expected := _EXPECTED.fullmatch(what):
        return f"must be {_wanted(expected[1].split(' | '), expected[2], example)}"
    return _WHOLE.get(what, what.replace("`", "'"))


def _wanted(kinds: list[str], rest: str, example: str) -> str:
    wanted = " or ".join(_KINDS.get(kind, "another value") for kind in kinds if kind != "null")
    if "matching regex" in rest:
        return f"text such as {example!r}" if example else "text of another form"
    if "with a timezone" in rest:
        return "a time with Z or an offset, such as 2026-01-31T04:00:00Z"
    if length := _LENGTH.fullmatch(rest):
        count = _LENGTHS[length[1]].format(length[2])
        return f"{wanted} {count} {_PARTS.get(kinds[0], 'values')}"
    if limit := _LIMIT.fullmatch(rest):
        return f"{wanted} {_LIMITS[limit[1]].format(limit[2])}"
    got = _GOT.fullmatch(rest)
    return f"{wanted or 'nothing'}, not {_KINDS.get(got[1], 'another value')}" if got else wanted
