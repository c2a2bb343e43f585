"""`gan runs --csv` and `gan report -o curves.csv`: tables that other programs read back."""

import csv
import io
import json
from pathlib import Path

import pytest

import gancli
from gancli.cli.app import main
from tests.conftest import Gan
from tests.page import made


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), strict=True))


def test_runs_as_csv_have_the_values_of_json(gan: Gan, trained: Path, tmp_path: Path) -> None:
    made.run(tmp_path / 'b, "quoted"\nrun', [made.row(10, d_loss=None, mse=1e-12)])
    outcome = gan("runs", ".", "--csv")
    assert outcome.code == 0, outcome.err
    documents = json.loads(gan("runs", ".", "--json").out)["runs"]
    rows = rows_of(outcome.out)
    assert [row["path"] for row in rows] == [each["path"] for each in documents]
    assert len({tuple(row) for row in rows}) == 1
    for row, each in zip(rows, documents, strict=True):
        assert row["state"] == each["state"]
        assert int(row["step"]) == each["step"]
        for name, value in each["losses"].items():
            assert row[f"losses.{name}"] == ("" if value is None else repr(value))
        assert row["changed"] == (each["changed"] or "")
    assert next(row for row in rows if "quoted" in row["path"])["losses.mse"] == "1e-12"
    assert trained.is_dir()


def test_the_columns_stay_without_runs(gan: Gan, tmp_path: Path) -> None:
    outcome = gan("runs", "--csv")
    assert outcome.code == 0
    (tmp_path / "empty").mkdir()
    assert gan("runs", "empty", "--csv").out == outcome.out
    (header,) = csv.reader(io.StringIO(outcome.out))
    assert header[:3] == ["path", "state", "variant"]
    assert {"best.name", "best.value", "owner.pid", "problem"} <= {*header}


def test_csv_and_another_form_are_refused(gan: Gan) -> None:
    for args, words in ((["--json"], "--csv: cannot be combined with --json"), (["--watch"], "a table, not CSV")):
        outcome = gan("runs", "--csv", *args)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert words in outcome.err


def test_curves_are_a_row_per_run_step_and_term(gan: Gan, tmp_path: Path) -> None:
    made.run(
        tmp_path / "a,b", [made.row(10), made.row(20, d_loss=None, **{"odd\nterm": 2}), made.evaluation(20, best=True)]
    )
    made.run(tmp_path / "c", [made.row(5, d_loss=0.1 + 0.2)])
    outcome = gan("report", "a,b", "c", "-o", "curves.csv")
    assert (outcome.code, outcome.out) == (0, "curves.csv\n")
    text = (tmp_path / "curves.csv").read_text("utf-8")
    assert text.startswith("run,step,term,value\n")
    rows = rows_of(text)
    values = {(row["run"], int(row["step"]), row["term"]): row["value"] for row in rows}
    assert len(values) == len(rows)
    assert values["c", 5, "d_loss"] == repr(0.1 + 0.2), "all digits"
    assert values["a,b", 20, "d_loss"] == "", "NaN"
    assert float(values["a,b", 20, "frechet distance"]) == 41.234
    assert float(values["a,b", 20, "images_per_s"]) == 920
    assert values["a,b", 20, "odd\\nterm"] == "2.0"
    order = [(row["run"], int(row["step"])) for row in rows]
    assert order == sorted(order)
    assert main(["report", "a,b", "c", "-o", "again.CSV"]) == 0
    assert (tmp_path / "again.CSV").read_text("utf-8") == text


def test_curves_of_a_real_run_are_those_of_its_metrics_file(trained: Path) -> None:
    path = gancli.write_report(trained, "curves.csv")
    rows = rows_of(path.read_text("utf-8"))
    metrics = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [float(r["value"]) for r in rows if r["term"] == "d_loss"] == [row["d_loss"] for row in metrics]


def test_more_runs_than_a_page_shows_fit_into_a_table(gan: Gan, tmp_path: Path) -> None:
    for index in range(51):
        made.run(tmp_path / "sweep" / f"{index}", [made.row(1)], samples=())
    assert gan("report", "sweep", "-o", "curves.csv").code == 0
    assert len({row["run"] for row in rows_of((tmp_path / "curves.csv").read_text())}) == 51


def test_a_run_without_rows_is_an_empty_table(gan: Gan, tmp_path: Path) -> None:
    made.run(tmp_path / "a", [])
    assert gan("report", "a", "-o", "curves.csv").code == 0
    assert (tmp_path / "curves.csv").read_text() == "run,step,term,value\n"


@pytest.mark.parametrize("over", ["time", "images"])
def test_a_table_has_no_other_axis(gan: Gan, tmp_path: Path, over: str) -> None:
    made.run(tmp_path / "a")
    outcome = gan("report", "a", "-o", "curves.csv", "--over", over)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"--over {over}: a table has the steps" in outcome.err
    assert not (tmp_path / "curves.csv").exists()
