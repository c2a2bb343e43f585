"""What a run on somebody's own pictures is by default: its variant, its length, mirrored and augmented pictures, advice."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gancli
from gancli.batches.labelled import LabelledBatches
from gancli.config import VariantConfig
from gancli.data.dataset import Dataset
from gancli.data.listing import Probe, probe
from gancli.variants.dcgan import Dcgan
from gancli.variants.dcgan_config import Config
from tests.conftest import SMALL, Gan

Pictures = Callable[..., Path]


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """Makes a folder of drawn pictures."""

    def make(name: str, count: int, size: tuple[int, int], mode: str = "RGB") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            picture = Image.effect_noise(size, 20 + number).convert(mode)
            picture.putpixel((0, 0), 255 if mode == "L" else (255, 0, 0))
            picture.save(folder / f"{number}.png")
        return folder

    return make


def settings(gan: Gan, *args: str) -> dict[str, str]:
    """Value by option of what `gan train --dry-run` shows, and its warnings."""
    done = gan("train", *args, "--dry-run")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines() if line.startswith("--")]
    return {row[0]: row[1] for row in rows} | {"told": done.out + done.err}


def test_colour_gets_a_network_of_convolutions_and_a_length_in_steps(gan: Gan, pictures: Pictures) -> None:
    folder = str(pictures("photos", 12, (80, 60)))
    found = settings(gan, "-d", folder)
    assert (found["--variant"], found["--steps"]) == ("dcgan", "18740")
    assert "variant dcgan, as the images are in colour (use --variant to choose another)" in found["told"]
    assert settings(gan, "-d", folder, "-v", "vanilla")["--variant"] == "vanilla"
    assert settings(gan, "-d", folder, "--inner-width", "64")["--variant"] == "vanilla"
    assert settings(gan, "-d", folder, "--preset", "article")["--variant"] == "vanilla"
    assert settings(gan, "-d", folder, "--epochs", "3")["--steps"] == "–"
    assert settings(gan, "-d", folder, "--batch-size", "4")["--steps"] == "18740"


@pytest.mark.parametrize("variant", ["vanilla", "dcgan", "lapgan"])
def test_the_quick_preset_makes_images_small_but_none_larger(gan: Gan, pictures: Pictures, variant: str) -> None:
    """In any variant, also in the one that is chosen for the images, which are 64 pixels by default."""
    quick = ("--preset", "quick", "-v", variant)
    folder, squares = (str(pictures(name, 12, size)) for name, size in (("mixed", (80, 60)), ("squares", (100, 100))))
    found = settings(gan, "-d", folder, *quick)
    assert (found["--image-size"], found["--within"]) == ("32", "10m")
    assert settings(gan, "-d", folder, *quick, "--image-size", "64")["--image-size"] == "64"
    assert settings(gan, "-d", squares, "--preset", "quick")["--image-size"] == "32"
    assert settings(gan, "-d", "digits", *quick)["--image-size"] == "28"
    assert settings(gan, "-d", "shapes", *quick)["--image-size"] == "32"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("-v", "dcgan"), "--image-size 100: must be 4 or 7 times a power of two"),
        (("-v", "lapgan", "--image-size", 48), "--image-size 48: must be at least 8, and 4 or 7 times"),
        (("-v", "dcgan", "--image-size", 64, "--conditional"), "--conditional: the images of --dataset have no labels"),
        (("-v", "srgan", "--image-size", 256), "--image-size 256: crops of this size fit into no image"),
        (("-v", "srgan", "--image-size", 33), "--image-size 33: crops must be a multiple of --scale 4"),
    ],
)
def test_images_that_a_variant_cannot_take_are_refused_before_they_are_decoded(
    gan: Gan, pictures: Pictures, args: tuple[object, ...], line: str
) -> None:
    refused = gan("train", "-d", pictures("squares", 3, (100, 100)), *args)
    assert refused.code in (1, 2)
    assert f"gan: {line}" in refused.err
    assert "decoding" not in refused.err


def test_what_can_be_seen_of_pictures(pictures: Pictures, tmp_path: Path) -> None:
    folder = pictures("mixed", 3, (40, 30))
    seen = probe(str(folder))
    assert seen is not None
    assert (seen.coloured, seen.side, seen.square) == (True, 30, False)
    with zipfile.ZipFile(tmp_path / "mixed.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert probe(str(tmp_path / "mixed.zip")) == seen
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "empty").mkdir()
    (tmp_path / "lies").mkdir()
    (tmp_path / "lies" / "a.png").write_bytes(b"no picture")
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a.png", b"x" * 30)
    locked = bytearray((tmp_path / "locked.zip").read_bytes())
    for where in (6, locked.index(b"PK\x01\x02") + 8):  # its flags say that it is encrypted
        locked[where] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    arrays = {"colour": (4, 48, 40, 3), "planes": (4, 3, 96, 96), "grey": (4, 28, 28)}
    for name, shape in arrays.items():
        np.save(tmp_path / f"{name}.npy", np.zeros(shape, np.uint8))
        np.savez(tmp_path / f"{name}.npz", x_train=np.zeros(shape, np.uint8), x_test=np.zeros((2, 9, 9), np.uint8))
    for suffix in (".npy", ".npz"):
        assert probe(str(tmp_path / f"colour{suffix}")) == Probe(True, 40, False)
        assert probe(str(tmp_path / f"planes{suffix}")) == Probe(True, 96, True)
        assert probe(str(tmp_path / f"grey{suffix}")) == Probe(False, 28, True)
    np.save(tmp_path / "numbers.npy", np.zeros(5))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    for nothing in ("numbers.npy", "broken.npz", "broken.zip", "locked.zip", "empty", "lies", "not there"):
        assert probe(str(tmp_path / nothing)) is None


def test_mirrored_pictures_are_half_of_every_epoch_others_in_each_and_resume(gan: Gan, pictures: Pictures) -> None:
    folder = str(pictures("photos", 24, (16, 16)))
    small = ("--batch-size", 8, "--width", 4, "--save-every", 5, "--device", "cpu")
    train = ("train", "-v", "dcgan", "-d", folder, *small)
    for name, more in (("whole", ()), ("straight", ("--no-mirror",))):
        assert gan(*train, *more, "--steps", "10", "--out", name).code == 0
    assert gan(*train, "--steps", "5", "--out", "parts").code == 0
    assert gan("train", "--resume", "parts", "--steps", "10").code == 0
    whole, parts, straight = (load_file(f"{name}/ckpt.safetensors") for name in ("whole", "parts", "straight"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not all(torch.equal(whole[name], straight[name]) for name in whole)


def test_pictures_in_colour_are_mirrored_however_many_and_grey_ones_not(gan: Gan, tmp_path: Path) -> None:
    for name, count, channels in (("few", 20, 3), ("many", 20_001, 3), ("grey", 20, 1)):
        np.save(tmp_path / f"{name}.npy", np.zeros((count, 16, 16, channels), np.uint8))
    found = [
        settings(gan, "-v", "vanilla", "-d", name)["--mirror"] for name in ("few.npy", "many.npy", "grey.npy", "shapes")
    ]
    assert found == ["True", "True", "False", "False"]
    assert settings(gan, "-v", "vanilla", "-d", "few.npy", "--no-mirror")["--mirror"] == "False"


def test_a_run_of_before_that_mirrored_few_pictures_only_stays_as_it_was(gan: Gan, pictures: Pictures) -> None:
    folder = str(pictures("photos", 24, (16, 16)))
    small = ("--batch-size", 8, "--width", 4, "--save-every", 5, "--device", "cpu")
    train = ("train", "-v", "dcgan", "-d", folder, *small)
    assert gan(*train, "--no-mirror", "--steps", 10, "--out", "whole").code == 0
    assert gan(*train, "--no-mirror", "--steps", 5, "--out", "before").code == 0
    config = Path("before", "config.toml")
    text = config.read_text("utf-8").replace("mirror = false\n", "")
    config.write_text(text.replace("[came_to]\n", "[came_to]\nmirror = false\n"), "utf-8")
    assert " --no-mirror" in gancli.runs("before")[0].command
    assert gan("train", "--config", config, "--steps", 10, "--out", "again").code == 0
    assert gan("train", "--resume", "before", "--steps", 10).code == 0
    whole, *others = (load_file(f"{name}/ckpt.safetensors") for name in ("whole", "again", "before"))
    assert all(torch.equal(whole[name], other[name]) for name in whole for other in others)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_mirrored_row_is_its_picture_mirrored(channels_last: bool) -> None:
    pixels = torch.arange(6 * 3 * 4 * 4, dtype=torch.uint8).view(6, 3, 4, 4)
    labels = torch.arange(6)
    source = Dataset("x", pixels, labels, tuple("abcdef"))
    batches = LabelledBatches(source, torch.device("cpu"), 2, 0, channels_last, mirror=True)
    rows = torch.cat([batches.rows(step, 1)[0] for step in range(30)])
    assert 0.2 < (rows >= 6).double().mean() < 0.8
    found, classes = batches.gather(torch.tensor([1, 7, 5, 11]))
    assert torch.equal(found, torch.stack([pixels[1], pixels[1].flip(-1), pixels[5], pixels[5].flip(-1)]))
    assert classes.tolist() == [1, 1, 5, 5]
    first = [(batches.rows(step, 1)[0] >= 6).tolist() for step in range(3)]
    assert first != [(batches.rows(step, 1)[0] >= 6).tolist() for step in range(3, 6)]


def test_few_pictures_are_augmented_and_many_are_not() -> None:
    few, many, asked = (Dcgan.resolve_defaults(config, 10, count) for config, count in (
        (Config(), 180), (Config(), 60_000), (Config(augment="none"), 180)))  # fmt: skip
    assert (few.augment, many.augment, asked.augment) == ("colour,translation,cutout", "none", "none")
    assert isinstance(few, VariantConfig)


def test_what_will_hardly_do_is_told_before_the_first_step(gan: Gan, pictures: Pictures) -> None:
    folder = str(pictures("few", 12, (8, 8)))
    done = gan("train", "-v", "vanilla", "-d", folder, *SMALL, "--epochs", "2", "--progress", "json")
    told = [row["message"] for row in map(json.loads, done.out.splitlines()) if row["event"] == "warned"]
    assert any("only 12 images: the model will memorise them" in line for line in told)
    assert any("takes a few thousand steps" in line for line in told)


def test_a_warmup_longer_than_the_run_is_told(gan: Gan) -> None:
    done = gan("train", *SMALL, "--steps", 3, "--warmup", 4, "--progress", "plain")
    assert "--warmup 4: the run has 3 steps, so --lr is not reached" in done.err
    assert "--warmup" not in gan("train", *SMALL, "--steps", 4, "--warmup", 4, "--progress", "plain").err
