"""What `gan evaluate` does: checkpoints' pictures drawn, or enlarged, and measured against a data set."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gancli import events
from gancli.config import paths
from gancli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from gancli.metrics.figure import Figure
    from gancli.store.checkpoint import Model

NUM_SHOWN, NUM_NEIGHBOURS = 10, 5


@dataclass(frozen=True)
class Job:
    """What the command line asks for."""

    dataset: str
    data_root: str
    download: bool
    low_res: Path | None
    count: int
    seed: int
    metrics: tuple[str, ...]
    gan_train: bool
    neighbours: Path | None
    inception: Path | None
    device: "torch.device"


@dataclass(frozen=True)
class Subject:
    """A checkpoint, the figures found of it, and what they were measured with."""

    path: Path
    model: "Model"
    figures: "list[Figure]"
    compared: events.Comparison


class Found(NamedTuple):
    """Figures by checkpoint; what of the data set they were compared with, from which seed on pictures were drawn (None:
    they were enlarged), and what stands beside the figures."""

    figures: "list[list[Figure]]"
    split: str
    seed: int | None
    beside: str


def measured(
    job: Job, files: Sequence[Path], models: "Sequence[Model]"
) -> Generator[events.Event, None, list[Subject]]:
    reads = {model.variant.reads for model in models}
    if len(reads) > 1:
        raise UsageError("CKPT: models that draw pictures and models that enlarge them cannot be compared in one table")
    measure = _enlarging if reads == {"low_res"} else _drawing
    found = yield from measure(job, models)
    return [
        Subject(file, model, figures, _comparison(job, figures, found))
        for file, model, figures in zip(files, models, found.figures, strict=True)
    ]


def _comparison(job: Job, figures: "list[Figure]", found: Found) -> events.Comparison:
    from gancli.data.names import source_names
    from gancli.metrics.figure import comparison

    named = job.dataset in source_names()
    dataset = job.dataset if named else str(paths.expanded(job.dataset, "--dataset").resolve())
    return comparison(figures, dataset, found.split, found.seed, found.beside)


def _enlarging(job: Job, models: "Sequence[Model]") -> Generator[events.Event, None, Found]:
    from gancli.metrics.upscaled import enlarged, read_pairs
    from gancli.sampling.upscale import Upscaler

    found, told = [], set[str]()
    for model in models:
        place = paths.expanded(job.dataset, "--dataset")
        pairs = yield from events.told_once(read_pairs(place, job.low_res, model.variant.scale), told)
        model.variant.generator.to(job.device)
        found.append((yield from enlarged(Upscaler(model.variant, job.device), pairs)))
    return Found(found, "all", None, "bicubic")


def _drawing(job: Job, models: "Sequence[Model]") -> Generator[events.Event, None, Found]:
    import torch

    from gancli.data.classes import translated
    from gancli.data.opening import open_source
    from gancli.metrics import yardstick
    from gancli.metrics.inception import InceptionFid

    spec = models[0].facts.images
    if any((m.facts.images.channels, m.facts.images.size) != (spec.channels, spec.size) for m in models):
        raise UsageError("CKPT: models of pictures of different sizes cannot be compared in one table")
    if job.low_res is not None:
        raise UsageError(f"--low-res {job.low_res}: is for srgan")
    root = paths.data_root(job.data_root)
    if root.note:
        yield events.Warned(root.note)
    place = partial(
        open_source,
        job.dataset,
        data_root=root.path,
        image_size=spec.size,
        download=job.download,
        on_bad_image="fail",
    )
    told = set[str]()
    train = yield from events.told_once(place(split="train"), told)
    test = yield from events.told_once(place(split="test"), told)
    if train.spec.channels != spec.channels:
        raise UsageError(
            f"--dataset {job.dataset}: {train.spec.channels} channels, but the checkpoint draws pictures of {spec.channels}"
        )
    fid = InceptionFid(job.inception, job.device) if job.inception is not None else None
    stick = yield from yardstick.make(train, test, root.path, job.device, job.count, job.metrics)
    if fid is not None:
        yield from stick.inception_floor(fid)
    found = []
    for model in models:
        pixels, labels = yield from _drawn(job, model, stick.count)
        if labels is not None:
            labels = torch.tensor(translated(model.facts.images.class_names, train.class_names, job.dataset))[labels]
        yield events.Preparing("measuring", 0, 0, "")
        fake = stick.seen(pixels, labels)
        figures = stick.figures(fake)
        if fid is not None:
            figures.append((yield from stick.inception(fid, fake)))
        if job.gan_train:
            if labels is None:
                raise UsageError(f"--gan-train: {model.facts.variant} is not conditional: its pictures have no labels")
            if not test.class_names:
                raise UsageError(f"--gan-train: the pictures of {job.dataset} to test on have no labels")
            figures.append((yield from stick.gan_train(fake)))
        found.append(figures)
        if job.neighbours is not None and model is models[0]:
            _draw_neighbours(job.neighbours, pixels[:NUM_SHOWN], train.images)
    return Found(found, stick.split, job.seed, "real pictures")


def _drawn(
    job: Job, model: "Model", count: int
) -> "Generator[events.Event, None, tuple[torch.Tensor, torch.Tensor | None]]":
    """`count` pictures, uint8 `[N, C, H, W]`, and the labels they were drawn for, if any: all in turn."""
    import torch

    from gancli.data.pace import Pace
    from gancli.sampling import draw

    variant, pace = model.variant, Pace()
    variant.generator.to(job.device)
    labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
    wanted = draw.requests(count, job.seed, labels)
    shape = (variant.images.channels, variant.images.size, variant.images.size)
    pixels = torch.empty(count, *shape, dtype=torch.uint8)
    for done, drawn in enumerate(draw.draw(variant, variant.generator, wanted, job.device)):
        pixels[drawn.index] = drawn.pixels
        if done == 0 or pace.due():
            yield events.Preparing(f"drawing pictures with {model.facts.variant}", done, count, "pictures")
    told = torch.tensor([request.label for request in wanted]) if variant.conditional else None
    return pixels, told


def _draw_neighbours(path: Path, pixels: "torch.Tensor", training: "torch.Tensor") -> None:
    """Rows of a picture and, after it, the training pictures nearest to it, the nearest first."""
    import torch

    from gancli import images
    from gancli.files import atomic
    from gancli.metrics.neighbours import nearest

    found = nearest(pixels, training, NUM_NEIGHBOURS)
    rows = torch.cat([pixels[:, None], training[found.indices]], 1)
    grid = images.grid(rows.flatten(0, 1), NUM_NEIGHBOURS + 1)
    atomic.write(path, [images.encode(images.to_pil(grid), ".png")])
