"""The pretrained models do what docs/models.md says of them, with this release and without a download."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import gancli
from gancli import catalogue
from gancli.data.leaves import draw_leaves
from gancli.images import to_float
from gancli.metrics.sliced_wasserstein import sliced_wasserstein
from gancli.sampling import generate
from gancli.store import checkpoint, pretrained
from gancli.store.header import read_header
from tests import ship
from tests.conftest import ROOT, Gan
from tests.test_quality import digits, nearest

PAGE = ROOT / "docs" / "models.md"
COUNT = 500


@pytest.mark.parametrize("name", pretrained.pretrained_names())
def test_each_loads_is_small_and_carries_the_command_that_the_page_has(name: str) -> None:
    model = checkpoint.load_model(pretrained.pretrained_file(name))
    ship.check_command(model.facts, model.facts.command)
    page = PAGE.read_text("utf-8")
    assert f"## {name}\n" in page
    assert " ".join(model.facts.command.split()) in " ".join(page.replace("\\\n", " ").split())
    if model.facts.step < model.facts.steps:
        assert f"step {model.facts.step:,} of {model.facts.steps:,}" in page
    weights = model.variant.generator.state_dict().values()
    assert {weight.dtype for weight in weights if weight.is_floating_point()} == {torch.float32}
    assert "F16" in {info.dtype for info in read_header(pretrained.pretrained_file(name)).tensors.values()}


def test_together_they_are_small() -> None:
    assert set(pretrained.pretrained_names()) == {
        "dcgan-32",
        "dcgan-64",
        "digits",
        "srgan-x2",
        "srgan-x4",
        "srgan-x4-sharp",
    }
    assert (
        sum(pretrained.pretrained_file(name).stat().st_size for name in pretrained.pretrained_names())
        <= ship.MOST_BYTES
    )


def test_digits_draws_the_digit_that_is_asked_for_and_each_in_many_ways() -> None:
    model, train = gancli.load("digits", device="cpu"), digits("train")
    assert model.class_names == tuple("0123456789")
    samples = model.sample(COUNT, seed=1000)
    distances, read = nearest(samples.pixels, train)
    assert (read == samples.labels).float().mean() >= 0.97
    real_distances, _ = nearest(digits("test").images[:COUNT], train)
    assert 0.5 * real_distances.median() < distances.median() < 1.4 * real_distances.median(), (
        "neither noise nor copies"
    )
    for digit in range(10):
        spread, real = (
            pictures[labels == digit].flatten(1).float().std(0).mean()
            for pictures, labels in ((samples.pixels, samples.labels), (train.images, train.labels))
        )
        assert 0.8 * real < spread < 1.2 * real, f"the {digit}s vary as much as the training pictures do"


@pytest.mark.parametrize("size", [32, 64])
def test_dcgan_is_a_start_g_draws_patches_like_those_of_leaves_and_d_tells_both_apart(size: int) -> None:
    file, count = pretrained.pretrained_file(f"dcgan-{size}"), 100
    real, other = (torch.cat([pixels for pixels, _ in draw_leaves(count, size, seed)]) for seed in (7, 8))
    model = checkpoint.load_model(file)
    torch.manual_seed(0)
    new = catalogue.load("dcgan")(model.facts.config, model.facts.images)
    made, unmade = (
        generate.generate_all(each, each.generator.eval(), generate.requests(count, 0, (0,)), torch.device("cpu"))
        for each in (model.variant, new)
    )
    least, most = (sliced_wasserstein(each, real) for each in (other, unmade))
    for level, distance in sliced_wasserstein(made, real).items():
        assert distance - least[level] < 0.5 * (most[level] - least[level]), level
    assert 0.6 < made.float().std(0).mean() / real.float().std(0).mean() < 1.4, "they vary as much"
    new.networks["D"].load_state_dict(checkpoint.load_networks(file)[2]["D"])
    with torch.inference_mode():
        of_real, of_made = (new.d_logits(to_float(x), torch.zeros(count, dtype=torch.int64)) for x in (real, made))
    assert of_real.mean() > of_made.mean() + 0.1


def drawn_picture(path: Path) -> None:
    """Shapes, lines and lettering on a gradient: 240×180."""
    picture = Image.linear_gradient("L").resize((240, 180)).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    for index in range(9):
        left, colour = 26 * index, (250 - 25 * index, 30 + 20 * index, 90 + 12 * index)
        canvas.ellipse((left, 20, left + 40, 60), fill=colour)
        canvas.polygon([(left, 70), (left + 30, 82), (left + 9, 120)], fill=colour[::-1])
        canvas.line((left, 176, left + 60, 124), fill=colour, width=3)
    canvas.text((20, 130), "dead leaves", fill="white", font=ImageFont.load_default(size=32))
    picture.save(path)


@pytest.mark.parametrize("name", ["srgan-x2", "srgan-x4"])
def test_srgan_enlarges_a_drawn_picture_better_than_bicubic_by_a_decibel(gan: Gan, name: str) -> None:
    Path("true").mkdir()
    drawn_picture(Path("true", "drawn.png"))
    measured = gan("evaluate", name, "-d", "true", "--json")
    assert measured.code == 0, measured.err
    (psnr, _) = json.loads(measured.out)["checkpoints"][0]["figures"]
    assert psnr["model"]["value"] > psnr["real"]["value"] + 1


def test_the_sharp_one_has_sharper_edges_nearer_to_the_true_ones() -> None:
    drawn_picture(Path("true.png"))
    with Image.open("true.png") as true:
        small = true.resize((true.width // 4, true.height // 4), Image.Resampling.BICUBIC)
        sharpness = {"true": detail(true)}
    for name in ("srgan-x4", "srgan-x4-sharp"):
        sharpness[name] = detail(gancli.load(name, device="cpu").enlarge(small))
    assert sharpness["srgan-x4"] < sharpness["srgan-x4-sharp"] < 1.1 * sharpness["true"]


def detail(image: Image.Image) -> float:
    """The mean size of the second differences of the brightness."""
    pixels = torch.from_numpy(np.array(image.convert("L"), dtype=np.float64))
    return float(pixels.diff(n=2, dim=1).abs().mean() + pixels.diff(n=2, dim=0).abs().mean())
