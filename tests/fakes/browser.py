"""A real Chromium, driven over its DevTools protocol: what it shows, asks for and complains of."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = shutil.which("chromium")
_PATIENCE_S = 20.0


class _Navigated(Exception):  # noqa: N818 - no fault
    """The page went to another one before it could answer."""


class Browser:
    """One window; use it as a context.

    Args:
        folder: For its profile.
        pump: Called again and again while it waits.

    Attributes:
        requests: Addresses of every request it made.
        complaints: Errors and warnings of the console, and exceptions of scripts.
    """

    def __init__(self, folder: Path, pump: Callable[[], object] = lambda: None) -> None:
        self._folder = folder
        self._pump = pump
        self._number = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        assert PROGRAM, "chromium is missing: run `make system`"
        self._process = subprocess.Popen(
            [
                PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
                "--remote-debugging-port=0", f"--user-data-dir={self._folder}", "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        place = self._folder / "DevToolsActivePort"
        self._until(lambda: place.exists() and place.read_text().count("\n") >= 1)
        port, path = place.read_text().splitlines()[:2]
        self._socket = connect(f"ws://127.0.0.1:{port}{path}", max_size=50_000_000)
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

    def open(self, address: str, width: int, height: int = 900) -> None:
        """Show an address in a window of a size, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call("Page.navigate", url=address)
        self.wait(
            "document.readyState === 'complete' && location.href.startsWith("
            f"{json.dumps(address.partition('?')[0])})"
        )

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script gives
        """Value of an expression in the page; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression is true; it may have to wait for another page first."""

        def holds() -> bool:
            try:
                return bool(self.run(f"Boolean({script})"))
            except _Navigated:
                return False

        self._until(holds)

    def press(self, key: str, code: int) -> None:
        """One key on the keyboard."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One call of the protocol; events that come meanwhile are noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            self._pump()
            try:
                heard = json.loads(self._socket.recv(timeout=0.05))
            except TimeoutError:
                continue
            if heard.get("id") == self._number:
                if "navigated" in heard.get("error", {}).get("message", ""):
                    raise _Navigated
                assert "error" not in heard, heard["error"]
                result: dict[str, Any] = heard["result"]
                return result
            self._note(heard.get("method"), heard.get("params", {}))
        raise AssertionError(f"{method}: no answer")

    def _note(self, event: str | None, about: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Log.entryAdded" if about["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(about["entry"]["text"])
            case "Runtime.consoleAPICalled" if about["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(about["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(about["exceptionDetails"]["text"])
            case _:
                pass

    def _until(self, true: Callable[[], object]) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < end, "the browser did not come so far in time"
            self._pump()
            time.sleep(0.05)
