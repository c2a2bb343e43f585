"""Photographs of mixed sizes, their crops, and the low-resolution forms of them."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli import images
from gancli.batches.pairs import PairBatches, downsample_bicubic, upsample_bicubic
from gancli.config import RunConfig
from gancli.data.options import DatasetOptions
from gancli.data.photographs import PhotoDataset, open_photographs
from gancli.errors import DataError, UsageError
from tests.conftest import ROOT, warned

CPU = torch.device("cpu")


def opened(path: Path | str, root: Path, crop: int | None = None) -> tuple[PhotoDataset, list[str]]:
    run = RunConfig()
    return warned(open_photographs, str(path), DatasetOptions(root, crop, on_bad_image=run.on_bad_image))


def photograph(width: int, height: int, mark: int) -> Image.Image:
    """Each pixel tells where it lies: red is its column, green its row, blue the photograph."""
    column = torch.arange(width).expand(height, width)
    row = torch.arange(height)[:, None].expand(height, width)
    return images.to_pil(torch.stack([column, row, torch.full_like(row, mark)]).to(torch.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    (place / "deeper").mkdir(parents=True)
    for index, (width, height) in enumerate([(50, 40), (40, 60), (41, 43)]):
        photograph(width, height, index).save(place / ("deeper" if index == 2 else "") / f"{index}.png")
    return place


def test_mixed_sizes_are_kept_whole_and_cached(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):  # decoded, then from the cache
        found, said = opened(folder, tmp_path)
        assert not said
        assert sorted(zip(found.widths.tolist(), found.heights.tolist(), strict=True)) == [(40, 60), (41, 43), (50, 40)]
        assert found.crop == 40  # the largest shorter side, 41, as a multiple of 8
        for index in range(3):
            picture = found.image(index)
            mark = int(picture[2, 0, 0])
            size = (int(found.widths[index]), int(found.heights[index]))
            assert torch.equal(picture, images.from_pil(photograph(*size, mark)))
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path) -> None:
    first, _ = opened(folder, tmp_path)
    (pixels,) = (tmp_path / "cache").glob("*.npy")
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"\x07")
    again, _ = opened(folder, tmp_path)
    assert torch.equal(first.pixels, again.pixels)


def test_crops_lie_within_one_photograph_whatever_its_size_and_turn(folder: Path, tmp_path: Path) -> None:
    found, _ = opened(folder, tmp_path, 24)
    batches = PairBatches(found, CPU, 64, 0, 4)
    (crops,) = batches.fetch(3)
    assert crops.shape == (64, 3, 24, 24)
    sizes = {int(found.image(i)[2, 0, 0]): (int(found.widths[i]), int(found.heights[i])) for i in range(3)}
    turns = set()
    for crop in crops.long():
        (mark,) = crop[2].unique().tolist()
        column, row, (width, height) = crop[0], crop[1], sizes[mark]
        assert 0 <= column.min() <= column.max() == column.min() + 23 < width
        assert 0 <= row.min() <= row.max() == row.min() + 23 < height
        turns.add(
            (bool(column[0, 0] == column[0, 1]), int(column[0, 0] > column[-1, -1]), int(row[0, 0] > row[-1, -1]))
        )
    assert len(turns) == 8, "all turns and mirrorings occur"


def test_batches_are_a_pure_function_of_seed_and_step(folder: Path, tmp_path: Path) -> None:
    found, _ = opened(folder, tmp_path, 24)
    one, two = (PairBatches(found, CPU, 8, 5, 4) for _ in range(2))
    one.batch(0)
    assert torch.equal(one.batch(7).images, two.batch(7).images)
    assert not torch.equal(one.batch(7).images, one.batch(8).images)
    assert not torch.equal(one.batch(7).images, PairBatches(found, CPU, 8, 6, 4).batch(7).images)


def test_low_resolution_is_what_an_eight_bit_file_would_hold(folder: Path, tmp_path: Path) -> None:
    found, _ = opened(folder, tmp_path, 24)
    batch = PairBatches(found, CPU, 8, 0, 4).batch(0)
    assert batch.condition.shape == (8, 3, 6, 6)
    assert torch.equal(images.to_float(images.to_uint8(batch.condition)), batch.condition)


def test_small_photographs_are_left_out_with_a_word_and_none_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--image-size 64"):
        opened(folder, tmp_path, 64)
    kept, said = opened(folder, tmp_path, 41)
    assert kept.num_images == 1
    assert "2 of 3 images left out" in said[0]


def test_a_crop_that_the_scale_does_not_divide_is_refused(folder: Path, tmp_path: Path) -> None:
    found, _ = opened(folder, tmp_path, 30)
    with pytest.raises(UsageError, match="multiple of --scale 4"):
        PairBatches(found, CPU, 8, 0, 4)


def test_named_data_sets_are_photographs_too(data_root: Path) -> None:
    found, _ = opened("digits", data_root, 16)
    assert found.channels == 1
    assert PairBatches(found, CPU, 4, 0, 2).batch(0).condition.shape == (4, 1, 8, 8)


def real(name: str) -> list[tuple[Tensor, Tensor]]:
    root = Path(os.environ.get("GAN_TEST_DATA", ROOT.parent / "shared" / "data")) / "sr" / name
    if not root.is_dir():
        pytest.skip(f"{root} is not there (GAN_TEST_DATA)")

    def load(path: Path) -> Tensor:
        with Image.open(path) as image:
            return images.from_pil(image)

    return [(load(path), load(root / "HR" / path.name)) for path in sorted((root / "LRx4").iterdir())]


def test_reduced_photographs_are_those_that_came_with_set5() -> None:
    for low_res, truth in real("Set5"):
        ours = images.to_uint8(downsample_bicubic(images.to_float(truth[None]), 4))[0]
        off = (ours.int() - low_res.int()).abs()
        assert off[:, 2:-2, 2:-2].max() <= 2, "but for the borders the same as MATLAB's"
        assert off.float().mean() < 0.2


@pytest.mark.parametrize(("name", "db", "similarity"), [("Set5", 28.43, 0.8104), ("Set14", 26.00, 0.7027)])
def test_bicubic_reads_what_the_papers_report(name: str, db: float, similarity: float) -> None:
    from gancli.metrics.super_resolution import psnr, ssim

    pairs = [(images.to_uint8(upsample_bicubic(images.to_float(low[None]), 4))[0], truth) for low, truth in real(name)]
    assert sum(psnr(a, b, 4) for a, b in pairs) / len(pairs) == pytest.approx(db, abs=0.02)
    assert sum(ssim(a, b, 4) for a, b in pairs) / len(pairs) == pytest.approx(similarity, abs=0.001)
