"""Runs as an HTML page or as a figure of their curves: what `gan report` writes, and `report.html` of a run that ends."""

import base64
import hashlib
import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from gancli.errors import GancliError, UsageError
from gancli.files import atomic
from gancli.page import charts, run_data, samples, tables
from gancli.page.charts import Chart, Series
from gancli.page.run_data import RunData
from gancli.page.samples import Frame
from gancli.page.x_axis import IMAGES, STEPS
from gancli.process import __version__
from gancli.report.jsonl import utc
from gancli.store.run_directory import RunDirectory
from gancli.text import printable

PAGES, FIGURES, TABLES = (".html", ".htm"), (".png", ".svg", ".pdf"), (".csv",)
MAX_BYTES = 5_000_000  # of a page
SAMPLES_BYTES = 3_000_000
MAX_RUNS = 50
MAX_WARNINGS = 60  # of a run
SHRINKS = (1.0, 0.5, 0.2, 0.05, 0.0)  # of samples and curves, if the rest of a page is large
LARGEST, SMALLEST = 1e24, 1e-24  # values that uPlot has tick marks for
GENERATOR = b'<meta name="generator" content="gan '  # marks pages written by gan, within their first `HEAD_BYTES`
HEAD_BYTES = 4_096
FOLDER = Path(str(importlib.resources.files("gancli"))) / "page"


def check_ending(path: Path) -> None:
    """Raise `UsageError` for a file that is neither a page, nor a figure or table of curves."""
    if path.suffix.lower() not in (*PAGES, *FIGURES, *TABLES):
        endings = " ".join((*FIGURES, *TABLES))
        raise UsageError(f"-o {path}: must end in {PAGES[0]}, or for the curves alone in {endings}")
    if path.is_dir():
        raise UsageError(f"-o {path}: is a directory; give a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")


def write(runs: Sequence[RunData], path: Path, over: str = STEPS) -> int:
    """Write the page, or the figure or table of the curves, by the ending of `path`. Returns its size in bytes. Raises
    `GancliError`."""
    if path.suffix.lower() in PAGES:
        data = render(runs, over)
    elif path.suffix.lower() in TABLES:
        from gancli.page import curves_csv

        if over != STEPS:
            raise UsageError(f"--over {over}: a table has the steps and no other axis; omit it for {path.suffix}")
        data = curves_csv.encode(runs)
    else:
        from gancli.page import figure

        require_axis(over, runs)
        data = figure.encode(runs, path.suffix.lower(), over)
    atomic.write(path, [data])
    return len(data)


def require_axis(over: str, runs: Sequence[RunData]) -> None:
    """Raise `GancliError` if a run lacks the data for this x axis."""
    for run in runs:
        if not run.offers(over):
            missing = "batch size" if over == IMAGES else "training time"
            raise GancliError(
                f"--over {over}: the {missing} of {run.name} is not recorded; --over {STEPS} needs nothing"
            )


def write_page(directory: RunDirectory) -> str:
    """Write the page of a run that has ended into its directory. Returns a warning if that fails, or `""`."""
    return _write(directory.page, [directory.path], f"gan report {directory.path}")


def write_sweep_page(folder: Path, runs: Sequence[Path]) -> str:
    """Write the page of as many runs of a sweep as fit side by side into their common folder. Returns a warning, or `""`."""
    page, shown = folder / "report.html", runs[:MAX_RUNS]
    if len(shown) == len(runs):
        return _write(page, shown, f"gan report {folder}/*")
    left_out = f"the page has the first {len(shown)} of {len(runs)} runs; gan report RUN... shows others"
    return _write(page, shown, "gan report RUN...") or f"{page}: {left_out}"


def _write(page: Path, runs: Sequence[Path], command: str) -> str:
    try:
        if page.exists():
            with page.open("rb") as file:
                if GENERATOR not in file.read(HEAD_BYTES):
                    return f"{page}: was not written by gan, so it is not replaced; {command} writes another one"
        found = [run_data.of_directory(path) for path in runs]
        run_data.make_names_distinct(found)
        atomic.write(page, [render(found)], durable=False)
    except Exception as error:  # of any kind: a model that took days must not be lost for its page
        return f"{page}: not written ({error}); {command} writes it later"
    return ""


def render(runs: Sequence[RunData], over: str = STEPS) -> bytes:
    """Return the page of one run, or of several side by side, smaller than `MAX_BYTES`. `over`: the x axis at first. Raises
    `GancliError` if a run lacks the data for it."""
    require_axis(over, runs)
    for share in SHRINKS:
        page = _render(runs, over, share)
        if len(page) < MAX_BYTES:
            break
    return page


def _render(runs: Sequence[RunData], over: str, share: float) -> bytes:
    frames = []
    for run in runs:
        grids, problems = samples.encode_grids(run.samples, int(SAMPLES_BYTES * share / len(runs)))
        run.notes += [problem for problem in problems if problem not in run.notes]
        frames.append(grids)
    shown = charts.charts(runs, int(charts.MAX_POINTS * share))
    style = Markup("\n".join(map(_read, ("uplot/uPlot.min.css", "page.css"))))
    licence = f"/*! uPlot:\n{_read('uplot/LICENSE')}\n*/"
    script = Markup("\n".join([licence, *map(_read, ("uplot/uPlot.iife.min.js", "page.js"))]))
    text = _environment().get_template("page.html.j2").render(
        runs=runs,
        charts=shown,
        frames=frames,
        steps=sorted({frame.step for each in frames for frame in each}),
        over=over,
        offered=charts.offered(runs),
        data=_script_data(shown, frames, over),
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
    """Return the template's environment. It escapes all text, and control characters become visible."""
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
    """Return the page's content security policy: only the script and the style with these hashes, and images in the page. So
    nothing in a run's files can become a script."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _script_data(shown: Sequence[Chart], frames: Sequence[Sequence[Frame]], over: str) -> dict[str, Any]:
    """Return what the script draws: charts, and the grids of samples of each run."""
    return {
        "over": over,
        "charts": [
            {"unit": chart.unit, "series": [_series_data(each) for each in chart.series], "marks": chart.marks}
            for chart in shown
        ],
        "frames": [[[frame.step, frame.source, frame.width, frame.height] for frame in each] for each in frames],
    }


def _series_data(series: Series) -> dict[str, Any]:
    return {
        "label": series.label,
        "colour": series.colour,
        "dash": series.dash,
        "level": _short(series.level),
        "positions": series.positions,
        "values": [_short(value) for value in series.curve.values],
    }


def _short(value: float | None) -> float | None:
    """Return five digits of a value, within the range that can be drawn; None for NaN."""
    if value is None or math.isnan(value):
        return None
    if abs(value) < SMALLEST:
        return 0.0
    return float(f"{max(-LARGEST, min(value, LARGEST)):.5g}")
