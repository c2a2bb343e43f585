"""Runs and figures in Python: what the command line trains and measures."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import gancli
from gancli import catalogue, events
from gancli.metrics import classifier
from tests.conftest import Gan, sha256, slow_ones
from tests.engine.test_resume import train_args

OPTIONS: dict[str, Any] = {
    "image_size": 8,
    "batch_size": 16,
    "log_every": 5,
    "device": "cpu",
    "threads": 1,
    "width": 16,
    "latent_dim": 8,
}


def as_options(args: tuple[object, ...]) -> dict[str, Any]:
    """`("train", "--variant", "x", "--steps", "4", …)` as keywords."""
    words = [str(arg) for arg in args[1:]]
    found: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        name = {"-d": "dataset", "-v": "variant"}.get(flag, flag.removeprefix("--").replace("-", "_"))
        found[name] = int(value) if value.isdigit() else float(value) if value.replace(".", "", 1).isdigit() else value
    return found


@pytest.mark.parametrize("variant", slow_ones(catalogue.names(), ("lapgan", "srgan").__contains__))
def test_a_run_is_that_of_the_command_line(gan: Gan, variant: str) -> None:
    args = (*train_args(variant), "--steps", 6)
    assert gan(*args, "--out", "typed").code == 0
    options = as_options(args)
    options.pop("variant")
    run = gancli.train(variant, out="called", **options)
    assert run.status == "done"
    for name in ("ckpt.safetensors", "state/step-00000006.safetensors", "samples/step-00000006.png"):
        assert sha256(Path("typed", name)) == sha256(Path("called", name))
    typed, called = (Path(each, "config.toml").read_text() for each in ("typed", "called"))
    assert typed == called


def test_a_run_calls_back_has_rows_and_a_model() -> None:
    told: list[events.Event] = []
    run = gancli.train("vanilla", steps=10, out="r", on_event=told.append, **OPTIONS)
    assert isinstance(told[-1], events.RunFinished)
    assert max(map(len, map(str, told))) < 1000, "they are read by people who print them"
    assert len(told) < 30
    assert [row.step for row in run.rows] == [5, 10]
    assert (run.out, run.status) == (Path("r"), "done")
    assert run.model.sample(4).pixels.shape == (4, 1, 8, 8)
    assert repr(run) == "<run of vanilla, done at step 10 of 10; r>"
    assert len(Path("r", "metrics.jsonl").read_text().splitlines()) == 2


def test_a_run_can_be_iterated_over_once() -> None:
    run = gancli.training("vanilla", steps=10, out="r", **OPTIONS)
    assert repr(run) == "<run of vanilla, not begun>"
    with pytest.raises(gancli.GancliError, match="has not ended"):
        run.model  # noqa: B018
    steps = [event.step for event in run if isinstance(event, events.LossRow)]
    assert steps == [5, 10]
    assert run.status == "done"
    with pytest.raises(gancli.GancliError, match="iterated over before"):
        list(run)


def test_a_run_left_half_way_lets_go_of_its_directory() -> None:
    for event in gancli.training("vanilla", steps=1000, save_every="5", out="r", **OPTIONS):
        if isinstance(event, events.CheckpointSaved):
            break
    del event
    assert gancli.train("vanilla", steps=20, save_every="5", out="r", resume="auto", **OPTIONS).status == "done"


def test_ctrl_c_saves_and_gives_a_stopped_run_that_goes_on_to_the_same_bytes() -> None:
    whole = gancli.train("vanilla", steps=20, out="whole", **OPTIONS)

    def press(event: events.Event) -> None:
        if isinstance(event, events.LossRow) and event.step == 10:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    stopped = gancli.train("vanilla", steps=20, out="parts", on_event=press, **OPTIONS)
    assert stopped.status == "stopped"
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.finished is not None
    assert stopped.finished.reason == "Ctrl-C"
    again = gancli.train("vanilla", steps=20, out="parts", resume="auto", **OPTIONS)
    assert again.status == "done"
    assert whole.out is not None
    assert sha256(whole.out / "ckpt.safetensors") == sha256(Path("parts", "ckpt.safetensors"))


def test_figures_are_those_of_the_command_line(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    typed = gan("evaluate", trained, "-n", 50, "--metrics", "diversity,swd", "--json")
    assert typed.code == 0, typed.err
    told: list[events.Event] = []
    figures = gancli.evaluate([gancli.load(trained)], n=50, metrics=["diversity", "swd"], on_event=told.append)
    assert json.loads(typed.out) == json.loads(json.dumps(figures.document()))
    assert figures[0]["diversity"] > 0
    assert any(isinstance(event, events.Preparing) for event in told)
    rows = [json.loads(line) for line in Path(trained, "metrics.jsonl").read_text().splitlines()]
    assert len([row for row in rows if "figures" in row]) == 2
    by_path = gancli.evaluate(trained / "ckpt.safetensors", n=50, metrics="diversity,swd")
    assert by_path.document()["checkpoints"] == figures.document()["checkpoints"]


def test_the_environment_counts_as_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_THREADS", "two")
    with pytest.raises(gancli.GancliError, match="GAN_THREADS two: must be a whole number"):
        gancli.train("vanilla", steps=1)
    monkeypatch.setenv("GAN_THREADS", "1")
    options = {name: value for name, value in OPTIONS.items() if name != "threads"}
    gancli.train("vanilla", steps=2, out="called", **options)
    asked, came_to = Path("called", "config.toml").read_text().split("[came_to]")
    assert "\nthreads" not in asked, "it belongs to the machine"
    assert "threads = 1" in came_to
