"""Choose the reporter of a run by rules of our own for whether stderr can show a live table.

Rich takes any non-empty FORCE_COLOR, even `0`, for a terminal, and on a file it prints only the last frame of a live table,
so that a batch log would stay empty for hours.
"""

import os
import sys
from typing import Literal, TextIO

from gancli.report.jsonl import JsonLines
from gancli.report.lines import Lines
from gancli.report.reporter import DUMB, Reporter, Silence, terminal_size

Progress = Literal["auto", "live", "plain", "json", "none"]

MIN_COLUMNS, MIN_ROWS = 40, 10


def choose_reporter(progress: Progress, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> Reporter:
    """Return the reporter for `--progress`. JSON Lines go to stdout, everything else to stderr, by default the process's."""
    stderr = sys.stderr if stderr is None else stderr
    if progress == "none":
        return Silence()
    if progress == "json":
        return JsonLines(sys.stdout if stdout is None else stdout, Lines(stderr).write)
    if progress == "plain":
        return Lines(stderr)
    problem = _why_not_live(stderr)
    if problem or (progress == "auto" and _prefers_lines(stderr)):
        lines = Lines(stderr)
        if progress == "live":
            lines.write(f"note: --progress live: {problem}; plain lines instead")
        return lines
    from gancli.report.table import Table

    return Table(stderr)


def _why_not_live(stream: TextIO) -> str:
    """Return why `stream` cannot show a live table, or `""`."""
    try:
        terminal = stream.isatty()
    except (AttributeError, ValueError):  # closed, or taken away
        terminal = False
    if not terminal:
        return "stderr is not a terminal"
    term = os.environ.get("TERM", "")
    if term.lower() in DUMB:
        return f"a terminal with TERM={term} cannot be redrawn"
    if (stream.encoding or "").lower().replace("-", "") != "utf8":
        return f"the encoding of stderr is {stream.encoding}, not UTF-8"
    return ""


def _prefers_lines(stream: TextIO) -> bool:
    """Return whether a live table would be of little use: in the log of a CI job, or on a very small terminal."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return True
    columns, rows = terminal_size(stream)
    return columns < MIN_COLUMNS or rows < MIN_ROWS
