"""Checkpoints: what a run writes can be loaded; any other file is refused in one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from gancli.errors import CheckpointError
from gancli.store import checkpoint
from gancli.store.facts import from_header
from gancli.store.header import read_header
from tests.conftest import Gan, sha256

WEIGHT = "generator.conditional.layers.0.weight"


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """A copy of a checkpoint with its header (as JSON, our description unpacked) changed in place by `change`."""
    raw = source.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    ours = json.loads(header["__metadata__"]["gancli"])
    change(header, ours)
    header["__metadata__"]["gancli"] = json.dumps(ours)
    text = json.dumps(header).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    return target


def test_safetensors_itself_opens_our_file(trained: Path) -> None:
    tensors = safetensors.torch.load_file(trained / "ckpt.safetensors")
    assert all(name.startswith("generator.") for name in tensors)
    header = read_header(trained / "ckpt.safetensors")
    assert header.metadata["format"] == "pt"
    assert set(header.metadata) == {"format", "gancli"}


def test_a_loaded_model_knows_where_it_comes_from(trained: Path) -> None:
    model = checkpoint.load_model(trained / "ckpt.safetensors")
    assert (model.facts.variant, model.facts.dataset, model.facts.step) == ("vanilla", "digits", 10)
    assert not model.variant.generator.training
    assert model.facts.losses["d_loss"][-1][0] == 10


def test_saving_a_loaded_model_again_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    source = trained / "ckpt.safetensors"
    header = read_header(source)
    facts = from_header(source, header)
    checkpoint.save(tmp_path / "again.safetensors", checkpoint.read_tensors(source, header, facts), facts)
    assert sha256(tmp_path / "again.safetensors") == sha256(source)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda _, ours: ours.update(variant="styleganx"),
            "the variant 'styleganx', which this gan does not have (it has cgan, ",
        ),
        (lambda _, ours: ours.update(gancli_format=2), "another format"),
        (lambda _, ours: ours.update(extra=1), "missing or unknown"),
        (lambda _, ours: ours.pop("seed"), "missing or unknown: written by another gan; use that version"),
        (lambda _, ours: ours["config"].update(width=10**9), "--width"),
        (lambda _, ours: ours["config"].update(width="16"), "--width"),
        (lambda _, ours: ours["config"].update(width=True), "--width"),
        (lambda _, ours: ours["config"].update(depth=3), "depth: no option of vanilla"),
        (lambda _, ours: ours["config"].update(width=17), "written by a gan with another vanilla network"),
        (lambda _, ours: ours["images"].update(size=9), "train a new model, or use that version"),
        (lambda _, ours: ours["images"].update(channels=2), "images"),
        (lambda _, ours: ours["images"].update(size=10**9), "images"),
        (lambda _, ours: ours.update(step=-1), "step"),
        (lambda _, ours: ours.update(seed=2**70), "seed"),
        (lambda _, ours: ours.update(losses={"a": [[1, "x"]]}), "losses"),
        (lambda _, ours: ours.update(sha256="0" * 64), "damaged"),
        (lambda _, ours: ours.update(kind="pickle"), "kind"),
        (
            lambda header, _: header.update(
                {"generator.conditional.layers.9.weight": header.pop("generator.conditional.layers.0.weight")}
            ),
            f"its tensors differ by {WEIGHT}",
        ),
    ],
)
def test_changed_metadata_is_refused_in_one_line(trained: Path, tmp_path: Path, change: Any, complaint: str) -> None:
    path = rewritten(trained / "ckpt.safetensors", tmp_path / "bad.safetensors", change)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_model(path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_flipped_bit_is_noticed(trained: Path, tmp_path: Path) -> None:
    raw = bytearray((trained / "ckpt.safetensors").read_bytes())
    raw[-5] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(raw)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load_model(tmp_path / "bad.safetensors")


def test_weights_that_are_not_finite_are_refused(trained: Path, tmp_path: Path) -> None:
    source = trained / "ckpt.safetensors"
    header = read_header(source)
    facts = from_header(source, header)
    tensors = checkpoint.read_tensors(source, header, facts)
    tensors[WEIGHT][0, 0] = float("nan")
    checkpoint.save(tmp_path / "nan.safetensors", tensors, facts)
    with pytest.raises(CheckpointError, match=r"generator\.conditional\.layers\.0\.weight contains NaN"):
        checkpoint.load_model(tmp_path / "nan.safetensors")


def test_a_state_is_not_loaded_as_a_model(trained: Path) -> None:
    (newest, *_) = sorted((trained / "state").iterdir(), reverse=True)
    with pytest.raises(CheckpointError, match="a training state, not a model"):
        checkpoint.load_model(newest)


def test_no_pickle_is_ever_read(trained: Path, monkeypatch: pytest.MonkeyPatch, gan: Gan, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", refuse)
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pt")
    shutil.copy(tmp_path / "old.pt", tmp_path / "old.safetensors")
    assert gan("sample", tmp_path / "old.safetensors", "-o", "a.png").code == 1
    assert gan("sample", trained, "-n", 1, "-o", "a.png").code == 0
