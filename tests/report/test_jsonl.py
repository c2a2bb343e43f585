import io
import json
import math
import os
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.errors import GancliError
from gancli.events import Comparison, Preparing, Progress, Warned
from gancli.report import jsonl
from gancli.report.jsonl import JsonLines, MetricsFile, append, evaluation_row
from gancli.report.rows import parse_rows, read_metrics
from gancli.text import Note
from tests.report.facts import TERMS, evaluated, finished, row, samples, started


def objects(*events: object) -> list[dict[str, object]]:
    stream = io.StringIO()
    with JsonLines(stream) as report:
        for event in events:
            report(event)  # type: ignore[arg-type]  # events of any kind
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


def steps(path: Path) -> list[object]:
    return [each["step"] for each in read_metrics(path)]


def trained(path: Path, start: int, *at: int) -> None:
    with MetricsFile(path) as write:
        write(started(start_step=start))
        for step in at:
            write(row(step))


def test_every_event_is_one_object_with_its_name_and_fields_but_no_pixels() -> None:
    first, second, third, fourth = objects(started(), row(100), samples(), finished())
    assert [each["event"] for each in (first, second, third, fourth)] == [
        "run_started", "loss_row", "samples_drawn", "run_finished",
    ]  # fmt: skip
    assert second["terms"] == TERMS
    assert abs(datetime.now(UTC) - datetime.fromisoformat(str(second["time"]))) < timedelta(minutes=1)
    assert third["width"] == 238
    assert "rgb" not in third
    note, warning = objects(Warned(Note("as usual")), Warned("D is never wrong"))
    assert (note["event"], note["kind"], note["message"]) == ("warned", "note", "as usual")
    assert warning["kind"] == "warning"


def test_after_a_long_silence_an_object_reports_the_progress() -> None:
    clock, stream = [0.0], io.StringIO()
    report = JsonLines(stream, now=lambda: clock[0])
    report(Progress(37, 900, images_per_s=32.0, left_s=60.0))
    assert not stream.getvalue(), "it comes several times a second"
    for second in (29.0, 30.0, 31.0):
        clock[0] = second
        report.tick()
    (progress,) = map(json.loads, stream.getvalue().splitlines())
    assert (progress["event"], progress["step"], progress["steps"], progress["doing_s"]) == ("progress", 37, 900, 30.0)
    assert progress["left_s"] > 60.0
    report(Preparing("decoding", 3, 6, "images"))
    clock[0] = 62.0
    report.tick()
    again = [json.loads(line) for line in stream.getvalue().splitlines()[1:]]
    assert [(each["event"], each["done"]) for each in again] == [("preparing", 3), ("preparing", 3)]


@given(st.dictionaries(st.text(), st.floats()))
def test_json_stays_valid_for_any_terms(terms: dict[str, float]) -> None:
    (only,) = objects(row(1, terms))
    expected = {name: value if math.isfinite(value) else None for name, value in terms.items()}
    assert only["terms"] == expected


def test_metrics_are_flat_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as write:
        write(started())
        write(row(100))
        (only,) = read_metrics(path)  # written at once
    assert list(only) == ["step", "epoch", "phase", *TERMS, "images_per_s", "elapsed_s", "memory_bytes", "time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", only["time"])


def test_a_measurement_is_a_row_with_figures(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as write:
        write(started())
        write(row(4000))
        write(evaluated())
    measured = read_metrics(path)[-1]
    assert measured.pop("time").endswith("Z")
    assert measured == {
        "step": 4000,
        "best": True,
        "metric": "frechet",
        "evaluated_on": "digits",
        "split": "half of train",
        "n": 2000,
        "seed": 0,
        "beside": "real images",
        "figures": evaluated().figures,
        "errors": {"frechet": 0.5},
        "real": {"frechet": 1.5, "coverage": 0.96},
    }


def test_a_resumed_run_drops_rows_that_came_after_its_state(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    trained(path, 0, 100, 200, 300, 400)
    kept = path.read_bytes().splitlines(keepends=True)[:2]
    trained(path, 250, 300)
    assert steps(path) == [100, 200, 300]
    assert path.read_bytes().splitlines(keepends=True)[:2] == kept
    trained(path, 0, 50)
    assert steps(path) == [50], "of a run that begins anew"


@pytest.mark.parametrize("torn", [b'{"step": 300, "ep', b'{"step": 300}', b"\xff\xfe", b"[1]\n", b"[" * 10_000])
def test_a_torn_last_line_is_repaired_on_resume(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    trained(path, 0, 100, 200)
    with path.open("ab") as file:
        file.write(torn)
    trained(path, 250, 300)
    assert steps(path) == [100, 200, 300]
    assert path.read_bytes().count(b"\n") == 3


def test_a_resume_keeps_rows_of_gan_evaluate_and_drops_measurements_of_the_training(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.jsonl"
    trained(path, 0, 100, 200, 300)
    append(path, evaluation_row(300, {"coverage": 0.5}, Comparison("digits", "test", 2000, 0)))
    with path.open("a") as file:
        file.write('{"step": 300, "figures": {"frechet": 9.0}, "best": true}\n')
    trained(path, 250)
    assert steps(path) == [100, 200, 300]
    assert read_metrics(path)[-1]["figures"] == {"coverage": 0.5}
    trained(path, 0)
    assert steps(path) == []


def test_rows_that_two_write_at_once_stay_whole(tmp_path: Path) -> None:
    """Longer ones than a buffer, too."""
    path = tmp_path / "metrics.jsonl"

    def append_rows(step: int) -> None:
        for _ in range(50):
            append(path, {"step": step, "figures": {"x" * 9_000: float(step)}})

    writers = [threading.Thread(target=append_rows, args=(step,)) for step in (1, 2)]
    with MetricsFile(path) as write:
        write(started())
        for writer in writers:
            writer.start()
        for step in range(3, 103):
            write(row(step))
        for writer in writers:
            writer.join()
    assert sorted(map(str, steps(path))) == sorted(map(str, [*[1, 2] * 50, *range(3, 103)]))
    assert len(path.read_bytes().splitlines()) == 200


def test_a_row_after_half_a_row_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as write:
        write(started())
        write(row(100))
        path.write_bytes(path.read_bytes() + b'{"step": 100, "fig')
        write(row(200))
        append(path, {"step": 200, "figures": {}})
    assert steps(path) == [100, 200, 200]


def test_half_a_row_is_an_error_of_the_disk(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, line: object) -> int:
            return super().write(bytes(line)[:3])  # type: ignore[call-overload]

    with Full(tmp_path / "metrics.jsonl", "a+") as file, pytest.raises(OSError, match="No space left"):
        jsonl._append(file, {"step": 1})


def test_a_run_killed_while_old_rows_are_dropped_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    trained(path, 0, 100, 200)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GancliError, match=r"metrics\.jsonl: cannot be written \(No space left"):
        trained(path, 100, 200)
    assert steps(path) == [100, 200]
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_of_a_very_large_file_the_newest_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    trained(path, 0, *range(100, 1100, 100))
    monkeypatch.setattr("gancli.report.rows.MAX_READ_BYTES", len(path.read_bytes()) // 2)
    assert steps(path) == [700, 800, 900, 1000]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_rows_or_passed_over(content: bytes) -> None:
    rows = list(parse_rows(io.BytesIO(content)))
    assert all(isinstance(each["step"], int) for _, each in rows)


def test_a_metrics_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GancliError, match="nothing-here"):
        read_metrics(tmp_path / "nothing-here")
