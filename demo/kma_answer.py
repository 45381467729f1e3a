"""What the stand-in sends back, and the errors that all of KMA's services share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.contract.hours import KST

if TYPE_CHECKING:
    from datetime import datetime

RESULTS: Final = {
    "00": "NORMAL_SERVICE",
    "01": "APPLICATION_ERROR",
    "03": "NO_DATA",
    "04": "HTTP_ERROR",
    "05": "SERVICETIME_OUT",
    "10": "INVALID_REQUEST_PARAMETER_ERROR",
    "11": "NO_MANDATORY_REQUEST_PARAMETERS_ERROR",
    "99": "UNKNOWN_ERROR",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `announced` is its Content-Length where that is not the body's."""

    status: int
    content_type: str
    body: bytes
    announced: int | None = None


def header_only(code: str, message: str = "", *, xml: bool = False) -> Answer:
    """A service's error: HTTP 200 and an envelope without a body."""
    text = message or RESULTS[code]
    if xml:
        return Answer(
            200,
            "application/xml;charset=UTF-8",
            (
                '<?xml version="1.0" encoding="UTF-8"?><response><header>'
                f"<resultCode>{code}</resultCode><resultMsg>{text}</resultMsg></header></response>"
            ).encode(),
        )
    body = f'{{"response":{{"header":{{"resultCode":"{code}","resultMsg":"{text}"}}}}}}'
    return Answer(200, "application/json;charset=UTF-8", body.encode())


def gateway(code: str, message: str, status: int) -> Answer:
    """An error of the gateway in front of the services: XML, whatever was asked for."""
    body = (
        "<OpenAPI_ServiceResponse>\n\t<cmmMsgHeader>\n\t\t<errMsg>SERVICE ERROR</errMsg>\n"
        f"\t\t<returnAuthMsg>{message}</returnAuthMsg>\n"
        f"\t\t<returnReasonCode>{code}</returnReasonCode>\n"
        "\t</cmmMsgHeader>\n</OpenAPI_ServiceResponse>\n"
    )
    return Answer(status, "text/xml;charset=UTF-8", body.encode())


def envelope(items: str, query: dict[str, str], total: int, *, xml: bool = False) -> Answer:
    """A page of rows in the envelope that all services of data.go.kr share.

    Args:
        items: Encoded rows: JSON objects with commas between them, or `<item>` elements.
        query: For the page that was asked for.
        total: Rows of the whole answer.
        xml: Which form.
    """
    page, size = query.get("pageNo", "1"), query.get("numOfRows", "10")
    if xml:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><response><header><resultCode>00</resultCode>'
            "<resultMsg>NORMAL_SERVICE</resultMsg></header><body><dataType>XML</dataType>"
            f"<items>{items}</items><numOfRows>{size}</numOfRows><pageNo>{page}</pageNo>"
            f"<totalCount>{total}</totalCount></body></response>"
        )
        return Answer(200, "application/xml;charset=UTF-8", text.encode())
    text = (
        '{"response":{"header":{"resultCode":"00","resultMsg":"NORMAL_SERVICE"},"body":'
        f'{{"dataType":"JSON","items":{{"item":[{items}]}},"pageNo":{page},"numOfRows":{size},'
        f'"totalCount":{total}}}}}}}'
    )
    return Answer(200, "application/json;charset=UTF-8", text.encode())


def page_of(query: dict[str, str], total: int) -> slice | None:
    """Rows of the page that was asked for, or None where the numbers make no sense."""
    page, size = query.get("pageNo", "1"), query.get("numOfRows", "10")
    if not (page.isdecimal() and size.isdecimal() and int(page) > 0 and int(size) > 0):
        return None
    first = (int(page) - 1) * int(size)
    return slice(min(first, total), min(first + int(size), total))


def kst(moment: datetime) -> datetime:
    """Aware time as naive Korean time, the way KMA's rows are labelled."""
    return moment.astimezone(KST).replace(tzinfo=None)
