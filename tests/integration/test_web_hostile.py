"""Rules S1 to S4: what a hostile client does to the server, over real sockets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from edge_agent.core.events import EventQueue, LoopBusy, LoopCall
from edge_agent.core.runtime import DATABASE
from edge_agent.settings import Web
from edge_agent.system.clock import SystemClock
from edge_agent.web import auth, server
from edge_agent.web.app import Application
from tests.fakes.shown_farm import ShownFarm

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSE = b"Connection: close\r\n\r\n"
HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[ShownFarm]:
    """A farm after an hour of work."""
    made = ShownFarm(tmp_path)
    made.work(1)
    yield made
    made.close()


@pytest.fixture
def port(farm: ShownFarm, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with little patience."""
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    monkeypatch.setattr(server, "_SWEEP_S", 0)
    with server.serving(
        Web(port=0),
        Application(
            snapshots=farm.snapshots,
            clock=SystemClock(),
            database=farm.runtime.state / DATABASE,
            token=lambda: None,
            ask=farm.ask,
        ),
    ) as given:
        assert given is not None
        yield given


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "localhost", "::1"])
def test_an_address_serves_its_families(farm: ShownFarm, host: str) -> None:
    """`::` serves IPv4 and IPv6, a name of both IPv4; clients of this machine are known as such."""
    clients = {"::": ("127.0.0.1", "[::1]"), "::1": ("[::1]",)}.get(host, ("127.0.0.1",))
    if not socket.has_dualstack_ipv6() and host.startswith("::"):
        pytest.skip("this machine has no IPv6")
    database = farm.runtime.state / DATABASE
    application = Application(farm.snapshots, farm.clock, database, lambda: None, farm.ask)
    with server.serving(Web(host=host, port=0), application) as port:
        for client in clients:
            address = f"http://{client}:{port}/api/latest"
            # The clock stands still: only a client that is not known as this machine has a pace.
            with httpx.Client() as asking:
                assert {asking.get(address).status_code for _ in range(auth.BURST + 1)} == {200}


@contextmanager
def _opened(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def _answer(connection: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    heard = b""
    # What was sent and not read makes the end a reset; the answer came before it.
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            heard += piece
    return heard


def _alive(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_s1_a_request_that_drips_in_is_cut(port: int) -> None:
    """A client that keeps sending, a byte at a time, loses its connection; others are served."""
    with _opened(port) as slow:
        slow.sendall(HEAD)
        cut = threading.Event()

        def drip() -> None:
            try:
                while not cut.wait(0.05):
                    slow.sendall(b"x")
            except OSError:
                cut.set()

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert _alive(port)
            assert cut.wait(15), "the slow client still holds its connection"
        finally:
            cut.set()
            thread.join()
    assert _alive(port)


def test_s1_a_client_that_waits_between_requests_is_not_cut(port: int) -> None:
    """A connection without a request under way is kept: the page asks again on it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/health").status_code == 200
        threading.Event().wait(0.8)
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n", b"413"),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", b"501"),
        (b"GET /health\0 HTTP/1.1\r\nHost: localhost\r\n" + CLOSE, b"404"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n" + CLOSE, b"404"),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n" + CLOSE, b"404"),
        (b"GET http://evil.example/api/latest HTTP/1.1\r\nHost: evil.example\r\n" + CLOSE, b"403"),
        (b"GET http://evil.example/api/latest HTTP/1.1\r\nHost: localhost\r\n" + CLOSE, b"403"),
        (b"GET http://[/api/latest HTTP/1.1\r\nHost: localhost\r\n" + CLOSE, b"400"),
    ],
)  # fmt: skip
def test_s2_what_is_too_long_or_malformed_is_refused(port: int, sent: bytes, status: bytes) -> None:
    """Refused with the right word, as JSON, no traceback, and the server goes on."""
    with _opened(port) as connection:
        connection.sendall(sent)
        heard = _answer(connection)
    assert heard.split(b" ")[1] == status
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert list(json.loads(body)) == ["error"]
    assert b"Traceback" not in heard
    assert b"root:" not in heard
    assert _alive(port)


@pytest.mark.parametrize("protocol", [b"1.0", b"1.1"])
@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"identity", b"chunked, chunked"])
def test_s7_a_body_of_two_lengths_is_refused(port: int, protocol: bytes, coding: bytes) -> None:
    """Whichever of the two a proxy believes, what follows is never answered as a request."""
    head = b"POST /login HTTP/" + protocol + b"\r\nHost: x\r\nConnection: keep-alive\r\n"
    lengths = b"Content-Length: 5\r\nTransfer-Encoding: " + coding + b"\r\n\r\n"
    with _opened(port) as connection:
        connection.sendall(head + lengths + b"0\r\n\r\n" + HEAD + CLOSE)
        heard = _answer(connection)
    assert heard.split(b" ")[1] in {b"400", b"501"}
    assert heard.count(b"HTTP/1.") == 1


def test_s2_a_body_without_end_is_cut(port: int) -> None:
    """A chunked body beyond the limit is refused while it still comes."""
    with _opened(port) as connection:
        connection.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall((b"1000\r\n" + b"a" * 4096 + b"\r\n") * 3)
        assert _answer(connection).split(b" ")[1] == b"413"


def test_s6_an_answer_that_nobody_takes_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks and never reads loses its connection, though nothing more can be sent."""
    monkeypatch.setattr(server, "TAKE_S", 0.3)
    # More than the buffers of the system take.
    monkeypatch.setattr(server, "PIPELINED", 200)
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        greedy.settimeout(20)
        greedy.connect(("127.0.0.1", port))
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * server.PIPELINED)
        # Reading is what it does not do; the end is seen by the write that fails.
        with pytest.raises(ConnectionError):
            _send_for_ten_seconds(greedy)
    assert _alive(port)


def _send_for_ten_seconds(connection: socket.socket) -> None:
    for _ in range(200):
        threading.Event().wait(0.05)
        connection.sendall(b"\r\n")


def test_s6_a_client_asks_no_more_at_once_than_is_answered(port: int) -> None:
    """Eight requests in one packet are answered in order; of hundreds the connection ends."""
    one = b"GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with _opened(port) as connection:
        connection.sendall(one * (server.PIPELINED - 1) + last)
        assert _answer(connection).count(b"HTTP/1.1 200 OK") == server.PIPELINED
    with _opened(port) as connection, suppress(ConnectionError):
        connection.sendall(one * 150 + last)
        assert _answer(connection).count(b"HTTP/1.1 200 OK") <= server.PIPELINED + 1
    assert _alive(port)


def test_s3_one_address_has_a_share_of_the_connections(port: int) -> None:
    """The connections beyond the share are closed at once; when some end there is room again."""
    with ExitStack() as held:
        for _ in range(server.PER_ADDRESS):
            held.enter_context(_opened(port)).sendall(b"G")
        with _opened(port) as one_more:
            try:
                one_more.sendall(HEAD + b"\r\n")
                assert _answer(one_more) == b""
            except ConnectionError:
                pass
    assert _alive(port)


def test_s4_a_command_waits_for_the_loop_and_only_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told that there are too many; a loop that never comes makes it busy."""
    monkeypatch.setattr(server, "ANSWER_S", 0.2)
    inbox = EventQueue()
    ask = server.asker(inbox.put, lambda name, _: (True, name))
    with pytest.raises(LoopBusy):
        ask("predict", b"")
    late = inbox.get(0.0)
    assert isinstance(late, LoopCall)
    monkeypatch.setattr(server, "ANSWER_S", 20.0)
    first: list[object] = []
    thread = threading.Thread(target=lambda: first.append(ask("sync", b"")))
    thread.start()
    errand = inbox.get(20.0)
    assert isinstance(errand, LoopCall)
    assert ask("sync", b"") is None
    errand.call()
    thread.join()
    assert first == [(True, "sync")]


def test_hours_are_worked_while_thousands_ask(farm: ShownFarm, port: int) -> None:
    """Every request of a flood is answered, and cycles are worked meanwhile."""
    answered: list[int] = []

    def flood() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(150):
                answered.append(client.get("/api/latest").status_code)
                answered.append(client.get("/metrics").status_code)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        farm.clock.advance(60)
        farm.decision = farm.runtime.run_cycle()[0]
        farm.snapshots.update(farm.runtime, farm.decision)
    for thread in threads:
        thread.join()
    assert answered == [200] * 1200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_requests_a_second_do_not_delay_a_cycle() -> None:
    """For 30 s; median cycles with the flood stay within twice those without."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.speed.web", "30", "1000"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    quiet: list[int] = []
    flooded: list[int] = []
    for line in done.stdout.splitlines():
        if found := re.match(r"cycle: median (\d+) ms", line):
            (flooded if "requests/s" in line else quiet).append(int(found[1]))
    assert len(quiet) == len(flooded) == 2
    assert sum(flooded) <= 2 * sum(quiet)
