"""The pictures that a run draws of itself every so often, always of the same noise or the same photographs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli import images
from gancli.batches.pairs import upsample_bicubic
from gancli.sampling import draw
from gancli.spec import Batch
from gancli.variant import Variant

COUNT = 64


def drawn(variant: Variant, generator: nn.Module, device: torch.device) -> tuple[Tensor, int | None]:
    """Pictures of the first seeds, and of all labels in turn, or where they are many of some from the first to the last:
    uint8 `[64, C, H, W]`, and the columns of their grid."""
    many = max(1, variant.images.num_classes)
    classes = range(0, many, max(1, many // COUNT)) if variant.conditional else (0,)
    pixels = draw.draw_all(variant, generator, draw.requests(COUNT, labels=tuple(classes)), device)
    return pixels, images.columns_for(COUNT, len(classes)) if 1 < len(classes) <= 16 else None


@torch.inference_mode()
def compared(generator: nn.Module, batch: Batch, scale: int) -> tuple[Tensor, int]:
    """Per photograph four tiles: LR (as squares), bicubic, SR, HR: uint8 `[4·B, C, H, W]`, and 4 columns."""
    size = batch.images.shape[2:]
    squares = F.interpolate(batch.condition, size, mode="nearest-exact")
    # one at a time: convolutions round differently for other batch sizes, and memory is spared
    sharp = torch.cat([generator(one[None]) for one in batch.condition])
    tiles = torch.stack([squares, upsample_bicubic(batch.condition, scale), sharp.float(), batch.images], 1)
    return images.to_uint8(tiles.flatten(0, 1)).cpu(), 4
