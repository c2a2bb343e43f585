"""DCGAN: sizes, norms, labels, and what D is shown."""

import pytest
import torch
from torch import Tensor, nn

from gancli import catalogue
from gancli.errors import UsageError
from gancli.machine.device import Machine
from gancli.spec import Batch, ImageSpec
from gancli.steps.training_step import TrainingStep
from gancli.variant import Variant

CPU = Machine(torch.device("cpu"), "fp32", 1)


def built(size: int = 8, channels: int = 1, names: str = "0123456789", **options: object) -> Variant:
    torch.manual_seed(0)
    config = catalogue.variant_info("dcgan").config_class(**({"width": 8, "latent_dim": 6} | options))
    config.check()
    return catalogue.load("dcgan")(config, ImageSpec(channels, size, tuple(names)))


def batch_for(variant: Variant, count: int = 4) -> Batch:
    spec = variant.images
    return Batch(torch.rand(count, spec.channels, spec.size, spec.size) * 2 - 1, torch.arange(count) % 10)


def test_at_64_pixels_the_networks_are_the_papers() -> None:
    variant = built(64, 3, width=64, latent_dim=100, norm="batch", upsampling="transposed")
    transposed = [m.weight.shape for m in variant.networks["G"].modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(s[0], s[1], s[2]) for s in transposed] == [
        (100, 512, 4), (512, 256, 4), (256, 128, 4), (128, 64, 4), (64, 3, 4),
    ]  # fmt: skip
    strided = [m.weight.shape for m in variant.networks["D"].modules() if isinstance(m, nn.Conv2d)]
    assert [(s[1], s[0], s[2]) for s in strided] == [
        (3, 64, 4),
        (64, 128, 4),
        (128, 256, 4),
        (256, 512, 4),
        (512, 1, 4),
    ]
    weights = torch.cat([m.weight.flatten() for m in variant.generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


def test_batch_norm_is_everywhere_but_next_to_the_picture_and_no_bias_precedes_it() -> None:
    for network, conv in (("G", nn.ConvTranspose2d), ("D", nn.Conv2d)):
        variant = built(32, norm="batch", upsampling="transposed")
        layers = [m for m in variant.networks[network].modules() if isinstance(m, conv | nn.BatchNorm2d)]
        followed = [isinstance(after, nn.BatchNorm2d) for after in layers[1:]] + [False]
        convs = [(m, normed) for m, normed in zip(layers, followed, strict=True) if isinstance(m, conv)]
        assert all((m.bias is None) == normed for m, normed in convs)
        bare = {"G": [False] * 3 + [True], "D": [True, False, False, True]}[network]
        assert [not normed for _, normed in convs] == bare


def batches_seen(variant: Variant, batch: Batch) -> list[int]:
    """How many pictures D was shown at a time, in one step."""
    seen: list[int] = []
    variant.networks["D"].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    TrainingStep(variant.phases(1)[0], variant.networks, CPU).run(batch)
    return seen


def test_batch_norm_never_sees_real_and_fake_together_and_spectral_norm_always() -> None:
    batch = batch_for(built())
    assert batches_seen(built(norm="batch", r1=0.0), batch) == [4, 4, 4]
    assert batches_seen(built(norm="spectral", r1=0.0), batch) == [8, 4]


def test_the_gradient_penalty_reaches_d_alone() -> None:
    def losses_of_d(r1: float) -> tuple[Tensor, Tensor]:
        variant = built(norm="none", r1=r1)
        batch = batch_for(variant)
        torch.manual_seed(1)
        stepper = TrainingStep(variant.phases(1)[0], variant.networks, CPU)
        update = next(variant.step(batch))
        stepper.optimizers["D"].minimise(update.loss)
        g_moved = any(p.grad is not None for p in variant.networks["G"].parameters())
        assert not g_moved
        return update.loss.detach(), update.terms["d_loss"].detach()

    plain, reported = losses_of_d(0.0)
    assert plain == reported
    penalised, reported = losses_of_d(10.0)
    assert penalised > reported


def test_spectral_norm_bounds_every_layer_of_d() -> None:
    variant = built(28, norm="spectral")
    discriminator, batch = variant.networks["D"], batch_for(variant)
    for _ in range(100):
        discriminator(batch.images, batch.condition)
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 4
    for conv in convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.05)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())


@pytest.mark.parametrize("policy", ["colour,mirror", ""])
def test_an_unknown_augmentation_is_refused(policy: str) -> None:
    with pytest.raises(UsageError, match=r"--augment .*colour,translation,cutout"):
        built(augment=policy)
