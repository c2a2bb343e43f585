"""docs/export.md and docs/measuring.md are run as they stand."""

import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gancli.metrics import classifier, compare
from tests.conftest import ROOT, Gan
from tests.hub.conftest import hub
from tests.hub.server import Hub

__all__ = ["hub"]  # a fixture

WITHOUT = "import sys; sys.modules['torch'] = sys.modules['gancli'] = None\n"


def command_lines(page: str) -> Iterator[list[str]]:
    """The `gan` command lines of a page, as words, without their comments."""
    for line in page.splitlines():
        if line.startswith("    gan "):
            yield shlex.split(line, comments=True)[1:]


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages' lines need: photographs, and no time."""
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    monkeypatch.setenv("GAN_THREADS", "1")
    Path("photographs").mkdir()
    for index in range(2):
        Image.effect_noise((64, 48), 60).convert("RGB").save(f"photographs/{index}.png")
    with zipfile.ZipFile("photographs.zip", "w") as archive:
        for path in sorted(Path("photographs").iterdir()):
            archive.write(path)
    Image.effect_noise((24, 20), 60).convert("RGB").save("photo.jpg")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_about_exports_runs(gan: Gan, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    pytest.importorskip("onnxscript", reason="the extra onnx")
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    for words in command_lines(page):
        outcome = gan(*words)
        assert outcome.code == 0, (words, outcome.err)
    first, second, third, last = blocks(page)
    alone = subprocess.run(
        [sys.executable, "-c", WITHOUT + first + second], capture_output=True, text=True, timeout=120
    )
    assert alone.returncode == 0, alone.stderr
    with Image.open("ten-digits.png") as ten, Image.open("photo-x4.png") as large:
        assert (ten.size, large.size) == ((280, 28), (96, 80))
    exec(compile(third, "page", "exec"), {})
    exec(compile(last, "page", "exec"), {})
    assert Path("digits-again.onnx").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_about_measuring_runs(gan: Gan) -> None:
    page = (ROOT / "docs" / "measuring.md").read_text("utf-8")
    for words in command_lines(page):
        outcome = gan(*words)
        assert outcome.code == 0, (words, outcome.err)
    (block,) = blocks(page)
    exec(compile(block, "page", "exec"), {})
