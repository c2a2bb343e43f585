"""Pages as a browser shows them, and as people use them there."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gancli.page import document
from gancli.page.run import Run, of_directory, tell_apart
from tests.page import browser, made
from tests.page.made import HOSTILE, evaluation, row

pytestmark = pytest.mark.slow  # a browser takes seconds to start
CURVES = """
  const chart = document.querySelector(".chart"), plot = () => chart.querySelector(".plot");
  const paths = () => [...chart.querySelectorAll(".curve:not(.swatch *)")].map((each) => each.getAttribute("d"));
  const labels = () => [...plot().querySelectorAll("text")].map((each) => each.textContent);
  const key = (name, more) => plot().dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, ...more }));
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    browser.program()
    rows = [
        *(row(step, phase="one" if step < 40 else "two") for step in range(1, 101)),
        *(evaluation(s, best=True) for s in (50, 100)),
    ]
    return [of_directory(made.run(tmp_path_factory.mktemp("runs") / "mine", rows))]


def test_a_drag_over_a_chart_zooms_all_charts_and_a_double_click_shows_all(tmp_path: Path, runs: list[Run]) -> None:
    script = CURVES + """
      const pointer = (kind, share) => {
        const box = plot().getBoundingClientRect();
        const at = { clientX: box.left + share * box.width, clientY: box.top + 50, button: 0, pointerId: 1, bubbles: true };
        plot().dispatchEvent(new PointerEvent(kind, at));
      };
      const before = paths();
      pointer("pointerdown", 0.5); pointer("pointermove", 0.7);
      const spanned = plot().querySelectorAll(".span").length;
      pointer("pointerup", 0.75);
      const zoomed = [view.first, view.last], near = paths(), said = document.getElementById("said").textContent;
      const all = document.getElementById("all").disabled;
      plot().dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
      return { spanned, zoomed, all, said, changed: near[0] !== before[0], back: paths()[0] === before[0] };
    """  # fmt: skip
    found = browser.found(tmp_path, runs, script)
    first, last = found["zoomed"]
    assert 40 < first < 55
    assert 65 < last < 80
    assert found["said"] == f"Steps {first} to {last}"
    assert (found["spanned"], found["changed"], found["back"], found["all"]) == (1, True, True, False)


def test_the_keyboard_zooms_moves_and_reads_out(tmp_path: Path, runs: list[Run]) -> None:
    script = CURVES + """
      plot().focus();
      key("+");
      const near = [view.first, view.last];
      key("ArrowRight", { shiftKey: true });
      const along = [view.first, view.last];
      key("Escape");
      const all = [view.first, view.last], focused = document.activeElement === plot();
      key("End"); key("ArrowLeft");
      return { near, along, all, focused, told: chart.querySelector(".where").textContent,
               said: document.getElementById("said").textContent };
    """  # fmt: skip
    found = browser.found(tmp_path, runs, script)
    assert found["near"] == [25, 75]
    assert found["along"][0] > 35
    assert found["all"] == [0, 100]
    assert found["focused"], "drawing anew takes the focus from nobody"
    assert found["told"].startswith("step 99: D loss 0.905, G loss 0.")
    assert found["said"] == found["told"]


def test_a_log_scale_has_powers_of_ten_and_smoothing_a_smoother_curve(tmp_path: Path) -> None:
    rows = [row(step, d_loss=10.0 ** (-step % 5), g_loss=-1.0) for step in range(1, 60)]
    script = CURVES + """
      const rough = paths(), linear = labels();
      document.getElementById("log").click();
      const log = labels();
      const slider = document.getElementById("smooth");
      slider.value = 20;
      slider.dispatchEvent(new Event("input"));
      return { linear, log, told: document.getElementById("smoothed").textContent,
               curves: chart.querySelectorAll("path.curve").length, faint: chart.querySelectorAll("path.faint").length };
    """  # fmt: skip
    found = browser.found(tmp_path, [of_directory(made.run(tmp_path / "a", rows))], script)
    assert {"1", "10", "100", "1,000"} <= set(found["log"])
    assert "10,000" in found["linear"]
    assert found["told"] == "over 12 steps"
    assert (found["curves"], found["faint"]) == (4, 2)


def test_a_curve_is_taken_out_by_its_button_and_put_back(tmp_path: Path, runs: list[Run]) -> None:
    script = CURVES + """
      const [d] = chart.querySelectorAll(".legend button"), before = paths().length;
      d.click();
      const without = paths().length, pressed = d.getAttribute("aria-pressed");
      d.click();
      return [before, without, pressed, paths().length];
    """  # fmt: skip
    assert browser.found(tmp_path, runs, script) == [2, 1, "false", 2]


def test_the_slider_goes_through_the_samples(tmp_path: Path, runs: list[Run]) -> None:
    script = """
      const slider = document.getElementById("slider"), picture = document.querySelector("[data-run] img");
      const at = () => [picture.src.length > 30, picture.alt, document.querySelector("[data-run] figcaption").textContent];
      const last = picture.src, told = [at()];
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
      return { told: [...told, at()], other: picture.src !== last, text: slider.getAttribute("aria-valuetext"),
               shown: !document.querySelector('[data-controls="samples"]').hidden };
    """
    found = browser.found(tmp_path, runs, script)
    assert found["told"] == [
        [True, "Samples of mine at step 100", "step 100"],
        [True, "Samples of mine at step 10", "step 10"],
    ]
    assert (found["other"], found["text"], found["shown"]) == (True, "step 10", True)


ODD = [
    [row(1, d_loss=None, d_real=None)],
    [row(s, d_loss=1e308 * (-1) ** s, g_loss=1e-320, d_real=0.0, images_per_s=0) for s in range(1, 5)],
    [row(2**53 - 1 - s, **{HOSTILE: 1.0, "phase": HOSTILE}) for s in range(3)],
]


@pytest.mark.parametrize("rows", ODD, ids=["one row", "extreme values", "hostile names, extreme steps"])
def test_odd_curves_are_drawn_by_whole_numbers(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """In both scales, zoomed in and out, over whatever there is: no coordinate is NaN or infinite."""
    script = """
      const seen = () => document.querySelector(".charts").innerHTML;
      const states = [seen()];
      document.getElementById("log").click(); states.push(seen());
      document.getElementById("nearer").click(); states.push(seen());
      document.getElementById("log").click(); document.getElementById("farther").click(); states.push(seen());
      const over = document.getElementById("over");
      for (const { value } of [...over.options]) {
        over.value = value;
        over.dispatchEvent(new Event("change"));
        states.push(seen());
        document.getElementById("nearer").click(); states.push(seen());
      }
      return states.map((text) => /NaN|Infinity|undefined/.test(text));
    """
    run = of_directory(made.run(tmp_path / "a", rows, made.CONFIG + "[came_to]\nbatch_size = 64\n"))
    assert browser.found(tmp_path, [run], script) == [False] * 10


def test_curves_lie_over_time_or_images_and_the_nearest_of_each_run_is_read_out(tmp_path: Path) -> None:
    """One run takes 1 s a step of 64 pictures, the other 3 s a step of 128."""
    both = []
    for name, seconds, batch_size in (("fast", 1.0, 64), ("slow", 3.0, 128)):
        rows = [
            row(step, elapsed_s=step * seconds, phase="one" if step < 200 else "two") for step in range(10, 601, 10)
        ]
        both.append(
            of_directory(made.run(tmp_path / name, rows, f"{made.CONFIG}[came_to]\nbatch_size = {batch_size}\n"))
        )
    script = CURVES + """
      const over = document.getElementById("over"), found = [], phases = [];
      for (const value of ["time", "images", "steps"]) {
        over.value = value;
        over.dispatchEvent(new Event("change"));
        phases.push(plot().querySelectorAll(".phase").length);
        const under = labels().slice(-4 - phases.at(-1));
        found.push([document.getElementById("said").textContent, chart.querySelector("h3").textContent, under, whole.last]);
        key("Home"); found.push(chart.querySelector(".where").textContent);
        key("End"); found.push(chart.querySelector(".where").textContent);
        key("+");
      }
      const zoomed = [view.first, view.last];
      return { found, phases, zoomed };
    """  # fmt: skip
    seen = browser.found(tmp_path, both, script)
    time, images, steps = (seen["found"][at : at + 3] for at in (0, 3, 6))
    assert time[0][0] == "Over time. 0 s to 30 min"
    assert time[0][1] == "D loss over time"
    assert time[0][2] == ["0 min", "10 min", "20 min", "30 min"]
    assert time[1].startswith("10 s: fast 1.35, slow 1.35")  # the slow run's first row is at 30 s, near enough
    assert time[2] == "30 min: slow -1.6", "the fast run was over by then"
    assert images[0][0] == "Over images. 0 images to 76,800 images"
    assert images[0][3] == 600 * 128
    assert images[2].startswith("76,800 images: slow -1.6")
    assert steps[0][3] == 600
    assert steps[1] == "step 10: fast 1.35, slow 1.35"
    assert seen["phases"] == [0, 0, 1], "a phase begins at one step of both, but not at one time"
    assert seen["zoomed"] == [300, 600], "about the step that is read out"


LOOK = r"""
  const all = (what) => [...document.querySelectorAll(what)];
  const told = (found) => found.map((each) => each.outerHTML.slice(0, 90));
  const screen = document.documentElement.clientWidth;
  const wide = all("body *").filter((each) =>
    !each.closest(".scroll, .unseen, .skip") && each.getBoundingClientRect().right > screen + 1);
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; // of WCAG 2.2, relative luminance
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const ground = (each) => {
    const colour = getComputedStyle(each).backgroundColor;
    return /, 0\)$/.test(colour) ? ground(each.parentElement) : colour;
  };
  const contrast = (each, name) => {
    const [low, high] = [light(getComputedStyle(each)[name]), light(ground(each))].sort((p, q) => p - q);
    return (high + 0.05) / (low + 0.05);
  };
  const seen = (each) => each.getClientRects().length && !each.disabled && !each.closest("#found");
  const worded = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const words = all("body *:not(script, svg *)").filter((each) => seen(each) && worded(each));
  const labels = all("svg text").filter(seen);
  const faint = (name) => (each) => contrast(each, name) < 4.5;
  const dim = [...words.filter(faint("color")), ...labels.filter(faint("fill"))];
  const lines = all(".curve").filter((each) => contrast(each, "stroke") < 3);
  const controls = all("button, input, select, summary").filter(seen);
  const small = controls.filter((each) => each.getBoundingClientRect().height < 18);
  return { odd: [wide, dim, lines, small].map(told), over: document.documentElement.scrollWidth - screen,
           count: words.length + labels.length, ground: getComputedStyle(document.body).backgroundColor };
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen_and_all_text_stands_out(
    tmp_path: Path, runs: list[Run], width: int, dark: bool
) -> None:
    config = made.CONFIG.replace("seed = 3", "seed = 4").replace('"digits"', f'"{"long/" * 60}"')
    other = of_directory(made.run(tmp_path / ("a" * 100), [row(s) for s in range(1, 50)], config))
    both = [*runs, other]
    tell_apart(both)
    found = browser.found(tmp_path, both, LOOK, width=width, dark=dark)
    assert (found["odd"], found["over"]) == ([[], [], [], []], 0)
    assert found["count"] > 60
    assert found["ground"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_what_runs_hold_is_no_script_to_a_browser(tmp_path: Path) -> None:
    rows = [
        row(10, phase="x"),
        row(20, phase=HOSTILE, **{HOSTILE: 1.0}),
        evaluation(30, figures={HOSTILE: 1.0}, best=True),
    ]
    run = of_directory(made.run(tmp_path / "<img src=x onerror=alert(1)>", rows))
    script = """
      const alien = [...document.querySelectorAll("img")].filter((each) => !each.src.startsWith("data:image/")).length;
      const made = document.createElement("script");
      made.textContent = "window.broken = true";
      document.body.append(made);
      return [alien, document.scripts.length, window.broken ?? false];
    """
    assert browser.found(tmp_path, [run], script) == [0, 3, False]


def test_a_browser_without_scripts_shows_curves_and_samples(tmp_path: Path, runs: list[Run]) -> None:
    """The picture of a page whose script is taken out has the colours of D's and G's curves."""
    page = tmp_path / "page.html"
    page.write_bytes(document.page(runs).replace(b'"use strict";', b"throw 1;"))  # the policy does not let it run
    shot = browser.picture(tmp_path, page, width=800, height=3000)
    with Image.open(shot) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(2**24) or ()}
    assert {(0, 114, 178), (200, 78, 0)} <= colours
