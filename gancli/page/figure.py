"""The curves as a picture for papers and slides. matplotlib, the extra `report`, draws them."""

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError
from gancli.page.charts import Chart, charts
from gancli.page.run_data import RunData
from gancli.page.x_axis import IMAGES, TIME, common_position, time_unit
from gancli.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#c84e00", "#00815d", "#a0478a", "#8a6100", "#4b4f57", "#3568d4", "#7a3b00")  # as page.css
DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 2)), (0, (8, 3, 2, 3)))
WIDTH, HEIGHT = 5.2, 3.0  # inches of a chart
DOTS_PER_INCH = 160
MOST_LABEL = 60  # characters


def encode(runs: Sequence[RunData], suffix: str, over: str) -> bytes:
    """The bytes of a `.png`, `.svg` or `.pdf` of all charts. Equal runs give equal bytes. Raises `GancliError` if matplotlib
    is missing, or if there is nothing to draw."""
    if importlib.util.find_spec("matplotlib") is None:
        raise GancliError(
            f"-o {suffix}: matplotlib draws it, which is not installed: pip install 'gancli[report]' (.html needs nothing)"
        )
    drawn = charts(runs, speed=False)
    if not drawn:
        raise GancliError(f"{runs[0].path}: has no losses yet, so there are no curves")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = 1 if len(drawn) == 1 else 2
    rows = -(-len(drawn) // columns)
    settings: dict[Any, Any] = {
        "svg.hashsalt": "gancli",
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "text.parse_math": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
        for number, chart in enumerate(drawn):
            _draw(figure.add_subplot(rows, columns, number + 1), chart, runs, over)
        buffer = io.BytesIO()
        undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})
        figure.savefig(buffer, format=suffix[1:], dpi=DOTS_PER_INCH, metadata=undated)
    return buffer.getvalue()


def _draw(axes: "Axes", chart: Chart, runs: Sequence[RunData], over: str) -> None:
    positions = [[runs[each.run].x_axis.position(step, over) for step in each.curve.steps] for each in chart.series]
    size, unit = time_unit(max(map(max, positions))) if over == TIME else (1.0, "")
    for each, places in zip(chart.series, positions, strict=True):
        axes.plot(
            [place / size for place in places],
            list(each.curve.values),
            color=COLOURS[each.colour],
            linestyle=DASHES[each.dash],
            marker="o" if len(places) < 20 else "",
            markersize=3,
            linewidth=1.3,
            label=_label(each.label),
        )
        if each.level is not None:
            axes.axhline(each.level, color=COLOURS[each.colour], linestyle=":", linewidth=1, label="real images")
    for name, step in chart.marks.items():
        if (at := common_position(runs, step, over)) is None:
            continue
        axes.axvline(at / size, color="#565d68", linestyle=":", linewidth=1)
        axes.annotate(
            _label(name),
            (at / size, 1),
            (3, -9),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7,
        )
    axes.set_title(_label(chart.title), fontsize=10, loc="left")
    axes.set_xlabel({TIME: f"time ({unit})", IMAGES: "images"}.get(over, "step"), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e8eaee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)


def _label(text: str) -> str:
    """A label from a run's files: matplotlib hides those that begin with an underline, so that one has a space before it."""
    shown = printable(text)[:MOST_LABEL]
    return f" {shown}" if shown.startswith("_") else shown
