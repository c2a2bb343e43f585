"""Several processes under torchrun train the model of one; one of them writes; they find each other, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor

from gancli import catalogue
from gancli.errors import GancliError
from gancli.machine.process_group import agree_on_key
from gancli.machine.ranks import sum_over_processes_, without_reduction
from gancli.steps import trace
from tests.conftest import Gan
from tests.engine.test_resume import train_args
from tests.machine.together import meeting_place, together


def torchrun(*args: object, restarts: int = 0) -> "subprocess.Popen[str]":
    """`gan` in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return started([*command, "--max-restarts", restarts, "-m", "gancli", *args])


def wait_for(path: Path, holds: str, *processes: "subprocess.Popen[str]") -> None:
    """Wait until a file, or one that matches a pattern, holds a text."""
    deadline = time.monotonic() + 60
    while not any(holds in found.read_text(errors="replace") for found in path.parent.glob(path.name)):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)


def started(command: list[object], **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", **environment},
    )


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=240)  # on busy cores two imports of torch alone take a minute
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()  # else its pipes are a warning in some other test
        raise
    return process.returncode, out, err


def losses(run: str) -> list[dict[str, float]]:
    rows = map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines())
    return [{name: row[name] for name in row if name == "step" or "loss" in name} for row in rows]


def pixels(path: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.int16)


def weights(run: str) -> dict[str, Tensor]:
    return safetensors.torch.load_file(Path(run, "ckpt.safetensors"))


def presets_of(variant: str) -> list[str]:
    """The presets with steps of their own; those of `quick` are the default's."""
    return [preset for preset in catalogue.variant_info(variant).config_class.presets if preset != "quick"]


# Of networks that a preset makes large.
SMALLER: dict[str, tuple[object, ...]] = {
    "vanilla": ("--width", 16, "--inner-width", 16),
    "cgan": ("--width", 16, "--label-width", 16, "--latent-width", 8),
    "dcgan": ("--width", 4),
    "lapgan": ("--width", 4, "--coarse-width", 16, "--coarse-d-width", 16),
    "srgan": ("--width", 4, "--blocks", 1, "--d-width", 4),
}


def check_same(run: str, expected: str, steps: range) -> None:
    """The losses of these steps, the pictures and the weights, within rounding."""
    for row, other in zip(losses(run), losses(expected)[steps.start - 1 :], strict=True):
        assert row == pytest.approx(other, rel=2e-4, abs=2e-5)
    difference = np.abs(pixels(f"{run}/samples/step-00000016.png") - pixels(f"{expected}/samples/step-00000016.png"))
    assert difference.max() <= 3
    for name, tensor in weights(expected).items():
        assert (tensor - weights(run)[name]).abs().max() < 2e-4, name


def marked(*case: object, slow: tuple[str, ...] = ("vanilla",)) -> Any:
    return pytest.param(*case, marks=pytest.mark.slow if case[0] in slow else pytest.mark.whole)


@pytest.mark.parametrize("variant", [marked(name, slow=("vanilla", "srgan")) for name in catalogue.names()])
def test_two_processes_train_the_model_of_one_and_one_goes_on_from_theirs(gan: Gan, variant: str) -> None:
    # fp32: half precision rounds differently for half of a batch, by far more than the tolerances here
    small = (*train_args(variant), "--precision", "fp32")
    args = (*small, "--log-every", 1, "--progress", "none", "--save-every", 12, "--steps", 16)
    assert gan(*args, "--out", "one").code == 0
    code, out, err = together(*args, "--out", "two")
    assert code == 0, err
    assert out == "two/ckpt.safetensors\n"
    check_same("two", "one", range(1, 17))
    assert gan("train", "--resume", "two/state/step-00000012.safetensors", "--out", "back").code == 0
    check_same("back", "one", range(13, 17))


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_out_is_refused_once(tmp_path: Path) -> None:
    code, out, err = done(torchrun(*train_args("vanilla"), "--batch-size", 15, "--steps", 4, "--out", "run"))
    assert code
    assert not out
    assert err.count("gan: --batch-size 15: ") == 1
    assert "try 14" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_signal_stops_all_processes_with_the_state_saved(gan: Gan, tmp_path: Path) -> None:
    args = (*train_args("vanilla"), "--steps", 10_000_000, "--progress", "plain", "--out", "run")
    process = torchrun(*args)
    wait_for(tmp_path / "run" / "metrics.jsonl", '"step"', process)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code, _, _ = done(process)
    assert code  # torchrun's own
    assert time.monotonic() - asked < 20
    states = list((tmp_path / "run" / "state").glob("step-*.safetensors"))
    assert len(states) == 1
    step = int(states[0].stem.removeprefix("step-"))
    longer = gan(*train_args("vanilla"), "--steps", step + 5, "--out", "run", "--resume", "auto")
    assert longer.code == 0, longer.err


@pytest.mark.parametrize(
    ("variant", "preset"),
    [marked(v, p, slow=()) for v in catalogue.names() for p in presets_of(v) if p != "default"],
)
def test_other_presets_draw_what_one_process_draws(gan: Gan, variant: str, preset: str) -> None:
    """Their noise, dropout and schedules: the losses of the first steps."""
    own = ("--content", "mse", "--pretrain-steps", 1) if variant == "srgan" else ()
    smaller = ("--width", 4, "--image-size", 16) if preset == "colour" else SMALLER[variant]
    small = (*train_args(variant), "--preset", preset, *smaller, *own, "--batch-size", 16)
    args = (*small, "--precision", "fp32", "--steps", 3, "--log-every", 1)
    one = gan(*args, "--out", "one")
    assert one.code == 0, one.err
    code, _, err = together(*args, "--out", "two")
    assert code == 0, err
    for row, other in zip(losses("two"), losses("one"), strict=True):
        assert row == pytest.approx(other, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("variant", "batch"), [marked(*case) for case in (("vanilla", 12), ("lapgan", 48), ("cgan", 20), ("dcgan", 18))]
)
def test_the_same_pictures_are_penalised_whatever_the_number_of_processes(gan: Gan, variant: str, batch: int) -> None:
    """R1's eighth of batches (and of lapgan's parts of them) that are small, or that processes cannot halve: the weights of
    one process after one step."""
    args = (*train_args(variant), "--precision", "fp32", "--r1", 50, "--batch-size", batch, "--steps", 1, "--ema", 0)
    assert gan(*args, "--out", "one").code == 0
    code, _, err = together(*args, "--out", "two")
    assert code == 0, err
    for name, tensor in weights("one").items():
        assert (tensor - weights("two")[name]).abs().max() < 2e-4, name
    (one,), (two,) = losses("one"), losses("two")
    assert one == pytest.approx(two, rel=1e-4)


@pytest.mark.slow
def test_a_process_that_dies_is_started_again_and_the_run_goes_on(tmp_path: Path) -> None:
    """`torchrun --max-restarts` with `--resume auto`: to the bytes of a run that nothing befell."""
    args = (*train_args("vanilla"), "--steps", 300, "--save-every", 50, "--log-every", 50, "--progress", "none")
    code, _, err = together(*args, "--out", "whole")
    assert code == 0, err
    process = torchrun(*args, "--out", "run", "--resume", "auto", restarts=2)
    wait_for(tmp_path / "run" / "state" / "step-*.safetensors", "", process)
    os.kill(max(children_of(process.pid)), signal.SIGKILL)
    code, _, err = done(process)
    assert code == 0, err
    assert "gan: a worker process exited unexpectedly (" in err
    for name, tensor in weights("whole").items():
        assert tensor.equal(weights("run")[name])


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    found = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [child for child in found if b"gancli" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
def test_processes_that_a_batch_system_starts_itself_end_with_75(tmp_path: Path) -> None:
    """As `srun` does, which gives the highest code of its tasks: told by RANK, WORLD_SIZE and MASTER_ADDR alone."""
    args = [*train_args("vanilla"), "--steps", 10_000_000, "--progress", "none", "--log-every", 10, "--out", "run"]
    place = meeting_place()
    both = [
        started([sys.executable, "-m", "gancli", *args], RANK=rank, LOCAL_RANK=rank, **place) for rank in ("0", "1")
    ]
    wait_for(tmp_path / "run" / "metrics.jsonl", '"step"', *both)
    for process in both:
        process.send_signal(signal.SIGTERM)
    ends = [done(process) for process in both]
    assert [code for code, _, _ in ends] == [75, 75], ends
    assert len(list((tmp_path / "run" / "state").glob("step-*.safetensors"))) == 1


WORLD = 3


def met(store: object, ranks: range = range(WORLD)) -> set[str]:
    with ThreadPoolExecutor(WORLD) as pool:
        return set(pool.map(lambda rank: agree_on_key(store, rank, WORLD, 10), ranks))


def test_all_of_an_attempt_have_one_word_and_the_next_attempt_another() -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    words = [met(store), met(store), met(store)]
    assert [len(word) for word in words] == [1, 1, 1]
    assert len(set.union(*words)) == 3


def test_a_question_that_died_unanswered_is_not_taken_for_the_next_one() -> None:
    store = dist.HashStore()  # type: ignore[attr-defined]
    store.set("gancli/request/1", "of one that is dead")
    with ThreadPoolExecutor(1) as first:
        word = first.submit(agree_on_key, store, 0, WORLD, 60)
        answer = str(store.get("gancli/key/of one that is dead"), "ascii")  # waits for it; nobody else does
        assert met(store, range(1, WORLD)) == {answer} == {word.result()}


def test_who_does_not_come_is_named() -> None:
    with pytest.raises(GancliError, match="process 1 of 3 did not join within 0 minutes"):
        agree_on_key(dist.HashStore(), 0, WORLD, 0.05)  # type: ignore[attr-defined]


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for another process that has the same numbers; notes how many were sent each time."""
    sent: list[int] = []

    def twice(tensor: torch.Tensor) -> None:
        sent.append(tensor.numel())
        tensor.mul_(2)

    monkeypatch.setattr(dist, "all_reduce", twice)
    return sent


def test_a_trace_holds_it_and_replays_it(summed: list[int]) -> None:
    x = torch.ones(3)

    def step() -> None:
        x.add_(1)
        sum_over_processes_(x)

    with without_reduction():
        module, arguments = trace.record_operations(step)
    assert not summed
    assert torch.ops.gancli.sum_over_processes_.default in [node.target for node in module.graph.nodes]
    x.fill_(1)
    with torch.no_grad():
        module(*arguments)
    assert x.tolist() == [4, 4, 4]
    assert summed == [3]


def test_idle_holds_it_back_and_no_longer(summed: list[int]) -> None:
    x = torch.ones(3)
    with without_reduction():
        with without_reduction():
            sum_over_processes_(x)
        sum_over_processes_(x)
    assert (x.tolist(), summed) == ([1, 1, 1], [])
    sum_over_processes_(x)
    assert (x.tolist(), summed) == ([2, 2, 2], [3])


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("one_process")
def test_a_cuda_graph_holds_it() -> None:
    x = torch.ones(1000, device="cuda")
    sum_over_processes_(x)  # the first one makes the communicator, which a capture may not
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        x.add_(1)
        sum_over_processes_(x)
    for _ in range(3):
        graph.replay()
    assert x.tolist() == [4.0] * 1000
