"""Chromium without a window, by its DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_S = 60.0
# Chromium reads from descriptor 3 and writes to 4, of which either may be the other's now.
START = """
import os, sys
for place, there in zip(sys.argv[1:3], (100, 101)): os.dup2(int(place), there)
for there, wanted in ((100, 3), (101, 4)): os.dup2(there, wanted); os.close(there)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A page in Chromium. `requests`: the addresses that it has asked for."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._ids = write, read, itertools.count(1)
        self._answers = Queue[dict[str, Any]]()
        self._session = ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "DOM"):
            self.call(f"{domain}.enable")

    def _listen(self) -> None:
        rest = b""
        while data := os.read(self._read, 1 << 16):
            *messages, rest = (rest + data).split(b"\0")
            for message in map(json.loads, messages):
                if message.get("method") == "Network.requestWillBeSent":
                    self.requests.append(message["params"]["request"]["url"])
                elif message.get("method") == "Runtime.exceptionThrown":
                    self.errors.append(str(message["params"]["exceptionDetails"]))
                elif "id" in message:
                    self._answers.put(message)

    def call(self, method: str, **params: Any) -> Any:
        """The result of a method of the protocol."""
        number = next(self._ids)
        session = {"sessionId": self._session} if self._session else {}
        message = json.dumps({"id": number, "method": method, "params": params, **session})
        os.write(self._write, message.encode() + b"\0")
        while True:
            try:
                answer = self._answers.get(timeout=TIMEOUT_S)
            except Empty:
                raise AssertionError(f"{method}: no answer") from None
            if answer["id"] == number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until an expression in the page is true, and return its value."""
        end = time.monotonic() + timeout_s
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"not within {timeout_s:g} s: {script}; the page: {self.text()[:2000]}"
            time.sleep(0.02)
        return found

    def text(self) -> str:
        return str(self.run("document.body?.innerText ?? ''"))

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url=url)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def upload(self, selector: str, path: Path) -> None:
        """Choose a file, as a person does in the dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile. Skips the test where none is installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None or not hasattr(os, "fork"):
        pytest.skip(f"no {NAMES[0]} is installed to open the page in (apt-get install chromium)")
    their_read, our_write = os.pipe()
    our_read, their_write = os.pipe()
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as which Chromium starts only without its sandbox
    words = [
        program, "--headless=new", *(["--no-sandbox"] if root else []), "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
        "--remote-debugging-pipe",
    ]  # fmt: skip
    start = [sys.executable, "-c", START, str(their_read), str(their_write), *words]
    process = subprocess.Popen(
        start, pass_fds=(their_read, their_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(their_read)
    os.close(their_write)
    try:
        yield Browser(our_write, our_read)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(our_write)
