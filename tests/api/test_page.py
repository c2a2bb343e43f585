"""The pages about Python are run as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.metrics import classifier, compare
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "python.md"


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
