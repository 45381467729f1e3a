"""Brokers that are neither Mosquitto nor Debian's services: RabbitMQ and aedes, on free ports.

`make test-brokers` brings both into build/brokers. Both speak MQTT 3.1.1 alone, and both hang up on
a client that publishes what it may not.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.fakes.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = Path(__file__).parents[2]
BROUGHT = PROJECT / "build" / "brokers"
_USER = "edge"


def are_here() -> bool:
    """Whether both are."""
    modules = BROUGHT / "node_modules" / "aedes"
    return (BROUGHT / "rabbitmq" / "ready").exists() and modules.is_dir()


class _Server(ABC):
    """A broker in a process group of its own, killed with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._log = folder / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text("utf-8", "replace")

    def _run(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **env},
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _wait_for_port(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            assert self._processes[-1].poll() is None, self.log[-3000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{type(self).__name__} does not listen: {self.log[-3000:]}")

    def kill(self) -> None:
        """End it and everything that it has started."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it accepts connections."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Aedes(_Server):
    """Aedes, also over websockets on `web_port` under the path /farm/mqtt.

    Args:
        folder: For its log.
        refused: Beginnings of topics that nobody may publish to.
        filters: Beginnings of filters that nobody may listen to.
    """

    def __init__(
        self, folder: Path, refused: Sequence[str] = (), filters: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self.web_port = free_port()
        self._refused, self._filters = tuple(refused), tuple(filters)

    def start(self) -> None:
        """See `_Server`."""
        node = shutil.which("node")
        assert node is not None, "node is not installed: make test-brokers installs it"
        script = str(PROJECT / "tests" / "brokers" / "aedes.mjs")
        ports = (str(self.port), str(self.web_port))
        self._run([node, script, str(BROUGHT / "node_modules"), *ports], {})
        self._wait_for_port(20.0)
        self.refuse(self._refused, self._filters)

    def refuse(self, prefixes: Sequence[str] = (), filters: Sequence[str] = ()) -> None:
        """Refuse publications below these and these filters, and nothing else, from now on."""
        pipe = self._processes[0].stdin
        assert pipe is not None
        pipe.write(json.dumps({"publish": prefixes, "subscribe": filters}).encode() + b"\n")
        pipe.flush()


class RabbitMq(_Server):
    """RabbitMQ with its MQTT plugin; its user is `edge` with the same password.

    Args:
        folder: For everything that it writes.
        writable: Pattern of the topics that the user may publish to, in AMQP's form (dots).
    """

    def __init__(self, folder: Path, writable: str = ".*") -> None:
        super().__init__(folder)
        self._writable = writable
        self._names_port = free_port()
        self.login = (_USER, _USER)

    def start(self) -> None:
        """See `_Server`."""
        work, library = self.folder, BROUGHT / "rabbitmq" / "usr" / "lib"
        (work / "plugins").write_text("[rabbitmq_mqtt].", "utf-8")
        (work / "definitions.json").write_text(json.dumps(self._definitions()), "utf-8")
        (work / "rabbitmq.conf").write_text(
            f"listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"mqtt.allow_anonymous = false\nload_definitions = {work / 'definitions.json'}\n",
            "utf-8",
        )
        self._env = {
            "PATH": f"{library / 'erlang' / 'bin'}:{os.environ['PATH']}",
            "HOME": str(work),
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"n{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(work / "mnesia"),
            "RABBITMQ_LOG_BASE": str(work / "logs"),
            "RABBITMQ_CONF_ENV_FILE": str(work / "no-such-file"),
            "RABBITMQ_CONFIG_FILE": str(work / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(work / "no-such.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(work / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(work / "plugins"),
            "RABBITMQ_PID_FILE": str(work / "pid"),
        }
        (self._programs,) = (library / "rabbitmq" / "lib").glob("rabbitmq_server-*/sbin")
        # Started by Erlang, it would stay behind as a daemon.
        epmd = library / "erlang" / "bin" / "epmd"
        self._run([str(epmd), "-port", str(self._names_port)], self._env)
        self._run([str(self._programs / "rabbitmq-server")], self._env)
        self._wait_for_port(90.0)

    def allow_everything(self) -> None:
        """Lift the limit on topics."""
        rights = ["clear_topic_permissions", "-p", "/", _USER]
        subprocess.run(
            [str(self._programs / "rabbitmqctl"), "--quiet", *rights],
            env={**os.environ, **self._env},
            check=True,
            capture_output=True,
        )

    def _definitions(self) -> dict[str, Any]:
        salt = b"salt"
        digest = hashlib.sha256(salt + _USER.encode()).digest()
        user = {"name": _USER, "tags": "administrator", "limits": {}}
        user["password_hash"] = base64.b64encode(salt + digest).decode()
        user["hashing_algorithm"] = "rabbit_password_hashing_sha256"
        whose = {"user": _USER, "vhost": "/"}
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        topics = {"exchange": "amq.topic", "write": self._writable, "read": ".*"}
        return {
            "users": [user],
            "vhosts": [{"name": "/"}],
            "permissions": [whose | rights],
            "topic_permissions": [whose | topics],
        }
