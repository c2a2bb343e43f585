"""What other processes and users do to a run's directory while it trains."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gancli
from gancli import events
from gancli.errors import GancliError
from gancli.report.rows import read_metrics
from gancli.store import checkpoint, run_directory
from gancli.store.run_directory import RunDirectory
from tests.cli.test_errors import assert_one_line
from tests.conftest import OPTIONS, SMALL, Gan, sha256

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps folders with open files where they are")


def train(act: Callable[[], object], at: type[events.Event] = events.SamplesDrawn, **more: Any) -> gancli.Run:
    """Train `run` for 20 steps, with samples and a state each five; call `act` once, at the first event of a kind."""
    acts = [act]

    def on_event(event: events.Event) -> None:
        if isinstance(event, at) and acts:
            acts.pop()()

    given: Any = {**OPTIONS, "steps": 20, "sample_every": 5, "save_every": "5", "out": "run", **more}
    return gancli.train("vanilla", on_event=on_event, **given)


@pytest.mark.parametrize("more", [(), ("--seed", "1,2", "--only", "0")], ids=" ".join)
def test_a_process_that_is_refused_leaves_the_other_ones_folders_alone(
    gan: Gan, tmp_path: Path, more: tuple[str]
) -> None:
    place = tmp_path / "run" / ("000-seed=1" if "--only" in more else "")
    place.mkdir(parents=True)
    with run_directory.locked(RunDirectory(place)):
        for way in ([], ["--resume", "auto"], ["--resume", "auto", "--dry-run"]):
            gan("train", *SMALL, *more, "--out", "run", *way)
            assert {path.name for path in place.iterdir()} == {".lock", ".lock.json", "state", "samples"}
        refused = gan("train", *SMALL, *more, "--out", "run", "--resume", "auto", "--progress", "none")
        assert_one_line(refused, 1, str(place.relative_to(tmp_path)), "another run is writing there", "--out")


@posix_only
@pytest.mark.parametrize("name", ["state", "metrics.jsonl", "tensorboard", "*"])
def test_what_is_removed_while_a_run_trains_is_made_again(name: str) -> None:
    if name == "tensorboard":
        pytest.importorskip("tensorboard")

    def remove() -> None:
        for path in Path("run").glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert train(lambda: None, out="whole").status == "done"
    run = train(remove, tensorboard=name == "tensorboard")
    assert run.status == "done"
    left = {path.name for path in Path("run").rglob("*")}
    assert {"config.toml", "log.jsonl", "report.html", "step-00000020.png", "step-00000020.safetensors"} <= left
    assert read_metrics(Path("run/metrics.jsonl"))[-1]["step"] == 20
    if name == "tensorboard":
        assert any(path.stat().st_size for path in Path("run/tensorboard").iterdir())
    assert sha256(Path("run/ckpt.safetensors")) == sha256(Path("whole/ckpt.safetensors"))


def moved() -> None:
    Path("run").rename("elsewhere")


def replaced() -> None:
    moved()
    Path("run").mkdir()
    Path("run/mine").touch()


def removed() -> None:
    shutil.rmtree("run")


def removed_and_replaced() -> None:
    removed()
    Path("run").mkdir()
    Path("run/mine").touch()


@posix_only
@pytest.mark.parametrize(
    ("act", "word", "place"),
    [(moved, "was moved to", "elsewhere"), (replaced, "was moved to", "elsewhere"), (removed, "was removed", "run"),
     (removed_and_replaced, "was removed", "run-001")],
)  # fmt: skip
def test_a_run_whose_directory_is_moved_or_removed_saves_what_there_is_and_says_where(
    act: Callable[[], None], word: str, place: str
) -> None:
    train(lambda: None, out="whole")
    with pytest.raises(GancliError, match=f"^run: {word} .*to resume: gan train --resume .*{place}$"):
        train(act)
    if act in (replaced, removed_and_replaced):
        assert [path.name for path in Path("run").iterdir()] == ["mine"]
    run = gancli.train("vanilla", resume=place)
    assert run.status == "done"
    assert sha256(Path(place, "ckpt.safetensors")) == sha256(Path("whole/ckpt.safetensors"))


@posix_only
def test_a_directory_may_be_moved_while_a_state_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    acts, save = [moved], checkpoint.save

    def moves_first(*args: Any) -> None:
        if acts:
            acts.pop()()
        save(*args)

    monkeypatch.setattr(checkpoint, "save", moves_first)
    with pytest.raises(GancliError, match=r"^run: was moved to .*elsewhere while"):
        train(lambda: None)
    assert RunDirectory(Path("elsewhere")).states()
    assert not Path("run").exists()
