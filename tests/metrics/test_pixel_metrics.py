"""Metrics on pixels: Parzen windows, patches of a pyramid, nearest training images."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli.data.named_formats import read_idx
from gancli.metrics import sliced_wasserstein as sliced
from gancli.metrics.pixel_metrics import SIGMAS, nearest, parzen
from gancli.metrics.sliced_wasserstein import _expanded as expanded
from gancli.metrics.sliced_wasserstein import _pyramid, sliced_wasserstein


def images(seed: int, count: int, size: int = 8, channels: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), generator=rng).to(torch.uint8)


def test_parzen_is_its_definition() -> None:
    samples, validation, test = images(0, 9, 4), images(1, 5, 4), images(2, 7, 4)

    def score(x: Tensor, sigma: float) -> float:
        centre = [m.flatten().tolist() for m in samples.double() / 255]
        terms = []
        for mu in centre:
            square = sum((a - b) ** 2 for a, b in zip((x.double() / 255).flatten().tolist(), mu, strict=True))
            terms.append(-square / (2 * sigma**2))
        top = max(terms)
        mean = top + math.log(sum(math.exp(t - top) for t in terms) / len(terms))
        return float(mean) - 16 * math.log(sigma * math.sqrt(2 * math.pi))

    best = max(SIGMAS, key=lambda sigma: sum(score(x, sigma) for x in validation))
    scores = torch.tensor([score(x, best) for x in test], dtype=torch.float64)
    found = parzen(samples, validation, test)
    assert found.value == pytest.approx(scores.mean().item(), rel=1e-5)
    assert found.error == pytest.approx(scores.std().item() / 7**0.5, rel=1e-5)


@pytest.mark.whole
def test_real_mnist_through_parzen_windows_reads_what_the_papers_have(mnist_root: Path) -> None:
    """recipes.md: real training images through the same estimator read 241 nats."""
    raw = mnist_root / "MNIST" / "raw"
    train = read_idx((raw / "train-images-idx3-ubyte.gz").read_bytes(), "train")[:, None]
    test = read_idx((raw / "t10k-images-idx3-ubyte.gz").read_bytes(), "test")[:, None]
    found = parzen(train[:10_000], train[-1000:], test)
    assert 238 < found.value < 246
    assert found.error is not None
    assert 1.5 < found.error < 3


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 3)])
def test_the_pyramid_adds_up_to_the_image(size: int, channels: int) -> None:
    image = images(0, 3, size, channels)
    *finer, coarsest = _pyramid(image)
    for level in reversed(finer):
        coarsest = expanded(coarsest) + level
    assert torch.allclose(coarsest, image.float(), atol=1e-3)


def test_sliced_wasserstein_tells_which_level_differs() -> None:
    base = images(0, 64, 16).float()
    smooth = torch.nn.functional.interpolate(base, 64, mode="bicubic").clamp(0, 255)
    rng = torch.Generator().manual_seed(1)
    grain = (smooth + 12 * torch.randn(smooth.shape, generator=rng)).clamp(0, 255)
    halves = sliced_wasserstein(smooth[:32].byte(), smooth[32:].byte())
    noisy = sliced_wasserstein(grain[:32].byte(), smooth[32:].byte())
    assert list(noisy) == [64, 32, 16]
    assert noisy[64] > 1.8 * halves[64], "grain shows at the finest level"
    assert noisy[16] < 1.3 * halves[16], "and hardly at the coarsest"


def test_sliced_wasserstein_is_that_of_a_reference_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which sorts by torch, and one direction at a time."""
    asked = []

    def reference(a: Tensor, b: Tensor, rng: torch.Generator) -> float:
        state = rng.get_state()
        found = []
        for _ in range(sliced.REPEATS):
            directions = torch.nn.functional.normalize(torch.randn(a.shape[1], sliced.DIRECTIONS, generator=rng), dim=0)
            for direction in directions.double().T:
                ordered = [(each.double() @ direction).sort().values for each in (a, b)]
                found.append(float((ordered[0] - ordered[1]).abs().mean()))
        rng.set_state(state)
        asked.append((honest(a, b, rng), sum(found) / len(found)))
        return asked[-1][0]

    honest = sliced._distance
    monkeypatch.setattr(sliced, "_distance", reference)
    a, b = (torch.randint(0, 256, (12, 3, 28, 28), generator=torch.Generator().manual_seed(i)).byte() for i in (1, 2))
    sliced_wasserstein(a, b)
    assert len(asked) == 2
    for ours, true in asked:
        assert ours == pytest.approx(true, rel=1e-5)


def test_nearest_finds_the_images_that_brute_force_finds() -> None:
    some, training = images(0, 7), images(1, 50)
    training[31] = some[4]
    squares = (some[:, None].double() - training[None].double()).square().flatten(2).mean(2)
    expected, order = squares.sqrt().sort(1)
    found = nearest(some, training, 3)
    assert torch.equal(found.indices, order[:, :3])
    assert torch.allclose(found.distances, expected[:, :3])
    assert found.distances[4, 0] == 0
    assert found.indices[4, 0] == 31
