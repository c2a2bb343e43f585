"""What is compared: a variant of ours and a plain loop with the same networks, batch and data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import plain
from gancli import images
from gancli.data.shapes import draw_shapes

Train = Callable[[int], None]
Product = tuple[Callable[[], Tensor], float]  # what to do, and its floating-point operations


@dataclass(frozen=True)
class Case:
    """`steps`: of about half a second on two CPU cores. `product`: the step's heaviest kind of product, to measure the
    machine by."""

    name: str
    variant: str
    options: Mapping[str, object]
    steps: int
    plain: Callable[[Any, torch.device, plain.Ready], Train]
    product: Callable[[torch.device], Product]


def draw_photographs(folder: Path) -> None:
    """16 drawn pictures of 256 px, as files."""
    folder.mkdir()
    ((pixels, _),) = draw_shapes(16, 256, 1)
    for index, picture in enumerate(pixels):
        images.to_pil(picture).save(folder / f"{index}.png")


def matrices(device: torch.device) -> Product:
    """A large matrix product, fp32 on a CPU and bf16 on a GPU."""
    size, dtype = (2048, torch.float32) if device.type == "cpu" else (8192, torch.bfloat16)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: a @ b, 2.0 * size**3


def convolution(
    batch: int, fewer: int, more: int, size: int, kernel: int, stride: int
) -> Callable[[torch.device], Product]:
    """A convolution of the step's own shape, channels last."""

    def make(device: torch.device) -> Product:
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        x, weight = torch.randn(batch, fewer, size, size), torch.randn(more, fewer, kernel, kernel)
        x, weight = (t.to(device, dtype).to(memory_format=torch.channels_last) for t in (x, weight))
        flop = 2.0 * batch * (size // stride) ** 2 * fewer * more * kernel**2
        return lambda: F.conv2d(x, weight, None, stride, (kernel - 1) // 2), flop

    return make


CASES = {
    "article": Case(
        "article's network", "vanilla", {"preset": "article", "dataset": "digits"}, 400, plain.article, matrices
    ),
    "dcgan": Case(
        "DCGAN-32, width 64", "dcgan", {"preset": "paper", "dataset": "shapes", "image_size": 32}, 6, plain.dcgan,
        convolution(128, 64, 128, 16, 4, 2),
    ),
    "srresnet": Case(
        "SRResNet, 16 blocks", "srgan", {"preset": "paper", "content": "mse", "dataset": "photographs"}, 3,
        plain.srresnet, convolution(16, 64, 64, 24, 3, 1),
    ),
    "cgan": Case(
        "cgan's networks", "cgan", {**plain.CGAN, "dataset": "digits"}, 200, plain.cgan, matrices
    ),
    "lapgan": Case(
        "lapgan's networks, 28 px", "lapgan", {**plain.LAPGAN, "dataset": "digits", "batch_size": 64}, 20, plain.lapgan,
        convolution(64, 32, 32, 14, 3, 1),
    ),
    "srgan": Case(
        "SRGAN, 16 blocks", "srgan", {**plain.SRGAN, "dataset": "photographs"}, 2, plain.srgan,
        convolution(16, 64, 64, 24, 3, 1),
    ),
}  # fmt: skip
