"""A page, put together: one HTML document that loads nothing, and runs no script but its own."""

import base64
import hashlib
import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancli.page import charts, frames, sections
from gancli.page.charts import Chart
from gancli.page.frames import Frame
from gancli.page.markup import Markup, joined, json_data, tag
from gancli.page.pace import STEPS, Axis, axis
from gancli.page.run import Run
from gancli.process import __version__
from gancli.report.stamp import utc
from gancli.text import printable

MOST_BYTES = 5_000_000
SAMPLES_BYTES = 3_000_000
MOST_RUNS = 50
FOLDER = Path(str(importlib.resources.files("gancli"))) / "page"
SCRIPTS = ("charts.js", "axis.js", "page.js")
GENERATOR = '<meta name="generator" content="gan '
SHRINKS = (1.0, 0.5, 0.2, 0.05, 0.0)  # of samples and curves, where the rest of a page takes up much


def page(runs: Sequence[Run], over: str = STEPS) -> bytes:
    """The page of one run, or of several side by side, below `MOST_BYTES`. `over`: what the curves are first drawn over.
    Raises `GancliError` where a run does not tell that."""
    drawn_over = axis(over, runs)
    for share in SHRINKS:
        made = _made(runs, drawn_over, share)
        if len(made) < MOST_BYTES:
            break
    return made


def _made(runs: Sequence[Run], over: Axis, share: float) -> bytes:
    room = int(SAMPLES_BYTES * share / len(runs))
    kept = []
    for run in runs:
        pictures, unread = frames.kept(run.samples, room)
        run.notes += [note for note in unread if note not in run.notes]
        kept.append(pictures)
    drawn = charts.charts(runs, int(charts.POINTS_IN_ALL * share))
    title = (
        f"{runs[0].name}: {runs[0].variant or 'a run'}" if len(runs) == 1 else ", ".join(run.name for run in runs[:4])
    )
    style, script = _file("page.css"), joined(*map(_file, SCRIPTS))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        Markup(f'{GENERATOR}{__version__}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} · gan report"),
        tag("style", style),
    )
    parts = [
        sections.warnings(runs),
        sections.samples(runs, kept),
        sections.curves(drawn, over),
        sections.figures(runs),
        sections.configuration(runs),
        sections.machine(runs),
    ]
    names = (("samples", "Samples"), ("curves", "Curves"), ("figures", "Figures"), ("configuration", "Configuration"),
             ("machine", "Machine"))  # fmt: skip
    links = tag("nav", *(tag("a", text, href=f"#{name}") for name, text in names), aria_label="Parts of this page")
    foot = tag(
        "footer",
        f"Made by gan {__version__}, {utc()[:16].replace('T', ' ')} UTC. This page loads nothing from elsewhere.",
    )
    body = tag(
        "body",
        tag("a", "To the samples and curves", href="#main", cls="skip"),
        sections.heading(runs),
        links,
        tag("main", *parts, id="main"),
        foot,
        tag("script", json_data(_data(drawn, over, kept)), type="application/json", id="data"),
        tag("script", script),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n".encode()


def _file(name: str) -> Markup:
    """A file of the package, which goes into the page as it is."""
    return Markup((FOLDER / name).read_text("utf-8"))


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: run the script and take the style whose hashes these are, show pictures that are
    in the page, and nothing else. What a run's files slip in is no script then, either."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(drawn: Sequence[Chart], over: Axis, kept: Sequence[Sequence[Frame]]) -> dict[str, Any]:
    """What the script draws from."""
    return {
        "charts": [
            {
                "title": printable(chart.title),
                "unit": chart.unit,
                "marks": [(printable(name), step) for name, step in chart.marks.items()],
                "series": [
                    {
                        "label": printable(each.label), "look": f"c{each.colour} d{each.dash}", "level": each.level,
                        "run": each.run,
                        "steps": [step for step, _ in each.points], "values": [_short(value) for _, value in each.points],
                    }
                    for each in chart.series
                ],
            }
            for chart in drawn
        ],
        "over": over.over,
        "paces": [
            {"batch_size": each.batch_size, "steps": each.steps, "seconds": [round(s, 1) for s in each.seconds]}
            for each in over.paces
        ],
        "frames": [[[frame.step, frame.source, frame.width, frame.height] for frame in each] for each in kept],
    }  # fmt: skip


def _short(value: float) -> float | None:
    """As many digits as can be read."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
