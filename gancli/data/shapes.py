"""`shapes`: one filled shape of random colour, size, place and rotation, on a gradient with a texture; a class per shape.

A shape is a function of two coordinates that is negative inside and grows with the distance outside, so that its edge is
smooth at any size. Coordinates run from -1 to 1 over the image, y downwards.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]
CHUNK = 1000


def _polygon(sides: int) -> Distance:
    def distance(x: Tensor, y: Tensor) -> Tensor:
        angles = [2 * math.pi * (side + 0.5) / sides - math.pi / 2 for side in range(sides)]
        edges = [x * math.cos(angle) + y * math.sin(angle) for angle in angles]
        return torch.stack(edges).amax(0) - math.cos(math.pi / sides)

    return distance


def _star(points: int, inner: float) -> Distance:
    half = math.pi / points
    across, along = inner * math.sin(half), 1 - inner * math.cos(half)
    length = math.hypot(across, along)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        radius, angle = torch.hypot(x, y), torch.atan2(x, -y)
        folded = (torch.remainder(angle + half, 2 * half) - half).abs()
        return (across * (radius * folded.cos() - 1) + along * radius * folded.sin()) / length

    return distance


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.9


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.75


def _diamond(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 * x.abs() + y.abs() - 1) / math.hypot(1.5, 1)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    upright = torch.maximum(x.abs() - 0.3, y.abs() - 0.9)
    return torch.minimum(upright, torch.maximum(x.abs() - 0.9, y.abs() - 0.3))


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.68).abs() - 0.22


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 0.9, 0.75 - torch.hypot(x - 0.45, y))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance from a square on its corner with a half disc on each upper side."""
    side = 0.62
    square = torch.maximum((x + y).abs(), (x - y).abs()) / math.sqrt(2) - side
    shift = side / math.sqrt(2)
    discs = torch.hypot(x.abs() - shift, y + shift) - side
    return torch.minimum(square, discs)


SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _polygon(3),
    "pentagon": _polygon(5),
    "star": _star(5, 0.45),
    "diamond": _diamond,
    "cross": _cross,
    "ring": _ring,
    "crescent": _crescent,
    "heart": _heart,
}


def draw_shapes(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images in chunks: uint8 `[n, 3, size, size]` and labels int64 `[n]` (order of `SHAPES`)."""
    rng = torch.Generator().manual_seed(seed)
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        labels = torch.randint(len(SHAPES), (n,), generator=rng)
        behind = _backgrounds(n, axis, rng)
        cover = _cover(labels, axis, rng)
        colour = _colours(n, rng)
        # If a shape's mean is close to that of its background, its colour is replaced by the opposite one.
        near = (colour.mean((1, 2, 3)) - behind.mean((1, 2, 3))).abs() < 0.2
        colour = torch.where(near[:, None, None, None], (colour + 0.5) % 1.0, colour)
        image = (colour - behind).mul_(cover).add_(behind)
        yield image.mul_(255).round_().clamp_(0, 255).to(torch.uint8), labels


def _uniform(rng: torch.Generator, n: int, low: float, high: float) -> Tensor:
    return (torch.rand(n, generator=rng) * (high - low) + low)[:, None, None]


def _colours(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, 3, 1, 1, generator=rng)


def _cover(labels: Tensor, axis: Tensor, rng: torch.Generator) -> Tensor:
    """Return how much of each pixel the shape covers, float `[n, 1, size, size]` in [0, 1]."""
    n = len(labels)
    radius = _uniform(rng, n, 0.35, 0.65)
    turn = _uniform(rng, n, -0.35, 0.35)
    x = axis[None, None, :] - _uniform(rng, n, -0.25, 0.25)
    y = axis[None, :, None] - _uniform(rng, n, -0.25, 0.25)
    across = (x * turn.cos() + y * turn.sin()) / radius
    down = (y * turn.cos() - x * turn.sin()) / radius
    distance = torch.empty_like(across)
    for label, shape in enumerate(SHAPES.values()):
        mine = labels == label
        distance[mine] = shape(across[mine], down[mine])
    pixels_outside = distance * radius * (len(axis) / 2)
    return (0.5 - pixels_outside).clamp_(0, 1)[:, None]


def _backgrounds(n: int, axis: Tensor, rng: torch.Generator) -> Tensor:
    """Return two colours along a random direction, with stripes, checks or noise: float `[n, 3, size, size]` in [0, 1]."""
    x, y = axis[None, None, :], axis[None, :, None]
    angle = _uniform(rng, n, 0, 2 * math.pi)
    along = x * angle.cos() + y * angle.sin()
    start, end = _colours(n, rng), _colours(n, rng)
    ground = ((end - start) * (0.5 + 0.35 * along)[:, None]).add_(start)
    waves = _uniform(rng, n, 6, 14)
    stripes = torch.sin(along * waves)
    checks = torch.sign(torch.sin(x * waves) * torch.sin(y * waves))
    noise = torch.randn(n, len(axis), len(axis), generator=rng)
    kind = torch.randint(4, (n, 1, 1), generator=rng)
    plain = torch.zeros_like(stripes)
    texture = torch.where(kind == 0, plain, torch.where(kind == 1, stripes, torch.where(kind == 2, checks, noise)))
    return ground.add_(0.06 * texture[:, None]).clamp_(0, 1)
