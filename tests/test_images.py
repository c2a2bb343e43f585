"""Pixels, grids and encoded files."""

import io

import pytest
import torch
from PIL import Image

from gancli import images


def test_every_byte_survives_the_way_to_float_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    floats = images.to_float(pixels)
    assert (floats.min().item(), floats.max().item()) == pytest.approx((-1, 1))
    assert torch.equal(images.to_uint8(floats), pixels)
    assert images.to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("count", "classes", "columns"),
    [(64, 2, 8), (64, 3, 9), (64, 5, 10), (64, 10, 10), (64, 16, 16), (100, 10, 10), (4, 2, 2)],
)
def test_a_column_holds_one_class_and_the_grid_is_nearly_a_square(count: int, classes: int, columns: int) -> None:
    assert images.columns_for(count, classes) == columns


def test_tiles_run_left_to_right_then_down() -> None:
    tiles = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 2, 2)
    canvas = images.grid(tiles, columns=3, gap=0)
    assert canvas[0].tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2
    assert images.grid(torch.zeros(64, 1, 28, 28, dtype=torch.uint8)).shape == (1, 8 * 30 - 2, 8 * 30 - 2)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_open_in_pillow_with_the_same_pixels_and_a_jpeg_is_one(suffix: str, channels: int) -> None:
    pixels = torch.randint(256, (channels, 9, 7), dtype=torch.uint8)
    opened = Image.open(io.BytesIO(images.encode(images.to_pil(pixels), suffix)))
    back = torch.tensor(list(opened.convert("RGB").tobytes())).view(9, 7, 3).permute(2, 0, 1)
    assert torch.equal(back.to(torch.uint8), pixels.expand(3, 9, 7))
    assert Image.open(io.BytesIO(images.encode(images.to_pil(pixels), ".jpg"))).format == "JPEG"
