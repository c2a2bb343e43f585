"""Runs and figures in Python: what the command line trains and measures."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gancli
from gancli import events
from gancli.metrics import classifier
from tests.conftest import OPTIONS, Gan, sha256
from tests.engine.test_resume import train_args


def as_options(args: tuple[object, ...]) -> dict[str, Any]:
    """`("train", "--variant", "x", "--steps", "4", …)` as keywords."""
    words = [str(arg) for arg in args[1:]]
    found: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        name = {"-d": "dataset", "-v": "variant"}.get(flag, flag.removeprefix("--").replace("-", "_"))
        found[name] = int(value) if value.isdigit() else float(value) if value.replace(".", "", 1).isdigit() else value
    return found


@pytest.mark.parametrize("variant", ["cgan", pytest.param("srgan", marks=pytest.mark.slow)])
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
    assert repr(run) == "<run of vanilla, not started>"
    with pytest.raises(gancli.GancliError, match="has not ended"):
        run.model  # noqa: B018
    seen = list(run)
    assert [event.step for event in seen if isinstance(event, events.LossRow)] == [5, 10]
    opening, started, phase = (next(i for i, e in enumerate(seen) if isinstance(e, kind)) for kind in BEGINNING)
    assert opening < started < phase
    assert run.status == "done"
    with pytest.raises(gancli.GancliError, match="iterated over once"):
        list(run)


BEGINNING = (events.Preparing, events.RunStarted, events.PhaseStarted)


class OwnError(Exception):
    """An error of the user's own code."""


@pytest.mark.parametrize("way", ["break", "callback"])
def test_a_loop_that_is_left_saves_the_state_and_the_run_resumes_to_the_same_bytes(way: str) -> None:
    def leave(event: events.Event) -> None:
        if isinstance(event, events.LossRow) and event.step == 10:
            raise OwnError

    run = gancli.training("vanilla", steps=20, out="r", save_every=1000, **OPTIONS)
    if way == "break":
        for event in run:
            if isinstance(event, events.LossRow) and event.step == 10:
                break
    else:
        with pytest.raises(OwnError):
            gancli.train("vanilla", steps=20, out="r", save_every=1000, on_event=leave, **OPTIONS)
    if way != "callback":
        assert (run.status, run.rows[-1].step) == ("stopped", 10)
        assert run.model.facts.step == 10
    assert [path.name for path in Path("r", "state").iterdir()] == ["step-00000010.safetensors"]
    assert not Path("r", ".lock").exists()
    gancli.train("vanilla", steps=20, out="r", resume="auto", **OPTIONS)
    gancli.train("vanilla", steps=20, out="whole", **OPTIONS)
    assert sha256(Path("r", "ckpt.safetensors")) == sha256(Path("whole", "ckpt.safetensors"))


def test_an_iterator_that_is_open_when_python_ends_leaves_the_last_state() -> None:
    code = (
        "import gancli\n"
        f"run = iter(gancli.training('vanilla', steps=1000, save_every=5, out='r', **{OPTIONS}))\n"
        "while not isinstance(next(run), gancli.events.CheckpointSaved): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    (overview,) = gancli.runs(".")
    assert (overview.state, overview.step) == ("stopped", 5)


def test_a_second_training_in_a_process_is_refused_and_does_not_disturb_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    refused: list[str] = []

    def others() -> None:
        model.sample(3)  # has random numbers of its own
        for call in (
            lambda: gancli.train("vanilla", steps=20, out="other", **OPTIONS),
            lambda: gancli.evaluate(model, n=20, metrics="diversity"),
        ):
            with pytest.raises(gancli.GancliError, match="another training or evaluation of this process") as caught:
                call()
            refused.append(str(caught.value))

    whole = gancli.train("vanilla", steps=20, out="whole", **OPTIONS)
    model = whole.model
    for event in gancli.training("vanilla", steps=20, out="r", **OPTIONS):
        if isinstance(event, events.LossRow) and event.step == 10:
            gancli.evaluate(model, n=20, metrics="diversity")  # by the thread that trains, between two steps
            thread = threading.Thread(target=others)
            thread.start()
            thread.join()
    assert len(refused) == 2
    assert sha256(Path("r", "ckpt.safetensors")) == sha256(Path("whole", "ckpt.safetensors"))


def test_options_may_be_of_numpy_paths_and_times() -> None:
    told: dict[str, Any] = {
        "steps": np.int64(4), "lr": np.float32(0.5), "mirror": np.bool_(False), "max_time": 60, "save_every": np.int32(2),
        "out": Path("r"), "preset": None, "seed": torch.tensor(3),
    }  # fmt: skip
    run = gancli.train("vanilla", **{**OPTIONS, **told})
    assert run.status == "done"
    assert run.out is not None
    config = tomllib.loads((run.out / "config.toml").read_text())
    assert (config["steps"], config["seed"], config["save_every"], config["mirror"]) == (4, 3, "2", False)
    assert config["vanilla"]["lr"] == 0.5
    with pytest.raises(gancli.GancliError, match=r"^stopped by max_time before the first step"):
        gancli.train("vanilla", max_time=timedelta(milliseconds=1), out="t", **OPTIONS)


def test_a_run_stands_for_its_path() -> None:
    run = gancli.training("cgan", steps=4, out="r", **OPTIONS)
    with pytest.raises(gancli.GancliError, match="has not ended"):
        gancli.load(run)
    list(run)
    model = gancli.load(run)
    assert torch.equal(gancli.load(model).sample(2).pixels, run.model.sample(2).pixels)
    figures = gancli.evaluate(
        [run, model, Path("r"), "r/ckpt.safetensors", *gancli.runs("r")], n=20, metrics=["diversity"]
    )
    assert len({each[0].model for each in (subject.figures for subject in figures.subjects)}) == 1
    assert len(gancli.evaluate(run, n=20, metrics="diversity")) == 1
    assert gancli.write_report([run, model], "both.html") == Path("both.html")
    assert gancli.train("cgan", steps=6, resume=run, **OPTIONS).status == "done"
    assert gancli.train("cgan", steps=2, init_from=model, out="more", **OPTIONS).status == "done"
    with pytest.raises(
        gancli.GancliError, match=r'^out=r: contains a run; resume it with resume="auto", or choose .* out$'
    ):
        gancli.train("cgan", steps=4, out="r", **OPTIONS)


def test_figures_and_runs_show_themselves_in_a_line_and_a_table() -> None:
    run = gancli.train("vanilla", steps=4, out="<b>&", **OPTIONS)
    figures = gancli.evaluate([run, run.model], n=20, metrics="diversity")
    assert re.fullmatch(r"<figures on digits of vanilla <b>&: diversity [0-9.]+, and of 1 more>", repr(figures))
    table = figures._repr_html_()
    assert table.startswith("<table><tr><th></th><th>vanilla &lt;b&gt;&amp;</th>")
    assert "<b>" not in table
    assert repr(gancli.runs(".")) == "[<run of vanilla, finished at step 4 of 4; <b>&>]"


@pytest.mark.slow
def test_a_type_checker_knows_the_options() -> None:
    code = (
        "import gancli\nimport numpy as np\n"
        'gancli.train("cgan", dataset="mnist", steps=np.int64(3), max_time=60, out="r", on_event=print)\n'
        'gancli.train("cgan", step=3)\ngancli.training("cgan", precision="fp8")\n'
    )
    Path("typed.py").write_text(code, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "typed.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert [re.findall(r"py:(\d).*\[([a-z-]+)\]", line)[0] for line in errors] == [("4", "call-arg"), ("5", "arg-type")]


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
    with pytest.raises(gancli.GancliError, match=r"threads=two \(from GAN_THREADS\): must be a whole number"):
        gancli.train("vanilla", steps=1)
    monkeypatch.setenv("GAN_THREADS", "1")
    options = {name: value for name, value in OPTIONS.items() if name != "threads"}
    gancli.train("vanilla", steps=2, out="called", **options)
    asked, came_to = Path("called", "config.toml").read_text().split("[came_to]")
    assert "\nthreads" not in asked, "it belongs to the machine"
    assert "threads = 1" in came_to
