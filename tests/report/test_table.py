import io
import sys

import pytest

from gancli.cli import console
from gancli.events import Event, PhaseStarted, Preparing, Progress, Warned
from gancli.report import table
from gancli.report.table import Table
from tests.report.facts import evaluated, finished, row, samples, started
from tests.report.screen import Screen

SIZES = [(80, 24), (120, 40), (200, 50), (30, 8), (1, 1)]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    resize(monkeypatch, 80, 24)


def resize(monkeypatch: pytest.MonkeyPatch, columns: int, rows: int) -> None:
    monkeypatch.setattr(table, "terminal_size", lambda _: (columns, rows))


def shown(*events: Event) -> Screen:
    """The screen after these events and the end of the reporter."""
    stream, screen = io.StringIO(), Screen()
    with Table(stream) as report:
        for event in events:
            report(event)
    screen.feed(stream.getvalue())
    return screen


def test_the_table_tells_what_is_trained_how_far_it_is_and_how_it_goes() -> None:
    text = shown(started(), row(1200)).text
    for fact in ("vanilla", "preset default", "digits", "cpu (x86_64)", "fp32", "2 threads", "batch 128"):
        assert fact in text
    for fact in ("10%", "step 1,200 of 11,700", "epoch 2.56", "41.2k images/s", "2m 10s left", "612 MB"):
        assert fact in text
    for fact in ("D loss    1.203", "G loss   0.8123", "D(real)  0.6100", "D(fake)  0.3800"):
        assert fact in text


def test_the_table_keeps_the_last_measurement_in_sight() -> None:
    text = shown(started(), row(1200), evaluated(4000), row(4100)).text
    assert "measured at step 4,000" in text
    assert "frechet 12.35  coverage 0.7921" in text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "2m 10s left"), (4.0, "2m 06s left"), (30.0, "3m 05s left"), (600.0, "41m 05s left")]
)
def test_the_time_left_runs_down_during_a_step_and_grows_where_that_takes_longer_than_foreseen(
    seconds: float, shown: str
) -> None:
    clock = [0.0]
    stream, screen = io.StringIO(), Screen()
    with Table(stream, now=lambda: clock[0]) as report:
        report(started())
        report(row(1200))
        report(Progress(11690, 11700, left_s=130.0))
        clock[0] = seconds
        report.redraw()
    screen.feed(stream.getvalue())
    assert shown in screen.text
    assert "step 11,690 of 11,700" in screen.text
    assert ("no step completed for" in screen.text) == (seconds > 10)


def test_a_note_is_not_broken_inside_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "warning: --dataset photos: a-path/of/some-thirty/chars/x.png is none of the images that fit"
    resize(monkeypatch, 40, 24)
    lines = shown(started(), Warned(words.removeprefix("warning: "))).text.split("\n")
    assert " ".join(line.strip() for line in lines[: lines.index("vanilla · preset default")]) == words
    monkeypatch.setattr(console, "takes_codes", lambda _: True)
    monkeypatch.setenv("COLUMNS", "40")
    console.print_message(words)
    lines = capsys.readouterr().err.splitlines()
    assert " ".join(line.strip() for line in lines) == words
    assert len(lines) > 2


def test_a_narrow_terminal_shows_whole_facts_and_fewer_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (100, 60, 45):
        resize(monkeypatch, columns, 24)
        (line,) = (line for line in shown(started(), row(5)).text.split("\n") if line.startswith("step "))
        assert "…" not in line
        assert ("images/s" in line) == (columns > 45)
        assert "left" in line


def test_what_takes_long_is_named_before_the_run_and_in_it() -> None:
    clock = [0.0]
    stream, screen = io.StringIO(), Screen()
    with Table(stream, now=lambda: clock[0]) as report:
        report(Progress(doing="loading torch"))
        clock[0] = 8.0
        report.redraw()
        seen = len(stream.getvalue())
        screen.feed(stream.getvalue())
        assert screen.text == "loading torch  8s"
        report(started())
        report(Progress(500, 11700, "measuring", left_s=60.0))
        clock[0] = 20.0
        report.redraw()
    screen.feed(stream.getvalue()[seen:])
    assert "measuring for 12s" in screen.text
    assert "1m 00s left" in screen.text


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_every_size_of_terminal_gets_a_table_that_fits(
    monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    resize(monkeypatch, columns, rows)
    many = {f"{name}{level}_loss": 1.0 for level in range(3) for name in "dg"} | {"a very long name " * 9: 1.0}
    screen = shown(started(), PhaseStarted("pretraining", 0, 2, 0, 300), row(5, many), samples())
    assert len(screen.text.split("\n")) < max(2, rows)
    assert max(len(line) for line in screen.text.split("\n")) < max(2, columns)


@pytest.mark.parametrize(("columns", "rows"), SIZES[:3])
def test_samples_are_shown_where_there_is_room(monkeypatch: pytest.MonkeyPatch, columns: int, rows: int) -> None:
    resize(monkeypatch, columns, rows)
    text = shown(started(), row(100), samples(100)).text
    assert "samples at step 100" in text
    assert text.count("▀") > 800


def test_no_color_means_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    with Table(stream) as report:
        report(started())
        report(row(100))
        report(samples())
    codes = {part.split("m")[0] for part in stream.getvalue().split("\x1b[") if "m" in part[:6]}
    assert codes <= {"0", "1", "2"}  # plain, bold, dim
    assert "█" in stream.getvalue()


def test_only_several_phases_are_named() -> None:
    assert "phase 2 of 2: adversarial" in shown(started(), PhaseStarted("adversarial", 1, 2, 300, 900)).text
    assert "phase" not in shown(started(), PhaseStarted("train", 0, 1, 0, 900)).text


def test_warnings_and_what_others_print_stay_above_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, screen = io.StringIO(), Screen()
    monkeypatch.setattr(sys, "stderr", stream)
    with Table(stream) as report:
        report(started())
        report(Warned("a grey image"))
        sys.stderr.write("a \x1b[31mlibrary's line\nand a half")
        report(row(100))
    assert sys.stderr is stream
    screen.feed(stream.getvalue())
    assert screen.text.split("\n")[:3] == ["warning: a grey image", "a library's line", "and a half"]
    assert "step 100 of" in screen.text
    assert screen.text.count("vanilla") == 1


def test_a_stopped_run_ends_with_the_whole_command_that_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    resize(monkeypatch, 20, 10)
    assert shown(started(), row(5), finished("stopped")).text.split("\n")[-1].strip() == (
        "gan train --resume runs/vanilla-digits-001"
    )


def break_off(stream: io.StringIO, error: type[BaseException]) -> None:
    with Table(stream) as report:
        report(started())
        report(row(7))
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_leaves_a_sound_terminal_and_passes_through(error: type[BaseException]) -> None:
    stream, screen = io.StringIO(), Screen()
    with pytest.raises(error):
        break_off(stream, error)
    screen.feed(stream.getvalue())
    assert screen.cursor_shown
    assert "step 7 of" in screen.text
    assert screen.column == 0


def test_a_run_that_is_killed_leaves_a_terminal_with_a_cursor() -> None:
    stream, screen = io.StringIO(), Screen()
    with Table(stream) as report:
        report(started())
        report.redraw()
        screen.feed(stream.getvalue())
        assert screen.cursor_shown


def test_a_terminal_that_is_gone_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, text)

    with Table(Gone()) as report:
        for event in (started(), Warned("a"), row(1), finished()):
            report(event)
            report.redraw()


def test_names_cannot_command_the_terminal() -> None:
    hostile = "[red]\x1b[2J\x07\u202e"
    text = shown(started(dataset=hostile), Warned(hostile), row(1, {hostile: float("nan")})).text
    assert text.count("[red]\\x1b[2J\\x07\\u202e") == 2
    assert "[red]\\x1b[2J\\x0…  nan" in text


def test_a_finished_run_leaves_its_table_and_where_the_model_is() -> None:
    text = shown(started(), row(11700), finished()).text
    assert "D loss" in text
    assert text.endswith("done in 4m 12s, 41.0k images/s; the model is runs/vanilla-digits-001/ckpt.safetensors")


def test_preparing_is_a_bar_that_makes_way_for_the_table() -> None:
    preparing = Preparing("downloading mnist", 17_000_000, 34_000_000, "bytes")
    assert "17 MB of 34 MB" in shown(preparing).text
    assert "downloading" not in shown(preparing, started()).text
