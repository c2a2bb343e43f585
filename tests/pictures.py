"""Pictures for tests, and what became of them."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.effect_noise(size, 60).convert(mode)


def plain(path: str, size: tuple[int, int] = (8, 8), grey: int = 128) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path)


def files(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def write_idx(path: Path, values: Tensor) -> None:
    """An IDX file of bytes, as torchvision leaves it unpacked: nobody knows its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.dim()]) + sizes + values.numpy().tobytes())


def write_tiny_mnist(root: Path) -> None:
    """MNIST of 4×4 pixels in a data root: digit 3 is a picture of about 20·3 + 10, with some noise."""
    rng = torch.Generator().manual_seed(0)
    for stem, count in (("train", 200), ("t10k", 100)):
        labels = torch.arange(count) % 10
        pixels = 20 * labels[:, None, None] + torch.randint(5, 16, (count, 4, 4), generator=rng)
        raw = root / "MNIST" / "raw"
        write_idx(raw / f"{stem}-images-idx3-ubyte", pixels.to(torch.uint8))
        write_idx(raw / f"{stem}-labels-idx1-ubyte", labels.to(torch.uint8))


def tiny_digits(images: Tensor) -> Tensor:
    """The digits that channels of tiny MNIST show: uint8 `[N, C, H, W]` → int64 `[N, C]`."""
    return images.flatten(2).double().mean(2).div(20).floor().long()
