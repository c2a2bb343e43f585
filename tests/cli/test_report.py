"""`gan report`, and the page that every run writes."""

import importlib.util
import json
import shlex
import signal
from pathlib import Path

import pytest
from PIL import Image

from gancli.metrics import classifier
from gancli.nn import adversarial
from tests.cli.test_train import started, wait_for
from tests.conftest import SMALL, Gan, sha256
from tests.page import made

NEEDS_MATPLOTLIB = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib, the extra report, is not installed"
)


def test_a_page_is_written_and_its_name_printed(gan: Gan, tmp_path: Path) -> None:
    made.run(tmp_path / "run")
    outcome = gan("report", "run", "-o", "mine.html")
    assert (outcome.code, outcome.out, outcome.err) == (0, "mine.html\n", "")
    assert "vanilla on digits" in (tmp_path / "mine.html").read_text("utf-8")
    assert gan("report", "run", "-o", "mine.html").code == 0, "what was asked for is written again"


def test_the_default_name_overwrites_nothing(gan: Gan, tmp_path: Path) -> None:
    made.run(tmp_path / "run")
    assert [gan("report", "run").out for _ in range(3)] == ["report.html\n", "report-2.html\n", "report-3.html\n"]


def test_json_describes_the_file_and_its_runs(gan: Gan, tmp_path: Path) -> None:
    made.run(tmp_path / "run", [made.row(10), made.row(20, d_loss=None)])
    outcome = gan("report", "run", "digits", "-o", "p.html", "--json")
    document = json.loads(outcome.out, parse_constant=pytest.fail)
    assert document["file"] == "p.html"
    assert document["bytes"] == (tmp_path / "p.html").stat().st_size
    first, second = document["runs"]
    assert first | {"name": "run", "state": "broken off", "step": 20, "steps": 100, "rows": 2, "samples": 3} == first
    assert first["last_metrics"]["d_loss"] is None
    assert (second["name"], second["variant"], second["state"]) == ("digits", "cgan", "a model alone")
    assert outcome.err == "warning: run: metrics.jsonl: 1 of 2 rows hold NaN or infinity; curves have gaps there\n"


def test_a_checkpoint_or_state_of_a_run_stands_for_the_run(gan: Gan, trained: Path) -> None:
    for name in ("ckpt.safetensors", "state/step-00000010.safetensors"):
        document = json.loads(gan("report", trained / name, "-o", "p.html", "--json").out)
        assert document["runs"][0]["run"] == str(trained)
        assert document["runs"][0]["rows"] == 2


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "-o", "x.txt"], 2, "-o x.txt: must end in .html, or for the curves alone in .png .svg .pdf .csv"),
        (["run", "-o", "run"], 2, "-o run: must end in .html"),
        (["run", "-o", "folder.html"], 2, "-o folder.html: is a directory"),
        (["run", "-o", "no/x.html"], 1, "-o no/x.html: there is no directory no"),
        (["run", "-o", ""], 2, "-o: is empty"),
        (["nothing"], 1, "nothing: cannot be read (No such file or directory)"),
        (["folder.html"], 1, "folder.html: holds no checkpoint, nor the config.toml of a run"),
        (["run/config.toml"], 1, "run/config.toml: not a safetensors file"),
        (["run"] * 51, 2, "51 runs: a page shows 1 to 50, side by side"),
        (["/dev/null"], 1, "/dev/null"),
    ],
)
def test_an_error_is_one_line(gan: Gan, tmp_path: Path, args: list[str], code: int, words: str) -> None:
    made.run(tmp_path / "run")
    (tmp_path / "folder.html").mkdir()
    outcome = gan("report", *args)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1), outcome.err
    assert words in outcome.err


def test_curves_as_an_image_need_the_extra(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.run(tmp_path / "run")
    honest = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else honest(name))
    outcome = gan("report", "run", "-o", "curves.pdf")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "pip install 'gancli[report]'" in outcome.err
    assert not (tmp_path / "curves.pdf").exists()


@pytest.mark.slow
@NEEDS_MATPLOTLIB
def test_curves_are_valid_images_and_the_same_each_time(gan: Gan, tmp_path: Path) -> None:
    odd = {"_hidden": 1.0, "$x^": 2.0}
    made.run(tmp_path / "a", [*(made.row(s, **odd) for s in range(5, 60, 5)), made.evaluation(50, best=True)])
    made.run(tmp_path / "b", [made.row(20)])
    for name, start in (("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("c.pdf", b"%PDF-")):
        assert gan("report", "a", "b", "-o", name).code == 0
        first = sha256(tmp_path / name)
        assert gan("report", "a", "b", "-o", name).code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
        assert sha256(tmp_path / name) == first
    with Image.open("c.png") as image:
        assert image.width > 1000
    text = (tmp_path / "c.svg").read_text("utf-8")
    assert "D loss" in text
    assert "_hidden" in text
    assert "$x^" in text
    made.run(tmp_path / "none", [])
    refused = gan("report", "none", "-o", "c.png")
    assert (refused.code, refused.err) == (1, "gan: none: has no losses yet, so there are no curves\n")


def test_the_command_on_a_page_makes_the_same_run(gan: Gan, tmp_path: Path) -> None:
    options = ("-v", "cgan", *SMALL, "--steps", 4, "--no-mirror", "--lr", 0.0005, "--compile", "no", "--seed", 9)
    assert gan("train", *options, "--preset", "paper", "--out", "one").code == 0
    (run,) = json.loads(gan("report", "one", "--json").out)["runs"]
    gan_, *words = shlex.split(run["command"])
    assert gan_ == "gan"
    assert gan(*words, "--out", "two").code == 0
    configs = [(tmp_path / name / "config.toml").read_text().partition("[came_to]")[0] for name in ("one", "two")]
    assert configs[0] == configs[1]
    assert sha256(tmp_path / "one" / "ckpt.safetensors") == sha256(tmp_path / "two" / "ckpt.safetensors")


def test_gan_evaluate_adds_its_metrics_to_the_page_of_a_run(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    page = trained / "report.html"
    assert "No metrics yet" in page.read_text("utf-8")
    assert gan("evaluate", trained, "-n", 50, "--metrics", "swd").code == 0
    assert "No metrics yet" not in page.read_text("utf-8")
    page.unlink()
    assert gan("evaluate", trained, "-n", 40, "--metrics", "swd").code == 0
    assert not page.exists()  # as after --no-report


def test_every_run_writes_a_page_unless_no_report_is_given(gan: Gan, trained: Path, tmp_path: Path) -> None:
    page = (trained / "report.html").read_text("utf-8")
    for words in ("✓</span> finished", "vanilla on digits", "step 10", "cpu"):
        assert words in page, words
    assert gan("train", *SMALL, "--steps", 5, "--out", "none", "--no-report").code == 0
    assert not (tmp_path / "none" / "report.html").exists()


def test_a_resumed_run_rewrites_its_page(gan: Gan, trained: Path) -> None:
    assert gan("train", "--resume", trained, "--steps", 20).code == 0
    assert gan("train", "--resume", trained).code == 0, "it is finished already, and says so"
    lines = [json.loads(line)["event"] for line in (trained / "log.jsonl").read_text().splitlines()]
    lines = [event for event in lines if event != "warned"]  # of the learning rate of a longer run
    assert lines == ["run_started", "run_finished", "run_started", "run_finished", "run_finished"]
    assert "step 20" in (trained / "report.html").read_text("utf-8")


def test_a_run_that_diverged_has_a_page_that_says_why(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(adversarial, "non_saturating", lambda x: x.sum() * float("nan"))
        outcome = gan("train", *SMALL, "--steps", 150, "--out", "run")
    assert outcome.code == 4
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "✗</span> diverged" in page
    assert "became NaN at step" in page
    assert gan("train", *SMALL, "--steps", 5, "--out", "run", "--resume", "auto").code == 0, "neither is in the way"


def test_a_page_that_cannot_be_written_is_one_warning(gan: Gan, tmp_path: Path) -> None:
    assert gan("train", *SMALL, "--steps", 5, "--out", "other").code == 0
    for name in ("report.html", "log.jsonl"):
        (tmp_path / "other" / name).unlink()
        (tmp_path / "other" / name).mkdir()
    outcome = gan("train", "--resume", "other", "--steps", 10)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("report.html: ") == 1
    assert outcome.err.count("log.jsonl: cannot be written") == 1


@pytest.mark.slow
def test_a_stopped_run_has_a_page_and_a_running_one_can_be_shown(gan: Gan, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with started(out, "--steps", "10000000") as process:
        wait_for(out / "metrics.jsonl", process)
        (at_work,) = json.loads(gan("report", out, "--json").out)["runs"]
        assert not (out / "report.html").exists()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert at_work["state"] == "running"
    assert "■</span> stopped" in (out / "report.html").read_text("utf-8")
