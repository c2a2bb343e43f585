"""The curves as a figure for papers and slides, drawn by matplotlib (the extra `report`)."""

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError
from gancli.page.charts import SPEED_TITLE, Chart, charts
from gancli.page.run_data import RunData
from gancli.page.x_axis import IMAGES, TIME, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#c84e00", "#00815d", "#a0478a", "#8a6100", "#4b4f57", "#3568d4", "#7a3b00")  # as page.css
DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 2)), (0, (8, 3, 2, 3)))
WIDTH, HEIGHT = 5.2, 3.0  # inches of a chart
DOTS_PER_INCH = 160
MAX_LABEL = 60  # characters
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "gancli",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


def encode(runs: Sequence[RunData], suffix: str, over: str) -> bytes:
    """Return the bytes of a `.png`, `.svg` or `.pdf` of all charts. Equal runs give equal bytes. Raises `GancliError` if
    matplotlib is missing, or if there is nothing to draw."""
    figure = draw(runs, over, f"-o {suffix}", " (.html needs nothing)")
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        buffer = io.BytesIO()
        undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})
        figure.savefig(buffer, format=suffix[1:], dpi=DOTS_PER_INCH, metadata=undated)
    return buffer.getvalue()


def draw(runs: Sequence[RunData], over: str, what: str, hint: str = "") -> "Figure":
    """Return a figure of all charts. `what` was asked for, and `hint` names another way, in the `GancliError` if matplotlib
    is missing; another one if there is nothing to draw."""
    if importlib.util.find_spec("matplotlib") is None:
        raise GancliError(f"{what}: needs matplotlib: pip install 'gancli[report]'{hint}")
    shown = [chart for chart in charts(runs) if chart.title != SPEED_TITLE]
    if not shown:
        raise GancliError(f"{runs[0].path}: has no losses yet, so there are no curves")
    import matplotlib as mpl

    from gancli.page.shown_figure import ShownFigure

    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    with mpl.rc_context(SETTINGS):
        figure = ShownFigure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
        for index, chart in enumerate(shown):
            _draw(figure.add_subplot(rows, columns, index + 1), chart, over)
    return figure


def _draw(axes: "Axes", chart: Chart, over: str) -> None:
    last = max(max(each.positions[over]) for each in chart.series)
    size, unit = time_unit(last) if over == TIME else (1.0, "")
    for each in chart.series:
        positions = [position / size for position in each.positions[over]]
        axes.plot(
            positions,
            list(each.curve.values),
            color=COLOURS[each.colour],
            linestyle=DASHES[each.dash],
            marker="o" if len(positions) < 20 else "",
            markersize=3,
            linewidth=1.3,
            label=_label(each.label),
        )
        if each.level is not None:
            axes.axhline(each.level, color=COLOURS[each.colour], linestyle=":", linewidth=1, label="real images")
    for name, places in chart.marks.items():
        if (at := places[over]) is not None:
            _draw_mark(axes, name, at / size)
    axes.set_title(_label(chart.title), fontsize=10, loc="left")
    axes.set_xlabel({TIME: f"time ({unit})", IMAGES: "images"}.get(over, "step"), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e8eaee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)


def _draw_mark(axes: "Axes", name: str, at: float) -> None:
    axes.axvline(at, color="#565d68", linestyle=":", linewidth=1)
    corner: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate(_label(name), (at, 1), (3, -9), fontsize=7, **corner)


def _label(text: str) -> str:
    """Return a label from a run's files. It may not begin with an underscore: matplotlib hides such labels."""
    short = text[:MAX_LABEL]
    return f" {short}" if short.startswith("_") else short
