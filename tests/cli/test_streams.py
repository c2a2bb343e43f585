"""Streams that are closed, full, or gone half-way: an exit code that is written down, one line if there is a place for it,
and a run that goes on."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gancli.cli import streams
from tests.conftest import SMALL, Gan, gan_process

TRAIN = ("train", *SMALL, "--steps", 10, "--save-every", 5)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def shell(redirections: str, *args: object) -> "subprocess.CompletedProcess[bytes]":
    """`gan` in a process of its own, with its streams redirected as a shell does."""
    words = " ".join(map(str, args))
    command = f'exec "{sys.executable}" -m gancli {words} {redirections}'
    return subprocess.run(["sh", "-c", command], capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("redirections", "code", "line"),
    [
        (">&-", 1, b"gan: stdout: cannot be written to (it is closed)\n"),
        pytest.param(">/dev/full", 1, b"gan: stdout: cannot be written to (No space left on device)\n", marks=full),
        (">&- 2>&-", 1, b""),
        ("<&- 2>&-", 0, b""),
        pytest.param("2>/dev/full", 0, b"", marks=full),
    ],
)
def test_results_that_reach_nobody_are_a_failure_and_silence_is_none(redirections: str, code: int, line: bytes) -> None:
    done = shell(redirections, "variants")
    assert (done.returncode, done.stderr) == (code, line)


@pytest.mark.parametrize("name", ["FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"])
def test_help_in_a_file_has_no_escape_codes_whatever_the_environment_says(name: str) -> None:
    assert b"\x1b" not in gan_process("train", "--help", **{name: "1", "TERM": "xterm-256color"}).stdout


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
@pytest.mark.parametrize(("term", "coloured"), [("xterm-256color", True), ("dumb", False), ("", False), (None, False)])
def test_help_on_a_terminal_has_the_escape_codes_it_takes(term: str | None, coloured: bool) -> None:
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("TERM", "NO_COLOR")}
    environment |= {} if term is None else {"TERM": term}
    command = [sys.executable, "-m", "gancli", "variants", "--help"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while chunk := os.read(ours, 4096):
                shown += chunk
        assert process.wait(60) == 0
    os.close(ours)
    assert b"JSON document" in shown
    assert (b"\x1b" in shown) is coloured


def test_a_message_for_a_closed_stderr_lands_in_no_file(trained: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert shell("<&- >&- 2>&-", "train", "--out", trained, *SMALL).returncode == 2
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_reader_that_goes_away_ends_a_command_as_other_tools() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        for args in (["variants", "--json"], ["train", "--help"]):
            done = subprocess.run(
                [sys.executable, "-m", "gancli", *args], stdout=gone, stderr=subprocess.PIPE, timeout=60
            )
            assert (done.returncode, done.stderr) == (141, b"")


@contextlib.contextmanager
def stdout_that_is(state: str) -> Iterator[None]:
    """A stdout that takes nothing, as `gan` has it in a process of its own."""
    reading, descriptor = os.pipe()
    os.close(reading)
    if state != "gone":
        os.close(descriptor)
        name, flags = ("/dev/full", os.O_WRONLY) if state == "full" else (os.devnull, os.O_RDONLY)
        descriptor = os.open(name, flags)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", streams.open_stream(descriptor, streams.Out))
        yield
    os.close(descriptor)


@pytest.mark.parametrize("state", ["gone", pytest.param("full", marks=full)])
def test_a_run_goes_on_when_nobody_takes_its_json(gan: Gan, state: str, tmp_path: Path) -> None:
    with stdout_that_is(state):
        outcome = gan(*TRAIN, "--out", "run", "--progress", "json")
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("warning: --progress json: stdout: ")
    assert (tmp_path / "run" / "state" / "step-00000010.safetensors").exists()
    assert (tmp_path / "run" / "ckpt.safetensors").exists()
    assert '"step": 10' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_a_finished_run_is_one_though_its_path_cannot_be_told(gan: Gan) -> None:
    with stdout_that_is("closed"):
        outcome = gan(*TRAIN, "--out", "run", "--progress", "none")
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("warning: stdout: ")
    assert outcome.err.endswith("the run has ended, its model is run/ckpt.safetensors\n")


def test_a_picture_that_stdout_does_not_take_is_a_failure(gan: Gan, trained: Path) -> None:
    for state, expected in {"gone": (141, 0), "closed": (1, 1)}.items():
        with stdout_that_is(state):
            outcome = gan("sample", trained, "-n", 4, "-o", "-")
        assert (outcome.code, outcome.err.count("\n")) == expected, outcome


def test_a_reader_of_json_that_leaves_half_way_costs_no_step(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdout", streams.open_stream(writing, streams.Out))

    def read_one_line() -> None:
        with os.fdopen(reading) as reader:
            reader.readline()

    thread = threading.Thread(target=read_one_line)
    thread.start()
    outcome = gan(*TRAIN, "--out", "run", "--progress", "json")
    thread.join()
    os.close(writing)
    assert outcome.code == 0, outcome.err
    assert "closed by the reader" in outcome.err
    assert Path("run/state/step-00000010.safetensors").exists()


def test_a_pipe_that_another_program_made_non_blocking_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 300_000
    received: list[str] = []

    def read_all() -> None:
        with os.fdopen(reading) as reader:
            received.append(reader.read())

    thread = threading.Thread(target=read_all)
    stream = streams.open_stream(writing, streams.Out)
    thread.start()
    stream.write(text)
    stream.flush()
    os.close(writing)
    thread.join()
    assert received == [text]
