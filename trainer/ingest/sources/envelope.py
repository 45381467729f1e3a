"""The envelope of data.go.kr's weather services: its success and its kinds of error.

    service code   {"response":{"header":{"resultCode":"22",...}}}, HTTP 200 (JSON or XML)
    gateway XML    <OpenAPI_ServiceResponse>...<returnReasonCode>30</...>, HTTP 200, 400 or 403
    gateway JSON   {"OpenAPI_ServiceResponse":{..."returnReasonCode":"30"}}, the same as JSON
    gateway text   "API token quota exceeded", with an HTTP status

Neither the content type nor status 200 says which one came: the bytes decide. Pure.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Final, Generic, TypeVar
from xml.etree import ElementTree as ET

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import FarmError, ProtocolFault, Refused
from trainer.ingest.sources.http import NotPublished, QuotaSpent, Transient, Truncated

T = TypeVar("T")

NO_DATA: Final = "03"
_TRANSIENT: Final = {"01", "02", "04", "05"}
_REFUSED: Final = {
    "20": "the key has no permission for this service: apply for it (활용신청) on data.go.kr",
    "21": "the key is suspended: see data.go.kr, my page",
    "30": "the key is not registered: check KMA_SERVICE_KEY (a new key takes up to a day)",
    "31": "the key has expired: extend it on data.go.kr",
    "32": "this machine's address is not registered for the key: see data.go.kr, my page",
    "33": "the call was not signed: check KMA_SERVICE_KEY",
}
_BY_STATUS: Final[dict[int, tuple[type[FarmError], str]]] = {
    401: (Refused, "the key is missing or wrong: check KMA_SERVICE_KEY"),
    403: (
        Refused,
        "forbidden: the key has expired or lacks this service (활용신청): see data.go.kr, my page",
    ),
    404: (ProtocolFault, "no such address; correct it in trainer.toml, [kma]"),
}
_GATEWAY_FAULTS: Final = ("unexpected error", "backend server", "api rate limit")
_GATEWAY_JSON: Final = b'{"OpenAPI_ServiceResponse"'
_TOO_EARLY: Final = "전날 자료까지"
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_decoders_lock: Final = threading.Lock()
_TEXT_LENGTH: Final = 120


class Header(msgspec.Struct, frozen=True):
    """Result of a call; "00" is success."""

    resultCode: str | int  # noqa: N815 - KMA's field name
    resultMsg: str = ""  # noqa: N815 - KMA's field name


class Items(msgspec.Struct, Generic[T], frozen=True):
    """Rows of an answer; KMA sends a single one without a list."""

    item: list[T] | T | str | None = None


class Body(msgspec.Struct, Generic[T], frozen=True):
    """Rows of an answer and how many there are over all pages."""

    items: Items[T] | list[Any] | str | None = None
    totalCount: int | str = 0  # noqa: N815 - KMA's field name

    def rows(self, service: str) -> list[T]:
        """The rows; none where KMA shows "nothing" as an empty text or list.

        Raises:
            ProtocolFault: Any other text or list.
        """
        items: Any = self.items.item if isinstance(self.items, Items) else self.items
        if items and (isinstance(items, str) or items is self.items):
            raise ProtocolFault(f"{service}: items of an unknown shape")
        return items if isinstance(items, list) else [items] if items else []


class Response(msgspec.Struct, Generic[T], frozen=True):
    """Result of a call and its body."""

    header: Header
    body: Body[T] | None = None


class Envelope(msgspec.Struct, Generic[T], frozen=True):
    """An answer in JSON with rows of one type."""

    response: Response[T]


def sort_out(body: bytes, status: int, service: str) -> bytes:
    """Separate answers of the service from answers of the gateway in front of it.

    Args:
        body: As received.
        status: HTTP status.
        service: What to call the other side in an error.

    Returns:
        The body without surrounding white space; it begins with `{` or with XML.

    Raises:
        Transient, QuotaSpent, Refused, ProtocolFault, Truncated: As the table above says.
    """
    body = body.strip()
    if body.startswith(_GATEWAY_JSON):
        reason = _json_text(body, "returnReasonCode")
        if reason is not None:
            raise fault_of(reason, _json_text(body, "returnAuthMsg") or "", service)
    if body.startswith(b"{") and status < 400:
        return body
    if body.startswith(b"<"):
        reason = _tag(body, "returnReasonCode")
        if reason is not None:
            raise fault_of(reason, _tag(body, "returnAuthMsg") or "", service)
        if status < 400 and re.match(rb"<(\?xml|response|OpenAPI)", body):
            return body
        if status < 500:
            raise ProtocolFault(
                f"{service}: a web page (HTTP {status}) instead of data; check the address in "
                "trainer.toml, [kma], and whether a proxy or a maintenance page is in between"
            )
    raise _plain(body, status, service)


def check(header: Header, service: str) -> bool:
    """True = rows follow, False = there are none for what was asked; other codes raise."""
    code = str(header.resultCode).strip().zfill(2)
    if code == "00":
        return True
    if code == NO_DATA:
        return False
    raise fault_of(code, header.resultMsg, service)


def fault_of(code: str, message: str, service: str) -> FarmError:
    """The error for a result code; the code decides, since the messages vary."""
    code, text = clean(code.zfill(2)), clean(message)
    if code in _TRANSIENT:
        return Transient(f"{service}: fault {code} on KMA's side ({text})")
    if code in _REFUSED:
        return Refused(f"{service}: refused with code {code}: {_REFUSED[code]}")
    if code == "22":
        return QuotaSpent(f"{service}: the day's quota of the key is used up (code 22)")
    if code == "99" and _TOO_EARLY in message:
        return NotPublished(
            f"{service}: hours up to yesterday only ({text}); a day is available on the next day "
            "from about 11:00 KST"
        )
    return ProtocolFault(f"{service}: request not understood, code {code} ({text})")


def decode_json(body: bytes, kind: type[T], service: str) -> T:
    """Struct from JSON; a body that breaks off is `Truncated`, a foreign shape `ProtocolFault`."""
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as fault:
        raise ProtocolFault(f"{service}: unexpected answer: {clean(in_words(fault))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Truncated(f"{service}: the answer is cut off or damaged") from None


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    # msgspec 0.22 works out a struct's fields at the first use of its type, and two threads that
    # do so at the same time read a table that is half written: a crash of the whole process. A
    # decoder holds the finished table, so it is made once, under a lock.
    with _decoders_lock:
        if kind not in _decoders:
            _decoders[kind] = msgspec.json.Decoder(kind)
        return _decoders[kind]


def number(value: int | str, service: str) -> int:
    """A count in an answer; anything else than up to nine digits is a `ProtocolFault`."""
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ProtocolFault(f"{service}: {clean(text)!r} where a number belongs")
    return int(text)


def decode_xml(body: bytes, service: str) -> ET.Element:
    """Root element; entity tricks are refused, a body that breaks off is `Truncated`."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ProtocolFault(f"{service}: unexpected answer: XML with a document type")
    try:
        return ET.fromstring(body)  # noqa: S314 - no DTD, so no entity can expand
    except (ET.ParseError, LookupError, ValueError):
        raise Truncated(f"{service}: the answer is cut off or damaged") from None


def clean(text: str) -> str:
    """Foreign text made fit for one line of a log."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_TEXT_LENGTH]


def _plain(body: bytes, status: int, service: str) -> FarmError:
    text = clean(body[:400].decode("utf-8", "replace"))
    lower = text.lower()
    if status in _BY_STATUS:
        kind, what = _BY_STATUS[status]
        return kind(f"{service}: {what}")
    if status == 429 and "quota" in lower:
        return QuotaSpent(f"{service}: the day's quota of the key is used up ({text})")
    if status in {408, 429} or status >= 500 or any(known in lower for known in _GATEWAY_FAULTS):
        return Transient(f"{service}: HTTP {status} ({text})")
    if not body:
        return Truncated(f"{service}: an empty answer (HTTP {status})")
    return ProtocolFault(f"{service}: unexpected answer (HTTP {status}): {text}")


def _tag(body: bytes, name: str) -> str | None:
    match = re.search(rf"<{name}>\s*([^<]*?)\s*</{name}>".encode(), body)
    return match.group(1).decode("utf-8", "replace") if match else None


def _json_text(body: bytes, name: str) -> str | None:
    match = re.search(rf'"{name}"\s*:\s*"([^"]*)"'.encode(), body)
    return match.group(1).decode("utf-8", "replace") if match else None
