"""`gan evaluate`: how good the pictures of one or several checkpoints are, in one table."""

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gancli import events
from gancli.cli import console, evaluations
from gancli.cli.effects import refuse
from gancli.config import paths, toml
from gancli.config.run import DATA_ROOT
from gancli.engine.rundir import RunDirectory
from gancli.errors import UsageError, did_you_mean, printable

if TYPE_CHECKING:
    import torch

    from gancli.engine.checkpoint import Model
    from gancli.metrics.figure import Figure

DEFAULT_COUNT = 10_000
FEWEST, MAX_COUNT = 10, 1_000_000
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


def evaluate(
    checkpoints: Annotated[list[Path], typer.Argument(metavar="CKPT...", help=(
        "ckpt.safetensors files, or run directories; several are compared in one table."))],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", metavar="NAME|PATH", help=(
        "What to compare with; for srgan a folder of true pictures."), show_default="what it was trained on")] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", help="How many pictures to draw.", show_default=str(
        DEFAULT_COUNT))] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first picture; the next has the next.",
                                             show_default="0")] = None,
    metrics: Annotated[str | None, typer.Option(metavar="NAMES", show_default="all", help=(
        "Only these, with commas: frechet, kernel, prdc, parzen, swd, labels, modes, diversity, nearest."))] = None,
    gan_train: Annotated[bool, typer.Option("--gan-train", help=(
        "Also train a classifier on the model's pictures and test it on real ones; for conditional models."))] = False,
    neighbours: Annotated[Path | None, typer.Option(metavar="FILE.png", help=(
        "Draw ten pictures, each beside the five training pictures nearest to it."))] = None,
    inception: Annotated[Path | None, typer.Option(metavar="FILE", help=(
        "Also the canonical Inception FID, with torch-fidelity's weights (slow without a GPU)."))] = None,
    low_res: Annotated[Path | None, typer.Option(metavar="DIR", help=(
        "For srgan: the low-resolution pictures, named as the true ones."), show_default="made of the true ones")] = None,
    data_root: Annotated[str, typer.Option(envvar="GAN_DATA", metavar="DIR", help="Where data sets lie.")] = DATA_ROOT,
    download: Annotated[bool, typer.Option("--download/--no-download", help="Fetch a data set not there.")] = True,
    device: Annotated[str, typer.Option(envvar="GAN_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """Measure how good a checkpoint's pictures are, beside what real pictures would score. Needs no download."""
    if count is not None and not FEWEST <= count <= MAX_COUNT:
        raise UsageError(f"-n {count}: must be at least {FEWEST} and at most {MAX_COUNT}")
    if seed is not None and not 0 <= seed < 2**63:
        raise UsageError(f"--seed {seed}: must be at least 0 and at most {2**63 - 1}")
    paths.check_standing()
    console.check_stdout()
    neighbours = _expanded(neighbours, "--neighbours")
    if neighbours is not None:
        paths.check_output(neighbours, "--neighbours")
    if neighbours is not None and (neighbours.suffix.lower() != ".png" or not neighbours.parent.is_dir()):
        raise UsageError(f"--neighbours {neighbours}: must be a .png file in a directory that exists")

    from gancli.cli.progress import shown
    from gancli.engine.checkpoint import load_model
    from gancli.engine.machine import choose_device

    where = choose_device(device)
    files = [
        path / "ckpt.safetensors" if path.is_dir() else path
        for path in (paths.expanded(p, "CKPT") for p in checkpoints)
    ]
    models = [load_model(file) for file in files]
    if any(model.variant.reads == "low_res" for model in models):
        drawing = (("-n", count), ("--seed", seed), ("--metrics", metrics), ("--gan-train", gan_train),
                   ("--neighbours", neighbours), ("--inception", inception))  # fmt: skip
        refuse(*drawing, why=f"is for models that draw pictures; {models[0].facts.variant} enlarges them")
    name = dataset or _trained_on(files[0], models[0])
    job = Job(
        name,
        data_root,
        download,
        _expanded(low_res, "--low-res"),
        DEFAULT_COUNT if count is None else count,
        seed or 0,
        _wanted(metrics),
        gan_train,
        neighbours,
        _expanded(inception, "--inception"),
        where,
    )
    subjects = shown(_measured(job, files, models))
    for subject in subjects:
        values = {figure.name: figure.model.value for figure in subject.figures}
        evaluations.remember(subject.path, subject.model.facts, values, subject.compared)
    if as_json:
        console.print_json(_document(job, subjects))
    else:
        _show(job, subjects)


def _expanded(path: Path | None, flag: str) -> Path | None:
    return None if path is None else paths.expanded(path, flag)


def _wanted(metrics: str | None) -> tuple[str, ...]:
    from gancli.metrics.yardstick import METRICS

    if metrics is None:
        return METRICS
    names = tuple(part.strip() for part in metrics.split(","))
    for name in names:
        if name not in METRICS:
            raise UsageError(
                f"--metrics {name}: no such metric{did_you_mean(name, METRICS)}; there are {', '.join(METRICS)}"
            )
    return names


def _trained_on(file: Path, model: "Model") -> str:
    """The data set of the run that a checkpoint lies in, else the one that it names, if it is one of the named ones."""
    from gancli.data.names import source_names

    recorded = RunDirectory(file.parent).config
    if model.variant.reads == "low_res":
        raise UsageError(
            "--dataset: say which folder of true pictures to enlarge to (it should not be the training set)"
        )
    name = str(toml.read(recorded).get("dataset", "")) if recorded.is_file() else ""
    name = name or model.facts.dataset
    if name in source_names() or (recorded.is_file() and paths.expanded(name, "--dataset").exists()):
        return name
    raise UsageError(f"--dataset: {file} was trained on {name}, which is not there; say with -d where it lies")


def _measured(
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
    dataset = job.dataset if named else str(Path(job.dataset).expanduser().resolve())
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
    from gancli.data.source import open_source
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

    from gancli import atomic, images
    from gancli.metrics.neighbours import nearest

    found = nearest(pixels, training, NUM_NEIGHBOURS)
    rows = torch.cat([pixels[:, None], training[found.indices]], 1)
    grid = images.grid(rows.flatten(0, 1), NUM_NEIGHBOURS + 1)
    atomic.write(path, [images.encode(images.to_pil(grid), ".png")])


def _document(job: Job, subjects: Sequence[Subject]) -> dict[str, object]:
    return {
        "dataset": job.dataset,
        "seed": job.seed,
        "checkpoints": [
            {
                "file": str(subject.path),
                "variant": subject.model.facts.variant,
                "step": subject.model.facts.step,
                "compared_with": subject.compared.split,
                "figures": [asdict(figure) for figure in subject.figures],
            }
            for subject in subjects
        ],
    }


def _show(job: Job, subjects: Sequence[Subject]) -> None:
    from gancli.cli.evaluate_table import table

    headings = [f"{s.model.facts.variant} {s.path.parent.name}".strip() for s in subjects]
    out = console.out()
    out.print(table(headings, [s.figures for s in subjects], subjects[0].compared.beside))
    out.print(f"data set {printable(job.dataset)}; seed {job.seed}; ± is one standard error", markup=False, style="dim")
    if job.neighbours is not None:
        console.print_path(job.neighbours)
