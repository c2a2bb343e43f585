"""Choose the reporter of a run, by our own rules for whether stderr can show a live table.

Rich must not be asked: it takes any non-empty FORCE_COLOR, even `0`, for a terminal, and on a file it prints only the last
frame of a live table, so that a batch log would stay empty for hours.
"""

import os
import sys
from typing import Literal, TextIO

from gancli.report.jsonl import JsonLines
from gancli.report.lines import Lines
from gancli.report.reporter import Reporter, Silence
from gancli.report.terminal import DUMB, terminal_size

Progress = Literal["auto", "live", "plain", "json", "none"]

MIN_COLUMNS, MIN_ROWS = 40, 10


def choose(
    progress: Progress,
    *,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> Reporter:
    """The reporter for `--progress`: JSON Lines go to stdout, all else to stderr (by default the process's own)."""
    stderr = sys.stderr if stderr is None else stderr
    if progress == "none":
        return Silence()
    if progress == "json":
        return JsonLines(sys.stdout if stdout is None else stdout, Lines(stderr).write)
    if progress == "plain":
        return Lines(stderr)
    hindrance = _cannot_redraw(stderr)
    if progress == "live" and hindrance:
        lines = Lines(stderr)
        lines.write(f"note: --progress live: {hindrance}; plain lines instead")
        return lines
    if hindrance or (progress == "auto" and _would_rather_not(stderr)):
        return Lines(stderr)
    from gancli.report.table import Table

    return Table(stderr)


def _cannot_redraw(stream: TextIO) -> str:
    """Why no live table is possible on `stream`, or `""`."""
    try:
        terminal = stream.isatty()
    except (AttributeError, ValueError):  # closed, or taken away
        terminal = False
    if not terminal:
        return "stderr is no terminal"
    term = os.environ.get("TERM", "")
    if term.lower() in DUMB:
        return f"a terminal with TERM={term} cannot be redrawn"
    if (stream.encoding or "").lower().replace("-", "") != "utf8":
        return f"stderr takes {stream.encoding} text, not UTF-8"
    return ""


def _would_rather_not(stream: TextIO) -> bool:
    """Whether a live table would be of little use: in the log of a CI job, or on a very small terminal."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return True
    columns, rows = terminal_size(stream)
    return columns < MIN_COLUMNS or rows < MIN_ROWS
