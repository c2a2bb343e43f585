"""The Python examples, and the command lines around them, of docs/python.md, docs/export.md and docs/measuring.md run."""

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.metrics import classifier, compare
from tests.conftest import ROOT, Gan
from tests.hub.conftest import hub
from tests.hub.server import Hub

__all__ = ["hub"]  # a fixture

WITHOUT = "import sys; sys.modules['torch'] = sys.modules['gancli'] = None\n"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the pages name, and classifiers that are trained in no time."""
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    monkeypatch.setenv("GAN_THREADS", "1")
    Path("photographs").mkdir()
    for index in range(3):
        Image.effect_noise((128, 112), 60).convert("RGB").save(f"photographs/{index}.png")
    with zipfile.ZipFile("photographs.zip", "w") as archive:
        for path in sorted(Path("photographs").iterdir()):
            archive.write(path)
    Image.effect_noise((24, 20), 60).convert("RGB").save("photo.jpg")


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text("utf-8"), re.DOTALL)


def run_commands(gan: Gan, name: str) -> None:
    for line in (ROOT / "docs" / name).read_text("utf-8").splitlines():
        if line.startswith("    gan "):
            outcome = gan(*shlex.split(line, comments=True)[1:])
            assert outcome.code == 0, (line, outcome.err)


def run(code: str, names: dict[str, Any]) -> None:
    exec(compile(code, "page", "exec"), names)


def test_the_page_about_python() -> None:
    names: dict[str, Any] = {}
    for block in blocks("python.md"):
        run(block, names)
    assert names["samples"].pixels.shape == (64, 1, 28, 28)
    assert names["sevens"].labels.tolist() == [7] * 8
    assert names["picture"].shape == (1, 1, 28, 28)
    assert isinstance(names["model"].generator, torch.nn.Module)
    with Image.open("large.png") as image:
        assert image.size == (512, 448)
    for file in ("grid.png", "samples/seed-000000-label-0.png", "runs/b/ckpt.safetensors", "both.html"):
        assert Path(file).is_file()


def test_the_page_about_exports(gan: Gan, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    pytest.importorskip("onnxscript", reason="the extra onnx")
    run_commands(gan, "export.md")
    first, second, *with_torch = blocks("export.md")
    command = [sys.executable, "-c", WITHOUT + first + second]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with Image.open("ten-digits.png") as ten, Image.open("photo-x4.png") as large:
        assert (ten.size, large.size) == ((280, 28), (96, 80))
    for block in with_torch:
        run(block, {})
    assert Path("digits-again.onnx").is_file()


def test_the_page_about_measuring(gan: Gan) -> None:
    run_commands(gan, "measuring.md")
    (block,) = blocks("measuring.md")
    run(block, {})
