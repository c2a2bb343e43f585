"""Images from seeds. The image of a seed depends on nothing else: not on the batch, nor on what else is generated."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli import images
from gancli.batches.pairs import upsample_bicubic
from gancli.machine.contention import yield_cpus
from gancli.spec import Batch
from gancli.variant import Variant

BLOCK = 16
"""Images per forward pass. Matrix products round differently for different batch sizes and rows, so a seed always runs in a
block of this size, in slot `seed % BLOCK`: its image is the same to the last bit whatever else is generated."""

NUM_PREVIEW = 64
GAP = 1  # pixels between levels side by side

GeneratorFn = Callable[..., Tensor]
"""A generator, or a function that shows its levels: arguments as for the variant's generator → float `[B, C, H, W]`."""


@dataclass(frozen=True)
class Request:
    """One image: its seed (0 … 2^63-1) and, for a conditional model, its label."""

    seed: int
    label: int = 0


@dataclass(frozen=True)
class GeneratedImage:
    """A generated image: uint8 `[C, H, W]`, and the position of its request."""

    index: int
    request: Request
    pixels: Tensor


def requests(count: int, seed: int = 0, labels: Sequence[int] = (0,)) -> list[Request]:
    """Return `count` requests with the seeds `seed, seed+1, …` and the labels in turn."""
    return requests_of([(seed + i) % 2**63 for i in range(count)], labels)


def requests_of(seeds: Sequence[int], labels: Sequence[int] = (0,)) -> list[Request]:
    """Return a request for each seed, with the labels in turn."""
    return [Request(seed, labels[i % len(labels)]) for i, seed in enumerate(seeds)]


def latents(variant: Variant, seed: int, truncation: float | None = None) -> tuple[Tensor, ...]:
    """Return the noise of one seed: float `[1, *shape]` per latent shape, sampled on the CPU so that devices agree.
    `truncation`: see `truncated`."""
    noise = variant.sample_latents(1, torch.device("cpu"), torch.Generator().manual_seed(seed))
    return noise if truncation is None else tuple(truncated(variant, z, truncation) for z in noise)


def truncated(variant: Variant, z: Tensor, bound: float) -> Tensor:
    """Return truncated noise, element by element and in the same order: normal noise is mapped to the normal distribution
    truncated at ±`bound` (Brock et al. 2019, section 3.1, without resampling); uniform noise is scaled."""
    if variant.noise != "normal":
        return z * min(bound, 1.0)
    root2 = 2**0.5
    share = torch.erf(torch.tensor(bound / root2, dtype=torch.float64))
    return (root2 * torch.erfinv(torch.erf(z.double() / root2) * share)).to(z.dtype)


def _to_pixels(
    variant: Variant,
    generator: GeneratorFn,
    noise: Sequence[tuple[Tensor, ...]],
    labels: Sequence[int],
    device: torch.device,
) -> Tensor:
    """Run the generator on the noise and label of each image: uint8 `[N, C, H, W]`, on the CPU."""
    joined = tuple(torch.cat(parts).to(device) for parts in zip(*noise, strict=True))
    condition = torch.tensor(labels, device=device)
    return images.to_uint8(generator(*variant.generator_inputs(joined, condition))).cpu()


@torch.inference_mode()
def generate(
    variant: Variant,
    generator: GeneratorFn,
    wanted: Sequence[Request],
    device: torch.device,
    truncation: float | None = None,
) -> Iterator[GeneratedImage]:
    """Generate images with `generator` (the variant's, or an average of it), in eval mode on `device`. They come block by
    block, not in the order of the requests. `truncation`: see `truncated`."""
    with yield_cpus():
        for block in _blocks(wanted):
            noise = [latents(variant, request.seed, truncation) for _, request in block]
            pixels = _to_pixels(variant, generator, noise, [request.label for _, request in block], device)
            for slot, (index, request) in enumerate(block):
                if index >= 0:
                    yield GeneratedImage(index, request, pixels[slot])


def generate_all(variant: Variant, generator: GeneratorFn, wanted: Sequence[Request], device: torch.device) -> Tensor:
    """Generate images and return them in the order of the requests: uint8 `[N, C, H, W]`."""
    found = {image.index: image.pixels for image in generate(variant, generator, wanted, device)}
    return torch.stack([found[index] for index in range(len(wanted))])


def _blocks(wanted: Sequence[Request]) -> Iterator[list[tuple[int, Request]]]:
    """Yield full blocks of (position, request), each request in the slot of its seed; other slots have position -1."""
    open_blocks: dict[tuple[int, int], dict[int, tuple[int, Request]]] = {}
    seen: dict[int, int] = {}
    for index, request in enumerate(wanted):
        repeat = seen.get(request.seed, 0)
        seen[request.seed] = repeat + 1
        open_blocks.setdefault((request.seed // BLOCK, repeat), {})[request.seed % BLOCK] = (index, request)
    for (number, _), slots in open_blocks.items():
        yield [slots.get(slot, (-1, Request(number * BLOCK + slot))) for slot in range(BLOCK)]


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Return the point at `share` (0…1) of the great arc between two latents, float `[1, *shape]`, with interpolated norm: a
    straight line passes nearer to the origin than noise does (White 2016, section 2.1)."""
    flat_start, flat_end = start.flatten().double(), end.flatten().double()
    cosine = torch.dot(flat_start, flat_end) / (flat_start.norm() * flat_end.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle < 1e-6:
        return torch.lerp(start, end, share)
    mixed = (torch.sin((1 - share) * angle) * flat_start + torch.sin(share * angle) * flat_end) / torch.sin(angle)
    return mixed.to(start.dtype).reshape(start.shape)


@torch.inference_mode()
def interpolate(
    variant: Variant,
    generator: GeneratorFn,
    starts: Sequence[Request],
    num_stops: int,
    frames_per_leg: int,
    device: torch.device,
    truncation: float | None = None,
) -> Iterator[Tensor]:
    """Interpolate in latent space, from seed to seed along great arcs and back to the first: yield
    `num_stops · frames_per_leg` frames of N images, uint8 `[N, C, H, W]`. Of the N `starts`, one with seed s visits s, s+N,
    s+2N, …; its label stays. `truncation`: as in `generate`."""
    count, labels = len(starts), [start.label for start in starts]
    seeds = [[(start.seed + stop * count) % 2**63 for stop in range(num_stops)] for start in starts]
    stops = [[latents(variant, seed, truncation) for seed in each] for each in seeds]
    for frame in range(num_stops * frames_per_leg):
        leg, share = frame // frames_per_leg, frame % frames_per_leg / frames_per_leg
        ends = [(each[leg], each[(leg + 1) % num_stops]) for each in stops]
        noise = [tuple(slerp(a, b, share) for a, b in zip(start, end, strict=True)) for start, end in ends]
        yield _to_pixels(variant, generator, noise, labels, device)


def width_side_by_side(side: int, num_levels: int) -> int:
    """Return the width of `num_levels` images of `side` pixels side by side."""
    return num_levels * (side + GAP) - GAP


def side_by_side(variant: Variant, gap: int = GAP) -> GeneratorFn:
    """Return a function that generates all levels of each image, enlarged to the final size, side by side from coarse to
    fine with a grey gap."""

    def paint(*arguments: Tensor) -> Tensor:
        levels = variant.level_images(*arguments)
        height, width = levels[-1].shape[2:]
        tiles = [F.interpolate(level.float(), (height, width), mode="nearest-exact") for level in levels]
        return torch.cat([tiles[0], *(F.pad(tile, (gap, 0)) for tile in tiles[1:])], 3)

    return paint


def preview_samples(variant: Variant, generator: nn.Module, device: torch.device) -> tuple[Tensor, int | None]:
    """Generate the first 64 seeds, of all classes in turn (of many classes, a selection): uint8 `[64, C, H, W]`, and the
    columns of their grid."""
    num_classes = max(1, variant.images.num_classes)
    classes = range(0, num_classes, max(1, num_classes // NUM_PREVIEW)) if variant.conditional else (0,)
    pixels = generate_all(variant, generator, requests(NUM_PREVIEW, labels=tuple(classes)), device)
    return pixels, images.columns_for(NUM_PREVIEW, len(classes)) if 1 < len(classes) <= 16 else None


@torch.inference_mode()
def preview_pairs(generator: nn.Module, batch: Batch, scale: int) -> tuple[Tensor, int]:
    """Return four tiles per photograph, low-resolution (nearest neighbour), bicubic, enlarged and original: uint8
    `[4·B, C, H, W]`, and the 4 columns of their grid."""
    nearest = F.interpolate(batch.condition, batch.images.shape[2:], mode="nearest-exact")
    # One at a time: convolutions round differently for other batch sizes, and it takes less memory.
    enlarged = torch.cat([generator(one[None]) for one in batch.condition])
    tiles = torch.stack([nearest, upsample_bicubic(batch.condition, scale), enlarged.float(), batch.images], 1)
    return images.to_uint8(tiles.flatten(0, 1)).cpu(), 4
