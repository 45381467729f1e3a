"""A nested mapping -> frozen structs, with every fault and its line in the TOML text. Pure."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import types
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_args, get_origin

import msgspec

from edge_agent.system import value_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

S = TypeVar("S", bound=msgspec.Struct)
_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\" ]+?)\s*\]\]?\s*(#.*)?$")
_PLACE: Final = re.compile(r"\(at line (\d+), column \d+\)$")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_\-.]+)\s*=")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a document: the path of its key, what to do about it, its line if known."""

    path: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


class Text(str):
    """A value from the environment: text that is parsed by the type of its key."""

    __slots__ = ()


def build(document: Mapping[str, Any], kind: type[S], problems: list[Problem], at: str = "") -> S:
    """Struct of `kind` from a mapping.

    Args:
        document: Keys and plain values; a `Text` value is parsed by the type of its key.
        kind: Struct type; nested structs and tuples of structs are walked too.
        problems: Every fault is appended here. A key with a fault has its default in the result,
            or None where it has none, so that the other keys can be checked further.
        at: Path of `document` inside the whole, for the texts.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems.extend(
        Problem(_join(at, key), _unknown(key, fields)) for key in document if key not in fields
    )
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in document:
            value = _value(document[key], field.type, problems, _join(at, key))
            if value is not msgspec.UNSET:
                values[field.name] = value
        elif field.required:
            problems.append(Problem(_join(at, key), "is missing"))
    lost = {field.name: None for field in fields.values() if field.required}
    return kind(**(lost | values))


def _value(value: Any, annotation: Any, problems: list[Problem], path: str) -> Any:  # noqa: ANN401 - any TOML value, any annotation
    struct, many = _struct_in(annotation)
    if struct is None:
        return _leaf(value, annotation, problems, path)
    if isinstance(value, Text):
        value = _parsed(value)
    if many:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            problems.append(Problem(path, f"must be a list of tables: write [[{path}]]"))
            return msgspec.UNSET
        return tuple(
            build(item, struct, problems, f"{path}[{index}]") for index, item in enumerate(value)
        )
    if not isinstance(value, dict):
        problems.append(Problem(path, f"must be a table: write [{path}]"))
        return msgspec.UNSET
    return build(value, struct, problems, path)


def _leaf(value: Any, annotation: Any, problems: list[Problem], path: str) -> Any:  # noqa: ANN401 - as _value
    item = _item_of(annotation)
    given = _parsed(value) if isinstance(value, Text) and item is not None else value
    if item is not None and isinstance(given, list):
        before = len(problems)
        items = [_leaf(part, item, problems, f"{path}[{n}]") for n, part in enumerate(given)]
        if len(problems) > before:
            return msgspec.UNSET
        value = items
    try:
        found = _converted(value, annotation)
    except msgspec.ValidationError:
        problems.append(Problem(path, value_words.wrong(value, annotation)))
        return msgspec.UNSET
    if not _has_its_form(found, annotation):
        problems.append(Problem(path, value_words.wrong(found, annotation)))
        return msgspec.UNSET
    return found


def _converted(value: Any, annotation: Any) -> Any:  # noqa: ANN401 - as _value
    if not isinstance(value, Text):
        return msgspec.convert(value, annotation)
    try:
        return msgspec.convert(str(value), annotation, strict=False)
    except msgspec.ValidationError:
        return msgspec.convert(_parsed(value), annotation)


def _has_its_form(value: Any, annotation: Any) -> bool:  # noqa: ANN401 - as _value
    """Whether a number is finite, and a text of a form is that from its first to its last letter.

    msgspec lets NaN pass where there is no limit, and a line break behind a text.
    """
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, tuple):
        return not any(isinstance(part, float) and not math.isfinite(part) for part in value)
    patterns = [meta.pattern for meta in value_words.metas(annotation) if meta.pattern]
    return all(re.fullmatch(pattern, value, re.ASCII) is not None for pattern in patterns)


def _item_of(annotation: Any) -> Any:  # noqa: ANN401 - an annotation
    """Type of the items of a list of any length; None for other types."""
    if get_origin(annotation) is Annotated:
        return _item_of(get_args(annotation)[0])
    parts = get_args(annotation)
    return parts[0] if get_origin(annotation) is tuple and parts[-1] is ... else None


def _struct_in(annotation: Any) -> tuple[type[msgspec.Struct] | None, bool]:  # noqa: ANN401 - an annotation
    """Struct type inside an annotation, and whether it stands in a tuple."""
    origin = get_origin(annotation)
    if origin is tuple:
        return _struct_in(get_args(annotation)[0])[0], True
    if origin is types.UnionType:
        for part in get_args(annotation):
            struct = _struct_in(part)
            if struct[0] is not None:
                return struct
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation, False
    return None, False


def _parsed(value: str) -> Any:  # noqa: ANN401 - any TOML value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return str(value)


def _unknown(key: str, fields: Iterable[str]) -> str:
    names = sorted(fields)
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"
    return f"unknown key; {hint}"


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def override(
    document: dict[str, Any], env: Mapping[str, str], prefix: str, problems: list[Problem]
) -> dict[str, str]:
    """Put settings of the environment (PREFIX + SECTION__KEY) into a document; adds problems.

    Returns:
        Path of each key that was set -> name of its variable.
    """
    names = {}
    for name in sorted(env):
        if not name.startswith(prefix):
            continue
        *sections, key = name.removeprefix(prefix).lower().split("__")
        table: Any = document
        for section in sections:
            table = table.setdefault(section, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[key] = Text(env[name])
            names[".".join((*sections, key))] = name
        else:
            problems.append(Problem(name, "names no key of a table"))
    return names


def one_of(given: str, allowed: Sequence[str]) -> str:
    """Words for a value that is none of the allowed ones."""
    return f"{given!r} is not allowed{nearest(given, allowed)} (one of {', '.join(allowed)})"


def nearest(given: str, allowed: Sequence[str]) -> str:
    """A question after one of the allowed values that is much like it; empty without one."""
    close = difflib.get_close_matches(given, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def not_toml(fault: Exception) -> Problem:
    """The fault of a document that cannot be read at all, with its line where that is known."""
    if isinstance(fault, UnicodeDecodeError):
        return Problem("", f"byte {fault.start} is no UTF-8: save the file as UTF-8")
    place = _PLACE.search(str(fault))
    return Problem("", f"not TOML: {fault}", int(place[1]) if place else None)


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
        path = path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]
    return None


def _lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    counts: Counter[str] = Counter()
    at = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[2].replace('"', "").replace(" ", "")
            if header[1] == "[[":
                at = f"{name}[{counts[name]}]"
                counts[name] += 1
            else:
                table, _, below = name.partition(".")
                at = f"{table}[{counts[table] - 1}].{below}" if counts[table] else name
            lines.setdefault(at, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{at}.{key[1]}" if at else key[1], number)
    return lines
