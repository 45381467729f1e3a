"""The HTTP server: threads beside the loop, and limits against hostile clients.

S1  A request must be complete `REQUEST_S` after its first byte.
S2  A request's head is at most `HEAD_BYTES`, its body `BODY_BYTES`.
S3  One address holds at most `PER_ADDRESS` connections, all together at most `CONNECTIONS`.
S4  A command waits at most `ANSWER_S` for the loop, and only one at a time.
S5  What is refused before the application sees it is answered in the application's form.
S6  A client takes its answers within `TAKE_S`, and asks at most `PIPELINED` times before that.
S7  Where a request ends is clear, or it is refused: nothing is smuggled past a proxy.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from edge_agent.core.events import on_loop
from edge_agent.web.api.routes import JSON
from edge_agent.web.api.schemas import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_agent.core.events import Item
    from edge_agent.settings import Web
    from edge_agent.web.app import Application, Ask

_log = logging.getLogger(__name__)

REQUEST_S: Final = 10.0
TAKE_S: Final = 120.0
PIPELINED: Final = 8
HEAD_BYTES: Final = 65_536
BODY_BYTES: Final = 8_192
CONNECTIONS: Final = 100
PER_ADDRESS: Final = 30
ANSWER_S: Final = 5.0
_THREADS: Final = 3
_SWEEP_S: Final = 2


class _RefusedRequest(ErrorTask):  # type: ignore[misc] # waitress ships no types
    """Answers a request that waitress itself refuses, as JSON like every other fault (S5)."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = msgspec.json.encode(Fault(error=f"{error.reason}: {error.body}"))
        self.content_length = len(body)
        self.response_headers += [("Content-Type", JSON), ("Cache-Control", "no-store")]
        self.set_close_on_finish()
        self.write(body)


class _Parser(HTTPRequestParser):  # type: ignore[misc] # as above
    """Refuses a body of two lengths, of which a proxy in front may believe the other (S7)."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as fault:  # an address that cannot be split, such as http://[/
            raise ParsingError("Bad URI") from fault
        # Waitress has taken a Transfer-Encoding that it follows out of the headers.
        both = self.chunked and "CONTENT_LENGTH" in self.headers
        if both or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding contradict each other")


class _Channel(HTTPChannel):  # type: ignore[misc] # waitress ships no types
    """A connection that remembers when its request began (S1) and answers began to wait (S6)."""

    error_task_class = _RefusedRequest
    parser_class = _Parser
    since: float | None = None
    waits_since: float | None = None

    def received(self, data: bytes) -> bool:
        took = bool(super().received(data))
        if self.request is None:
            self.since = None
        elif self.since is None:
            self.since = time.monotonic()
        if len(self.requests) > PIPELINED:
            with self.requests_lock:
                for request in self.requests[PIPELINED:]:
                    request.close()
                del self.requests[PIPELINED:]
            self.will_close = True
        return took

    def is_taken_too_slowly(self, moment: float) -> bool:
        """Whether what waits to be sent has done so for too long; looked at again and again."""
        if not self.total_outbufs_len:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = moment
        return self.waits_since is not None and moment - self.waits_since > TAKE_S


class _Server(TcpWSGIServer):  # type: ignore[misc] # as above
    """Waitress, with S1, S3 and S6."""

    channel_class = _Channel

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        moment = time.monotonic()
        for channel in tuple(self.active_channels.values()):
            if channel.since is not None and moment - channel.since > REQUEST_S:
                channel.will_close = True
            if channel.is_taken_too_slowly(moment):
                # Waitress would close it when more can be sent, which may be never.
                channel.handle_close()

    def set_socket_options(self, conn: Any) -> None:  # noqa: ANN401 - a socket, untyped there
        super().set_socket_options(conn)
        address = conn.getpeername()[0]
        held = sum(channel.addr[0] == address for channel in self.active_channels.values())
        if held >= PER_ADDRESS:
            conn.close()
            raise ConnectionRefusedError(f"{address} holds {held} connections")


@contextmanager
def serving(settings: Web, application: Application) -> Iterator[int | None]:
    """Serve as long as the context lasts; yields the port.

    Where the port is taken, logs it and yields None: the farm needs its alerts without a page.

    Args:
        settings: `[web]`, switched on.
        application: Answers the requests.
    """
    try:
        listening = _listen(settings.host, settings.port)
    except OSError as fault:
        where = f"{settings.host}:{settings.port}"
        _log.warning("web: %s: %s: change web.host or web.port", where, fault.strerror)
        yield None
        return
    dispatcher = ThreadedTaskDispatcher()
    # Threads are few, so requests wait for one often. That is no reason for a line in the log.
    dispatcher.queue_logger.setLevel(logging.ERROR)
    with listening:
        server = _server(application, listening, dispatcher)
        dispatcher.set_thread_count(_THREADS)
        thread = threading.Thread(target=server.run, name="web", daemon=True)
        thread.start()
        port = int(server.effective_port)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        _log.info("web: http://%s:%d/", host, port)
        try:
            yield port
        finally:
            dispatcher.shutdown(timeout=1)
            # Closed on its own thread, whose loop then has no connection left and ends.
            server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))  # noqa: SLF001 - waitress has no other end
            thread.join(timeout=2)


def _server(
    application: Application, listening: socket.socket, dispatcher: ThreadedTaskDispatcher
) -> _Server:
    return _Server(
        application,
        _sock=listening,
        bind_socket=False,
        sockinfo=(listening.family, listening.type, None, listening.getsockname()),
        dispatcher=dispatcher,
        adj=Adjustments(
            sockets=[listening],
            threads=_THREADS,
            ident=None,
            connection_limit=CONNECTIONS,
            channel_timeout=30,
            cleanup_interval=_SWEEP_S,
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=BODY_BYTES,
            inbuf_overflow=BODY_BYTES * 2,
            asyncore_use_poll=True,
            log_socket_errors=False,
            # The application looks at them itself: they show that a proxy is in front.
            clear_untrusted_proxy_headers=False,
        ),
    )


def asker(put: Callable[[Item], None], work: Ask) -> Ask:
    """Has the loop work commands, one at a time (S4).

    Args:
        put: Puts an item into the loop's queue.
        work: `Worker.ask`; called on the loop's thread.
    """
    busy = threading.Lock()

    def ask(name: str, payload: bytes) -> tuple[bool, str] | None:
        if not busy.acquire(blocking=False):
            return None
        try:
            return on_loop(put, lambda: work(name, payload), ANSWER_S)
        finally:
            busy.release()

    return ask


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Of a name with addresses of both families, such as localhost, the one that proxies ask.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, dualstack_ipv6=both)
