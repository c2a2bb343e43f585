"""The pages about Python are run as they stand."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.data.opening import open_source
from gancli.data.source import Opening
from gancli.metrics import classifier, compare
from tests.conftest import ROOT, Gan

PAGE = ROOT / "docs" / "python.md"
PRODUCT = ROOT.parent / "shared" / "design" / "product.md"


def run(code: str, names: dict[str, Any]) -> None:
    exec(compile(code, "page", "exec"), names)


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    monkeypatch.setenv("GAN_THREADS", "1")
    (tmp_path / "photographs").mkdir()
    for index in range(3):
        Image.effect_noise((128, 112), 60).convert("RGB").save(tmp_path / "photographs" / f"{index}.png")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 10
    names: dict[str, Any] = {}
    for block in blocks:
        run(block, names)
    assert names["samples"].pixels.shape == (64, 1, 28, 28)
    assert names["sevens"].labels.tolist() == [7] * 8
    assert names["picture"].shape == (1, 1, 28, 28)
    assert isinstance(names["model"].generator, torch.nn.Module)
    with Image.open("large.png") as image:
        assert image.size == (512, 448)
    for file in ("grid.png", "samples/seed-000000-label-0.png", "runs/b/ckpt.safetensors", "both.html"):
        assert Path(file).is_file()


def a_few(*args: Any, **what: Any) -> Opening:
    """A data set's first pictures: five epochs of them take seconds."""
    source = yield from open_source(*args, **what)
    return dataclasses.replace(source, images=source.images[:3000], labels=source.labels[:3000])


@pytest.mark.slow
def test_the_lines_of_the_design_run(
    gan: Gan, enlarger: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not PRODUCT.exists():
        pytest.skip(f"the design is not in {PRODUCT}")
    section = PRODUCT.read_text("utf-8").partition("### Python")[2].partition("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert len(lines) == 6
    monkeypatch.setenv("GAN_DATA", str(mnist_root))
    monkeypatch.setenv("GAN_THREADS", str(min(2, torch.get_num_threads())))
    monkeypatch.setattr(classifier, "NUM_STEPS", 50)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    assert gan("train", "-d", "mnist", "--steps", 50, "--out", "runs/vanilla-mnist-001", "--no-download").code == 0
    shutil.copytree(enlarger, "srgan-x4")
    for place in ("gancli.engine.train.open_source", "gancli.metrics.compare.open_source"):
        monkeypatch.setattr(place, a_few)
    names: dict[str, Any] = {"image": Image.new("RGB", (10, 8))}
    run("\n".join(lines), names)
    assert "torch" in sys.modules
    assert names["samples"].pixels.shape == (64, 1, 28, 28)
    assert names["large"].size == (40, 32)
    assert names["run"].status == "done"
    assert len(names["figures"]) == 1
