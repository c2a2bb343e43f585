"""Streams that are not UTF-8: commands write what the stream can encode."""

import io
import re
import sys
from pathlib import Path

import pytest

from gancli.cli import console
from gancli.cli.app import main
from gancli.metrics import classifier
from tests.conftest import SMALL, gan_process

ENCODINGS = ("ascii", "latin-1", "cp1252")


def written(monkeypatch: pytest.MonkeyPatch, encoding: str, *args: object) -> str:
    """What a command that succeeds writes to a stdout of an encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        assert main([str(arg) for arg in args]) == 0
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_needs_no_model_is_written_in_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    for args in (["variants"], ["variants", "lapgan"], ["train", "--help"], ["variants", "--json"]):
        shown = written(monkeypatch, encoding, *args)
        assert shown.strip()
        assert "\\u" not in shown or "--json" in args


def test_a_model_is_shown_and_measured_in_any_encoding(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    assert re.search("image-size +8 ", written(monkeypatch, "ascii", "train", "--dry-run", *SMALL))
    for encoding in ENCODINGS:
        shown = written(monkeypatch, encoding, "inspect", trained)
        assert ("1×8×8" if encoding != "ascii" else "1x8x8") in shown
        assert "\\u" not in shown, "the plot is drawn with what there is"
    table = written(monkeypatch, "ascii", "evaluate", trained, "-n", 50, "--metrics", "modes,swd")
    assert "+- is one standard error" in table
    assert "\\u" not in table


def test_a_path_that_is_a_result_is_the_files_bytes_and_escaped_where_people_read(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = Path("caf\udce9\n")
    trained.rename(odd)
    capfd.readouterr()
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        console.print_path(odd)
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue() == b"caf\xe9\n\n"
    assert main(["inspect", str(odd)]) == 0
    assert "caf\\xe9\\n/ckpt.safetensors" in capfd.readouterr().out


def test_a_process_in_the_c_locale_writes_help_and_paths(trained: Path, tmp_path: Path) -> None:
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = gan_process("sample", "--help", **poor)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"+-this" in shown.stdout
    trained.rename(tmp_path / "café")
    failed = gan_process("inspect", tmp_path / "café" / "nothing", **poor)
    assert (failed.returncode, failed.stderr.count(b"\n")) == (1, 1)
    failed.stderr.decode("ascii")
