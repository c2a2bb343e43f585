"""How far a command has come, on a terminal and without one."""

import io
import sys

import pytest

from gancli.cli.progress import show_progress
from gancli.events import Preparing, Warned

ODD = "decoding [/b][red]\x1b[2J caf\udce9"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_names_are_shown_as_they_are_but_for_what_moves_the_cursor(
    monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO]
) -> None:
    stream = kind()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as emit:
        emit(Preparing(ODD, 1, 2, "images"))
        emit(Warned(ODD))
    assert "[/b][red]\\x1b[2J caf\\xe9" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
