"""The lines of the live table, made from the state of a run to fit a terminal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from gancli.events import (
    TRAINING,
    Evaluated,
    Event,
    LossRow,
    PhaseStarted,
    Preparing,
    Progress,
    RunFinished,
    RunStarted,
    SamplesDrawn,
    Warned,
)
from gancli.format import count, duration, number
from gancli.report import lines, pixels
from gancli.report.history import LossHistory, label, sparkline
from gancli.text import counted, printable

MIN_ROWS_FOR_FACTS = 12  # on fewer rows, one line of facts has to do
MIN_TERM_COLUMNS = 40  # of the terms, when samples are on their right
LABEL, VALUE = "bold", "cyan"
NO_STEP_S, ACTIVITY_S = 10.0, 2.0  # after so long without a step, or at another activity, the table says so


@dataclass
class State:
    """What is known from the events so far. `progress_at`: when `progress` came, in seconds of the reporter's clock.
    `means`: of the steps so far, until there is a row."""

    preparing: Preparing | None = None
    started: RunStarted | None = None
    phase: PhaseStarted | None = None
    row: LossRow | None = None
    progress: Progress | None = None
    progress_at: float = 0.0
    means: Mapping[str, float] = field(default_factory=dict)
    samples: SamplesDrawn | None = None
    evaluated: Evaluated | None = None
    finished: RunFinished | None = None
    history: LossHistory = field(default_factory=lambda: LossHistory({}))

    def update(self, event: Event, now: float) -> None:
        match event:
            case Preparing():
                self.preparing, self.progress = event, None
            case Progress():
                self._set_progress(event, now)
            case RunStarted():
                self.started, self.progress = event, None
            case PhaseStarted():
                self.phase = event
            case LossRow():
                self.row = event
                self.history.add(event.step, event.terms)
                speed, left = event.images_per_s, event.left_s
                progress = Progress(event.step, event.steps, epoch=event.epoch, images_per_s=speed, left_s=left)
                self._set_progress(progress, now)
            case Evaluated():
                self.evaluated = event
            case SamplesDrawn():
                self.samples = event
            case RunFinished():
                self.finished = event

    def _set_progress(self, progress: Progress, now: float) -> None:
        self.progress, self.progress_at = progress, now
        if progress.terms:
            self.means = progress.terms

    def progress_now(self, now: float) -> Progress | None:
        """Return the last progress, continued until now."""
        return self.progress and self.progress.after(now - self.progress_at)

    @property
    def terms(self) -> Mapping[str, float]:
        return self.row.terms if self.row else self.means


def render(state: State, columns: int, rows: int, now: float, colours: bool) -> list[Text]:
    """Return at most `rows` lines of at most `columns` characters. Without `colours`, samples are black and white."""
    if state.started is None:
        table = _preparing(state, columns, now)
    else:
        top = [*_top(state, state.started, columns, rows, now), Text()]
        table = [*top, *_body(state, state.started, columns, max(0, rows - len(top)), colours)]
    for line in table:
        line.truncate(columns, overflow="ellipsis")
    return table[:rows]


def _bar(share: float, columns: int) -> Text:
    """Return a bar of `columns` characters, in halves of a character."""
    halves = round(2 * columns * min(1.0, max(0.0, share)))
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Text.assemble((done, "green"), ("━" * (columns - len(done)), "bright_black"))


def _preparing(state: State, columns: int, now: float) -> list[Text]:
    """Return what is done before the run starts."""
    if progress := state.progress_now(now):
        return [Text.assemble((printable(progress.doing), LABEL), f"  {duration(progress.doing_s)}")]
    if (event := state.preparing) is None:
        return []
    what, amount = printable(event.what), lines.amount(event.done, event.total, event.unit)
    line = Text.assemble((what, LABEL), "  ")
    if event.total > 0:
        line.append_text(_bar(event.done / event.total, max(4, min(40, columns - len(what) - len(amount) - 4)))).append(
            "  "
        )
    return [line.append(amount)]


def _top(state: State, started: RunStarted, columns: int, rows: int, now: float) -> list[Text]:
    """Return what is trained, how far the run is, and how fast."""
    facts = _facts(started, columns)
    progress = state.progress_now(now)
    step = state.finished.step if state.finished else progress.step if progress else started.start_step
    share = step / max(1, started.steps)
    percent = f" {int(100 * share):3d}%"
    top = [*(facts if rows > MIN_ROWS_FOR_FACTS else facts[:1]), _bar(share, columns - len(percent)).append(percent)]
    top.append(_status(state, step, started.steps, progress, columns))
    if progress and not state.finished and _is_slow(progress):
        top.append(Text(printable(lines.activity(progress)), style="dim"))
    if (phase := state.phase) and phase.num_phases > 1:
        number = f"phase {phase.index + 1} of {phase.num_phases}: "
        top.append(Text.assemble((number, "dim"), (printable(phase.name), LABEL), f", to step {phase.end_step:,}"))
    if event := state.evaluated:
        title = f"measured at step {event.step:,}  "
        top.append(Text.assemble((title, "dim"), (printable(lines.metrics(event)), VALUE)))
    return top


def _is_slow(progress: Progress) -> bool:
    return progress.doing_s >= (NO_STEP_S if progress.doing == TRAINING else ACTIVITY_S)


def _facts(started: RunStarted, columns: int) -> list[Text]:
    """Return what is trained on what, in lines that break between two facts."""
    shape = "×".join(map(str, started.image_shape))
    found = [Text(printable(started.variant), style="bold green")]
    for fact in (
        f"preset {started.preset}",
        f"{started.dataset}: {count(started.num_images)} images, {shape}",
        started.device,
        started.precision,
        counted(started.threads, "thread"),
        f"batch {started.batch_size}",
    ):
        text = printable(fact)
        if found[-1].cell_len + 3 + cell_len(text) > columns:
            found.append(Text())
        found[-1] = Text.assemble(found[-1], " · " if found[-1] else "", text)
    return found


def _status(state: State, step: int, steps: int, progress: Progress | None, columns: int) -> Text:
    """Return step, epoch, speed, time left and memory; if they do not fit, without the least important ones."""
    parts: list[tuple[int, str, str]] = [(0, "step ", f"{step:,} of {steps:,}")]  # the highest number is left out first
    if progress and not math.isnan(progress.left_s):
        parts += [(3, "epoch ", f"{progress.epoch:.2f}"), (2, "", f"{count(progress.images_per_s)} images/s")]
        parts += [] if state.finished else [(1, "", f"{duration(progress.left_s)} left")]
    if state.row:
        parts += [(4, "", lines.memory(state.row.memory_bytes))]
    while True:
        line = Text("   ").join([Text.assemble((name, "dim"), value) for _, name, value in parts])
        if line.cell_len <= columns or len(parts) == 1:
            return line
        parts.remove(max(parts))


def _terms(state: State, columns: int, rows: int) -> list[Text]:
    """Return a line for each term: its name, value and curve; of more than `rows` the first ones."""
    terms = {label(name): (number(value), state.history.values(name)) for name, value in state.terms.items()}
    name_width = min(16, max(map(len, terms), default=0))
    value_width = max((len(value) for value, _ in terms.values()), default=0)
    spark_width = min(100, columns - name_width - value_width - 4)
    table = []
    for text, (value, history) in terms.items():
        name = Text(text, style=LABEL)
        name.truncate(name_width, overflow="ellipsis", pad=True)
        curve = sparkline(history, spark_width)
        table.append(Text.assemble(name, "  ", (value.rjust(value_width), VALUE), "  ", (curve, "dim")))
    if len(table) > rows:
        fitting = max(0, rows - 1)
        table[fitting:] = [Text(f"… {len(table) - fitting} more", style="dim")]
    return table[:rows]


def _body(state: State, started: RunStarted, columns: int, rows: int, colours: bool) -> list[Text]:
    """Return the terms, and the samples below or to the right of them, wherever more of these can be seen."""
    if (samples := state.samples) is None:
        return _terms(state, columns, rows)
    tile = (started.image_shape[2], started.image_shape[1])
    shape = pixels.grid_shape(samples, tile)
    if shape == (1, 1):
        tile = (samples.width, samples.height)
    below = pixels.fit_grid(shape, tile, columns, rows - len(state.terms) - 2)
    right = pixels.fit_grid(shape, tile, columns - MIN_TERM_COLUMNS - 2, rows - 1)
    layout = max(below, right, key=lambda each: each.score)
    if layout.score == 0:
        return _terms(state, columns, rows)
    grid = pixels.render(samples, tile, layout, colours)
    width = columns if layout is below else layout.width
    titles = (f"samples at step {samples.step:,}", "samples", "")
    title = Text(next(title for title in titles if len(title) <= width), style="dim")
    if layout is below:
        return [*_terms(state, columns, len(state.terms)), Text(), title, *grid]
    return _side_by_side(_terms(state, columns - width - 2, rows), [title, *grid], columns - width - 2)


def _side_by_side(left: list[Text], right: list[Text], left_columns: int) -> list[Text]:
    """Return the lines of both, those on the left in `left_columns`."""
    table = []
    for left_line, right_line in zip_longest(left, right, fillvalue=Text()):
        line = left_line.copy()
        line.truncate(left_columns, overflow="ellipsis", pad=True)
        table.append(line.append("  ").append_text(right_line))
    return table


def summary(event: RunFinished) -> list[Text]:
    """Return how the run ended. Commands and paths are whole, so that they can be copied, on any width of terminal."""
    speed = f"{duration(event.elapsed_s)}, {count(event.images_per_s)} images/s"
    if event.status == "done":
        first = Text.assemble(("done", "bold green"), f" in {speed}; the model is {printable(event.checkpoint)}")
    else:
        reason = f" by {printable(event.reason)} after {speed}; state saved in {printable(event.out)}"
        first = Text.assemble(("stopped", "bold yellow"), reason)
    more = lines.next_commands(event)
    return [first, *(Text(printable(line), LABEL if line.startswith(lines.COMMAND_INDENT) else "") for line in more)]


def warning(event: Warned) -> Text:
    """Return a warning or note with its heading."""
    style = "bold blue" if event.kind == "note" else "bold yellow"
    return Text.assemble((f"{event.kind}:", style), f" {printable(event.message)}")
