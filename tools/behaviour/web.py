"""Every answer of the status page and its interface, from a service on a device that has worked."""

from __future__ import annotations

import json
import re
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from tools.behaviour.device import Device

TOKEN: Final = {"Authorization": "Bearer a-token-of-the-page"}
ASKED: Final = (
    ("GET", "/health", False),
    ("GET", "/", True),
    ("GET", "/?lang=en", True),
    ("GET", "/?lang=ko", True),
    ("GET", "/", False),
    ("GET", "/page.css", True),
    ("GET", "/page.js", True),
    ("GET", "/icon.svg", True),
    ("GET", "/favicon.ico", True),
    ("GET", "/history", True),
    ("GET", "/api/openapi.json", True),
    ("GET", "/openapi.json", True),
    ("GET", "/api/latest", True),
    ("GET", "/api/forecasts?limit=2", True),
    ("GET", "/api/forecasts?limit=0", True),
    ("GET", "/api/forecasts?before=yesterday", True),
    ("GET", "/api/forecast.csv", True),
    ("GET", "/api/forecast.parquet", True),
    ("GET", "/api/alerts", True),
    ("GET", "/api/alerts/history?limit=20", True),
    ("GET", "/api/observations?limit=40", True),
    ("GET", "/api/observations?nothing=1", True),
    ("GET", "/api/observations.csv?days=1", True),
    ("GET", "/api/observations.parquet?days=1", True),
    ("GET", "/api/release", True),
    ("GET", "/api/health", True),
    ("GET", "/api/alerts", False),
    ("GET", "/no/such/page", True),
    ("DELETE", "/api/alerts", True),
    ("HEAD", "/api/alerts", True),
    ("POST", "/api/commands/predict", True),
    ("POST", "/api/commands/ack", True),
    ("POST", "/api/commands/predict", False),
    ("POST", "/api/commands/rollback", True),
    ("GET", "/api/commands/predict", True),
)
_PASSING: Final = re.compile(
    r'("(?:disk_free_bytes|cycle_s|uptime_s|memory_bytes|disk_total_bytes)": ?)[\d.]+'
)
_FREE: Final = re.compile(r"<span>[\d.]+ [GM]B</span>")
_LABELLED: Final = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) .*$")


def record(device: Device) -> int:
    """Write the answers of a device's service; how many."""
    url = f"http://127.0.0.1:{device.held.number}"
    with device.service(device.after), httpx.Client(base_url=url, timeout=30.0) as client:
        try:
            _until_ready(client)
        except TimeoutError as fault:
            raise TimeoutError((device.root / "run.log").read_text("utf-8")) from fault
        for number, (method, path, known) in enumerate(ASKED):
            answer = client.request(method, path, headers=TOKEN if known else {})
            name = f"web/{number:02} {method} {path.strip('/').replace('/', '_') or 'page'}.txt"
            device.out.text(name, _told(method, path, answer))
        lines = client.get("/metrics", headers=TOKEN).text.splitlines()
    device.out.lines("web/metrics.txt", [_LABELLED.sub(r"\1", one) for one in lines])
    return len(ASKED) + 1


def _until_ready(client: httpx.Client) -> None:
    """Wait for the first cycle, the pull of the start and the first try of the broker."""
    for _ in range(600):
        try:
            health = client.get("/api/health", headers=TOKEN).json()
            if health.get("updated_at") and health["mqtt"]["problem"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the service does not answer")


def _told(method: str, path: str, answer: httpx.Response) -> str:
    media = answer.headers.get("content-type", "")
    if "parquet" in media:
        body = f"{len(answer.content)} bytes, sha256 {sha256(answer.content).hexdigest()}"
    elif "json" in media and answer.content:
        body = json.dumps(answer.json(), ensure_ascii=False, indent=1)
        body = _PASSING.sub(r"\1<VALUE>", body)
    else:
        body = _FREE.sub("<span><BYTES></span>", answer.text).replace("><", ">\n<")
    kept = {
        name: value
        for name, value in sorted(answer.headers.items())
        if name not in {"date", "etag", "content-length", "server"}
    }
    head = "".join(f"{name}: {value}\n" for name, value in kept.items())
    return f"{method} {path}\n{answer.status_code}\n{head}\n{body}\n"
