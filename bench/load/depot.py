"""Many agents polling one depot behind a real nginx: requests/s, latency, CPU, bytes.

    python -m bench.load.depot [AGENTS] [POLLS]

Each agent connects, asks for the next root and the timestamp as an agent does when nothing changed,
and hangs up. Client and server share this machine, so the figures are a lower bound for nginx.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.depot import Yard

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

CONF = (ROOT / "deploy/nginx.conf").read_text("utf-8")
NAMES = ("metadata/2.root.json", "metadata/timestamp.json")


async def poll(port: int, taken: list[float], received: list[int]) -> None:
    """One unchanged poll."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name in NAMES:
        writer.write(f"GET /{name} HTTP/1.1\r\nHost: depot\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        received.append(len(head) + length)
    writer.close()
    await writer.wait_closed()
    taken.append(time.perf_counter() - began)


async def load(port: int, agents: int, polls: int) -> tuple[float, list[float], int]:
    """`agents` at once, each `polls` times."""
    taken: list[float] = []
    received: list[int] = []

    async def agent() -> None:
        for _ in range(polls):
            await poll(port, taken, received)

    began = time.perf_counter()
    await asyncio.gather(*(agent() for _ in range(agents)))
    return time.perf_counter() - began, taken, sum(received)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def nginx(depot: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """A real nginx on a depot with the project's own configuration: port and process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    site = CONF.replace("/srv/farm-edge/depot", str(depot))
    site = site.replace("listen 8080;", f"listen 127.0.0.1:{port} backlog=4096;")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; {temporary}\n{site}\n}}\n"
    )
    words = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(conf), "-e", "stderr"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as server:
        time.sleep(0.5)
        yield port, server.pid
        server.terminate()


def main() -> None:
    """Print one line of figures."""
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    polls = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as folder:
        yard = Yard.make(Path(folder) / "yard")
        yard.publish("one")
        with nginx(yard.depot, Path(folder)) as (port, process):
            before = cpu_s(process)
            seconds, taken, received = asyncio.run(load(port, agents, polls))
            spent = cpu_s(process) - before
    taken.sort()
    count = len(taken)
    print(
        f"{agents} agents, {count} polls, {2 * count} requests in {seconds:.1f} s: "
        f"{2 * count / seconds:.0f} requests/s, poll p50 {taken[count // 2] * 1e3:.0f} ms, "
        f"p99 {taken[count * 99 // 100] * 1e3:.0f} ms; nginx {spent / count * 1e6:.0f} us CPU a "
        f"poll, {received / count:.0f} bytes received a poll"
    )


if __name__ == "__main__":
    main()
