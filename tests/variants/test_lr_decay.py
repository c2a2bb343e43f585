"""`--lr-decay`: the learning rate over a run."""

from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import gancli
from gancli import catalogue
from gancli.spec import ImageSpec
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.variant import Adam, linear_decay
from tests.conftest import SMALL, Gan, sha256

DIGITS = tuple("0123456789")
VARIANTS = [name for name in catalogue.names() if hasattr(catalogue.variant_info(name).config_class, "lr_decay")]


def test_the_learning_rate_decays_linearly_over_the_last_share() -> None:
    whole, half, none = linear_decay(1.0, 200), linear_decay(0.5, 200), linear_decay(0.0, 200)
    assert [whole(done) for done in (0, 50, 199)] == pytest.approx([1, 0.75, 0.005])
    assert [half(done) for done in (0, 100, 150, 199)] == pytest.approx([1, 1, 0.5, 0.01])
    assert {none(done) for done in range(200)} == {1.0}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_falls_to_nothing_at_the_end_of_the_run(variant: str) -> None:
    assert VARIANTS == ["cgan", "dcgan", "lapgan", "vanilla"]
    config_class: Any = catalogue.variant_info(variant).config_class
    built: Any = catalogue.load(variant)(config_class(lr_decay=0.5), ImageSpec(1, 8, DIGITS))
    (phase,) = built.phases(100)
    for name, rule in phase.optimizers.items():
        updates = 100 * (built.num_updates(int(name[1:])) if variant == "lapgan" else 1)
        assert isinstance(rule, Adam)
        shares = [rule.schedule(done) for done in (0, updates // 2, 3 * updates // 4, updates)]
        assert shares == pytest.approx([1, 1, 0.5, 0])


def test_a_longer_run_says_what_becomes_of_its_step_sizes(gan: Gan) -> None:
    small = ("-d", "digits", "--image-size", 8, "--width", 8, "--inner-width", 8, "--device", "cpu")
    assert gan("train", *small, "--lr-decay", 1, "--steps", 20, "--out", "run").code == 0
    longer = gan("train", "--resume", "run", "--steps", 40)
    assert longer.code == 0, longer.err
    assert "that of G changes from 0 to 0.0005, that of D changes from 0 to 0.0005" in longer.err


def test_the_former_name_is_still_read(gan: Gan) -> None:
    line = ("train", "-v", "cgan", *SMALL, "--steps", 6, "--progress", "none", "--out")
    assert gan(*line, "now", "--lr-decay", 0.5).code == 0
    assert gan(*line, "flag", "--falling", 0.5).code == 0
    Path("old.toml").write_text("[cgan]\nfalling = 0.5\n")
    assert gan(*line, "file", "--config", "old.toml").code == 0
    options: Any = {"image_size": 8, "batch_size": 16, "log_every": 5, "width": 16, "latent_dim": 8, "falling": 0.5}
    gancli.train("cgan", steps=6, device="cpu", threads=1, out="python", **options)
    assert len({sha256(Path(run, "ckpt.safetensors")) for run in ("now", "flag", "file", "python")}) == 1
    config = Path("now/config.toml")
    config.write_text(config.read_text("utf-8").replace("lr_decay", "falling"), "utf-8")
    assert gan("train", "--resume", "now", "--steps", 8, "--falling", 0.5).code == 0
    with safe_open("now/ckpt.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["gancli"].count('"lr_decay":0.5') == 1
    metadata["gancli"] = metadata["gancli"].replace('"lr_decay"', '"falling"')
    older = Path("older.safetensors")
    save_file(load_file("now/ckpt.safetensors"), older, metadata)
    assert from_header(older, read_header(older)).config.lr_decay == 0.5  # type: ignore[attr-defined]
