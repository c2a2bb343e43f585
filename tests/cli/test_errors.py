"""Wrong inputs: one line on stderr that names what is wrong and the way out, nothing on stdout, no traceback."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from gancli.cli.app import main
from tests.conftest import SMALL, Gan, Outcome


def assert_one_line(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("gan: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["train", "--variant", "vanila"], 2, ["--variant vanila", "did you mean vanilla?"]),
        (["train", "--vriant", "vanilla"], 2, ["--vriant", "--variant"]),
        (["trian"], 2, ["trian", "train"]),
        (["train", "--precision", "fp16", "--device", "cpu"], 2, ["--precision fp16", "CPU"]),
        (["train", "--batch-size", "0"], 2, ["--batch-size 0", "at least 1"]),
        (["train", "--lr", "nan"], 2, ["--lr"]),
        (["train", "--epochs", "1", "--steps", "1"], 2, ["--epochs", "--steps"]),
        (["train", "--max-time", "soon"], 2, ["--max-time soon", "3h"]),
        (["train", "--dataset", "mnst"], 2, ["--dataset mnst", "did you mean mnist?"]),
        (["train", "--dataset", "mnist", "--no-download"], 1, ["MNIST/raw", "train-images-idx3-ubyte.gz"]),
        (["train", "--resume", "nowhere"], 2, ["--resume nowhere"]),
        (["sample", "nothing.safetensors"], 1, ["nothing.safetensors"]),
        (["sample", "a.safetensors", "-o", "no/such/a.png"], 1, ["no/such"]),
        (["sample", "a.safetensors", "-o", "a.docx"], 2, ["a.docx", ".png"]),
        (["sample", "a.safetensors", "-o", "a.png", "--walk", "3"], 2, ["--walk 3", ".gif"]),
        (["sample", "a.safetensors", "--seed", "-1"], 2, ["--seed -1"]),
        (["sample"], 2, ["CKPT"]),
        (["train", "more", "words"], 2, ["unexpected argument 'more words'", "--help"]),
        (["inspect", "a", "b"], 2, ["unexpected argument 'b'; see gan inspect --help"]),
        (["train", "--dry-run=yes"], 2, ["--dry-run"]),
        (["--"], 2, ["command"]),
        (["inspect", "."], 1, ["no checkpoint"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_answered_in_one_line(gan: Gan, args: list[str], code: int, words: list[str]) -> None:
    assert_one_line(gan(*args, *(["--progress", "none"] if args[0] == "train" else [])), code, *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_one_line(gan: Gan, trained: Path) -> None:
    assert_one_line(gan("train", "--device", "cuda", "--progress", "none"), 2, "--device cuda", "--device cpu")
    assert_one_line(gan("sample", trained, "--device", "cuda"), 2, "--device cuda")


def test_files_that_are_no_checkpoints_are_named(gan: Gan, trained: Path, tmp_path: Path) -> None:
    whole = (trained / "ckpt.safetensors").read_bytes()
    other_tool = safetensors.torch.save({"w": torch.zeros(3)}, {"format": "pt"})
    cases = {b"dear diary\n" * 20: "not a safetensors file", other_tool: "not one that `gan train` wrote"}
    cases |= {whole[:length]: "" for length in (0, 5, 100, len(whole) // 2, len(whole) - 1)}
    for content, message in cases.items():
        (tmp_path / "file.safetensors").write_bytes(content)
        assert_one_line(gan("sample", "file.safetensors", "-o", "a.png"), 1, "file.safetensors", message)
        assert_one_line(gan("inspect", "file.safetensors"), 1, "file.safetensors", message)
    assert not (tmp_path / "a.png").exists()


def test_wrong_values_of_the_environment_and_a_config_file_are_named(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_THREADS", "many")
    assert_one_line(gan("train", "--progress", "none"), 2, "--threads many (from GAN_THREADS): must be a whole number")
    monkeypatch.delenv("GAN_THREADS")
    (tmp_path / "c.toml").write_text("batchsize = 3\n")
    assert_one_line(gan("train", "--config", "c.toml", "--progress", "none"), 2, "c.toml", "did you mean batch_size?")
    (tmp_path / "c.toml").write_text("batch_size = \n")
    assert_one_line(gan("train", "--config", "c.toml", "--progress", "none"), 2, "c.toml", "line 1")


def test_hostile_names_do_not_reach_the_terminal_raw(gan: Gan) -> None:
    outcome = gan("sample", "\x1b[31mred\x07\u202e.safetensors")
    assert outcome.code == 1
    assert "\x1b" not in outcome.err
    assert "\u202e" not in outcome.err


def test_an_unexpected_error_is_one_line_and_a_traceback_only_with_gan_debug(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tuple[str, ...]:
        raise ZeroDivisionError("oh no")

    monkeypatch.setattr("gancli.store.pretrained.pretrained_names", broken)
    assert_one_line(gan("variants"), 1, "ZeroDivisionError", "GAN_DEBUG=1")
    monkeypatch.setenv("GAN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["variants"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "a/b"), "a/b: No space left on device"),
        (PermissionError(13, "Permission denied", b"caf\xe9"), "caf\\xe9: Permission denied"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"), "out of memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object", name="torch"), "out of memory"),
        (
            ImportError("libcudart.so.13: cannot open shared object file", name="torch._C"),
            "torch cannot be loaded (libcudart.so.13: cannot open shared object file); is it broken? "
            "pip install --force-reinstall torch",
        ),
        (RecursionError("maximum recursion depth exceeded"), "the input is nested too deeply"),
        (
            RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be"),
            "--device: CUDA error: device-side assert triggered (--device cpu does not use it; GAN_DEBUG=1 shows where)",
        ),
        (RuntimeError("Could not determine home directory."), "no home directory is known: HOME is not set"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_surroundings_refuse_is_said_as_it_is(
    gan: Gan, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def refused() -> tuple[str, ...]:
        raise error

    monkeypatch.setattr("gancli.store.pretrained.pretrained_names", refused)
    outcome = gan("variants")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"gan: {line}\n")


def test_ctrl_c_is_one_line(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gancli.sampling.generate.requests_of", interrupted)
    outcome = gan("sample", trained)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "gan: interrupted\n")


def test_gan_alone_shows_its_help_and_no_error(gan: Gan) -> None:
    outcome = gan()
    assert (outcome.code, outcome.err) == (2, "")
    assert "Usage: gan" in outcome.out


def test_a_run_directory_is_not_overwritten(gan: Gan, trained: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert_one_line(gan("train", "--out", trained, *SMALL), 2, "--out", "--resume auto")
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
