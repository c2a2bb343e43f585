import dataclasses
import io
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from gancli.events import CheckpointSaved, Event, PhaseStarted, Preparing, Progress, Warned
from gancli.report import reporter
from gancli.report.lines import Lines, amount
from tests.report.facts import evaluated, finished, row, samples, started

BEGAN = datetime(2026, 11, 27, 12, 3, 44, tzinfo=timezone(timedelta(hours=1)))
FIRST = "2026-11-27 12:03:44 +0100 "


def lines_of(*events: object) -> str:
    """The lines after the time of the first: of a clock that stands still."""
    stream = io.StringIO()
    with Lines(stream, now=lambda: 0.0, local_time=lambda: BEGAN) as report:
        for event in events:
            report(event)  # type: ignore[arg-type]  # events of any kind
    return stream.getvalue().removeprefix(FIRST)


class Clocked:
    """A reporter without its thread, and a clock to turn."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stream = io.StringIO()
        self.report = Lines(self.stream, now=lambda: self.seconds, local_time=self._local_time)

    def _local_time(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def test_a_row_of_losses_is_one_line_with_step_losses_speed_and_time_left() -> None:
    assert lines_of(row(1200)) == (
        "step 1200/11700  epoch 2.56  d_loss 1.203  g_loss 0.8123  d_real 0.6100  d_fake 0.3800  "
        "41.2k images/s  2m 10s left  612 MB\n"
    )


def test_a_measurement_is_one_line_that_says_if_it_is_the_best() -> None:
    figures = "step 4000: frechet 12.35  coverage 0.7921"
    best = "runs/vanilla-digits-001/best.safetensors"
    assert lines_of(evaluated()) == f"{figures}  (best by frechet so far: {best})\n"
    assert lines_of(evaluated(best=False)) == f"{figures}\n"


def test_a_run_begins_with_what_is_trained_on_what() -> None:
    text = lines_of(started())
    assert text.count("\n") == 2
    assert text.splitlines()[1].startswith("12:03:44 parameters: ")
    for fact in ("vanilla", "default", "digits", "5620", "1x28x28", "cpu (x86_64)", "fp32", "2 threads", "batch 128"):
        assert fact in text
    assert "from step 1200 to 11700" in lines_of(started(start_step=1200))


def test_no_escape_codes_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    hostile = Warned("\x1b[31mred\x1b[0m and\na second line")
    text = lines_of(
        started(dataset="\x1b]0;title\x07[red]"), hostile, row(1, {"[b]\x1b[1m": 1.0}), samples(), finished()
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "warning: \\x1b[31mred\\x1b[0m and\\na second line\n" in text


def test_the_end_of_a_run_says_what_may_be_done_next() -> None:
    done = dataclasses.replace(finished(), next_commands=("gan sample 'my run'", "gan evaluate 'my run'"))
    done = dataclasses.replace(done, report="my run/report.html")
    lines = [line.partition(" ")[2] for line in lines_of(done).splitlines()[1:]]
    assert lines == ["next: gan sample 'my run', or gan evaluate 'my run'", "report: my run/report.html"]
    stopped = lines_of(dataclasses.replace(done, status="stopped", reason="SIGTERM")).splitlines()[1:]
    assert stopped[1] == "  gan train --resume runs/vanilla-digits-001"
    assert [line.partition(" ")[2] for line in (stopped[0], *stopped[2:])] == ["to resume:", *lines]


def test_preparing_is_printed_at_its_beginning_and_end_and_every_ten_seconds() -> None:
    clocked = Clocked()
    for second in range(26):
        clocked.seconds = float(second)
        clocked.report(Preparing("decoding photos", second, 25, "images"))
    done = [line.split(": ")[1].split(" of")[0] for line in clocked.lines]
    assert done == ["0", "10", "20", "25"]


def test_the_first_line_has_date_and_zone_the_next_ones_the_time_until_the_date_changes() -> None:
    clocked = Clocked()
    for hours in (0, 11, 12):
        clocked.seconds = hours * 3600.0
        clocked.report(Warned("one"))
    assert clocked.lines == [
        "2026-11-27 12:03:44 +0100 warning: one",
        "23:03:44 warning: one",
        "2026-11-28 00:03:44 +0100 warning: one",
    ]


def test_a_step_that_takes_long_is_printed_every_thirty_seconds_and_the_time_left_grows() -> None:
    clocked = Clocked()
    clocked.report(started())
    clocked.report(Progress(37, 11700, images_per_s=32.0, left_s=3600.0))
    for second in range(1, 100):
        clocked.seconds = float(second)
        clocked.report.tick()
    assert clocked.lines[2:] == [
        "12:04:14 at step 37/11700  no step completed for 30s  1h 59m left",
        "12:04:44 at step 37/11700  no step completed for 1m 00s  3h 00m left",
        "12:05:14 at step 37/11700  no step completed for 1m 30s  4h 00m left",
    ]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Progress(500, 900, "drawing samples", left_s=60.0), "at step 500/900  drawing samples for 35s  1m 00s left"),
        (Progress(doing="loading torch"), "loading torch for 35s"),
        (Preparing("decoding", 3, 6, "images"), "decoding: 3 of 6 images (50%), nothing new for 35s"),
        (Preparing("measuring real pictures", 0, 0, ""), "measuring real pictures, nothing new for 35s"),
    ],
)
def test_what_is_being_done_is_printed_where_it_takes_long(event: Event, line: str) -> None:
    clocked = Clocked()
    clocked.report(Warned("the first line"))
    clocked.seconds = 1.0
    clocked.report(event)
    clocked.seconds = 36.0
    clocked.report.tick()
    assert clocked.lines[-1] == f"12:04:20 {line}"


def test_means_so_far_are_a_line_unlike_a_rows_and_only_where_there_has_been_none_for_long() -> None:
    clocked = Clocked()
    means = Progress(40, 11700, terms={"d_loss": 1.25}, num_means=40, epoch=0.5, images_per_s=32.0, left_s=90.0)
    clocked.report(row(1))
    for clocked.seconds in (5.0, 25.0):
        clocked.report(means)
    assert clocked.lines[1:] == [
        "12:04:09 at step 40/11700  epoch 0.50  d_loss 1.250  (means of 40 steps so far)  32 images/s  1m 30s left"
    ]


def test_the_thread_breaks_the_silence_and_ends_with_the_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "TICK_S", 0.005)
    clocked = Clocked()
    with clocked.report:
        clocked.report(Progress(37, 11700))
        clocked.seconds = 31.0
        until = time.monotonic() + 10
        while not clocked.lines and time.monotonic() < until:
            time.sleep(0.005)
    assert len(clocked.lines) == 1
    while "heartbeat" in {thread.name for thread in threading.enumerate()} and time.monotonic() < until:
        time.sleep(0.005)  # it was asked to end, and the reporter does not wait for it long
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_only_models_and_only_several_phases_are_worth_a_line() -> None:
    assert lines_of(CheckpointSaved(5, "state/step-5", "state"), PhaseStarted("train", 0, 1, 0, 9)) == ""
    assert lines_of(CheckpointSaved(5, "ckpt", "model")) == "step 5: saved ckpt\n"
    assert lines_of(PhaseStarted("pretraining", 0, 2, 0, 9)) == "phase 1 of 2: pretraining, steps 0 to 9\n"


def test_a_stream_that_is_gone_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, text)

    report = Lines(Gone())
    report(row(1))
    report(row(2))


def test_a_stream_without_unicode_gets_escapes_instead() -> None:
    raw = io.BytesIO()
    report = Lines(io.TextIOWrapper(raw, encoding="ascii"))
    report(Warned("Übung"))
    assert raw.getvalue().endswith(b" warning: \\xdcbung\n")


def test_amounts_without_a_total_name_what_is_done() -> None:
    assert amount(1200, 0, "images") == "1,200 images"
    assert amount(0, 0, "files") == amount(3, 4, "") == ""
    assert amount(0, 25, "images") == "0 of 25 images"
    assert amount(12_000_000, 34_000_000, "bytes") == "12 MB of 34 MB"
