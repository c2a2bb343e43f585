"""`gan train` with several values of an option."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import gancli
from gancli.errors import UsageError
from gancli.metrics import classifier
from gancli.store import pretrained
from tests.cli.test_errors import assert_one_line
from tests.cli.test_train import wait_for
from tests.conftest import SMALL, Gan, gan_process, sha256
from tests.pictures import noise

QUICK = ("train", "-v", "vanilla", "-d", "pics", *SMALL, "--steps", 6)
NAMES = ["000-seed=0,lr=0.001", "001-seed=0,lr=0.0001", "002-seed=1,lr=0.001", "003-seed=1,lr=0.0001"]


@pytest.fixture(autouse=True)
def _pictures() -> None:
    Path("pics").mkdir()
    for number in range(16):
        noise("L", (28, 28)).save(f"pics/{number}.png")


def model(*parts: object) -> Path:
    return Path(*map(str, parts), "ckpt.safetensors")


def test_every_run_of_a_sweep_ends_in_the_bytes_of_that_run_alone(gan: Gan) -> None:
    listed = gan(*QUICK, "--seed", "0-1", "--dry-run").out
    assert str(Path("runs/vanilla-pics-sweep-NNN/000-seed=0")) in listed, "without --out"
    outcome = gan(*QUICK, "--seed", "0-1", "--lr", "1e-3,1e-4", "--out", "s", "--progress", "plain")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [str(model("s", name)) for name in NAMES]
    assert "run 2 of 4: seed=0,lr=0.0001: " in outcome.err
    table = outcome.err.splitlines()[-5:]
    assert [line.split()[0] for line in table] == ["run", *NAMES]
    assert all(" 6/6  finished " in line for line in table[1:])
    for name, options in ((NAMES[0], ()), (NAMES[3], ("--seed", 1, "--lr", 0.0001))):
        assert gan(*QUICK, *options, "--out", f"alone/{name}").code == 0
        assert sha256(model("alone", name)) == sha256(model("s", name))
        assert sha256(Path("alone", name, "config.toml")) == sha256(Path("s", name, "config.toml"))


def test_a_sweep_is_listed_without_training_and_without_torch(gan: Gan) -> None:
    outcome = gan(*QUICK, "--seed", "3,5", "--loss=hinge,least-squares", "--out", "s", "--dry-run")
    assert outcome.code == 0
    assert [line.split() for line in outcome.out.splitlines()] == [
        [str(number), "new", str(Path("s", f"{number:03d}-seed={seed},loss={loss}"))]
        for number, (seed, loss) in enumerate((s, lo) for s in (3, 5) for lo in ("hinge", "least-squares"))
    ]
    assert not Path("s").exists()
    line = ["train", "--seed", "0-1", "--out", "s", "--dry-run"]
    code = f"import sys; from gancli.cli.app import main; assert main({line!r}) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_a_sweep_that_goes_on_passes_over_what_is_finished_and_grows(gan: Gan) -> None:
    sweep = (*QUICK, "--out", "s", "--resume", "auto", "--progress", "plain")
    assert gan(*sweep, "--seed", "1-2").code == 0
    before = sha256(model("s/000-seed=1")), model("s/000-seed=1").stat().st_mtime_ns
    outcome = gan(*sweep, "--seed", "0-2")
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("finished before") == 2
    assert "training vanilla" in outcome.err
    assert outcome.out.splitlines() == [str(model("s", name)) for name in ("000-seed=0", "000-seed=1", "001-seed=2")]
    assert before == (sha256(model("s/000-seed=1")), model("s/000-seed=1").stat().st_mtime_ns)
    longer = gan(*sweep, "--seed", "1-2", "--steps", 8)
    assert longer.code == 0
    assert "finished before" not in longer.err
    other = gan(*sweep, "--seed", "0-2", "--lr", 0.5)
    assert (other.code, other.err.count("\n")) == (2, 1), other.err
    assert "the run to resume has 0.001" in other.err


def test_without_resume_nothing_that_is_there_is_touched(gan: Gan) -> None:
    assert gan(*QUICK, "--seed", "1-2", "--out", "s").code == 0
    again = gan(*QUICK, "--seed", "0-2", "--out", "s")
    assert (again.code, again.err.count("\n")) == (2, 1), "and nothing is trained before that is said"
    assert "--resume auto" in again.err
    assert sorted(path.name for path in Path("s").iterdir()) == ["000-seed=1", "001-seed=2", "report.html"]


def test_one_run_of_a_sweep_is_the_same_as_in_the_whole(gan: Gan) -> None:
    line = (*QUICK, "--seed", "0-1", "--resume", "auto")
    outcome = gan(*line, "--out", "s", "--only", 1)
    assert (outcome.code, outcome.out) == (0, f"{model('s/001-seed=1')}\n")
    assert [path.name for path in Path("s").iterdir()] == ["001-seed=1"]
    assert gan(*line, "--out", "whole").code == 0
    assert sha256(model("s/001-seed=1")) == sha256(model("whole/001-seed=1"))
    shown = gan(*line, "--out", "t", "--only", 1, "--dry-run")
    assert "--seed " in shown.out
    assert not Path("t").exists()


def test_a_sweep_leaves_one_page_of_its_runs_unless_none_is_asked_for(gan: Gan) -> None:
    assert gan("train", *SMALL, "--steps", 2, "--seed", "0-1", "--out", "s").code == 0
    page = Path("s", "report.html").read_text("utf-8")
    assert page.count("000-seed=0") > 0 < page.count("001-seed=1")
    assert gan("train", *SMALL, "--steps", 2, "--seed", "0-1", "--no-report", "--out", "t").code == 0
    assert not list(Path("t").rglob("report.html"))
    Path("s", "report.html").write_text("a page of my own")
    again = gan("train", *SMALL, "--steps", 2, "--seed", "0-2", "--resume", "auto", "--out", "s")
    assert "was not written by gan" in again.err
    assert Path("s", "report.html").read_text("utf-8") == "a page of my own"


def test_a_run_that_diverges_does_not_stop_the_others(gan: Gan) -> None:
    wild = (*QUICK, "--steps", 60, "--loss", "wasserstein", "--optimizer", "sgd", "--out", "s", "--progress", "plain")
    outcome = gan(*wild, "--lr", "1,1e-5")
    assert outcome.code == 4, outcome.err
    assert "gan: lr=1.0: " in outcome.err
    assert outcome.out.splitlines() == [str(model("s/001-lr=1e-05"))]
    assert [" diverged " in line for line in outcome.err.splitlines()[-2:]] == [True, False]


def test_a_run_that_fails_otherwise_is_told_and_ends_the_sweep_with_3(gan: Gan) -> None:
    outcome = gan(*QUICK, "--held-out", "8,6000000", "--seed", 0, "--batch-size", "16", "--out", "s")
    assert outcome.code == 2, "values that no run can have are refused before any is trained"
    outcome = gan(*QUICK, "--held-out", "8,100000", "--out", "s")
    assert outcome.code == 3
    assert "gan: held-out=100000: --held-out 100000: must be 0, or 8 to 15" in outcome.err
    assert gan(*QUICK, "--held-out", "90000,100000", "--out", "t").code == 2, "none is done: as each of them alone"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seed", "0-9", "--only", 10, "--out", "s"), "--only 10: the sweep has 10 runs, 0 to 9"),
        (("--seed", "0-9", "--only", -1, "--out", "s"), "--only -1: the sweep has 10 runs"),
        (("--seed", "0-9", "--only", 1), "--only 1: needs --out"),
        (("--seed", 3, "--only", 0), "--only 0: only applies to a sweep"),
        (("--seed", "0-1", "--resume", "x"), "--resume x: names one run"),
        (("--seed", "0-1", "--resume", "auto"), "needs --out"),
        (("--seed", "0-1", "--out", "run"), "--out run: is a run"),
        (("--seed", "0-1", "--out", "file"), "--out file: is a file"),
        (("--seed", "0-1", "--lr", "0.1,7"), "--lr 7.0: must be above 0 and at most 1"),
        (("--smoothing", "0,0.1", "--loss", "hinge"), "has no targets to smooth"),
        (("--config", "list.toml"), "--seed [0, 1] (from list.toml): must be one value"),
        (("--variant", "vanilla,cgan"), "no such variant"),
        (
            ("--seed", "0-1", "--out", "s"),
            "several processes train one run of a sweep at a time; select it with --only K",
        ),
        (("--image-size", "8,64", "-d", "pics"), "image-size=64 needs dcgan, the others vanilla; give --variant"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_no_sweep_can_be_is_refused_in_one_line_before_anything_is_made(
    gan: Gan, words: tuple[object, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--only K" in told:
        monkeypatch.setenv("WORLD_SIZE", "2")
    Path("run/state").mkdir(parents=True)
    Path("run/config.toml").touch()
    Path("file").touch()
    Path("list.toml").write_text("seed = [0, 1]\n")
    before = sorted(Path().rglob("*"))
    outcome = gan("train", "--steps", 4, "--progress", "none", *words)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome.err
    assert told in outcome.err
    assert sorted(Path().rglob("*")) == before


def test_python_takes_one_value_of_each_option() -> None:
    for value in ([0, 1], (0, 1)):
        with pytest.raises(UsageError, match=r"^seed=.*: must be one value; only the command line takes several$"):
            gancli.train("vanilla", seed=value, steps=1, out="r")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be a whole number"):
        gancli.train("vanilla", seed="0-9", steps=1, out="r")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--only", "0")])
def test_a_sweep_that_is_stopped_goes_on_by_the_command_that_it_prints(
    tmp_path: Path, gan: Gan, more: tuple[str, ...]
) -> None:
    sweep = ["train", *SMALL, "--lr-decay", "0", "--seed", "0-1", "--out", "s", "--save-every", "100", *more]
    line = [sys.executable, "-m", "gancli", *sweep, "--steps", "100000"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        wait_for(tmp_path / model("s/000-seed=0"), process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 75, err
    *_, before, command = err.decode().splitlines()
    assert before == "to resume:"
    assert command == "  gan " + " ".join([*sweep, "--steps", "100000"]) + " --resume auto"
    step = int(sorted((tmp_path / "s/000-seed=0/state").iterdir())[-1].stem.removeprefix("step-"))
    again = gan_process(*command.split()[1:], "--steps", step + 10)
    assert again.returncode == 0, again.stderr
    assert gan("train", *SMALL, "--lr-decay", 0, "--seed", 0, "--steps", step + 10, "--out", "whole").code == 0
    assert sha256(model("s/000-seed=0")) == sha256(model("whole"))
    assert model("s/001-seed=1").exists() == (not more)
    assert os.path.lexists("s")


@pytest.fixture
def swept(gan: Gan) -> Path:
    """A sweep of two runs, with its page, beside a run that has no model yet."""
    assert gan("train", *SMALL, "--steps", 5, "--seed", "1,2", "--out", "sweep").code == 0
    (Path("sweep") / "002-seed=3").mkdir()
    for name in ("config.toml", "metrics.jsonl"):
        shutil.copy(Path("sweep/001-seed=2") / name, Path("sweep/002-seed=3"))
    return Path("sweep")


def test_a_sweep_stands_for_its_runs_where_several_are_taken(
    gan: Gan, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    runs = [str(swept / name) for name in ("000-seed=1", "001-seed=2", "002-seed=3")]
    for words in (["sweep"], sorted(map(str, swept.iterdir()))):
        reported = gan("report", *words, "-o", "page.html", "--json")
        assert [run["run"] for run in json.loads(reported.out)["runs"]] == runs
        assert ("sweep/report.html: is a web page, not a run; skipped" in reported.err) == (len(words) > 1)
    measured = gan("evaluate", "sweep", "-n", 50, "--metrics", "diversity", "--json")
    assert [Path(each["file"]).parent.name for each in json.loads(measured.out)["checkpoints"]] == [
        "000-seed=1", "001-seed=2",
    ]  # fmt: skip
    assert "sweep/002-seed=3: has no model yet; skipped" in measured.err
    inspected = gan("inspect", "sweep")
    assert inspected.out.startswith("sweep is a folder of 3 runs (000-seed=1, 001-seed=2, 002-seed=3)\n")
    assert inspected.out.split("\n", 1)[1] == gan("runs", "sweep").out
    assert gan("inspect", "sweep", "--json").out == gan("runs", "sweep", "--json").out
    assert gancli.write_report(swept, "api.html").stat().st_size > 1000
    assert len(gancli.evaluate("sweep", n=50, metrics="diversity")) == 2


def test_where_one_run_is_taken_a_sweep_is_named_with_its_runs(gan: Gan, swept: Path) -> None:
    for args in (["sample", swept], ["export", swept, "-o", "hub/"], ["inspect", swept, "--verify"], ["train", "--resume",
                 swept], ["train", "--init-from", swept], ["train", "--out", swept, "--resume", "auto"]):  # fmt: skip
        assert_one_line(gan(*args), 2, "sweep: is a folder of 3 runs (000-seed=1, 001-seed=2, 002-seed=3); give ")
    with pytest.raises(gancli.GancliError, match="is a folder of 3 runs"):
        gancli.load(swept)
    for command in ("report", "evaluate", "sample", "inspect"):
        assert_one_line(
            gan(command, swept / "report.html"), 2, "report.html: is a web page; give the directory of its run"
        )


def test_a_folder_of_images_beside_which_no_run_lies_is_no_folder_of_runs(tmp_path: Path) -> None:
    for name in ("state", "samples", "a"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "config.toml").touch()
    assert pretrained.resolve_checkpoints([tmp_path / "images"]) == ([tmp_path / "images"], [])
