"""Files and directories that are somebody else's, or something else than they should be: one line, and nothing lost."""

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gancli.metrics import classifier
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, Gan

CAPSET, VERSION = 126, 0x20080522  # of x86-64's system calls, of their structures
OVERRIDE = 1 << 1 | 1 << 2 | 1 << 3  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@pytest.fixture
def ordinary() -> Iterator[None]:
    """Takes from root what lets it read and write everything, as long as a test runs."""
    if os.geteuid() != 0:
        yield
        return
    if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        pytest.skip("root reads everything here")
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.syscall(CAPSET - 1, header, data) == 0
    before = data[0]
    data[0] = before & ~OVERRIDE
    assert libc.syscall(CAPSET, header, data) == 0
    yield
    data[0] = before
    assert libc.syscall(CAPSET, header, data) == 0


def frozen(run: Path) -> None:
    """Make a run directory one that may be read only."""
    for path in (*run.rglob("*"), run):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.usefixtures("ordinary")
def test_somebody_elses_run_can_be_looked_at_and_sampled_and_measured(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    frozen(trained)
    (trained / "metrics.jsonl").chmod(0)
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    shown = gan("inspect", trained)
    assert (shown.code, shown.err) == (0, f"warning: {trained}/metrics.jsonl: cannot be read (Permission denied)\n")
    assert gan("sample", trained, "-n", 4, "-o", "a.png").code == 0
    measured = gan("evaluate", trained, "-n", 20, "--metrics", "modes", "--json")
    assert measured.code == 0, measured.err
    assert json.loads(measured.out)["checkpoints"][0]["figures"]
    assert f"{trained}/metrics.jsonl: cannot be written (Permission denied)" in measured.err
    assert_one_line(gan("train", "--resume", trained, "--steps", 12, "--progress", "none"), 1, str(trained), "--out")
    assert gan("train", "--resume", trained, "--out", "mine", "--steps", 12, "--progress", "none").code == 0
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


@pytest.mark.usefixtures("ordinary")
def test_states_that_may_not_be_seen_are_not_taken_for_none(gan: Gan, trained: Path) -> None:
    (trained / "state").chmod(0)
    checkpoint = (trained / "ckpt.safetensors").read_bytes()
    resumed = gan("train", "--out", trained, "--resume", "auto", *SMALL, "--progress", "none")
    (trained / "state").chmod(0o755)
    assert_one_line(resumed, 1, f"{trained}/state: cannot be listed (Permission denied)")
    assert (trained / "ckpt.safetensors").read_bytes() == checkpoint


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["inspect", "closed/run"], "closed/run"),
        (["sample", "secret.safetensors"], "secret.safetensors: cannot be read"),
        (["sample", "no.safetensors", "-o", "readonly/a.png"], "-o readonly/a.png: cannot be written"),
        (["evaluate", "no.safetensors", "--neighbours", "readonly/a.png"], "--neighbours readonly/a.png: cannot be"),
        (["train", "-d", "closed"], "closed: cannot be listed"),
        (["train", "-d", "mnist", "--data-root", "closed/x"], "closed/x/MNIST/raw"),
        (["train", "--out", "readonly/new"], "--out readonly/new: cannot be written to"),
        (["train", "--resume", "closed/run"], "closed/run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_may_not_be_read_or_written_is_named(gan: Gan, tmp_path: Path, args: list[str], words: str) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"0" * 100)
    (tmp_path / "secret.safetensors").chmod(0)
    (tmp_path / "readonly").mkdir(mode=0o555)
    (tmp_path / "closed").mkdir(mode=0)
    assert_one_line(gan(*args, *(["--progress", "none"] if args[0] == "train" else [])), 1, words)


READERS = (["inspect", "{}"], ["sample", "{}"], ["evaluate", "{}"], ["train", "-d", "{}"], ["train", "--config", "{}"],
           ["train", "--resume", "{}"], ["train", "--out", "{}"], ["sample", "no.safetensors", "-o", "{}"])  # fmt: skip
ODD = ("pipe.png", "/dev/zero", "loop.png", "nowhere.png", "file/below.png", "x" * 300)


@pytest.mark.parametrize(
    ("args", "what"),
    [*((args, "pipe.png") for args in READERS), *((["train", "-d", "{}"], what) for what in ODD[1:])],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value[:16],
)
def test_what_is_no_file_holds_nobody_up_and_is_not_replaced(
    gan: Gan, tmp_path: Path, args: list[str], what: str
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "nowhere.png").symlink_to("no/where")
    (tmp_path / "file").write_bytes(b"words")
    words = [word.format(what) for word in args]
    outcome = gan(*words, *(["--progress", "none", "--threads", 1] if args[0] == "train" else []))
    assert_one_line(outcome, 1 if outcome.code == 1 else 2)
    assert (tmp_path / "pipe.png").is_fifo()
    assert (tmp_path / "loop.png").is_symlink()


def test_a_data_root_that_is_a_file_is_told_once_and_done_without(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    assert gan("sample", trained, "-n", 20, "-o", tmp_path / "pictures").code == 0
    outcome = gan("train", "-d", "pictures", "--data-root", "file", *SMALL, "--steps", 2, "--out", "new")
    assert outcome.code == 0, outcome.err
    assert "file/cache: cannot be written" in outcome.err
    assert (tmp_path / "file").read_text() == "words"
