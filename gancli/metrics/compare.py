"""Models' pictures drawn, or enlarged, and measured against a data set, so that they can be compared."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gancli import images
from gancli.config import fields_of, paths, toml
from gancli.config.evaluate import EvaluateConfig
from gancli.config.option import reject_unused_options
from gancli.data import hub
from gancli.data.classes import translated
from gancli.data.fit import Fit
from gancli.data.names import source_names
from gancli.data.opening import open_source
from gancli.data.pace import Pace
from gancli.data.patterns import is_pattern
from gancli.data.selection import Selection
from gancli.data.source import Source
from gancli.errors import UsageError
from gancli.events import Comparison, Emit, Preparing, Warned, without_repeats
from gancli.files import atomic
from gancli.files.hub import is_reference, with_commit
from gancli.machine.contention import yield_cpus
from gancli.metrics import yardstick
from gancli.metrics.entrants import Entrant, check_count, chosen, open_pictures
from gancli.metrics.figure import Figure, comparison
from gancli.metrics.inception import InceptionFid
from gancli.metrics.neighbours import nearest
from gancli.metrics.upscaled import enlarged, read_pairs
from gancli.metrics.yardstick import Yardstick
from gancli.sampling import draw
from gancli.sampling.upscale import Upscaler
from gancli.store import pretrained
from gancli.store.checkpoint import Model
from gancli.store.run_directory import RunDirectory
from gancli.text import Note

NUM_SHOWN, NUM_NEIGHBOURS = 10, 5
NUM_DRAWN, NUM_STACKED = 10_000, 26_000  # unless asked for another number; modes are counted in so many in the papers
OF_DRAWING = ("count", "seed", "metrics", "gan_train", "neighbours", "inception")
"""Options that have no effect on models that enlarge pictures."""


@dataclass(frozen=True)
class Subject:
    """The metrics of one checkpoint, or of images of another program (`model` is None), and how they were measured."""

    path: Path
    model: Model | None
    figures: list[Figure]
    compared: Comparison

    @property
    def heading(self) -> str:
        """The title of its column: variant and name of the run or model; of images, the name of their folder or file."""
        if self.model is None:
            return self.path.name or str(self.path)
        return f"{self.model.facts.variant} {pretrained.model_name(self.path) or self.path.parent.name}".strip()


class Found(NamedTuple):
    """Figures by checkpoint; what of the data set they were compared with, from which seed on pictures were drawn (None:
    they were enlarged), and what stands beside the figures."""

    figures: list[list[Figure]]
    split: str
    seed: int | None
    beside: str


def check(config: EvaluateConfig, entrants: Sequence[Entrant], given: Collection[str]) -> None:
    """Before anything is measured: raises `UsageError` for what cannot be compared, and for options `given` (their names)
    that are for models that draw."""
    models = [each.model for each in entrants if each.model is not None]
    reads = {"labels" if each.model is None else each.model.variant.condition_type for each in entrants}
    if "low_res" in reads:
        of_drawing = [f for f in fields_of(EvaluateConfig) if f.name in OF_DRAWING and f.name in given]
        why = f"is for models that draw pictures; {models[0].facts.variant} enlarges them"
        reject_unused_options(*((f.flag, getattr(config, f.name)) for f in of_drawing), why=why)
    if len(reads) > 1:
        what = "models that draw pictures" if len(models) == len(entrants) else "pictures that were drawn"
        raise UsageError(f"CKPT: {what} and models that enlarge them cannot be compared in one table")
    if config.low_res is not None and reads == {"labels"}:
        raise UsageError(f"--low-res {config.low_res}: is for srgan")


def dataset_of(config: EvaluateConfig, entrants: Sequence[Entrant]) -> str:
    """What to compare with: what was asked for, else what the first model was trained on. Raises `UsageError`."""
    if config.dataset is not None and is_reference(config.dataset):
        return with_commit(config.dataset, "dataset", "--dataset", download=config.download)
    if config.dataset is not None:
        return config.dataset
    for each in entrants:
        if each.model is not None:
            return trained_on(each.path, each.model)
    raise UsageError(f"--dataset: say with -d what to compare the pictures of {entrants[0].path} with")


def selection_of(config: EvaluateConfig, entrants: Sequence[Entrant]) -> Selection:
    """What to take of the dataset: what was asked for, else what the run took of its own dataset."""
    files = [RunDirectory(each.path.parent).config for each in entrants if each.model is not None][:1]
    recorded = toml.read(files[0]) if config.dataset is None and files and files[0].is_file() else {}
    names = [field.name for field in dataclasses.fields(Selection)]
    values = {name: getattr(config, name) or recorded.get(name) for name in names}
    return Selection(**{name: None if value is None else str(value) for name, value in values.items()})


def trained_on(file: Path, model: Model) -> str:
    """The data set of the run that a checkpoint lies in, else the one that it names, if it is one of the named ones."""
    recorded = RunDirectory(file.parent).config
    if model.variant.condition_type == "low_res":
        raise UsageError(
            "--dataset: say which folder of true pictures to enlarge to (it should not be the training set)"
        )
    name = str(toml.read(recorded).get("dataset", "")) if recorded.is_file() else ""
    name = name or model.facts.dataset
    if name in source_names() or (
        recorded.is_file() and (is_reference(name) or is_pattern(name) or paths.expanded(name, "--dataset").exists())
    ):
        return name
    raise UsageError(f"--dataset: {file} was trained on {name}, which is not there; say with -d where it lies")


def measured(
    config: EvaluateConfig, dataset: str, device: torch.device, entrants: Sequence[Entrant], emit: Emit
) -> list[Subject]:
    """Measure models, and pictures of others; returns what was found of each."""
    models = [each.model for each in entrants if each.model is not None]
    with yield_cpus():
        if any(model.variant.condition_type == "low_res" for model in models):
            found = _enlarging(config, dataset, device, models, emit)
        else:
            found = _drawing(config, dataset, device, entrants, emit)
    named = dataset in source_names() or is_reference(dataset)
    told = dataset if named else str(paths.expanded(dataset, "--dataset").resolve())
    return [
        Subject(each.path, each.model, figures, comparison(figures, told, found.split, found.seed, found.beside))
        for each, figures in zip(entrants, found.figures, strict=True)
    ]


def _enlarging(
    config: EvaluateConfig, dataset: str, device: torch.device, models: Sequence[Model], emit: Emit
) -> Found:
    found, emit = [], without_repeats(emit)
    selection, low_res = selection_of(config, ()), _expanded(config.low_res, "--low-res")
    if is_reference(dataset):
        place = hub.local(dataset, selection, emit, "test", config.download).path
    else:
        place = paths.expanded(dataset, "--dataset")
    with selection.in_use(dataset):
        for model in models:
            pairs = read_pairs(place, low_res, model.variant.scale, emit)
            model.variant.generator.to(device)
            found.append(enlarged(Upscaler(model.variant, device), pairs, emit))
    return Found(found, "all", None, "bicubic")


def _expanded(path: str | None, flag: str) -> Path | None:
    return None if path is None else paths.expanded(path, flag)


def _drawing(
    config: EvaluateConfig, dataset: str, device: torch.device, entrants: Sequence[Entrant], emit: Emit
) -> Found:
    root = paths.data_root(config.data_root)
    if root.note:
        emit(Warned(Note(root.note)))
    train, test = _splits(config, dataset, root.path, entrants, emit)
    if config.metrics is not None and "modes" in config.wanted and train.spec.num_classes < 2:
        raise UsageError(f"--metrics modes: the pictures of {dataset} are of no classes that could be counted")
    inception = _expanded(config.inception, "--inception")
    fid = InceptionFid(inception, device) if inception is not None else None
    count = config.count or (NUM_STACKED if train.stacked else NUM_DRAWN)
    others = _of_others(entrants, train, test, count, dataset, root.path, emit)
    stick = yardstick.make(train, test, root.path, device, count, emit, config.wanted, config.gan_train)
    if fid is not None:
        stick.inception_floor(fid, emit)
    found = []
    for number, each in enumerate(entrants):
        if each.model is None:
            pixels, labels = chosen(others[number], stick.count, config.seed)
        else:
            pixels, labels = _drawn(config.seed, device, each.model, stick.count, emit)
        if labels is not None and each.model is not None:
            own = each.model.facts.images.class_names
            labels = torch.tensor(translated(own, train.class_names, dataset))[labels]
        if config.gan_train:
            _check_labels(each, labels, test, dataset)
        emit(Preparing("measuring", 0, 0, ""))
        found.append(_figures(config, stick, fid, pixels, labels, emit))
        if config.neighbours is not None and number == 0:
            _draw_neighbours(paths.expanded(config.neighbours, "--neighbours"), pixels[:NUM_SHOWN], train.images)
    return Found(found, stick.split, config.seed, "real pictures")


def _of_others(
    entrants: Sequence[Entrant], train: Source, test: Source, count: int, dataset: str, root: Path, emit: Emit
) -> dict[int, Source]:
    """The pictures of others, by their number among the entrants, if there are enough of them to measure `count` with."""
    found: dict[int, Source] = {}
    fits: list[Fit] = [each.model.facts.fit for each in entrants if each.model is not None]
    for number, each in enumerate(entrants):
        if each.model is None:
            found[number] = open_pictures(each.path, train, dataset, root, (*fits, "crop")[0], emit)
            check_count(each.path, len(found[number].images), yardstick.parted(train, test, count).num_used)
    return found


def _splits(
    config: EvaluateConfig, dataset: str, root: Path, entrants: Sequence[Entrant], emit: Emit
) -> tuple[Source, Source]:
    """The training and the test pictures, of the size that the models draw; of their own where there is no model."""
    models = [each.model for each in entrants if each.model is not None]
    specs = [model.facts.images for model in models]
    if len({(spec.channels, spec.size) for spec in specs}) > 1:
        raise UsageError("CKPT: models of pictures of different sizes cannot be compared in one table")
    (fit, *others) = {model.facts.fit for model in models} or {"crop"}
    if others:
        raise UsageError("CKPT: models of pictures that were fitted by another --fit cannot be compared in one table")
    opened = partial(
        open_source,
        dataset,
        without_repeats(emit),
        data_root=root,
        image_size=specs[0].size if specs else None,
        download=config.download,
        on_bad_image="fail",
        fit=fit,
        selection=selection_of(config, entrants),
    )
    train, test = opened(split="train"), opened(split="test")
    if specs and train.spec.channels != specs[0].channels:
        raise UsageError(
            f"--dataset {dataset}: {train.spec.channels} channels, but the checkpoint draws pictures of {specs[0].channels}"
        )
    return train, test


def _check_labels(each: Entrant, labels: Tensor | None, test: Source, dataset: str) -> None:
    if labels is None and each.model is None:
        raise UsageError(f"--gan-train: the pictures of {each.path} have no labels")
    if labels is None and each.model is not None:
        raise UsageError(f"--gan-train: {each.model.facts.variant} is not conditional: its pictures have no labels")
    if not test.class_names:
        raise UsageError(f"--gan-train: the pictures of {dataset} to test on have no labels")


def _figures(
    config: EvaluateConfig,
    stick: Yardstick,
    fid: InceptionFid | None,
    pixels: Tensor,
    labels: Tensor | None,
    emit: Emit,
) -> list[Figure]:
    fake = stick.seen(pixels, labels)
    figures = stick.figures(fake)
    if fid is not None:
        figures.append(stick.inception(fid, fake, emit))
    if config.gan_train:
        figures.append(stick.gan_train(fake, emit))
    return figures


def _drawn(seed: int, device: torch.device, model: Model, count: int, emit: Emit) -> tuple[Tensor, Tensor | None]:
    """`count` pictures, uint8 `[N, C, H, W]`, and the labels they were drawn for, if any: all in turn."""
    variant, pace = model.variant, Pace()
    variant.generator.to(device)
    labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
    wanted = draw.requests(count, seed, labels)
    shape = (variant.images.channels, variant.images.size, variant.images.size)
    pixels = torch.empty(count, *shape, dtype=torch.uint8)
    for done, drawn in enumerate(draw.draw(variant, variant.generator, wanted, device)):
        pixels[drawn.index] = drawn.pixels
        if done == 0 or pace.due():
            emit(Preparing(f"drawing pictures with {model.facts.variant}", done, count, "pictures"))
    told = torch.tensor([request.label for request in wanted]) if variant.conditional else None
    return pixels, told


def _draw_neighbours(path: Path, pixels: Tensor, training: Tensor) -> None:
    """Rows of a picture and, after it, the training pictures nearest to it, the nearest first."""
    found = nearest(pixels, training, NUM_NEIGHBOURS)
    rows = torch.cat([pixels[:, None], training[found.indices]], 1)
    grid = images.grid(rows.flatten(0, 1), NUM_NEIGHBOURS + 1)
    atomic.write(path, [images.encode(images.to_pil(grid), ".png")])
