"""Tiles: they cover an image once and leave no seams."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gancli.errors import GancliError
from gancli.sampling.upscale import Upscaler, tiles
from gancli.spec import ImageSpec
from gancli.variants.srgan import Srgan
from gancli.variants.srgan_config import Config

CPU = torch.device("cpu")


def model(channels: int = 3, scale: int = 4) -> Srgan:
    torch.manual_seed(0)
    variant = Srgan(Config(scale=scale, width=8, blocks=2, d_width=4, skip="none"), ImageSpec(channels, 32))
    variant.generator.eval().requires_grad_(False)
    return variant


def image(channels: int, height: int, width: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (channels, height, width), generator=rng, dtype=torch.uint8)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(8, 100), st.integers(0, 50))
def test_tiles_cover_an_image_exactly_once(height: int, width: int, side: int, margin: int) -> None:
    covered = torch.zeros(height, width, dtype=torch.int64)
    for tile in tiles(height, width, side, margin):
        covered[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += 1
        assert tile.rows.stop - tile.rows.start <= side
        assert tile.columns.low == max(0, tile.columns.start - margin)
        assert tile.columns.high == min(width, tile.columns.stop + margin)
    assert (covered == 1).all()


@pytest.mark.parametrize(("scale", "tile", "height"), [(2, 1, 3), (4, 7, 37), (8, 16, 37)])
def test_tiled_equals_untiled_within_rounding(scale: int, tile: int, height: int) -> None:
    variant, low_res = model(scale=scale), image(3, height, 41)
    whole = Upscaler(variant, CPU).enlarge(low_res)
    tiled = Upscaler(variant, CPU, tile).enlarge(low_res)
    assert whole.shape == (3, height * scale, 41 * scale)
    assert (whole.int() - tiled.int()).abs().max() <= 1


def test_running_out_of_memory_halves_the_tiles_and_gives_up_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    variant, low_res = model(), image(3, 64, 64)
    upscaler = Upscaler(variant, CPU, 64)
    whole = upscaler.enlarge(low_res)
    honest, sizes = variant.generator.forward, list[int]()

    def scarce(limit: int) -> None:
        def forward(x: Tensor) -> Tensor:
            sizes.append(x.shape[-1])
            if x.shape[-1] > limit:
                raise torch.OutOfMemoryError("no memory")
            fine: Tensor = honest(x)
            return fine

        monkeypatch.setattr(variant.generator, "forward", forward)

    scarce(50)
    assert (whole.int() - upscaler.enlarge(low_res).int()).abs().max() <= 1
    assert sizes[0] == 64
    scarce(0)
    with pytest.raises(GancliError, match="out of memory"):
        upscaler.enlarge(low_res)
