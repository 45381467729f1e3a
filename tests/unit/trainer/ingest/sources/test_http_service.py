"""The polite client: repeats, pace, and a key that never shows."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import httpx
import pytest

from edge_agent.contract.errors import ConfigError, ProtocolFault, Refused
from tests.fakes.clock import FakeClock
from trainer.ingest.sources.http import (
    Endpoint,
    Pace,
    QuotaSpent,
    Service,
    Transient,
    Truncated,
    plain_key,
)
from trainer.workspace.kma_sources import Kma

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "aB+c/d=="
ENCODED = "aB%2Bc%2Fd%3D%3D"
URL = "http://kma.test/service"


def service(
    handler: Callable[[httpx.Request], httpx.Response],
    *,
    key: str = KEY,
    retries: int = 2,
    admit: Callable[[], None] = lambda: None,
    slept: list[float] | None = None,
    url: str = URL,
) -> Service:
    """A service whose network is `handler`."""
    return Service(
        Endpoint(url, "serviceKey", key),
        Kma(retries=retries),
        admit=admit,
        sleep=(slept if slept is not None else []).append,
        transport=httpx.MockTransport(handler),
    )


def as_text(body: bytes, status: int) -> str:
    """A parser that refuses what these tests want refused."""
    if status == 500:
        raise Transient("kma: HTTP 500")
    if status == 401:
        raise Refused(f"kma: refused {body.decode()}")
    if body == b"half":
        raise Truncated("kma: cut off")
    return body.decode()


@pytest.mark.parametrize("form", [KEY, ENCODED, f" {ENCODED}\n"])
def test_both_forms_of_the_key_are_encoded_exactly_once(form: str) -> None:
    """The portal shows the key twice; either one reaches KMA in the same bytes."""
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.query)
        assert request.url.params["serviceKey"] == KEY
        assert request.headers["User-Agent"].startswith("farm-edge/")
        return httpx.Response(200, content=b"ok")

    assert service(handler, key=form).ask({"a": "1"}, as_text).value == "ok"
    assert seen == [b"a=1&serviceKey=aB%2Bc%2Fd%3D%3D"]
    assert plain_key("0123abcd") == "0123abcd"


def test_passing_faults_are_repeated_with_growing_waits() -> None:
    """5xx, a cut body and a time-out are tried again; waits grow and are jittered."""
    left: list[httpx.Response | Exception] = [
        httpx.Response(500),
        httpx.Response(200, content=b"half"),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, content=b"ok"),
    ]

    def handler(_request: httpx.Request) -> httpx.Response:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    slept: list[float] = []
    reply = service(handler, retries=3, slept=slept).ask({}, as_text)
    assert (reply.value, reply.body, reply.status) == ("ok", b"ok", 200)
    assert [0.5 <= slept[0] <= 1.0, 1.0 <= slept[1] <= 2.0, 2.0 <= slept[2] <= 4.0] == [True] * 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(httpx.Response(500), Transient), (httpx.Response(200, content=b"half"), Truncated)],
)
def test_repeats_end(answer: httpx.Response, kind: type[Exception]) -> None:
    """After the last try the fault keeps its kind and says how often it was tried."""
    asked: list[int] = []

    def handler(_request: httpx.Request) -> httpx.Response:
        asked.append(1)
        return httpx.Response(answer.status_code, content=answer.content)

    with pytest.raises(kind, match=r"3 tries.*run the same command again later"):
        service(handler).ask({}, as_text)
    assert len(asked) == 3


def test_a_refused_key_is_asked_once() -> None:
    """Nothing is gained by showing a wrong key again."""
    asked: list[int] = []

    def handler(_request: httpx.Request) -> httpx.Response:
        asked.append(1)
        return httpx.Response(401)

    with pytest.raises(Refused):
        service(handler).ask({}, as_text)
    assert len(asked) == 1


def test_budget_is_spent_before_each_request() -> None:
    """A budget that is used up stops the repeat as well."""
    left = [1, 0]

    def admit() -> None:
        if left.pop(0) == 0:
            raise QuotaSpent("no more today")

    with pytest.raises(QuotaSpent, match="no more today"):
        service(lambda _request: httpx.Response(500), admit=admit).ask({}, as_text)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadTimeout("x"),
        httpx.ConnectError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.DecodingError("x"),
        httpx.InvalidURL("x"),
        httpx.UnsupportedProtocol("x"),
        None,
    ],
)
def test_no_form_of_the_key_shows(
    fault: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither error, traceback nor log holds the key, even where the other side echoes it."""
    caplog.set_level(logging.DEBUG)

    def handler(request: httpx.Request) -> httpx.Response:
        if fault is not None:
            fault.args = (f"failed for {request.url} {KEY}",)
            raise fault
        return httpx.Response(401, content=f"{KEY} {ENCODED} {request.url}".encode())

    with pytest.raises((Transient, Truncated, ConfigError, Refused)) as caught:
        service(handler).ask({}, as_text)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert KEY not in shown
    assert ENCODED not in shown


def test_an_endless_answer_is_cut() -> None:
    """A body beyond the limit is a fault, not a full memory."""

    class Endless(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - httpx's own protocol
            while True:
                yield b"0" * 1_000_000

    with pytest.raises(ProtocolFault, match="longer than"):
        service(lambda _request: httpx.Response(200, stream=Endless())).ask({}, as_text)


def test_pace_spreads_calls() -> None:
    """Calls that come at once are spaced; a call that comes late enough does not wait."""
    clock = FakeClock()
    slept: list[float] = []
    pace = Pace(5.0, clock.monotonic, slept.append)
    for _ in range(3):
        pace.wait()
    assert slept == pytest.approx([0.2, 0.4])
    clock.advance(10)
    pace.wait()
    assert len(slept) == 2
