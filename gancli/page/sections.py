"""The parts of a page, from top to bottom."""

from collections.abc import Sequence

from gancli.page import svg, tables
from gancli.page.charts import NUM_COLOURS, NUM_DASHES, Chart, number
from gancli.page.frames import Frame, steps_of
from gancli.page.markup import Markup, joined, tag
from gancli.page.pace import Axis
from gancli.page.run import Run
from gancli.store.evaluations import Evaluation, main
from gancli.store.figures import main_first

MOST_WARNINGS = 60
STATES = {"finished": "✓", "stopped": "■", "diverged": "✗", "running": "▶", "broken off": "✗", "a model alone": "◆"}
SMALL = 600  # pixels: grids up to this size are shown enlarged, with sharp edges
HINT = (
    "Drag over a chart to zoom in, double-click to see all. By keyboard: Tab to a chart, ← → move the read-out, + − zoom, "
    "Shift with ← → moves along, Esc shows all."
)


def section(name: str, heading: str, *inner: object, cls: str = "") -> Markup:
    return tag(
        "section", tag("h2", heading, id=f"{name}-title"), *inner, id=name, aria_labelledby=f"{name}-title", cls=cls
    )


def heading(runs: Sequence[Run]) -> Markup:
    if len(runs) == 1:
        (run,) = runs
        data = f" on {run.dataset.rsplit('/', 1)[-1] or run.dataset}" if run.dataset else ""
        lead = tag("p", run.title, cls="lead") if run.title else None
        return tag(
            "header",
            tag("p", f"Run {run.name}" if run.state != "a model alone" else f"Model {run.name}", cls="kicker"),
            tag("h1", (run.variant or "A run") + data),
            lead,
            _summary(run),
        )
    shown = tag(
        "div", *(tag("article", _named(i, run, "h2"), _summary(run)) for i, run in enumerate(runs)), cls="beside"
    )
    return tag("header", tag("p", "Side by side", cls="kicker"), tag("h1", f"{len(runs)} runs"), shown)


def look(index: int) -> str:
    """The classes of the colour and dash of one of several runs, as its curves have them."""
    return f"c{index % NUM_COLOURS} d{(index // NUM_COLOURS) % NUM_DASHES}"


def swatch(classes: str) -> Markup:
    line = tag("line", cls=f"curve {classes}", x1=1, x2=25, y1=5, y2=5)
    return tag("svg", line, cls="swatch", viewBox="0 0 26 10", width=26, height=10, aria_hidden="true")


def _named(index: int, run: Run, level: str = "h3") -> Markup:
    return tag(level, swatch(look(index)), " ", run.name)


def _summary(run: Run) -> Markup:
    """State, length and the main figures, as large as they matter."""
    state = tag("span", tag("span", STATES.get(run.state, ""), aria_hidden="true"), f" {run.state}",
                cls=f"state {run.state.replace(' ', '-')}")  # fmt: skip
    length = f"{run.step:,} of {run.steps:,}" if run.steps and run.steps != run.step else f"{run.step:,}"
    facts = [("steps", length)]
    facts += [(name, run.machine[name]) for name in ("time", "device") if name in run.machine]
    shown: list[object] = [tag("div", tag("dt", "state"), tag("dd", state))]
    shown += [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    if measured := main(run.rows.evaluations, run.dataset or None):
        names = dict.fromkeys([*main_first(measured["figures"]), *measured["figures"]])
        shown += [tag("div", tag("dt", name), tag("dd", *_beside(measured, name))) for name in list(names)[:2]]
    why = tag("p", run.why, cls="why") if run.why else None
    return joined(tag("dl", *shown, cls="facts"), why)


def _beside(each: Evaluation, name: str) -> list[Markup]:
    real = each.get("real", {}).get(name)
    small = [tag("small", f"{each.get('beside', 'real pictures')} {number(real)}")] if real is not None else []
    value = tables.measure(each["figures"][name], each.get("errors", {}).get(name))
    return [joined(value, " "), *small]


def warnings(runs: Sequence[Run]) -> Markup | None:
    """What the runs warned of, and what of them could not be read; nothing where there is nothing."""
    parts = []
    for index, run in enumerate(runs):
        told = [*run.warnings, *run.notes]
        if told:
            more = [f"and {len(told) - MOST_WARNINGS} more, in log.jsonl"] if len(told) > MOST_WARNINGS else []
            items = tag("ul", *(tag("li", each) for each in [*told[:MOST_WARNINGS], *more]))
            parts.append(joined(_named(index, run) if len(runs) > 1 else None, items))
    return section("warnings", "Warnings", *parts, cls="warned") if parts else None


def samples(runs: Sequence[Run], frames: Sequence[Sequence[Frame]]) -> Markup:
    """The newest grid of each run, and a slider over all of them."""
    if not any(frames):
        return section("samples", "Samples", tag("p", "No samples were drawn yet.", cls="about"))
    steps = list(steps_of(frames))
    label = tag("label", "Step ", tag("output", f"{steps[-1]:,}", id="step", for_="slider"), for_="slider")
    slider = tag("input", type="range", id="slider", min=0, max=len(steps) - 1, value=len(steps) - 1, step=1)
    play = tag("button", "Play", type="button", id="play", aria_pressed="false")
    shown = [_grid(index, run, each, len(runs) > 1) for index, (run, each) in enumerate(zip(runs, frames, strict=True))]
    if len(runs) == 1 and len(frames[0]) > 1:
        shown.append(_first(runs[0], frames[0][0]))
    controls = tag("div", play, label, slider, cls="controls", hidden=True, data_controls="samples")
    about = "The same seeds (or photographs) each time" + (
        f"; {len(frames[0])} of {len(runs[0].samples)} grids are kept on this page"
        if len(runs) == 1 and len(frames[0]) < len(runs[0].samples)
        else ""
    )
    return section("samples", "Samples", tag("p", f"{about}.", cls="about"), controls, tag("div", *shown, cls="grids"))


def _grid(index: int, run: Run, frames: Sequence[Frame], several: bool) -> Markup:
    name = _named(index, run) if several else None
    if not frames:
        return tag("figure", name, tag("p", "No samples.", cls="about"), data_run=index)
    last = frames[-1]
    return tag("figure", name, _picture(run, last), tag("figcaption", f"step {last.step:,}"), data_run=index)


def _first(run: Run, frame: Frame) -> Markup:
    """The first grid of a run, beside the others where there is room."""
    return tag("figure", _picture(run, frame), tag("figcaption", f"step {frame.step:,}, the first"), cls="began")


def _picture(run: Run, frame: Frame) -> Markup:
    look = "grid pixelated" if max(frame.width, frame.height) <= SMALL else "grid"
    alt = f"Samples of {run.name} at step {frame.step:,}"
    return tag("img", src=frame.source, width=frame.width, height=frame.height, cls=look, alt=alt)


def curves(charts: Sequence[Chart], axis: Axis) -> Markup:
    if not charts:
        return section("curves", "Curves", tag("p", "No row of losses was written yet.", cls="about"))
    smooth = tag("label", "Smoothing ", tag("input", type="range", id="smooth", min=0, max=20, value=0, step=1), " ",
                 tag("output", "none", id="smoothed", for_="smooth"))  # fmt: skip
    log = tag("label", tag("input", type="checkbox", id="log"), " Log scale")
    choices = [tag("option", over, value=over, selected=over == axis.over) for over in axis.offered()]
    over = tag("label", "Over ", tag("select", *choices, id="over")) if len(choices) > 1 else None
    buttons = [
        tag("button", text, type="button", id=name, aria_label=label, disabled=name == "all")
        for name, text, label in (
            ("nearer", "+", "Zoom in"), ("farther", "−", "Zoom out"), ("all", "Show all", "Show all steps"),
        )
    ]  # fmt: skip
    zoom = tag("span", *buttons, role="group", aria_label="Zoom", cls="buttons")
    controls = tag("div", over, smooth, log, zoom, cls="controls", hidden=True, data_controls="curves")
    hint = tag("p", HINT, cls="about hint", id="hint", hidden=True)
    said = tag("p", cls="unseen", id="said", role="status", aria_live="polite")
    drawn = tag("div", *(_chart(index, chart, axis) for index, chart in enumerate(charts)), cls="charts")
    return section("curves", "Curves", controls, hint, drawn, said)


def _chart(index: int, chart: Chart, axis: Axis) -> Markup:
    title = tag("h3", chart.title, " ", tag("small", f"over {axis.over}", cls="over"), id=f"chart-{index}")
    entries = []
    for number_of, each in enumerate(chart.series):
        sound = [value for _, value in each.points if value == value]
        last = tag("span", number(sound[-1]) if sound else "–", cls="value", data_series=number_of)
        line = swatch(f"c{each.colour} d{each.dash}")
        entries.append(tag("li", tag("button", line, " ", each.label, " ", last, type="button", aria_pressed="true")))
        if each.level is not None:
            level = swatch(f"level-key c{each.colour}")
            entries.append(tag("li", tag("span", level, f" real pictures {number(each.level)}", cls="key")))
    legend = tag("ul", *entries, cls="legend", aria_label=f"Curves of {chart.title}")
    label = f"{chart.title}: " + ", ".join(each.label for each in chart.series) + "; the values are in the table below"
    table = tag("details", tag("summary", "Values as a table"), tables.values(chart))
    where = tag("p", "\u00a0", cls="where", aria_hidden="true")
    plot = tag("div", svg.drawn(chart, label, axis), cls="frame")
    return tag(
        "figure", title, legend, plot, where, table, cls="chart", data_chart=index, aria_labelledby=f"chart-{index}"
    )


def figures(runs: Sequence[Run]) -> Markup:
    """What was measured, or how to measure it."""
    if not any(run.rows.evaluations for run in runs):
        how = tag("p", "No metrics yet. ", tag("code", "gan evaluate RUN"), " measures the model and adds them to the run’s "
                  "own report.html.", cls="about")  # fmt: skip
        return section("figures", "Figures beside real pictures", how)
    parts: list[object] = []
    for index, run in enumerate(runs):
        parts += [_named(index, run)] if len(runs) > 1 else []
        parts += list(tables.figures(run)) or [tag("p", "No metrics yet.", cls="about")]
    note = tag(
        "p", "± is one standard error. Figures of different numbers of pictures cannot be compared.", cls="about"
    )
    return section("figures", "Figures beside real pictures", *parts, note)


def configuration(runs: Sequence[Run]) -> Markup:
    parts: list[object] = []
    for index, run in enumerate(runs):
        name = _named(index, run) if len(runs) > 1 else None
        if run.command:
            parts.append(joined(name, _command(run.command)))
    if parts:
        parts.insert(0, tag("p", "The command that makes it again:", cls="about"))
    if len(runs) > 1:
        parts.append(tables.compared("Options", runs, tables.asked_and_came_to))
    elif runs[0].options:
        parts.append(
            tag(
                "details",
                tag("summary", f"All {len(runs[0].options)} options"),
                tables.configuration(runs[0]),
                open=True,
            )
        )
    else:
        parts.append(tag("p", "Its config.toml is not there, or cannot be read.", cls="about"))
    return section("configuration", "Configuration", *parts)


def _command(text: str) -> Markup:
    """A command line that is not broken inside of a word."""
    words = [tag("span", word, cls="word") for word in text.split(" ")]
    spaced = [part for word in words for part in (" ", word)][1:]
    return tag("pre", tag("code", *spaced))


def machine(runs: Sequence[Run]) -> Markup:
    if len(runs) == 1:
        shown = tables.pairs(runs[0].training | runs[0].machine)
    else:
        shown = tables.compared("Data and machine", runs, lambda run: run.training | run.machine)
    return section("machine", "Data and machine", shown)
