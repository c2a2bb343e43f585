"""What tests share: a command line to call, toy variants, tiny runs, real data where there is some."""

import os

# Several test processes share the cores: an OpenMP thread that waits for one that has none must not keep it waiting. Read
# when torch is loaded; also by the commands that tests start.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from hypothesis import settings

import gancli.variants
from gancli import catalogue
from gancli.catalogue import outside
from gancli.cli.app import main
from gancli.events import Event, Warned

for shielded in (
    "SIGINT",
    "SIGHUP",
):  # a suite started in the background has them ignored, and so would all that it starts
    if hasattr(signal, shielded) and signal.getsignal(getattr(signal, shielded)) is signal.SIG_IGN:
        signal.signal(getattr(signal, shielded), signal.default_int_handler if shielded == "SIGINT" else signal.SIG_DFL)
settings.register_profile("suite", deadline=None)  # a busy machine is no failure
settings.load_profile("suite")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # a process per core: what asks for more threads says so

ROOT = Path(__file__).parent.parent
TINY = ("--image-size", "8", "--batch-size", "16", "--log-every", "5", "--device", "cpu", "--threads", "1")
SMALL = (*TINY, "--width", "16", "--latent-dim", "8")
# The same from Python.
OPTIONS: dict[str, Any] = {
    "image_size": 8,
    "batch_size": 16,
    "log_every": 5,
    "device": "cpu",
    "threads": 1,
    "width": 16,
    "latent_dim": 8,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, so that no process is left with one at the end, and get more time before they count as hung."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(900), append=False)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Gan = Callable[..., Outcome]
T = TypeVar("T")


def heard(work: Callable[..., T], *args: Any, **options: Any) -> tuple[T, list[Event]]:
    """What a function that takes an `emit` returns, and the events that it emits."""
    seen = list[Event]()
    return work(*args, **options, emit=seen.append), seen


def warned(work: Callable[..., T], *args: Any, **options: Any) -> tuple[T, list[str]]:
    """What a function that takes an `emit` returns, and the warnings that it emits."""
    result, seen = heard(work, *args, **options)
    return result, [event.message for event in seen if isinstance(event, Warned)]


def slow_ones(cases: Iterable[Any], slow: Callable[[Any], bool]) -> list[Any]:
    """Cases for `parametrize`, those that `slow` picks marked as slow (which CI runs, the default tests do not)."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow if slow(case) else ())
        for case in cases
    ]


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data root for the whole session, so that drawn data sets are drawn once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _surroundings(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in an empty directory, with no GAN_ variables but the data root, no COLUMNS (pytest-xdist's), and no
    variants from outside."""
    for registry in ("_given", "_imported"):
        monkeypatch.setattr(catalogue, registry, {})
    monkeypatch.setattr(outside, "_folders", {})
    for name in [name for name in os.environ if name.startswith("GAN_") and name != "GAN_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("GAN_DATA", str(data_root))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.set_flush_denormal(False)  # a run sets it for its process; Hypothesis needs denormals


@pytest.fixture
def gan(capfd: pytest.CaptureFixture[str]) -> Gan:
    """Run a `gan` command line in this process."""

    def run(*args: object) -> Outcome:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def gan_process(*args: object, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a `gan` command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gancli", *map(str, args)],
        capture_output=True,
        env=os.environ | environment,
        timeout=120,
    )


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the toy variants, and CONTRIBUTING's worked example, to the catalogue: two more folders of one-file variants."""
    more = [ROOT / "tests" / "toys", ROOT / "examples" / "variants" / "wgan_gp" / "gan_wgan_gp"]
    monkeypatch.setattr(gancli.variants, "__path__", [*gancli.variants.__path__, *map(str, more)])


Finished = Callable[..., Path]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Finished:
    """Gives the directory of a finished run by the words of its command, which is trained once. Tests only read it."""
    folder, runs = tmp_path_factory.mktemp("finished"), dict[tuple[str, ...], Path]()

    def run(*args: object) -> Path:
        words = tuple(map(str, args))
        if words not in runs:
            out, threads = folder / f"run-{len(runs)}", torch.get_num_threads()
            with pytest.MonkeyPatch.context() as patched:
                patched.setenv("GAN_DATA", str(data_root))
                assert main([*words, "--out", str(out)]) == 0
            torch.set_num_threads(threads)
            runs[words] = out
        return runs[words]

    return run


@pytest.fixture
def trained(finished: Finished, tmp_path: Path) -> Path:
    """The run directory of a tiny finished vanilla run, the test's own."""
    return shutil.copytree(finished("train", "--steps", 10, *SMALL), tmp_path / "run")


@pytest.fixture(scope="session")
def enlarger(finished: Finished) -> Path:
    """The run directory of a tiny finished srgan, which enlarges four times. Tests only read it."""
    small = ("--image-size", 16, "--width", 4, "--blocks", 1, "--d-width", 4, "--steps", 4)
    return finished("train", "-v", "srgan", *TINY, *small)


@pytest.fixture
def mnist_root() -> Path:
    """A data root with the real MNIST files."""
    root = Path(os.environ.get("GAN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"the real MNIST files are not in {root} (GAN_TEST_DATA)")
    return root


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
