"""A walk through latent space: from seed to seed along great arcs, and back to the first."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gancli import images
from gancli.sampling.draw import Paint, Request, latents, truncated
from gancli.variant import Variant


def _within(variant: Variant, z: Tensor, truncation: float | None) -> Tensor:
    return z if truncation is None else truncated(variant, z, truncation)


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """The point at `share` (0…1) of the great arc from `start` to `end`, float `[1, *shape]`, lengths interpolated.

    A straight line would pass nearer to the middle than noise ever lies (White 2016, section 2.1).
    """
    flat_start, flat_end = start.flatten().double(), end.flatten().double()
    cosine = torch.dot(flat_start, flat_end) / (flat_start.norm() * flat_end.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle < 1e-6:
        return torch.lerp(start, end, share)
    mixed = (torch.sin((1 - share) * angle) * flat_start + torch.sin(share * angle) * flat_end) / torch.sin(angle)
    return mixed.to(start.dtype).reshape(start.shape)


@torch.inference_mode()
def walk(
    variant: Variant,
    generator: Paint,
    walkers: Sequence[Request],
    stops: int,
    frames_per_leg: int,
    device: torch.device,
    truncation: float | None = None,
) -> Iterator[Tensor]:
    """Frames of `len(walkers)` pictures each, uint8 `[N, C, H, W]`; `stops · frames_per_leg` frames that loop.

    Walker i starts at its own seed s and visits s, s+N, s+2N, … with N the number of walkers; its label stays.
    `truncation`: of the seeds' noise, as in `draw`.
    """
    condition = torch.tensor([walker.label for walker in walkers], device=device)
    seeds = [[(walker.seed + stop * len(walkers)) % 2**63 for stop in range(stops)] for walker in walkers]
    visited = [
        [tuple(_within(variant, z, truncation) for z in latents(variant, seed)) for seed in each] for each in seeds
    ]
    for frame in range(stops * frames_per_leg):
        leg, share = frame // frames_per_leg, frame % frames_per_leg / frames_per_leg
        between = [
            tuple(slerp(a, b, share) for a, b in zip(path[leg], path[(leg + 1) % stops], strict=True))
            for path in visited
        ]
        joined = tuple(torch.cat(parts).to(device) for parts in zip(*between, strict=True))
        yield images.to_uint8(generator(*variant.generator_inputs(joined, condition))).cpu()
