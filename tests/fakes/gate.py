"""A TCP gate in front of a broker: it swallows what is sent, or cuts in the middle of a byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from tests.fakes.mosquitto import free_port


class Gate:
    """Listens on `port` and forwards to the broker's port while open."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self._swallows = threading.Event()

    def open(self) -> None:
        """Accept connections from now on."""
        self._swallows.clear()
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def swallow(self) -> None:
        """Lose everything that is sent from now on, as a dead link does before it is noticed."""
        self._swallows.set()

    def shut(self) -> None:
        """Cut everything; new connections are refused."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends, self._ends = self._ends, []
        for end in [*ends, *([listener] if listener is not None else [])]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if listener is not None:
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                if self._listener is not listener:
                    near.close()
                    far.close()
                    return
                self._ends += [near, far]
            done = threading.Semaphore(0)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, done), daemon=True).start()
            threading.Thread(target=self._finish, args=(near, far, done), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, done: threading.Semaphore) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65_536):
                if not self._swallows.is_set():
                    sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        done.release()

    def _finish(self, near: socket.socket, far: socket.socket, done: threading.Semaphore) -> None:
        done.acquire()
        done.acquire()
        for end in (near, far):
            end.close()
        with self._lock:
            self._ends = [end for end in self._ends if end not in {near, far}]

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
