"""The lines of the live table, made from the state of a run to fit a terminal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from gancli.errors import printable
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
from gancli.report import pixels, words
from gancli.report.history import LossHistory, sparkline
from gancli.text import counted

LOW = 12  # rows up to which every line counts
MIN_TERM_COLUMNS = 40  # columns that the terms get when samples stand beside them
LABEL, VALUE = "bold", "cyan"
NO_STEP_S, DOING_S = 10.0, 2.0  # so long without a step, or at something else, is worth a word


@dataclass
class State:
    """What the events so far say. `progress_at`: when `progress` came, in seconds of the reporter's clock. `means`: of the
    steps so far, as long as there is no row."""

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

    def note(self, event: Event, now: float) -> None:
        match event:
            case Preparing():
                self.preparing, self.progress = event, None
            case Progress():
                self._note_progress(event, now)
            case RunStarted():
                self.started, self.progress = event, None
            case PhaseStarted():
                self.phase = event
            case LossRow():
                self.row = event
                self.history.add(event.step, event.terms)
                at = Progress(
                    event.step, event.steps, epoch=event.epoch, images_per_s=event.images_per_s, left_s=event.left_s
                )
                self._note_progress(at, now)
            case Evaluated():
                self.evaluated = event
            case SamplesDrawn():
                self.samples = event
            case RunFinished():
                self.finished = event

    def _note_progress(self, progress: Progress, now: float) -> None:
        self.progress, self.progress_at = progress, now
        if progress.terms:
            self.means = progress.terms

    def now(self, now: float) -> Progress | None:
        """The last report of progress, as it stands by now."""
        return self.progress and self.progress.after(now - self.progress_at)

    @property
    def terms(self) -> Mapping[str, float]:
        return self.row.terms if self.row else self.means


def lines(state: State, columns: int, rows: int, now: float, colours: bool) -> list[Text]:
    """At most `rows` lines of at most `columns` characters; without `colours`, samples are black and white."""
    if state.started is None:
        shown = _before(state, columns, now)
    else:
        top = [*_top(state, columns, rows, now), Text()]
        shown = [*top, *_body(state, columns, max(0, rows - len(top)), colours)]
    for line in shown:
        line.truncate(columns, overflow="ellipsis")
    return shown[:rows]


def _bar(share: float, columns: int) -> Text:
    """A bar of `columns` characters, drawn to half a character."""
    halves = round(2 * columns * min(1.0, max(0.0, share)))
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Text.assemble((done, "green"), ("━" * (columns - len(done)), "bright_black"))


def _before(state: State, columns: int, now: float) -> list[Text]:
    """What is done before the run starts."""
    if progress := state.now(now):
        return [Text.assemble((printable(progress.doing), LABEL), f"  {duration(progress.doing_s)}")]
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
        f"{started.dataset}: {count(started.num_images)} images, {shape}",
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
        parts += [(3, "epoch ", f"{progress.epoch:.2f}"), (2, "", f"{count(progress.images_per_s)} images/s")]
        parts += [] if state.finished else [(1, "", f"{duration(progress.left_s)} left")]
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


def _term_lines(state: State, columns: int, rows: int) -> list[Text]:
    """A line for each term: its name, value and curve; the first ones, where there are more than `rows`."""
    terms = {words.label(name): (number(value), state.history.values(name)) for name, value in state.terms.items()}
    name_width = min(16, max(map(len, terms), default=0))
    value_width = max((len(value) for value, _ in terms.values()), default=0)
    spark_width = min(100, columns - name_width - value_width - 4)
    lines = []
    for label, (value, history) in terms.items():
        name = Text(label, style=LABEL)
        name.truncate(name_width, overflow="ellipsis", pad=True)
        curve = sparkline(history, spark_width)
        lines.append(Text.assemble(name, "  ", (value.rjust(value_width), VALUE), "  ", (curve, "dim")))
    if len(lines) > rows:
        shown = max(0, rows - 1)
        lines[shown:] = [Text(f"… {len(lines) - shown} more", style="dim")]
    return lines[:rows]


def _body(state: State, columns: int, rows: int, colours: bool) -> list[Text]:
    """The terms, and the samples beside or under them, wherever more can be seen of these."""
    if state.samples is None or state.started is None:
        return _term_lines(state, columns, rows)
    num_terms = len(state.terms)
    tile = (state.started.image_shape[2], state.started.image_shape[1])
    grid = pixels.tiles(state.samples, tile)
    if grid == (1, 1):
        tile = (state.samples.width, state.samples.height)
    under = pixels.fit(grid, tile, columns, rows - num_terms - 2)
    beside = pixels.fit(grid, tile, columns - MIN_TERM_COLUMNS - 2, rows - 1)
    best = max(under, beside, key=lambda each: each.score)
    if best.score == 0:
        return _term_lines(state, columns, rows)
    picture = pixels.drawn(state.samples, tile, best, colours)
    width = columns if best is under else best.width
    captions = (f"samples at step {state.samples.step:,}", "samples", "")
    caption = Text(next(caption for caption in captions if len(caption) <= width), style="dim")
    if best is under:
        return [*_term_lines(state, columns, num_terms), Text(), caption, *picture]
    left_width = columns - best.width - 2
    left = _term_lines(state, left_width, rows)
    left += [Text()] * (len(picture) + 1 - len(left))
    right = [caption, *picture, *[Text()] * (len(left) - len(picture) - 1)]
    return [_padded(*both, left_width) for both in zip(left, right, strict=True)]


def _padded(left: Text, right: Text, columns: int) -> Text:
    """Both in one line, the left one in so many columns."""
    line = left.copy()
    line.truncate(columns, overflow="ellipsis", pad=True)
    return line.append("  ").append_text(right)


def summary(event: RunFinished) -> list[Text]:
    """How the run ended. Commands and paths are whole, to be copied, and so may be longer than a terminal is wide."""
    speed = f"{duration(event.elapsed_s)}, {count(event.images_per_s)} images/s"
    if event.status == "done":
        first = Text.assemble(("done", "bold green"), f" in {speed}; the model is {printable(event.checkpoint)}")
    else:
        why = f" by {printable(event.reason)} after {speed}; state saved in {printable(event.out)}"
        first = Text.assemble(("stopped", "bold yellow"), why)
    return [first, *(Text(printable(line), LABEL if line.startswith("  ") else "") for line in words.following(event))]


def warning(event: Warned) -> Text:
    style = "bold blue" if event.kind == "note" else "bold yellow"
    return Text.assemble((f"{event.kind}:", style), f" {printable(event.message)}")
