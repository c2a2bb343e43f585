import io

import pytest

from gancli.events import CheckpointSaved, PhaseStarted, Preparing, Warned
from gancli.report.lines import Lines
from tests.report.facts import evaluated, finished, row, samples, started


def told(*events: object, now: float = 0.0) -> str:
    stream = io.StringIO()
    with Lines(stream, now=lambda: now) as report:
        for event in events:
            report(event)  # type: ignore[arg-type]  # events of any kind
    return stream.getvalue()


def test_a_row_of_losses_is_one_line_with_step_losses_speed_and_time_left() -> None:
    assert told(row(1200)) == (
        "step 1200/11700  epoch 2.56  d_loss 1.2034  g_loss 0.8123  d_real 0.61  d_fake 0.38  "
        "41.2k images/s  2m 10s left  612 MB\n"
    )


def test_a_measurement_is_one_line_that_says_if_it_is_the_best() -> None:
    figures = "step 4000: frechet 12.35  coverage 0.7921"
    best = "runs/vanilla-digits-001/best.safetensors"
    assert told(evaluated()) == f"{figures}  (best by frechet so far: {best})\n"
    assert told(evaluated(best=False)) == f"{figures}\n"


def test_a_run_begins_with_what_is_trained_on_what() -> None:
    text = told(started())
    assert text.count("\n") == 2
    for fact in ("vanilla", "default", "digits", "5620", "1x28x28", "cpu (x86_64)", "fp32", "2 threads", "batch 128"):
        assert fact in text
    assert "from step 1200 to 11700" in told(started(start_step=1200))


def test_no_escape_codes_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    hostile = Warned("\x1b[31mred\x1b[0m and\na second line")
    text = told(started(dataset="\x1b]0;title\x07[red]"), hostile, row(1, {"[b]\x1b[1m": 1.0}), samples(), finished())
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "warning: \\x1b[31mred\\x1b[0m and\\na second line\n" in text


def test_each_line_is_flushed_at_once() -> None:
    class Counting(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    stream = Counting()
    report = Lines(stream)
    for step in range(3):
        report(row(step))
    assert stream.flushes == 3


def test_preparing_is_told_at_its_beginning_and_end_and_every_ten_seconds() -> None:
    clock = [0.0]
    stream = io.StringIO()
    report = Lines(stream, now=lambda: clock[0])
    for second in range(26):
        clock[0] = float(second)
        report(Preparing("decoding photos", second, 25, "images"))
    done = [line.split(": ")[1].split(" of")[0] for line in stream.getvalue().splitlines()]
    assert done == ["0", "10", "20", "25"]


def test_a_stopped_run_ends_with_the_command_that_resumes_on_a_line_of_its_own() -> None:
    lines = told(finished("stopped")).splitlines()
    assert "stopped by SIGTERM at step 1200 of 11700" in lines[0]
    assert lines[-1].strip() == "gan train --resume runs/vanilla-digits-001"


def test_a_finished_run_names_its_model() -> None:
    assert "runs/vanilla-digits-001/ckpt.safetensors" in told(finished())


def test_only_models_and_only_several_phases_are_worth_a_line() -> None:
    assert told(CheckpointSaved(5, "state/step-5", "state"), PhaseStarted("train", 0, 1, 0, 9)) == ""
    assert told(CheckpointSaved(5, "ckpt", "model")) == "step 5: saved ckpt\n"
    assert told(PhaseStarted("pretraining", 0, 2, 0, 9)) == "phase 1 of 2: pretraining, steps 0 to 9\n"


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
    assert raw.getvalue() == b"warning: \\xdcbung\n"
