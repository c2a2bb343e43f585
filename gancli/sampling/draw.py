"""Pictures from seeds. The picture of a seed depends on nothing else: not on the batch, not on what else is drawn."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli import images
from gancli.machine.contention import yield_cpus
from gancli.variant import Variant

BLOCK = 16
"""Pictures per forward pass. Matrix products round differently for different batch sizes and rows, so a seed always runs
in a block of this size, in slot `seed % BLOCK`: its picture is then the same to the last bit whatever else is drawn."""


Paint = Callable[..., Tensor]
"""A generator, or what shows more of its work: arguments as for the variant's generator → float `[B, C, H, W]`."""


@dataclass(frozen=True)
class Request:
    """One picture: its seed (0 … 2^63-1) and, for a conditional model, its label."""

    seed: int
    label: int = 0


@dataclass(frozen=True)
class Drawn:
    """A finished picture: uint8 `[C, H, W]`, and the position of its request."""

    index: int
    request: Request
    pixels: Tensor


def requests(count: int, seed: int = 0, labels: Sequence[int] = (0,)) -> list[Request]:
    """`count` requests with seeds `seed, seed+1, …` and the labels in turn."""
    return [Request((seed + i) % 2**63, labels[i % len(labels)]) for i in range(count)]


def latents(variant: Variant, seed: int) -> tuple[Tensor, ...]:
    """The noise of one seed: float `[1, *shape]` per latent shape, drawn on the CPU so that devices agree."""
    return variant.sample_latents(1, torch.device("cpu"), torch.Generator().manual_seed(seed))


@torch.inference_mode()
def draw(
    variant: Variant,
    generator: Paint,
    wanted: Sequence[Request],
    device: torch.device,
    truncation: float | None = None,
) -> Iterator[Drawn]:
    """Draw pictures with `generator` (the variant's, or an average of it), in eval mode on `device`.

    `truncation`: see `truncated`. Pictures come block by block, not in the order of the requests.
    """
    with yield_cpus():
        for block in _blocks(wanted):
            slots = [request for _, request in block]
            noise = [latents(variant, request.seed) for request in slots]
            if truncation is not None:
                noise = [tuple(truncated(variant, z, truncation) for z in one) for one in noise]
            joined = tuple(torch.cat(parts).to(device) for parts in zip(*noise, strict=True))
            condition = torch.tensor([request.label for request in slots], device=device)
            pixels = images.to_uint8(generator(*variant.generator_inputs(joined, condition))).cpu()
            for slot, (index, request) in enumerate(block):
                if index >= 0:
                    yield Drawn(index, request, pixels[slot])


def draw_all(variant: Variant, generator: Paint, wanted: Sequence[Request], device: torch.device) -> Tensor:
    """All pictures in the order of the requests: uint8 `[N, C, H, W]`."""
    pictures = {drawn.index: drawn.pixels for drawn in draw(variant, generator, wanted, device)}
    return torch.stack([pictures[index] for index in range(len(wanted))])


def _blocks(wanted: Sequence[Request]) -> Iterator[list[tuple[int, Request]]]:
    """Full blocks of (position, request) with each request in its seed's slot; position -1 fills a slot not asked for."""
    open_blocks: dict[tuple[int, int], dict[int, tuple[int, Request]]] = {}
    seen: dict[int, int] = {}
    for index, request in enumerate(wanted):
        repeat = seen.get(request.seed, 0)
        seen[request.seed] = repeat + 1
        open_blocks.setdefault((request.seed // BLOCK, repeat), {})[request.seed % BLOCK] = (index, request)
    for (number, _), slots in open_blocks.items():
        yield [slots.get(slot, (-1, Request(number * BLOCK + slot))) for slot in range(BLOCK)]


def truncated(variant: Variant, z: Tensor, bound: float) -> Tensor:
    """Noise pulled towards its middle, element by element and in order: normal noise becomes noise of the normal
    distribution cut off at ±`bound` (Brock et al. 2019, section 3.1, without redrawing); uniform noise is scaled."""
    if variant.noise != "normal":
        return z * min(bound, 1.0)
    root2 = 2**0.5
    share = torch.erf(torch.tensor(bound / root2, dtype=torch.float64))
    return (root2 * torch.erfinv(torch.erf(z.double() / root2) * share)).to(z.dtype)


GAP = 1  # pixels between levels side by side


def width_side_by_side(side: int, num_levels: int) -> int:
    """Pixels that `num_levels` pictures of `side` pixels take side by side."""
    return num_levels * (side + GAP) - GAP


def side_by_side(variant: Variant, gap: int = GAP) -> Paint:
    """Paints every level of each picture side by side, coarse to fine, enlarged to the final size, with grey between."""

    def paint(*arguments: Tensor) -> Tensor:
        pictures = variant.level_images(*arguments)
        height, width = pictures[-1].shape[2:]
        tiles = [F.interpolate(picture.float(), (height, width), mode="nearest-exact") for picture in pictures]
        return torch.cat([tiles[0], *(F.pad(tile, (gap, 0)) for tile in tiles[1:])], 3)

    return paint
