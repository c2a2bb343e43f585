"""PSNR and SSIM against a plain reference in float64."""

import math

import pytest
import torch
from torch import Tensor

from gancli.metrics.super_resolution import C1, C2, luma, psnr, ssim


def noisy(seed: int, channels: int = 3) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 256, (channels, 24, 29), generator=rng)
    noise = torch.randint(-20, 21, truth.shape, generator=rng)
    return (truth + noise).clamp(0, 255).to(torch.uint8), truth.to(torch.uint8)


def test_luma_of_black_white_and_the_primaries_is_that_of_bt601() -> None:
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
    y = luma(colours.T[:, None])[0]
    assert y.tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_its_definition(channels: int) -> None:
    a, b = noisy(0, channels)
    total = 0.0
    ya, yb = luma(a).tolist(), luma(b).tolist()
    rows, columns = range(4, 20), range(4, 25)
    for i in rows:
        for j in columns:
            total += (ya[i][j] - yb[i][j]) ** 2
    expected = 10 * math.log10(255**2 / (total / (len(rows) * len(columns))))
    assert psnr(a, b, 4) == pytest.approx(expected, rel=1e-12)
    assert psnr(b, b, 4) == math.inf


def test_ssim_is_its_definition_window_by_window() -> None:
    a, b = noisy(1)
    ya, yb = luma(a), luma(b)
    bell = torch.tensor([math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)], dtype=torch.float64)
    window = torch.outer(bell, bell) / bell.sum() ** 2
    values = []
    for i in range(24 - 10):
        for j in range(29 - 10):
            x, y = ya[i : i + 11, j : j + 11], yb[i : i + 11, j : j + 11]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2)))
    assert ssim(a, b, 0) == pytest.approx(torch.stack(values).mean().item(), rel=1e-9)
    assert ssim(b, b, 4) == pytest.approx(1)


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = noisy(0)
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(a, b[:, 1:], 0)
    with pytest.raises(ValueError, match="at least 11"):
        ssim(a, b, 8)
