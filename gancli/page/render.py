"""The page as HTML: one document that loads nothing, and runs no script but its own."""

import base64
import hashlib
import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from gancli.page import charts, samples, tables, x_axis
from gancli.page.charts import Chart
from gancli.page.run_data import RunData
from gancli.page.samples import Frame
from gancli.page.x_axis import STEPS, TIME
from gancli.process import __version__
from gancli.report.stamp import utc
from gancli.text import printable

MAX_BYTES = 5_000_000
SAMPLES_BYTES = 3_000_000
MAX_RUNS = 50
MAX_WARNINGS = 60  # of a run
SHRINKS = (1.0, 0.5, 0.2, 0.05, 0.0)  # of samples and curves, where the rest of a page takes up much
LARGEST, SMALLEST = 1e24, 1e-24  # values that uPlot has tick marks for
GENERATOR = '<meta name="generator" content="gan '  # how a page of ours is recognised
FOLDER = Path(str(importlib.resources.files("gancli"))) / "page"


def render(runs: Sequence[RunData], over: str = STEPS) -> bytes:
    """The page of one run, or of several side by side, below `MAX_BYTES`. `over`: what the curves are first drawn over.
    Raises `GancliError` if a run has too little data for that."""
    x_axis.require(over, runs)
    for share in SHRINKS:
        page = _render(runs, over, share)
        if len(page) < MAX_BYTES:
            break
    return page


def _render(runs: Sequence[RunData], over: str, share: float) -> bytes:
    max_bytes = int(SAMPLES_BYTES * share / len(runs))
    frames = []
    for run in runs:
        grids, problems = samples.encode_grids(run.samples, max_bytes)
        run.notes += [problem for problem in problems if problem not in run.notes]
        frames.append(grids)
    drawn = charts.charts(runs, int(charts.MAX_POINTS * share))
    style = Markup("\n".join(map(_read, ("uplot/uPlot.min.css", "page.css"))))
    licence = f"/*! uPlot:\n{_read('uplot/LICENSE')}\n*/"
    script = Markup("\n".join([licence, *map(_read, ("uplot/uPlot.iife.min.js", "page.js"))]))
    text = _environment().get_template("page.html.j2").render(
        runs=runs,
        charts=drawn,
        frames=frames,
        steps=sorted({frame.step for each in frames for frame in each}),
        over=over,
        offered=x_axis.offered(runs),
        data=_data(runs, drawn, over, frames),
        style=style,
        script=script,
        policy=_policy(style, script),
        version=__version__,
        time=utc()[:16].replace("T", " "),
        tables=tables,
        max_warnings=MAX_WARNINGS,
        run_style=charts.run_style,
    )  # fmt: skip
    return f"{text.strip()}\n".encode()


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _environment() -> jinja2.Environment:
    """The template's environment: all text is escaped, and control characters in it are made visible."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    found.filters["thousands"] = lambda number: f"{number:,}"
    return found


def _visible(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(map(printable, value.split("\n")))


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: run the script and use the style with these hashes, show images that are in the
    page, and nothing else. So nothing in a run's files can become a script."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(
    runs: Sequence[RunData], drawn: Sequence[Chart], over: str, frames: Sequence[Sequence[Frame]]
) -> dict[str, Any]:
    """What the script draws from."""
    return {
        "over": over,
        "charts": [_chart_data(runs, chart) for chart in drawn],
        "frames": [[[frame.step, frame.source, frame.width, frame.height] for frame in each] for each in frames],
    }


def _chart_data(runs: Sequence[RunData], chart: Chart) -> dict[str, Any]:
    """Of each series the values over steps, with the images in a step and, if all runs have them, the seconds up to it."""
    offered = x_axis.offered(runs)
    series = []
    for each in chart.series:
        axis = runs[each.run].x_axis
        series.append({
            "label": printable(each.label), "colour": each.colour, "dash": each.dash, "level": _short(each.level),
            "steps": list(each.curve.steps),
            "values": [_short(value) for value in each.curve.values],
            "batch_size": axis.batch_size,
            "seconds": [round(axis.position(s, TIME), 1) for s in each.curve.steps] if TIME in offered else None,
        })  # fmt: skip
    marks = [
        [printable(name), {over: x_axis.common_position(runs, step, over) for over in offered}]
        for name, step in chart.marks.items()
    ]
    values = [value for each in chart.series for value in each.curve.finite()]
    return {"unit": chart.unit and min(values) >= 0 and max(values) <= 1, "series": series, "marks": marks}


def _short(value: float | None) -> float | None:
    """As many digits as can be seen, within what can be drawn; None for NaN."""
    if value is None or not math.isfinite(value):
        return None
    if abs(value) < SMALLEST:
        return 0.0
    return float(f"{max(-LARGEST, min(value, LARGEST)):.5g}")
