"""A page in a real browser: Chromium, without a window."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gancli.page import files
from gancli.page.run_data import RunData, make_names_distinct, of_directory
from tests.page import made
from tests.page.made import HOSTILE, evaluation, row

pytestmark = pytest.mark.slow  # a browser takes seconds to start
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_S = 120
FOUND = re.compile(r'<pre id="found">(.*?)</pre>', re.DOTALL)
# A test's script is a part of the page's own, as its policy lets no other run.
REPORT = """
const report = (found) => {
  const place = document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify(found);
  document.body.append(place);
};
addEventListener("error", (event) => report({ error: event.message }));
setTimeout(async () => {
  try { report(await (async () => { %s })()); } catch (error) { report({ error: String(error.stack) }); }
}, 100);
"""
USE = """
  const tick = () => new Promise((done) => setTimeout(done, 20)); // uPlot draws after the script has ended
  const shown = () => charts[0].plot.scales.x;
  const labels = [...document.querySelectorAll(".u-label")].map((each) => each.textContent);
  const change = async (id, name, value) => {
    document.getElementById(id)[name] = value;
    for (const kind of ["input", "change"]) document.getElementById(id).dispatchEvent(new Event(kind));
    await tick();
  };
  const canvases = document.querySelectorAll("canvas").length;
  const found = { canvases, charts: charts.length, labels, ranges: [] };
  document.getElementById("in").click(); await tick();
  found.zoomed = [shown().min, shown().max];
  document.getElementById("all").click(); await tick();
  found.all = [shown().min, shown().max];
  document.querySelectorAll(".u-series th")[1].click(); await tick();
  found.shown = charts[0].plot.series[1].show;
  await change("log", "checked", true);
  await change("smooth", "value", 20);
  found.smoothed = document.getElementById("smoothed").textContent;
  for (const { value } of [...document.getElementById("over").options]) {
    await change("over", "value", value);
    found.ranges.push([value, ...charts.map((chart) => chart.plot.scales.x.max)]);
  }
  found.still = charts[0].plot.series[1].show;
  await change("slider", "value", 0);
  found.sample = document.querySelector("[data-run] figcaption").textContent;
  const alien = document.createElement("script");
  alien.textContent = "window.broken = true";
  document.body.append(alien);
  found.broken = window.broken ?? false;
  found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return found;
"""


def in_browser(place: Path, runs: list[RunData], script: str, *options: str) -> dict[str, Any]:
    """What `script`, the body of a function, returns in the page of these runs. Skips the test where no browser is."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no {NAMES[0]} is installed to open pages in (apt-get install chromium)")
    honest, page = files._read, place / "tested.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_read", lambda name: honest(name) + (REPORT % script if name == "page.js" else ""))
        page.write_bytes(files.render(runs))
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as which Chromium starts only without its sandbox
    command = [
        program, "--headless=new", *(["--no-sandbox"] if root else []), "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={place / 'profile'}", "--virtual-time-budget=4000", *options, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    found = FOUND.search(done.stdout.decode("utf-8"))
    assert found, "the page's script did not end"
    value = json.loads(html.unescape(found[1]))
    assert "error" not in value, value
    return dict(value)


def test_a_page_can_be_used_on_a_phone_and_runs_nothing_that_a_runs_files_hold(tmp_path: Path) -> None:
    rows = [row(s, phase="one" if s < 40 else HOSTILE, **{HOSTILE: -1.0}) for s in range(1, 101)]
    rows += [row(101, d_loss=1e308), row(102, d_loss=-1e308, g_loss=1e-320), row(103, d_loss=None)]
    one = made.run(
        tmp_path / "<img src=x onerror=alert(1)>",
        [*rows, evaluation(100, best=True)],
        f"{made.CONFIG}[came_to]\nbatch_size = 64\n",
    )
    two = made.run(tmp_path / "two", [row(10)], f"{made.CONFIG}[came_to]\nbatch_size = 128\n")
    runs = [of_directory(place) for place in (one, two)]
    make_names_distinct(runs)
    found = in_browser(tmp_path, runs, USE, "--window-size=500,900")
    assert found["canvases"] == found["charts"]
    assert {"steps", "two", "<img src=x onerror=alert(1)>", "real images"} <= set(found["labels"])
    assert found["zoomed"] == [25.75, 77.25]
    assert found["all"] == [0, 103]
    assert (found["shown"], found["still"]) == (False, False), "a curve that was taken out stays out"
    assert found["smoothed"] == "over 21 steps"
    assert [each[:2] for each in found["ranges"]] == [["steps", 103], ["images", 103 * 64], ["time", 10.3]]
    assert found["sample"] == "step 10"
    assert (found["broken"], found["wide"]) == (False, 0)
