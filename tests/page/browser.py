"""Pages in a real browser: Chromium, without a window. A test's script runs as a part of the page's own, as its policy lets
no other run, and what it finds comes back as JSON."""

import functools
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gancli.page import document
from gancli.page.markup import Markup
from gancli.page.run import Run

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = re.compile(r'<pre id="found">(.*?)</pre>', re.DOTALL)
TIMEOUT_S = 120
TELL = """
addEventListener("error", (event) => tell({ error: event.message }));
function tell(found) {
  const place = document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify(found);
  document.body.append(place);
}
try { tell((() => { %s })()); } catch (error) { tell({ error: String(error.stack) }); }
"""


@functools.cache
def program() -> str:
    """The browser; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no {NAMES[0]} is installed to open pages in (apt-get install chromium)")
    return found


def started(place: Path, page: Path, *options: str, width: int = 1280, height: int = 900, dark: bool = False) -> bytes:
    """What the browser writes to stdout of a page in a window of that size."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as which Chromium starts only without its sandbox
    command = [
        program(), "--headless=new", *(["--no-sandbox"] if root else []), "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={place / 'profile'}", f"--window-size={width},{height}", "--virtual-time-budget=2000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    return done.stdout


def found(place: Path, runs: list[Run], script: str, **window: Any) -> Any:
    """What `script`, the body of a function, returns in the page of these runs."""
    honest = document._file

    def with_test(name: str) -> Markup:
        return Markup(honest(name) + (TELL % script if name == "page.js" else ""))

    page = place / "tested.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_file", with_test)
        page.write_bytes(document.page(runs))
    told = FOUND.search(started(place, page, "--dump-dom", **window).decode("utf-8"))
    assert told, "the page's script did not come to its end"
    value = json.loads(html.unescape(told[1]))
    assert not (isinstance(value, dict) and "error" in value), value
    return value


def picture(place: Path, page: Path, **window: Any) -> Path:
    """A screenshot of a page."""
    shot = place / "shot.png"
    started(place, page, f"--screenshot={shot}", **window)
    return shot
