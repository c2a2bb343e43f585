"""`gan runs`: which runs it finds, what it reports of each, and that no file can make it fail."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from gancli.cli.app import main
from gancli.cli.runs import table
from gancli.errors import DivergedError
from gancli.files.lock import Holder, exclusive
from gancli.report.jsonl import MetricsFile, append
from gancli.report.rows import curves, read_metrics
from gancli.store.evaluations import Best
from gancli.store.find_runs import runs_under
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo
from tests.conftest import SMALL, Gan
from tests.report.facts import row as loss_row
from tests.report.facts import started


@pytest.fixture(scope="module")
def original(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("once") / "run"
    assert main(["train", "--out", str(run), "--steps", "10", *SMALL, "--data-root", str(data_root)]) == 0
    return run


@pytest.fixture
def trained(original: Path, tmp_path: Path) -> Path:
    """The run directory of a finished run, to spoil."""
    return shutil.copytree(original, tmp_path / "run")


@pytest.fixture
def several(trained: Path, tmp_path: Path) -> Path:
    """A folder with the finished run `run`, and copies to spoil."""
    place = tmp_path / "all"
    for name in ("run2", "run10", "deep/er/run"):
        shutil.copytree(trained, place / name)
    return place


def listed(gan: Gan, *args: object) -> dict[str, Any]:
    outcome = gan("runs", *args, "--json")
    assert outcome.code == 0, outcome.err
    return {each["path"]: each for each in json.loads(outcome.out)["runs"]}


def only(gan: Gan, run: Path) -> dict[str, Any]:
    (found,) = listed(gan, run).values()
    assert isinstance(found, dict)
    return found


def test_runs_in_subfolders_are_listed_in_natural_order(gan: Gan, several: Path) -> None:
    outcome = gan("runs", several)
    assert (outcome.code, outcome.err) == (0, "")
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["run", "deep/er/run", "run2", "run10"]
    assert outcome.out.splitlines()[1].split()[1:5] == ["vanilla", "digits", "10/10", "finished"]
    assert gan("runs", several / "run2").out.splitlines()[1].split()[0] == "run2"


def test_a_finished_run_is_listed_with_its_losses(gan: Gan, trained: Path) -> None:
    about = only(gan, trained)
    assert (about["variant"], about["preset"], about["dataset"], about["seed"]) == ("vanilla", "default", "digits", 0)
    assert (about["state"], about["step"], about["steps"]) == ("finished", 10, 10)
    assert about["owner"] is about["left_s"] is None
    assert {"d_loss", "g_loss"} <= set(about["losses"])
    assert about["changed"].endswith("Z")
    assert (about["best"], about["problem"]) == (None, None)


def test_a_run_with_a_live_owner_is_running_and_has_a_time_left(gan: Gan, trained: Path) -> None:
    config = trained / "config.toml"
    config.write_text(config.read_text().replace("steps = 10", "steps = 1000"))
    with exclusive(trained / ".lock"):
        about, shown = only(gan, trained), gan("runs", trained).out
    assert (about["state"], about["step"], about["steps"]) == ("running", 10, 1000), "it was begun anew, for longer"
    assert about["owner"] == {"pid": os.getpid(), "host": socket.gethostname()}
    speed = read_metrics(trained / "metrics.jsonl")[-1]["images_per_s"]
    assert about["left_s"] == pytest.approx(990 * 16 / speed)
    assert f"{os.getpid()} on {socket.gethostname()}" in shown


def test_a_run_on_another_host_is_running_as_its_file_says(gan: Gan, trained: Path) -> None:
    (trained / ".lock.soft").write_text("17\nnode3\n")
    (trained / ".lock.json").write_text('{"pid": 17, "host": "node3", "by_kernel": false}')
    assert only(gan, trained)["owner"] == {"pid": 17, "host": "node3"}


def test_a_run_whose_owner_was_killed_is_stopped_at_its_last_state(gan: Gan, trained: Path) -> None:
    (trained / ".lock").touch()
    (trained / ".lock.json").write_text('{"pid": 17, "host": "here", "by_kernel": true}')
    config = trained / "config.toml"
    config.write_text(config.read_text().replace("steps = 10", "steps = 40"))
    append(trained / "metrics.jsonl", {"step": 15, "d_loss": 1.0})
    about = only(gan, trained)
    assert (about["state"], about["step"], about["steps"], about["owner"]) == ("stopped", 10, 40, None)


def test_a_diverged_run_is_listed_as_diverged_until_it_resumes(gan: Gan, trained: Path) -> None:
    with MetricsFile(trained / "metrics.jsonl") as keep:
        keep(started(start_step=10))
        keep(loss_row(12))
        error = DivergedError("d_loss became NaN at step 14; try a lower --lr", 14)
        keep.__exit__(DivergedError, error, None)
    about = only(gan, trained)
    assert (about["state"], about["step"], about["losses"]["d_loss"]) == ("diverged", 14, 1.2034)
    rows = read_metrics(trained / "metrics.jsonl")
    assert rows[-1]["diverged"] == "d_loss became NaN at step 14; try a lower --lr"
    assert curves(rows)["d_loss"][-1] == (12, 1.2034), "a row without losses is no point of a curve"
    with MetricsFile(trained / "metrics.jsonl") as keep:
        keep(started(start_step=10))
    assert only(gan, trained)["state"] == "finished"


def test_the_best_metric_is_the_one_that_the_run_chose_by(gan: Gan, trained: Path) -> None:
    metrics = trained / "metrics.jsonl"
    append(metrics, {"step": 10, "figures": {"coverage": 0.5, "frechet distance": 30.0}})
    assert best_of(gan, trained) == ("frechet distance", 30.0, 10)
    for step, best, coverage in ((4, True, 0.75), (8, False, 0.25)):
        figures = {"frechet": 9.0, "coverage": coverage}
        append(metrics, {"step": step, "figures": figures, "best": best, "metric": "coverage"})
    assert best_of(gan, trained) == ("coverage", 0.75, 4)
    append(metrics, {"step": 10, "n": 10_000, "figures": {"coverage": 0.5, "frechet distance": 30.0}})
    assert best_of(gan, trained) == ("coverage", 0.5, 10), "of more images"


def best_of(gan: Gan, run: Path) -> tuple[str, float, int]:
    found = only(gan, run)["best"]
    return found["name"], found["value"], found["step"]


def measured(run: Path, n: int, on: str = "digits", step: int = 10, **figures: float | None) -> None:
    named = {name.replace("_", " "): value for name, value in figures.items()}
    append(run / "metrics.jsonl", {"step": step, "n": n, "evaluated_on": on, "figures": named})


def test_an_evaluation_on_fewer_images_or_other_data_does_not_replace_the_best(gan: Gan, trained: Path) -> None:
    measured(trained, 10_000, frechet_distance=12.0, coverage=0.5)
    whole = best_of(gan, trained)
    measured(trained, 200, frechet_distance=3.0)
    measured(trained, 200, coverage=0.9, density=1.0)
    measured(trained, 20_000, on="/data/other", frechet_distance=1.0)
    measured(trained, 10_000, diversity=2.0, frechet_distance=None)
    assert best_of(gan, trained) == whole == ("frechet distance", 12.0, 10)
    assert "frechet distance 12" in gan("runs", trained).out
    document = json.loads(gan("inspect", trained, "--json").out)
    assert document["evaluated"]["frechet distance"] == 12.0
    for _ in range(6):
        measured(trained, 300, coverage=0.25 + _ / 100)
    assert "frechet distance 12" in gan("inspect", trained).out
    assert gan("report", trained, "-o", "r.html").code == 0
    assert "<dt>frechet distance</dt>" in Path("r.html").read_text("utf-8")
    measured(trained, 20_000, frechet_distance=15.0)
    assert best_of(gan, trained)[1] == 15.0


def test_the_best_run_comes_first_whichever_way_its_metric_goes(gan: Gan, trained: Path, tmp_path: Path) -> None:
    place = tmp_path / "all"
    figures: dict[str, dict[str, Any]] = {
        "a": {"frechet_distance": 30.0}, "b": {"frechet_distance": 5.0, "coverage": 0.1}, "c": {"frechet_distance": 9.0},
        "d": {"psnr_on_Y": 28.0, "on": "Set5"}, "e": {"psnr_on_Y": 31.0, "on": "/data/Set5"}, "f": {"diversity": 3.0},
    }  # fmt: skip
    for name, given in figures.items():
        measured(shutil.copytree(trained, place / name), 1000, **given)
    shutil.copytree(trained, place / "g")
    measured(shutil.copytree(trained, place / "h"), 1000, on="mnist", frechet_distance=1.0)
    trained.rename(tmp_path / "elsewhere")
    for key, order in (("best", "bcaedhfg"), ("-best", "hdeacbfg")):
        assert "".join(Path(path).name for path in listed(gan, place, "--sort", key)) == order


def without_toml(run: Path) -> None:
    for path in run.rglob("*.safetensors"):
        path.unlink()
    (run / "config.toml").write_text("= 1")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda run: (run / "ckpt.safetensors").write_bytes(b"{}" * 9), "not a safetensors file"),
        (lambda run: (run / "ckpt.safetensors").write_bytes((run / "ckpt.safetensors").read_bytes()[:-9]), "cut short"),
        (without_toml, "TOML"),
    ],
    ids=["no checkpoint", "cut short", "no TOML"],
)  # fmt: skip
def test_a_damaged_run_is_listed_with_a_warning(gan: Gan, several: Path, spoil: Any, problem: str) -> None:
    spoil(several / "run2")
    found = listed(gan, several)
    assert found[str(several / "run2")]["state"] == "damaged"
    assert problem in found[str(several / "run2")]["problem"]
    assert found[str(several / "run10")]["state"] == "finished"
    shown = gan("runs", several)
    assert shown.code == 0
    assert "warning: run2: " in shown.err


def test_invalid_and_hostile_rows_are_skipped(gan: Gan, trained: Path) -> None:
    (trained / "metrics.jsonl").write_text(
        '{"step": 10, "d_loss": 1.5, "images_per_s": 0, "time": 5}\n{"step": 1'
        + "0" * 400
        + ', "figures": {"a": "b"}}\n'
        '{"step": -3, "figures": [], "diverged": {}}\nnull\n[]\n\x00\n{"step": 11, "d_lo'
    )
    about = only(gan, trained)
    assert (about["state"], about["step"], about["changed"]) == ("finished", 10, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_circular_links_pipes_and_foreign_folders_are_skipped(gan: Gan, several: Path) -> None:
    (several / "deep" / "round").symlink_to(several)
    (several / "again").symlink_to(several / "run2")
    (several / "nowhere").symlink_to(several / "gone")
    (several / "self").symlink_to(several / "self")
    (several / "site").mkdir()
    (several / "site" / "config.toml").write_text("title = 'not ours'\n")
    (several / "with \x1b[31m colour").mkdir()
    (several / "run2" / "metrics.jsonl").unlink()
    os.mkfifo(several / "run2" / "metrics.jsonl")
    found = listed(gan, several)
    assert sorted(Path(path).name for path in found) in (["again", "run", "run10"], ["run", "run10", "run2"])


def test_a_folder_that_cannot_be_listed_is_one_warning(
    gan: Gan, several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    outcome = gan("runs", several)
    assert outcome.code == 0
    assert outcome.err == f"warning: {several / 'deep'}: cannot be listed (Permission denied)\n"


def test_an_empty_folder_is_no_failure_but_a_missing_one_is(gan: Gan, tmp_path: Path) -> None:
    assert (gan("runs").code, gan("runs").out) == (0, "")
    assert json.loads(gan("runs", "--json").out) == {"folder": "runs", "runs": [], "unreadable": []}
    assert gan("runs", tmp_path).err == f"no runs in {tmp_path}\n"
    for word in ("nowhere", __file__):
        outcome = gan("runs", word)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert gan("runs", "").code == 2


@pytest.mark.parametrize(
    ("key", "order"), [("run", ["run2", "run10"]), ("-run", ["run10", "run2"]), ("step", ["run2", "run10"]),
                       ("-step", ["run10", "run2"]), ("state", ["run2", "run10"]), ("best", ["run10", "run2"])]
)  # fmt: skip
def test_runs_are_sorted_by_the_key(gan: Gan, several: Path, key: str, order: list[str]) -> None:
    shutil.rmtree(several / "deep")
    (several / "run2" / "ckpt.safetensors").unlink()
    (several / "run2" / "state" / "step-00000010.safetensors").unlink()
    append(several / "run10" / "metrics.jsonl", {"step": 10, "figures": {"psnr": 30.0}})
    assert [Path(path).name for path in listed(gan, several, "--sort", key)] == order


def test_an_unknown_sort_key_is_refused_with_a_suggestion(gan: Gan) -> None:
    outcome = gan("runs", "--sort", "steps")
    assert outcome.code == 2
    assert "did you mean step?" in outcome.err


def run_info(path: str, step: int, steps: int, losses: dict[str, float], **read: object) -> RunInfo:
    """A run whose files need not be there: what it would read."""
    run = RunInfo(RunDirectory(Path(path)))
    rows = [{"step": step, "images_per_s": 10.0, **losses}]
    vars(run).update(
        {"step": step, "steps": steps, "newest_rows": rows, "owner": None, "best": None, "metadata": {}} | read
    )
    return run


WIDE = run_info(
    "runs/sweep/007-lr=0.0001,seed=7", 123456, 1234567, {"d_loss": 1.25, "g_loss": 0.75, "d_real": 0.5},
    owner=Holder(4194304, "a-node-with-a-long-name.example.org", True), best=Best("frechet distance", 12.34, 5),
    metadata={"variant": "vanilla", "dataset": "stacked-mnist", "batch_size": 2},
)  # fmt: skip


def lines(runs: list[RunInfo], width: int) -> list[str]:
    out = Console(file=io.StringIO(), width=width)
    with out.capture() as captured:
        out.print(table(runs, Path("runs"), out))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_table_fits_without_a_broken_word_and_drops_the_least_important_columns_first(width: int) -> None:
    short = run_info("runs/a", 10, 10, {"d_loss": 1.0}, state="finished")
    shown = lines([WIDE, short], width)
    assert all(cell_len(line) <= width for line in shown)
    assert {"run", "step", "state", "left"} <= set(shown[0].split())
    assert len(shown) == 3
    assert {"sweep/007-lr=0.0001,seed=7", "123,456/1,234,567", "finished"} <= set(" ".join(shown).split())
    assert ("best" in shown[0]) == (width >= 100)
    assert ("stacked-mnist" in shown[1]) == (width >= 120)


def test_a_run_with_many_losses_takes_no_column_from_the_others() -> None:
    many = {f"{network}_loss_{level}": 1.2345 for level in range(4) for network in "dg"}
    path, facts = "runs/vanilla-digits-001", {"variant": "vanilla", "dataset": "digits"}
    usual, large = (
        run_info(path, 10, 10, losses, metadata=facts, state="finished")
        for losses in ({"d_loss": 1.0, "g_loss": 2.0}, many)
    )
    shown = [line.split() for line in lines([usual, large], 80)]
    assert shown[0] == ["run", "variant", "data", "step", "state", "losses"]
    assert [line[5:] for line in shown[1:]] == [["d", "1", "g", "2"], ["d_0", "1.234", "g_0", "1.234", "…"]]


@contextmanager
def watching(place: Path, *args: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "gancli", "runs", str(place), "--watch", *args]
    process = subprocess.Popen(line, stdout=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_watch_refreshes_until_ctrl_c_and_exits_with_0(several: Path) -> None:
    with watching(several) as (process, screen):
        seen, until = b"", time.monotonic() + 60
        while b"Ctrl-C ends" not in seen and time.monotonic() < until:
            seen += os.read(screen, 4096)
        assert b"run10" in seen
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_watch_without_a_terminal_is_refused(gan: Gan, several: Path, more: tuple[str, ...]) -> None:
    outcome = gan("runs", several, "--watch", *more)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


def test_only_the_end_of_a_long_metrics_file_is_read(trained: Path) -> None:
    """Speed is measured by hand; here, that a long metrics file is read from its end."""
    with (trained / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps({"step": step, "d_loss": step}) + "\n" for step in range(11, 40_000))
    (run,) = runs_under(trained)
    assert run.losses == {"d_loss": 39_999}
