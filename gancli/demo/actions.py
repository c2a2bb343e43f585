"""What the page of `gan demo` does: images from the values of its widgets, without Gradio."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gancli import catalogue, images
from gancli.api.model import Model, load
from gancli.config.sample import SampleConfig
from gancli.data.decode import ImageLayers, decode_image, read_shape
from gancli.data.download import MAX_BYTES
from gancli.errors import DataError, GancliError, UsageError, os_problem, shell_quoted
from gancli.events import Emit, ignore
from gancli.metrics.super_resolution import bicubic
from gancli.sampling import generate, plan
from gancli.sampling.enlarge import enlarge_layers, make_upscaler
from gancli.sampling.generate import Request, slerp
from gancli.sampling.plan import SamplingPlan
from gancli.sampling.upscale import check_file, check_memory
from gancli.store import pretrained
from gancli.store.pretrained import model_name
from gancli.text import counted, printable

MAX_NUMBER = 64  # images of a grid
MAX_SEED = 2**53 - 1  # the largest integer that a browser keeps exactly
NUM_NEIGHBOURS = 15  # with the image that was kept, a grid of 16
ALL_LABELS = -1
NO_TRUNCATION = 3.0  # the end of the slider, where the noise stays as it is
MAX_UPLOAD = MAX_BYTES  # bytes of a file, as of an image in an archive that `gan sample -i` reads
GAP = 2  # pixels between the images of a grid
SHOWN_WIDTH, SHOWN_HEIGHT = 1200, 800  # pixels up to which grids are zoomed here: browsers blur what they enlarge
MAX_ZOOM = 64  # as of `gan sample --zoom`


@dataclass(frozen=True)
class PageModel:
    """A model on the page, by the name that it has there. `word`: what a command line calls it."""

    name: str
    model: Model
    word: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def enlarges(self) -> bool:
        """Whether it enlarges images instead of generating them."""
        return self.model.loaded.variant.condition_type == "low_res"

    @property
    def has_levels(self) -> bool:
        return self.model.loaded.variant.num_levels > 1

    def description(self) -> str:
        """Return what it is, in one line."""
        facts, variant = self.model.facts, self.model.loaded.variant
        size = f"enlarges {variant.scale} times" if self.enlarges else f"{facts.images.size}×{facts.images.size} pixels"
        return f"{facts.variant}, {size}, trained on {printable(facts.dataset)} for {counted(facts.step, 'step', ',')}"


@dataclass(frozen=True)
class Settings:
    """How images are generated: the index of a class (or `ALL_LABELS`, in turn), the bound of the noise (`NO_TRUNCATION` and
    above: none), and whether all levels are shown."""

    label: int = ALL_LABELS
    truncation: float = NO_TRUNCATION
    levels: bool = False


@dataclass(frozen=True)
class Point:
    """A place in latent space: the noise of `seed`, moved along great arcs, each time a share of the way to the noise of
    another seed. `label`: the name of the class of the image that was kept, if it has one."""

    seed: int
    label: str | None = None
    moves: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Enlarged:
    """An image enlarged by bicubic interpolation and by a model, and a line about it."""

    bicubic: Image.Image
    model: Image.Image
    note: str


def load_all(paths: Sequence[Path], device: str | None = None) -> list[PageModel]:
    """Load models, and use each once. Raises what `gancli.load` does."""
    models = [load(path, device) for path in paths]
    names = [printable(model_name(model.path)) for model in models]
    shown = [
        PageModel(
            name if names.count(name) == 1 else printable(str(path)),
            model,
            pretrained.known_name(path) or str(path),
        )
        for name, path, model in zip(names, paths, models, strict=True)
    ]
    for one in shown:  # the first image takes longer than all others
        if not one.enlarges:
            grid(one, Settings(), 0, 1)
    return shown


def grid(shown: PageModel, settings: Settings, seed: int, number: int) -> Image.Image:
    """Return the grid of `gan sample --seed … -n … --zoom …`, pixel for pixel."""
    wanted = _order(shown, settings, seed, number)
    with shown.lock:
        pixels = wanted.pixels(ignore)
    return _zoomed(pixels, wanted.columns)


def at(shown: PageModel, settings: Settings, seed: int, number: int, place: Sequence[int]) -> Point | None:
    """Return the image of the grid that has a pixel, given by column and row; None for a gap."""
    wanted = _order(shown, settings, seed, number)
    index = _index(shown, settings, number, wanted.columns, place)
    if index is None:
        return None
    request = wanted.requests[index]
    names = shown.model.class_names
    return Point(request.seed, names[request.label] if names else None)


def between(shown: PageModel, settings: Settings, first: int, second: int, share: float) -> Image.Image:
    """Return three images side by side: of a seed, of a place on the great arc to another seed, and of that one."""
    points = [Point(first), _moved(Point(first), second, share), Point(second)]
    return _zoomed(_drawn(shown, settings, points), len(points))


def around(shown: PageModel, settings: Settings, kept: Point, distance: float, directions: int) -> Image.Image:
    """Return the image that was kept, and its neighbours: `distance` (0 to 1) of the way to images of other seeds, which
    `directions` selects."""
    points = [kept, *(neighbour(kept, distance, directions, index) for index in range(1, NUM_NEIGHBOURS + 1))]
    return _zoomed(_drawn(shown, settings, points), None)


def at_around(
    shown: PageModel, settings: Settings, kept: Point, distance: float, directions: int, place: Sequence[int]
) -> Point | None:
    """Return the image of `around` that has a pixel, given by column and row; None for a gap."""
    index = _index(shown, settings, NUM_NEIGHBOURS + 1, None, place)
    return None if index is None else neighbour(kept, distance, directions, index)


def neighbour(kept: Point, distance: float, directions: int, index: int) -> Point:
    """Return a neighbour of a point; the one of index 0 is the point itself."""
    # Seeds that are far from those that people look at, so that the neighbours are not images of the grid.
    return kept if index == 0 else _moved(kept, MAX_SEED - (directions * NUM_NEIGHBOURS + index), distance)


def _moved(point: Point, seed: int, share: float) -> Point:
    """Return a point on the arc from a point to a seed; the ends are exact."""
    if share <= 0:
        return point
    if share >= 1:
        return Point(seed, point.label)
    return replace(point, moves=(*point.moves, (seed, share)))


def enlarge(shown: PageModel, file: Path, emit: Emit = ignore) -> Enlarged:
    """Enlarge an image file, within the bounds of `gan sample -i --compare`. Transparent images are shown on white. Raises
    `DataError` for what is not an image or too large, and `GancliError` if it does not fit into memory."""
    name = printable(file.name)
    try:
        num_bytes = file.stat().st_size
        if num_bytes > MAX_UPLOAD:
            raise DataError(f"{name}: is a file of {num_bytes} bytes, over the limit of {MAX_UPLOAD}")
        check_file(name, num_bytes)
        data = file.read_bytes()
    except OSError as error:
        raise DataError(os_problem(name, "read", error)) from None
    try:
        width, height, pixel = read_shape(data, name)
        with shown.lock:
            upscaler = make_upscaler(shown.model.loaded.variant, shown.model.device, None)
            set_aside = check_memory(upscaler, (width * 3, height, pixel), ".png", name)
            first = decode_image(data, name)
            model = enlarge_layers(upscaler, ImageLayers(first.image, None), name, set_aside, emit)
        plain = images.to_pil(bicubic(images.from_pil(first.image), upscaler.variant.scale))
    except MemoryError as error:
        raise GancliError(f"{name}: memory ran out; choose a smaller image") from error
    width, height = first.image.size
    notes = [f"{name}: {width}×{height} pixels enlarged to {model.width}×{model.height}", *first.remarks]
    return Enlarged(plain, model, "; ".join(notes))


def command(shown: PageModel, settings: Settings, seed: int, number: int) -> str:
    """Return the command line that makes the same grid."""
    config = _config(shown, settings, seed, number)
    words = ["gan", "sample", shown.word, "-n", str(number)]
    words += ["--seed", str(seed)]
    words += ["--label", config.label[0].replace(",", "\\,")] if config.label else []
    words += [] if config.truncation is None else ["--truncation", f"{config.truncation:g}"]
    words += ["--levels"] if config.levels else []
    size, width = shown.model.facts.images.size, _width(shown, settings)
    words += ["--zoom", str(_zoom(number, size, width, _order(shown, settings, seed, number).columns))]
    return " ".join(map(shell_quoted, words)) + catalogue.flag_of(shown.model.facts.variant)


def _config(shown: PageModel, settings: Settings, seed: int, number: int) -> SampleConfig:
    if not 1 <= number <= MAX_NUMBER:
        raise UsageError(f"number {number}: must be between 1 and {MAX_NUMBER}")
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed {seed}: must be between 0 and {MAX_SEED}")
    names = shown.model.class_names
    return SampleConfig(
        count=number,
        seed=seed,
        label=(names[settings.label],) if 0 <= settings.label < len(names) else None,
        truncation=None if settings.truncation >= NO_TRUNCATION else settings.truncation,
        levels=settings.levels and shown.has_levels,
    )


def _order(shown: PageModel, settings: Settings, seed: int, number: int) -> SamplingPlan:
    return plan.make_plan(shown.model.loaded, _config(shown, settings, seed, number), shown.model.device)


def _width(shown: PageModel, settings: Settings) -> int:
    """Return the width in pixels of an image, which consists of its levels if they are shown."""
    levels = shown.model.loaded.variant.num_levels if settings.levels and shown.has_levels else 1
    return generate.width_side_by_side(shown.model.facts.images.size, levels)


def _zoom(number: int, height: int, width: int, columns: int | None) -> int:
    """Return how many pixels of the page's image each pixel of a grid becomes, across and down."""
    across, down = images.grid_size(number, height, width, columns, GAP)
    return max(1, min(SHOWN_WIDTH // across, SHOWN_HEIGHT // down, MAX_ZOOM))


def _zoomed(pixels: Tensor, columns: int | None) -> Image.Image:
    """Return a grid of images, uint8 `[N, C, H, W]`, as the page shows it."""
    count, _, height, width = pixels.shape
    return images.to_pil(images.grid(pixels, columns, GAP), _zoom(count, height, width, columns))


def _index(shown: PageModel, settings: Settings, number: int, columns: int | None, place: Sequence[int]) -> int | None:
    """Return the index of the image that has a pixel of the page's image; None for a gap."""
    height, width = shown.model.facts.images.size, _width(shown, settings)
    zoom = _zoom(number, height, width, columns)
    columns = min(columns or images.columns_for(number), number)
    (column, x), (row, y) = divmod(int(place[0]) // zoom, width + GAP), divmod(int(place[1]) // zoom, height + GAP)
    index = row * columns + column
    inside = 0 <= column < columns and x < width and y < height and 0 <= index < number
    return index if inside else None


@torch.inference_mode()
def _drawn(shown: PageModel, settings: Settings, points: Sequence[Point]) -> Tensor:
    """Return the images of points: uint8 `[N, C, H, W]`. Those of seeds are bit for bit those of `gan sample`."""
    for point in points:
        if not 0 <= point.seed <= MAX_SEED:
            raise UsageError(f"seed {point.seed}: must be between 0 and {MAX_SEED}")
    names, label_kept = shown.model.class_names, points[0].label
    if settings.label == ALL_LABELS and label_kept in names:  # another model may know other classes
        settings = replace(settings, label=names.index(label_kept))
    wanted = _order(shown, settings, 0, 1)
    variant, truncation, label = wanted.model.variant, wanted.config.truncation, wanted.requests[0].label
    found: dict[int, Tensor] = {}
    still = [index for index, point in enumerate(points) if not point.moves]
    moved = [index for index, point in enumerate(points) if point.moves]
    with shown.lock:
        requests = [Request(points[index].seed, label) for index in still]
        for one in generate.generate(variant, wanted.generator, requests, wanted.device, truncation):
            found[still[one.index]] = one.pixels
        for start in range(0, len(moved), generate.BLOCK):
            block = moved[start : start + generate.BLOCK]
            noise = [_noise(shown, points[index], truncation) for index in block]
            noise += [noise[0]] * (generate.BLOCK - len(block))  # a block is always full, as in `draw`
            joined = tuple(torch.cat(parts).to(wanted.device) for parts in zip(*noise, strict=True))
            condition = torch.full((generate.BLOCK,), label, device=wanted.device)
            pixels = images.to_uint8(wanted.generator(*variant.generator_inputs(joined, condition))).cpu()
            found |= dict(zip(block, pixels, strict=False))
    return torch.stack([found[index] for index in range(len(points))])


def _noise(shown: PageModel, point: Point, truncation: float | None) -> tuple[Tensor, ...]:
    """Return the noise of a point, one float `[1, *shape]` for each latent shape; that of its seeds is truncated."""
    variant = shown.model.loaded.variant

    def of_seed(seed: int) -> tuple[Tensor, ...]:
        noise = generate.latents(variant, seed)
        return noise if truncation is None else tuple(generate.truncated(variant, z, truncation) for z in noise)

    found = of_seed(point.seed)
    for seed, share in point.moves:
        found = tuple(slerp(a, b, share) for a, b in zip(found, of_seed(seed), strict=True))
    return found
