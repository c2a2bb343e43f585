"""SRGAN: what its networks, phases and content loss promise."""

from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
from torch import nn

from gancli.batches.pairs import upsample_bicubic
from gancli.errors import GancliError, UsageError
from gancli.nn.vgg import FEATURE_SCALE, Vgg19Features
from gancli.spec import ImageSpec
from gancli.variants.srgan import FEATURE_WEIGHT, Srgan, shifted_crops
from gancli.variants.srgan_config import Config

Upsampler = Literal["direct", "doubling"]
SMALL = Config(width=4, blocks=2, d_width=4)


def built(config: Config = SMALL, channels: int = 3, size: int = 32) -> Srgan:
    torch.manual_seed(0)
    return Srgan(config, ImageSpec(channels, size))


EACH_UPSAMPLER = pytest.mark.parametrize("upsampler", ["direct", "doubling"])


@EACH_UPSAMPLER
@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (4, 3), (8, 1)])
def test_pictures_of_any_size_become_scale_times_larger(scale: int, channels: int, upsampler: Upsampler) -> None:
    generator = built(Config(scale=scale, width=4, blocks=1, upsampler=upsampler), channels).generator
    assert generator(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


@EACH_UPSAMPLER
def test_an_untrained_default_generator_gives_the_bicubic_picture(upsampler: Upsampler) -> None:
    low_res = torch.rand(1, 3, 9, 6) * 2 - 1
    assert torch.equal(
        built(Config(width=4, blocks=2, d_width=4, upsampler=upsampler)).generator(low_res),
        upsample_bicubic(low_res, 4),
    )


def test_the_papers_generator_and_discriminator_have_the_papers_layers() -> None:
    values = {key: value for key, value in Config.presets["paper"].items() if key in Config.__dataclass_fields__}
    variant = built(Config(**(values | {"content": "mse"})), size=96)  # type: ignore[arg-type]
    convolutions = [m for m in variant.generator.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 2 * 16 + 1 + 2 + 1
    assert sum(isinstance(m, nn.BatchNorm2d) for m in variant.generator.modules()) == 33
    assert (
        sum(p.numel() for p in variant.generator.parameters()) == 1_549_462 - 33 * 64
    )  # without biases before batch norm
    widths = [(m.out_channels, m.stride[0]) for m in variant.D.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]


@pytest.mark.parametrize("side", [8, 130])
def test_the_discriminator_takes_crops_of_any_size(side: int) -> None:
    assert built().D(torch.rand(2, 3, side, side + 3)).shape == (2, 1)


@EACH_UPSAMPLER
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_nothing_further_away_than_its_reach_changes_a_pixel(scale: int, upsampler: Upsampler) -> None:
    variant = built(Config(scale=scale, width=4, blocks=2, skip="none", upsampler=upsampler), 1)
    side = 2 * variant.receptive_radius + 5
    low_res = torch.rand(1, 1, side, side)
    other = low_res.clone()
    other[..., 0, 0] += 1
    changed = (variant.generator(low_res) != variant.generator(other))[0, 0].nonzero().max(0).values // scale
    assert changed.max() <= variant.receptive_radius
    assert changed.max() >= variant.receptive_radius - 1, "a reach much too large would cost time"


def test_phases_add_up_and_the_step_size_falls() -> None:
    variant = built()
    first, second = variant.phases(600)
    assert (first.name, first.steps) == ("pretrain", 500)
    assert (second.name, second.steps) == ("adversarial-mse", 100)
    assert set(first.optimizers) == {"G"}
    assert set(second.optimizers) == {"G", "D"}
    schedule = first.optimizers["G"].schedule
    assert schedule(0) == pytest.approx(1)
    assert schedule(500) == pytest.approx(0.01)
    assert [p.steps for p in built(Config(pretrain_steps=1000)).phases(600)] == [600, 0]


def test_the_papers_schedule_is_a_tenth_in_the_second_half_of_the_second_phase() -> None:
    _, second = built(Config(width=4, decay="step", pretrain_steps=0)).phases(10)
    assert [second.optimizers["G"].schedule(n) for n in (0, 4, 5, 9)] == [1, 1, 0.1, 0.1]


@pytest.mark.parametrize("scale", [3, 6])
def test_other_scales_are_refused(scale: int) -> None:
    with pytest.raises(UsageError, match="2, 4 or 8"):
        Config(scale=scale).check()


def vgg_file(folder: Path) -> tuple[Path, Vgg19Features]:
    torch.manual_seed(1)
    vgg = Vgg19Features()
    tensors = {f"features.{name}": tensor for name, tensor in vgg.features.state_dict().items()}
    safetensors.torch.save_file(tensors, folder / "vgg19.safetensors")
    return folder / "vgg19.safetensors", vgg


def test_content_is_the_squared_error_of_vgg_features_and_reaches_the_generator(tmp_path: Path) -> None:
    path, reference = vgg_file(tmp_path)
    variant = built(Config(width=4, blocks=0, d_width=4, content="vgg", vgg_weights=str(path)))
    (note,) = variant.prepare(torch.device("cpu"))
    assert str(path) in note
    real = torch.rand(1, 3, 32, 32) * 2 - 1
    fake = variant.generator(torch.rand(1, 3, 8, 8) * 2 - 1)
    content = variant.content(fake, real)
    mean, deviation = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))

    def features(x: torch.Tensor) -> torch.Tensor:
        normed = ((x + 1) / 2 - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
        return reference.features(normed.double()) * FEATURE_SCALE  # type: ignore[no-any-return]

    reference.double()
    expected = (features(fake) - features(real)).square().mean()
    assert content.item() == pytest.approx(expected.item(), rel=1e-3)
    content.backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in variant.generator.parameters())
    assert all(p.grad is None for p in reference.parameters())


def test_content_is_the_distance_of_pixels_and_of_the_features_of_d() -> None:
    variant = built(Config(width=4, blocks=0, d_width=4, content="features"))
    real, low_res = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 8, 8) * 2 - 1
    fake = variant.generator(low_res)
    variant.D.eval()  # spectral norm estimates anew at each pass of training
    logits, _ = variant.D.with_features(fake)
    assert torch.equal(logits, variant.D(fake)), "the features are those of D's own pass"

    expected, x, y = (fake - real).double().square().mean(), fake, real
    activations: list[torch.Tensor] = []
    for layer in list(variant.D.layers)[: variant.D.num_feature_layers]:
        x, y = layer(x), layer(y)
        if isinstance(layer, torch.nn.LeakyReLU):
            activations.append((x - y).double().abs().mean())
    assert len(activations) == 8, "figure 4 has eight convolutions"
    expected = expected + FEATURE_WEIGHT * torch.stack(activations).mean()
    same_logits, distance = variant.feature_distance(fake, real)
    content = variant.content(fake, real) + FEATURE_WEIGHT * distance
    assert torch.equal(same_logits, logits)
    assert content.item() == pytest.approx(expected.item(), rel=1e-5)
    content.backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in variant.generator.parameters())


def test_crops_are_at_the_same_places_of_all_batches_and_at_every_place() -> None:
    torch.manual_seed(0)
    images = torch.arange(200 * 3 * 9 * 11.0).view(200, 3, 9, 11).requires_grad_()
    one, other = shifted_crops(images, images + 0.5, most=3)
    assert torch.equal(other - one, torch.full_like(one, 0.5))
    places = set()
    for whole, crop in zip(images, one, strict=True):
        first = crop[0, 0, 0] - whole[0, 0, 0]
        top, left = divmod(int(first), 11)
        assert torch.equal(crop, whole[:, top : top + 6, left : left + 8])
        places.add((top, left))
    assert places == {(top, left) for top in range(4) for left in range(4)}
    one.sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert images.grad.sum() == one.numel()
    assert images.grad.max() == 1


def test_vgg_has_torchvisions_layers() -> None:
    from torchvision.models import vgg19

    with torch.device("meta"):
        theirs, ours = vgg19(weights=None).features[:36], Vgg19Features().features
    assert [type(m) for m in theirs] == [type(m) for m in ours]
    assert {n: t.shape for n, t in theirs.state_dict().items()} == {n: t.shape for n, t in ours.state_dict().items()}


def test_vgg_weights_that_are_none_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    safetensors.torch.save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    vgg = Vgg19Features()
    for name, word in (
        ("bad.safetensors", "cannot be read"),
        ("other.safetensors", "features.0.weight"),
        ("vgg.pth", "pickled"),
        ("missing.safetensors", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=word):
            vgg.load(str(tmp_path / name))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    with pytest.raises(GancliError, match="--vgg-weights"):
        vgg.load(None)


def refused(*_: object, **__: object) -> None:
    raise OSError("no network")


def test_without_vgg_the_user_is_told_which_content_loss_it_is() -> None:
    (note,) = built().prepare(torch.device("cpu"))
    assert "SRGAN-MSE" in note
