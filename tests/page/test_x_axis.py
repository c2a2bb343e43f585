"""What curves are drawn over: steps, images, the time that training took."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.page import files
from gancli.page.charts import offered
from gancli.page.run_data import RunData, of_directory
from gancli.page.x_axis import TrainingTime, time_unit, timestamp
from tests.conftest import Gan
from tests.page import made
from tests.page.made import Seen, row

BATCH = f"{made.CONFIG}[came_to]\nbatch_size = 64\n"


def at(seconds: float) -> str:
    return f"2026-11-27T11:{int(seconds) // 60:02d}:{seconds % 60:06.3f}Z"


def training_time(*rows: tuple[int, Any, Any], starts: Sequence[str] = ()) -> list[tuple[int, float]]:
    """Of rows with a step, `elapsed_s` and `time`, and when processes began."""
    found = TrainingTime([timestamp(start) or 0.0 for start in starts])
    for step, elapsed, time in rows:
        found.add(row(step, elapsed_s=elapsed, time=time))
    return list(zip(found.steps, found.seconds, strict=True))


def test_the_time_of_a_run_is_that_of_all_its_processes_without_the_pauses() -> None:
    one = [(10, 5.0, at(5)), (20, 10.0, at(10))]
    assert training_time(*one) == [(10, 5.0), (20, 10.0)]
    assert training_time(*one, (30, 2.0, at(900))) == [(10, 5.0), (20, 10.0), (30, 12.0)]
    later = training_time(*one, (30, 40.0, at(900)), (40, 45.0, at(905)), starts=(at(0), at(860)))
    assert later == [(10, 5.0), (20, 10.0), (30, 50.0), (40, 55.0)], "a process that ran longer than the one before"
    asleep = training_time(*one, (30, 15.0, at(915)), starts=(at(0),))
    assert asleep == [(10, 5.0), (20, 10.0), (30, 15.0)], "a laptop that was shut: one process all the time"


def test_rows_without_a_time_are_skipped() -> None:
    odd = [(s, value, "yesterday") for s, value in enumerate((None, "5", -1.0, True, 10**400, 7.0), start=1)]
    assert training_time(*odd) == [(6, 7.0)]
    assert training_time((1, 3.0, None), (2, 1.0, "9999-99-99T00:00:00Z")) == [(1, 3.0), (2, 4.0)]


def test_a_step_between_two_rows_lies_between_their_times() -> None:
    run = RunData(Path("a"), "a", batch_size=64)
    run.time.add(row(10, elapsed_s=5.0))
    run.time.add(row(30, elapsed_s=45.0))
    assert [run.position(step, "time") for step in (0, 5, 10, 20, 30, 99)] == [0.0, 2.5, 5.0, 25.0, 45.0, 45.0]
    assert run.position(7, "images") == 448
    assert run.position(7, "steps") == 7


def test_a_page_begins_with_the_axis_that_was_asked_for(tmp_path: Path) -> None:
    rows = [row(s, elapsed_s=s * 60.0, phase="one" if s < 50 else "two") for s in range(10, 101, 10)]
    seen = Seen(files.render([of_directory(made.run(tmp_path / "a", rows, BATCH))], "time"))
    assert seen.data["over"] == "time"
    assert [a["value"] for a in seen.all("option")] == ["steps", "images", "time"]
    assert [a["value"] for a in seen.all("option") if "selected" in a] == ["time"]
    series = seen.data["charts"][0]["series"][0]
    assert (series["positions"]["time"][:2], series["positions"]["images"][:2]) == ([600.0, 1200.0], [640, 1280])
    assert seen.data["charts"][0]["marks"] == {"two": {"steps": 50, "images": 3200, "time": 3000.0}}
    assert "1h 40m" in seen.text


def test_an_axis_without_data_is_not_offered_and_an_error(tmp_path: Path, gan: Gan) -> None:
    run = of_directory(made.run(tmp_path / "a", [row(10, elapsed_s=None), row(20, elapsed_s=None)], BATCH))
    assert offered([run]) == ["steps", "images"]
    with pytest.raises(GancliError, match="--over time: the training time of a is not recorded; --over steps needs"):
        files.render([run], "time")
    bare = of_directory(made.run(tmp_path / "b", [row(10, elapsed_s=None)]))
    assert not Seen(files.render([bare])).all("select")
    refused = gan("report", "a", "-o", "x.png", "--over", "time")
    assert (refused.code, refused.err.count("\n"), (tmp_path / "x.png").exists()) == (1, 1, False)
    refused = gan("report", "a", "--over", "tmie")
    assert refused.code == 2
    assert refused.err == "gan: --over tmie: must be one of steps, images, time (did you mean time?)\n"


def test_figures_name_their_axis(tmp_path: Path, gan: Gan) -> None:
    pytest.importorskip("matplotlib")
    made.run(tmp_path / "a", [row(s, elapsed_s=s * 60.0) for s in range(10, 201, 10)], BATCH)
    for over, name in (("time", "time (h)"), ("images", "images"), ("steps", "step")):
        assert gan("report", "a", "-o", "x.svg", "--over", over).code == 0
        assert f">{name}<" in Path("x.svg").read_text("utf-8")


def test_times_have_units_that_fit() -> None:
    assert [time_unit(span)[1] for span in (1, 119, 120, 7199, 7200, 172_800)] == ["s", "s", "min", "min", "h", "d"]


def test_the_log_of_a_run_has_the_start_of_its_processes(tmp_path: Path) -> None:
    rows = [row(s, elapsed_s=elapsed, time=at(time)) for s, elapsed, time in ((10, 5.0, 5), (20, 40.0, 900))]
    log = [{"event": "run_started", "time": at(0)}, {"event": "run_started", "time": at(860)}]
    assert of_directory(made.run(tmp_path / "a", rows, log=log)).machine["time"] == "45s"
    assert of_directory(made.run(tmp_path / "b", rows)).machine["time"] == "40s", "without a log, one process"
