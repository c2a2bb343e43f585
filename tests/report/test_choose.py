import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from gancli.report.choose import choose_reporter
from gancli.report.lines import Lines
from gancli.report.reporter import terminal_size
from gancli.report.table import Table


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A real terminal of 80 × 24, in an environment that speaks for a live table."""
    for name in ("CI", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream


def test_a_terminal_gets_the_live_table(terminal: TextIO) -> None:
    assert isinstance(choose_reporter("auto", stderr=terminal), Table)
    assert isinstance(choose_reporter("live", stderr=terminal), Table)


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", ""), ("TERM", "unknown"), ("CI", "true")])
def test_a_terminal_that_cannot_redraw_or_a_ci_job_gets_lines(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert isinstance(choose_reporter("auto", stderr=terminal), Lines)


def test_files_closed_streams_and_terminals_without_utf_8_get_lines(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "3")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    file, closed = io.StringIO(), io.StringIO()
    closed.close()
    with open(terminal.fileno(), "w", encoding="latin-1", closefd=False) as latin:
        for stream in (file, closed, latin):
            assert isinstance(choose_reporter("auto", stderr=stream), Lines)
    assert isinstance(choose_reporter("live", stderr=file), Lines)
    assert file.getvalue() == "note: --progress live: stderr is not a terminal; plain lines instead\n"


def test_exported_columns_do_not_hide_the_real_size(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "17")
    assert terminal_size(terminal) == (80, 24)  # a fresh pty has no size: the fallback
    assert terminal_size(io.StringIO()) == (80, 24)


def test_reporters_need_neither_torch_nor_for_plain_lines_rich() -> None:
    code = (
        "import sys, gancli.report.choose as c; c.choose_reporter('plain'); assert 'rich' not in sys.modules, 'rich';"
        "import gancli.report.table, gancli.report.history; assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
