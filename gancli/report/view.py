"""What the live table shows: the state of a run as lines that fit a terminal."""

import math
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.text import Text

from gancli.errors import printable
from gancli.events import (
    TRAINING,
    Evaluated,
    LossRow,
    PhaseStarted,
    Preparing,
    Progress,
    RunFinished,
    RunStarted,
    SamplesDrawn,
    Warned,
)
from gancli.report import pixels, words
from gancli.report.plot import sparkline
from gancli.text import counted

MAX_HISTORY = 512
LOW = 12  # rows up to which every line counts
MIN_TERM_COLUMNS = 40  # columns that the terms get when samples stand beside them
LABEL, VALUE = "bold", "cyan"
NO_STEP_S, DOING_S = 10.0, 2.0  # so long without a step, or at something else, is worth a word


@dataclass
class State:
    """What the events so far have told. `progress_at`: when the last word of progress came, in seconds of the reporter's
    clock. `means`: of the steps so far, as long as there is no row."""

    preparing: Preparing | None = None
    started: RunStarted | None = None
    phase: PhaseStarted | None = None
    row: LossRow | None = None
    progress: Progress | None = None
    progress_at: float = 0.0
    means: dict[str, float] = field(default_factory=dict)
    samples: SamplesDrawn | None = None
    evaluated: Evaluated | None = None
    finished: RunFinished | None = None
    history: dict[str, list[float]] = field(default_factory=dict)

    def note_progress(self, progress: Progress, now: float) -> None:
        self.progress, self.progress_at = progress, now
        if progress.terms:
            self.means = dict(progress.terms)

    def now(self, now: float) -> Progress | None:
        """The last word of progress, as it stands by now."""
        return self.progress and self.progress.after(now - self.progress_at)

    def note_row(self, row: LossRow, now: float) -> None:
        self.row = row
        word = Progress(row.step, row.steps, epoch=row.epoch, images_per_s=row.images_per_s, left_s=row.left_s)
        self.note_progress(word, now)
        for name, value in row.terms.items():
            values = self.history.setdefault(name, [])
            values.append(value)
            if len(values) > MAX_HISTORY:
                del values[::2]


@dataclass(frozen=True)
class Line:
    """Text, and what stands after it of the picture of the samples, escape codes included."""

    text: Text
    picture: str = ""


def lines(state: State, columns: int, rows: int, now: float, colours: ColorSystem | None) -> list[Line]:
    """At most `rows` lines of at most `columns` characters; without `colours`, samples are black and white."""
    if state.started is None:
        shown = [Line(text) for text in _before(state, columns, now)]
    else:
        top = [Line(text) for text in [*_top(state, columns, rows, now), Text()]]
        shown = [*top, *_body(state, columns, max(0, rows - len(top)), colours)]
    for line in shown:
        line.text.truncate(columns, overflow="ellipsis")
    return shown[:rows]


def _bar(share: float, columns: int) -> Text:
    """A bar of `columns` characters, drawn to half a character."""
    halves = round(2 * columns * min(1.0, max(0.0, share)))
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Text.assemble((done, "green"), ("━" * (columns - len(done)), "bright_black"))


def _before(state: State, columns: int, now: float) -> list[Text]:
    """What is done before the run starts."""
    if progress := state.now(now):
        return [Text.assemble((printable(progress.doing), LABEL), f"  {words.duration(progress.doing_s)}")]
    return [_preparing(state.preparing, columns)] if state.preparing else []


def _preparing(event: Preparing, columns: int) -> Text:
    what, so_far = printable(event.what), words.amount(event.done, event.total, event.unit)
    if event.total <= 0:
        return Text.assemble((what, LABEL), "  ", so_far)
    width = max(4, min(40, columns - len(what) - len(so_far) - 4))
    return Text.assemble((what, LABEL), "  ", _bar(event.done / event.total, width), "  ", so_far)


def _top(state: State, columns: int, rows: int, now: float) -> list[Text]:
    """What is trained, how far it is, and how fast."""
    started = state.started
    assert started is not None
    shape = "×".join(map(str, started.image_shape))
    facts = [
        f"preset {started.preset}",
        f"{started.dataset}: {words.count(started.num_images)} images, {shape}",
        started.device,
        started.precision,
        counted(started.threads, "thread"),
        f"batch {started.batch_size}",
    ]
    head = [Text(printable(started.variant), style="bold green")]
    for fact in map(printable, facts):
        if head[-1].cell_len + 3 + cell_len(fact) > columns:
            head.append(Text())
        head[-1] = Text.assemble(head[-1], " · " if head[-1] else "", fact)
    word = state.now(now)
    step = state.finished.step if state.finished else word.step if word else started.start_step
    share = step / max(1, started.steps)
    percent = f" {int(100 * share):3d}%"
    progress = _bar(share, columns - len(percent)).append(percent)
    return [
        *(head if rows > LOW else head[:1]),
        progress,
        _status(state, step, word, columns),
        *([] if state.finished else _doing(word)),
        *_phase(state.phase),
        *_evaluated(state.evaluated),
    ]


def _evaluated(event: Evaluated | None) -> list[Text]:
    if event is None:
        return []
    return [Text.assemble((f"measured at step {event.step:,}  ", "dim"), (printable(words.evaluated(event)), VALUE))]


def _status(state: State, step: int, progress: Progress | None, columns: int) -> Text:
    """Step, epoch, speed, time left and memory; where not all of it fits, what matters least is left out."""
    assert state.started is not None
    parts: list[tuple[int, str, str]] = [
        (0, "step ", f"{step:,} of {state.started.steps:,}")
    ]  # the first: how dispensable
    if progress and not math.isnan(progress.left_s):
        parts += [(3, "epoch ", f"{progress.epoch:.2f}"), (2, "", f"{words.count(progress.images_per_s)} images/s")]
        parts += [] if state.finished else [(1, "", f"{words.duration(progress.left_s)} left")]
    if state.row:
        parts += [(4, "", words.memory(state.row.memory_bytes))]
    while True:
        line = Text("   ").join([Text.assemble((name, "dim"), value) for _, name, value in parts])
        if line.cell_len <= columns or len(parts) == 1:
            return line
        parts.remove(max(parts))


def _doing(progress: Progress | None) -> list[Text]:
    """What keeps the steps waiting, once it has for long."""
    if progress is None or progress.doing_s < (NO_STEP_S if progress.doing == TRAINING else DOING_S):
        return []
    return [Text(printable(words.doing(progress)), style="dim")]


def _phase(phase: PhaseStarted | None) -> list[Text]:
    if phase is None or phase.num_phases < 2:
        return []
    place = f"phase {phase.index + 1} of {phase.num_phases}: "
    return [Text.assemble((place, "dim"), (printable(phase.name), LABEL), f", to step {phase.end_step:,}")]


@dataclass(frozen=True)
class _Term:
    label: str
    value: str
    history: list[float]


def _terms(state: State) -> list[_Term]:
    terms = state.row.terms if state.row else state.means
    return [
        _Term(words.label(name), words.term(name, value), state.history.get(name, [])) for name, value in terms.items()
    ]


def _term_lines(terms: list[_Term], columns: int, rows: int) -> list[Text]:
    if len(terms) > rows:
        hidden = len(terms) - max(0, rows - 1)
        shown = [*_term_lines(terms[: max(0, rows - 1)], columns, rows), Text(f"… {hidden} more", style="dim")]
        return shown[:rows]
    name_width = min(16, max((len(term.label) for term in terms), default=0))
    value_width = max((len(term.value) for term in terms), default=0)
    spark_width = max(0, columns - name_width - value_width - 4)
    lines = []
    for term in terms:
        name = Text(term.label, style=LABEL)
        name.truncate(name_width, overflow="ellipsis", pad=True)
        spark = sparkline(term.history, min(spark_width, 100))
        lines.append(Text.assemble(name, "  ", (term.value.rjust(value_width), VALUE), "  ", (spark, "dim")))
    return lines


def _body(state: State, columns: int, rows: int, colours: ColorSystem | None) -> list[Line]:
    """The terms, and the samples beside or under them, wherever more can be seen of these."""
    terms = _terms(state)
    if state.samples is None or state.started is None:
        return [Line(text) for text in _term_lines(terms, columns, rows)]
    tile = (state.started.image_shape[2], state.started.image_shape[1])
    grid = pixels.tiles(state.samples, tile)
    if grid == (1, 1):
        tile = (state.samples.width, state.samples.height)
    under = pixels.fit(grid, tile, columns, rows - len(terms) - 2)
    beside = pixels.fit(grid, tile, columns - MIN_TERM_COLUMNS - 2, rows - 1)
    best = max(under, beside, key=lambda each: each.score)
    if best.score == 0:
        return [Line(text) for text in _term_lines(terms, columns, rows)]
    picture = pixels.drawn(state.samples, tile, best, colours)
    room, captions = (
        (columns if best is under else best.width),
        (f"samples at step {state.samples.step:,}", "samples", ""),
    )
    caption = Text(next(words for words in captions if len(words) <= room), style="dim")
    if best is under:
        head = [*_term_lines(terms, columns, len(terms)), Text(), caption]
        return [*map(Line, head), *(Line(Text(), each) for each in picture)]
    narrow = columns - best.width - 2
    left = [*_term_lines(terms, narrow, rows), *[Text()] * rows][: max(len(terms), len(picture) + 1)]
    first, *rest = [_padded(text, narrow) for text in left]
    beside_them = [*picture, *[""] * len(rest)]
    return [Line(first.append_text(caption)), *map(Line, rest, beside_them)]


def _padded(text: Text, columns: int) -> Text:
    text = text.copy()
    text.truncate(columns, overflow="ellipsis", pad=True)
    return text.append("  ")


def summary(event: RunFinished) -> list[Text]:
    """How the run ended. Commands and paths are whole, to be copied, and so may be longer than a terminal is wide."""
    speed = f"{words.duration(event.elapsed_s)}, {words.count(event.images_per_s)} images/s"
    if event.status == "done":
        first = Text.assemble(("done", "bold green"), f" in {speed}; the model is {printable(event.checkpoint)}")
    else:
        why = f" by {printable(event.reason)} after {speed}; state saved in {printable(event.out)}"
        first = Text.assemble(("stopped", "bold yellow"), why)
    return [first, *(Text(printable(line), LABEL if line.startswith("  ") else "") for line in words.following(event))]


def warning(event: Warned) -> Text:
    style = "bold blue" if event.kind == "note" else "bold yellow"
    return Text.assemble((f"{event.kind}:", style), f" {printable(event.message)}")
