"""Which tensors of one network are a start for another: by name and shape, with more inputs, and for grey images."""

import pytest
import torch
from torch import nn

from gancli.engine.matching import matching_tensors
from gancli.nn.clusters import ClusterGenerator
from gancli.nn.dcgan_networks import Discriminator, Generator
from gancli.spec import ImageSpec

CLASSES = ("a", "b")


def generator(channels: int = 3, num_classes: int = 0, latent_dim: int = 4, upsampling: str = "resize") -> Generator:
    images = ImageSpec(channels, 16, CLASSES)
    return Generator(images, num_classes, latent_dim=latent_dim, width=4, upsampling=upsampling)


def discriminator(channels: int = 3, num_classes: int = 0, norm: str = "none") -> Discriminator:
    return Discriminator(ImageSpec(channels, 16, CLASSES), num_classes, width=4, norm=norm)


def start(network: nn.Module, other: nn.Module, stored_channels: int = 3, channels: int = 3) -> set[str]:
    """Copy what matches, and return the names of the tensors of `network` that nothing matches."""
    pairs = matching_tensors(network, other.state_dict(), stored_channels, channels)
    with torch.no_grad():
        for live, stored in pairs.values():
            live.copy_(stored)
    return network.state_dict().keys() - pairs.keys()


def test_a_label_is_an_input_beside_those_of_the_other_network() -> None:
    labelled, other = generator(num_classes=2), generator()
    assert start(labelled, other) == {"embed.weight"}
    labelled.label_scale, z = 0.0, torch.randn(3, 4)
    assert labelled.eval()(z, torch.tensor([0, 1, 1])).allclose(other.eval()(z), atol=1e-6)
    judge, plain = discriminator(num_classes=2), discriminator()
    assert start(judge, plain) == {"embed.weight"}
    nn.init.zeros_(judge.embed.weight)  # type: ignore[union-attr]
    images = torch.rand(3, 3, 16, 16)
    assert judge(images, torch.tensor([0, 1, 1])).allclose(plain(images), atol=1e-6)


def test_a_network_in_one_with_clusters_takes_the_same() -> None:
    clustered, other = ClusterGenerator(generator(num_classes=5), 5, 16, "normal"), generator()
    assert start(clustered, other) == {"conditional.embed.weight", "centres", "log_shares"}
    assert clustered.conditional.layers[0].weight[:4].equal(other.layers[0].weight)  # type: ignore[index, union-attr]


@pytest.mark.parametrize("num_classes", [0, 2])
def test_a_longer_z_is_not_a_label(num_classes: int) -> None:
    longer, other = (generator(num_classes=num_classes, latent_dim=length) for length in (8, 4))
    assert start(longer, other) == {"layers.0.weight", *(["embed.weight"] if num_classes else [])}


def test_fewer_inputs_do_not_match() -> None:
    assert start(generator(), generator(num_classes=2)) == {"layers.0.weight"}


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("num_classes", [0, 2])
def test_grey_images_are_the_mean_of_the_channels(upsampling: str, num_classes: int) -> None:
    grey, other = generator(1, num_classes, upsampling=upsampling), generator(upsampling=upsampling)
    assert start(grey, other, 3, 1) == ({"embed.weight"} if num_classes else set())
    grey.label_scale, z = 0.0, torch.randn(3, 4)
    labels = torch.tensor([0, 1, 1]) if num_classes else None
    grey, other = grey.eval(), other.eval()
    images = grey(z, labels).atanh(), other(z).atanh()
    assert images[0].allclose(images[1].mean(1, keepdim=True), atol=1e-4)


def test_d_judges_grey_images_as_in_colour() -> None:
    grey, other = discriminator(1), discriminator()
    assert start(grey, other, 3, 1) == set()
    images = torch.rand(3, 1, 16, 16)
    assert grey(images).allclose(other(images.expand(-1, 3, -1, -1)), atol=1e-5)


def test_nothing_is_turned_from_grey_to_colour() -> None:
    assert start(discriminator(), discriminator(1), 1, 3) == {"layers.0.weight"}


def test_a_normed_weight_matches_whole_or_not_at_all() -> None:
    unmatched = start(discriminator(1, norm="spectral"), discriminator(norm="spectral"), 3, 1)
    assert "layers.0.parametrizations.weight.original" in unmatched


def test_buffers_beside_convolutions_match_whole_or_not_at_all() -> None:
    network, other = nn.Module(), nn.Module()
    for module, channels in ((network, 1), (other, 3)):
        module.register_buffer("order", torch.arange(channels))
        module.register_buffer("mean", torch.rand(channels))
        module.register_buffer("constant", torch.rand(1, 2 * channels, 4, 4))
    assert start(network, other, 3, 1) == {"order", "mean", "constant"}
