"""The progress of a run in a notebook: one table and one grid of samples, which change in place (`progress="notebook"`).

IPython (the extra `notebook`) is imported when a notebook asks for it.
"""

import html
import importlib
import io
import math
import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from gancli.errors import GancliError, UsageError
from gancli.events import Event, Preparing, Progress, SamplesDrawn, Warned
from gancli.format import count, duration, number
from gancli.report import lines, view
from gancli.report.history import label, sparkline
from gancli.report.reporter import Reporter
from gancli.text import printable

REDRAW_S = 0.5  # at least, between two drawings
SPARK_COLUMNS = 40
TEXT_COLUMNS, TEXT_ROWS = 100, 40  # of the table where HTML is not shown
WAITING = "waiting for the first step"


def check() -> None:
    """Raise `GancliError` if IPython is missing, and `UsageError` if this is not a notebook."""
    try:
        shell = importlib.import_module("IPython").get_ipython()
    except ImportError:
        raise GancliError("progress=\"notebook\": needs IPython: pip install 'gancli[notebook]'") from None
    if shell is None or any(each.__name__ == "TerminalInteractiveShell" for each in type(shell).__mro__):
        where = "Python is not running in one" if shell is None else "a terminal cannot change what it shows"
        raise UsageError(f'progress="notebook": only for a notebook, and {where}; use progress="live" or "plain"')


class Notebook(Reporter):
    """Shows a table of losses with warnings, and below it the newest samples, each an output of the cell that is replaced.

    The table is also plain text, for programs that show no HTML.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        check()
        self._display: Any = importlib.import_module("IPython.display")
        self._now = now
        self._state = view.State()
        self._warnings: list[str] = []
        self._table: Any = None  # the handle of each output, once it is shown
        self._grid: Any = None
        self._changed = False
        self._drawn_at = -math.inf

    def __call__(self, event: Event) -> None:
        self._state.update(event, self._now())
        if isinstance(event, Warned):
            self._warnings.append(f"{event.kind}: {event.message}")
        self._changed = True
        if not isinstance(event, Progress | Preparing) or self._now() - self._drawn_at >= REDRAW_S:
            self._draw_table()
        if isinstance(event, SamplesDrawn):
            self._draw_grid(event)

    def close(self, _: BaseException | None) -> None:
        if self._changed:
            self._draw_table()

    def _draw_table(self) -> None:
        self._changed, self._drawn_at = False, self._now()
        shown = {"text/html": self._html(), "text/plain": self._text()}
        self._table = self._shown(self._table, shown)

    def _draw_grid(self, samples: SamplesDrawn) -> None:
        buffer = io.BytesIO()
        Image.frombytes("RGB", (samples.width, samples.height), samples.rgb).save(buffer, "PNG")
        text = f"samples at step {samples.step:,}: {printable(samples.path)}"
        self._grid = self._shown(self._grid, {"image/png": buffer.getvalue(), "text/plain": text})

    def _shown(self, handle: Any, bundle: dict[str, Any]) -> Any:
        """Show an output for the first time, or replace it. Returns its handle."""
        if handle is None:
            return self._display.display(bundle, raw=True, display_id=True)
        self._display.update_display(bundle, raw=True, display_id=handle.display_id)
        return handle

    def _text(self) -> str:
        """Return the table as plain text."""
        samples, self._state.samples = self._state.samples, None  # shown as an image
        rows = view.render(self._state, TEXT_COLUMNS, TEXT_ROWS, self._now(), colours=False)
        self._state.samples = samples
        end = view.summary(self._state.finished) if self._state.finished else []
        return "\n".join([*(line.plain.rstrip() for line in [*rows, *end]), *map(printable, self._warnings)])

    def _html(self) -> str:
        """Return the table as HTML, without colours of its own, so that it suits light and dark notebooks."""
        state = self._state
        parts = [_paragraph(self._headline())]
        step, steps = self._steps()
        if steps:
            parts.append(f'<progress value="{step}" max="{steps}" style="width: 30em"></progress>')
            parts.append(_paragraph(self._status(step, steps)))
        rows = [
            (label(name), number(value), sparkline(state.history.values(name), SPARK_COLUMNS))
            for name, value in state.terms.items()
        ]
        if state.evaluated:
            title = f"measured at step {state.evaluated.step:,}"
            rows.append((title, printable(lines.metrics(state.evaluated)), ""))
        if rows:
            parts.append(f"<table>{''.join(map(_row, rows))}</table>")
        ended = view.summary(state.finished) if state.finished else []
        parts += [_paragraph(text) for text in [*(line.plain for line in ended), *map(printable, self._warnings)]]
        return "".join(parts)

    def _headline(self) -> str:
        if (started := self._state.started) is not None:
            shape = "×".join(map(str, started.image_shape))
            return (
                f"{started.variant} on {started.dataset} ({count(started.num_images)} images, {shape}), "
                f"batch {started.batch_size}, {started.device}, {started.precision}"
            )
        if (event := self._state.preparing) is not None:
            return f"{event.what}: {lines.amount(event.done, event.total, event.unit)}"
        return WAITING

    def _steps(self) -> tuple[int, int]:
        """Return the steps done, and those of the run or, before it starts, of what is prepared (0: unknown)."""
        state = self._state
        if state.started is None:
            return (state.preparing.done, state.preparing.total) if state.preparing else (0, 0)
        now = state.finished or state.progress
        return now.step if now and now.step else state.started.start_step, state.started.steps

    def _status(self, step: int, steps: int) -> str:
        state = self._state
        if state.started is None:
            return ""
        parts = [f"step {step:,} of {steps:,}"]
        progress = state.progress
        if progress and not math.isnan(progress.left_s):
            parts += [f"epoch {progress.epoch:.2f}", f"{count(progress.images_per_s)} images/s"]
            parts += [] if state.finished else [f"{duration(progress.left_s)} left"]
        if state.row:
            parts.append(lines.memory(state.row.memory_bytes))
        return " · ".join(parts)


def _paragraph(text: str) -> str:
    return f"<div>{html.escape(printable(text))}</div>" if text else ""


def _row(cells: tuple[str, str, str]) -> str:
    name, value, curve = map(html.escape, cells)
    return (
        f'<tr><td style="text-align: left">{name}</td><td style="text-align: right">{value}</td>'
        f'<td style="text-align: left; font-family: monospace; white-space: pre">{curve}</td></tr>'
    )
