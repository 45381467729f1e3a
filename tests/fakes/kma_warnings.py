"""KMA's service of warnings as a `httpx` transport that answers with rows as they were recorded."""

from __future__ import annotations

import json
from typing import Any

import httpx

ISSUE: dict[str, Any] = {
    "allEndTime": 0,
    "areaCode": "L1091340",
    "areaName": "제주시중산간",
    "cancel": "0",
    "command": "7",
    "endTime": 0,
    "stnId": "108",
    "tmFc": 202609261100,
    "tmSeq": 127,
    "warnVar": 2,
    "warnStress": 1,
    "startTime": 202609261100,
}
"""A row of getPwnCd of 26 September 2026, as it was received."""
LIFT: dict[str, Any] = ISSUE | {
    "command": "2",
    "endTime": 202609261200,
    "allEndTime": 202609261200,
    "startTime": 0,
}
"""How a release of that time says its end."""
BAD_KEY = (
    b'{"OpenAPI_ServiceResponse":{"cmmMsgHeader":{"errMsg":"SERVICE_KEY_IS_NOT_REGISTERED_ERROR",'
    b'"returnAuthMsg":"SERVICE_KEY_IS_NOT_REGISTERED_ERROR","returnReasonCode":"30"}}}'
)
TOO_FAR = (
    '{"response":{"header":{"resultCode":"99","resultMsg":'
    '"최대 조회 기간은 오늘 기준으로 6일 전까지입니다."}}}'
).encode()
NO_DATA = b'{"response":{"header":{"resultCode":"03","resultMsg":"NO_DATA"}}}'


def body(*rows: dict[str, Any], total: int | None = None) -> bytes:
    """An answer with rows, newest first as the service has them."""
    page = {
        "dataType": "JSON",
        "items": {"item": list(reversed(rows))},
        "pageNo": 1,
        "numOfRows": 10000,
        "totalCount": len(rows) if total is None else total,
    }
    header = {"resultCode": "00", "resultMsg": "NORMAL_SERVICE"}
    return json.dumps({"response": {"header": header, "body": page}}, ensure_ascii=False).encode()


class WarningService(httpx.BaseTransport):
    """Answers each day with its rows, or as if there were none.

    Args:
        rows: Its first ones.

    Attributes:
        rows: Every row so far, oldest first.
        instead: Answer to every request, where it is not None.
        in_force: Answer of the API hub.
        asked: Day of every request to the portal.
    """

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.instead: bytes | None = None
        self.in_force = b""
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        if request.url.path.endswith("/wrn_now_data.php"):
            return httpx.Response(200, content=self.in_force)
        day = request.url.params["fromTmFc"]
        assert request.url.path.endswith("/getPwnCd")
        assert request.url.params["toTmFc"] == day
        self.asked.append(day)
        rows = [row for row in self.rows if str(row["tmFc"]).startswith(day)]
        content = self.instead or (body(*rows) if rows else NO_DATA)
        return httpx.Response(200, content=content)
