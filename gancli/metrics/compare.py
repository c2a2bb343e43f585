"""Evaluation: models, and images of other programs, compared in one table on one dataset."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gancli import images
from gancli.config import fields_of, paths, toml
from gancli.config.evaluate import EvaluateConfig
from gancli.config.option import reject_unused_options
from gancli.data import hub
from gancli.data.dataset import Dataset
from gancli.data.dataset_object import NEEDS_OBJECT, DatasetObject, is_python
from gancli.data.names import dataset_names, match_classes
from gancli.data.opening import open_dataset
from gancli.data.options import CropMode, DatasetOptions, Selection
from gancli.data.patterns import is_pattern
from gancli.errors import UsageError
from gancli.events import Comparison, Emit, Preparing, RateLimiter, Warned, without_repeats
from gancli.files import atomic
from gancli.files.hub import is_reference, with_commit
from gancli.machine.contention import yield_cpus
from gancli.metrics import reference
from gancli.metrics.distances import InceptionFid
from gancli.metrics.entrants import Entrant, choose_images, open_images
from gancli.metrics.metric import Metric, comparison
from gancli.metrics.pixel_metrics import nearest
from gancli.metrics.super_resolution import measure_enlarging, read_pairs
from gancli.sampling import generate
from gancli.sampling.upscale import Upscaler
from gancli.store import pretrained
from gancli.store.checkpoint import Model
from gancli.store.run_directory import RunDirectory
from gancli.text import Note, counted

NUM_SHOWN, NUM_NEIGHBOURS = 10, 5
NUM_DRAWN, NUM_STACKED = 10_000, 26_000  # the default number of images; 26,000 is that of papers that count modes
FOR_GENERATORS = ("count", "seed", "metrics", "gan_train", "neighbours", "inception")
"""Options that have no effect on models that enlarge images."""


@dataclass(frozen=True)
class Subject:
    """The metrics of one checkpoint, or of images of another program (`model` is None), and how they were measured."""

    path: Path
    model: Model | None
    figures: list[Metric]
    compared: Comparison

    @property
    def heading(self) -> str:
        """The title of its column: variant and name of the run or model; of images, the name of their folder or file."""
        if self.model is None:
            return self.path.name or str(self.path)
        return f"{self.model.facts.variant} {pretrained.known_name(self.path) or self.path.parent.name}".strip()


def check(config: EvaluateConfig, entrants: Sequence[Entrant], given: Collection[str]) -> None:
    """Check before any work what is to be compared. `given`: the names of the options that the user gave. Raises
    `UsageError`."""
    models = _models(entrants)
    enlarging = [each.facts.variant for each in models if each.variant.condition_type == "low_res"]
    if not enlarging:
        reject_unused_options(("--low-res", config.low_res), why="is for srgan")
        return
    unused = [f for f in fields_of(EvaluateConfig) if f.name in FOR_GENERATORS and f.name in given]
    why = f"is for models that generate images; {enlarging[0]} enlarges them"
    reject_unused_options(*((f.flag, getattr(config, f.name)) for f in unused), why=why)
    if len(enlarging) < len(entrants):
        what = "models that generate images" if len(models) == len(entrants) else "generated images"
        raise UsageError(f"CKPT: {what} and models that enlarge images cannot be compared in one table")


def _models(entrants: Sequence[Entrant]) -> list[Model]:
    return [each.model for each in entrants if each.model is not None]


def dataset_of(config: EvaluateConfig, entrants: Sequence[Entrant]) -> str:
    """Return the dataset to compare with: as given, or that of the first model. Raises `UsageError`."""
    if config.dataset is not None and is_reference(config.dataset):
        return with_commit(config.dataset, "dataset", "--dataset", download=config.download)
    if config.dataset is not None:
        return config.dataset
    for each in entrants:
        if each.model is not None:
            return _training_set(each.path, each.model)
    raise UsageError(f"--dataset: use -d to name the dataset to compare the images of {entrants[0].path} with")


def selection_of(config: EvaluateConfig, entrants: Sequence[Entrant]) -> Selection:
    """Return what to take of the dataset: as given, else what the run of the first model took of its own."""
    files = [RunDirectory(each.path.parent).config for each in entrants if each.model is not None][:1]
    recorded = toml.read(files[0]) if config.dataset is None and files and files[0].is_file() else {}
    names = [field.name for field in dataclasses.fields(Selection)]
    values = {name: getattr(config, name) or recorded.get(name) for name in names}
    return Selection(**{name: None if value is None else str(value) for name, value in values.items()})


def _training_set(file: Path, model: Model) -> str:
    """Return the dataset of the run of a checkpoint, or the named dataset in its metadata. Raises `UsageError`."""
    if model.variant.condition_type == "low_res":
        raise UsageError("--dataset: name a folder of high-resolution images (not those of the training set)")
    config = RunDirectory(file.parent).config
    in_run = config.is_file()
    name = str(toml.read(config).get("dataset", "")) if in_run else ""
    name = name or model.facts.dataset
    exists_in_run = in_run and (is_reference(name) or is_pattern(name) or paths.expanded(name, "--dataset").exists())
    if name in dataset_names() or exists_in_run:
        return name
    if is_python(name):
        raise UsageError(f"--dataset {name}: {NEEDS_OBJECT}")
    raise UsageError(f"--dataset: {file} was trained on {name}, which does not exist here; use -d to name its place")


def evaluate_entrants(
    config: EvaluateConfig, dataset: str, device: torch.device, entrants: Sequence[Entrant], emit: Emit
) -> list[Subject]:
    """Measure models, and images of other programs."""
    is_name = dataset in dataset_names() or is_reference(dataset) or is_python(dataset)
    place = str(dataset) if is_name else str(paths.expanded(dataset, "--dataset").resolve())
    with yield_cpus():
        if any(model.variant.condition_type == "low_res" for model in _models(entrants)):
            figures = _evaluate_enlarging(config, dataset, device, _models(entrants), emit)
            record = partial(comparison, dataset=place, split="all", seed=None, beside="bicubic")
        else:
            split, figures = _evaluate_generated(config, dataset, device, entrants, emit)
            record = partial(comparison, dataset=place, split=split, seed=config.seed, beside="real images")
    return [Subject(each.path, each.model, own, record(own)) for each, own in zip(entrants, figures, strict=True)]


def _evaluate_enlarging(
    config: EvaluateConfig, dataset: str, device: torch.device, models: Sequence[Model], emit: Emit
) -> list[list[Metric]]:
    if isinstance(dataset, DatasetObject):
        raise UsageError(f"--dataset {dataset}: srgan is measured on files; save the images as PNG in a folder")
    found, emit = [], without_repeats(emit)
    selection = selection_of(config, ())
    low_res = None if config.low_res is None else paths.expanded(config.low_res, "--low-res")
    shards: Sequence[Path] = ()
    if is_reference(dataset):
        local = hub.local(dataset, selection, "test", config.download, emit)
        place, shards = local.path, local.files
    else:
        selection.reject_split(dataset)
        place = paths.expanded(dataset, "--dataset")
    for model in models:
        pairs = read_pairs(place, low_res, model.variant.scale, selection, emit, shards)
        model.variant.generator.to(device)
        found.append(measure_enlarging(Upscaler(model.variant, device), pairs, emit))
    return found


def _evaluate_generated(
    config: EvaluateConfig, dataset: str, device: torch.device, entrants: Sequence[Entrant], emit: Emit
) -> tuple[str, list[list[Metric]]]:
    """Return the split of the real images that were compared with, and the metrics of each model or set of images."""
    root = paths.data_root(config.data_root)
    if root.note:
        emit(Warned(Note(root.note)))
    train, test = _open_splits(config, dataset, root.path, entrants, emit)
    if config.metrics is not None and "modes" in config.wanted and train.spec.num_classes < 2:
        raise UsageError(f"--metrics modes: {dataset} has no classes to count")
    fid = InceptionFid(paths.expanded(config.inception, "--inception"), device) if config.inception else None
    count = config.count or (NUM_STACKED if train.stacked else NUM_DRAWN)
    sources = _open_images(entrants, train, test, count, dataset, root.path, emit)
    real = reference.make_reference(train, test, root.path, device, count, emit, config.wanted, config.gan_train)
    if fid is not None:
        fid.set_reference(real.reference.pixels, real.others.pixels, emit)
    found: list[list[Metric]] = []
    for each in entrants:
        if each.model is None:
            pixels, labels = choose_images(sources[each.path], real.count, config.seed)
        else:
            pixels, labels = _generate(config.seed, device, each.model, real.count, emit)
            if labels is not None:
                own = each.model.facts.images.class_names
                labels = torch.tensor(match_classes(own, train.class_names, dataset))[labels]
        if config.gan_train:
            _check_labels(each, labels, test, dataset)
        emit(Preparing("measuring", 0, 0, ""))
        fake = real.with_features(pixels, labels)
        figures = real.compute_metrics(fake)
        figures += [fid.measure(pixels, emit)] if fid else []
        figures += [real.gan_train(fake, emit)] if config.gan_train else []
        if config.neighbours is not None and not found:
            _write_neighbours(paths.expanded(config.neighbours, "--neighbours"), pixels[:NUM_SHOWN], train.images)
        found.append(figures)
    return real.split, found


def _open_images(
    entrants: Sequence[Entrant], train: Dataset, test: Dataset, count: int, dataset: str, root: Path, emit: Emit
) -> dict[Path, Dataset]:
    """Open the images of other programs. Raises `UsageError` if there are fewer than will be measured."""
    found: dict[Path, Dataset] = {}
    fits: list[CropMode] = [model.facts.fit for model in _models(entrants)]
    for each in entrants:
        if each.model is None:
            found[each.path] = open_images(each.path, train, dataset, root, (*fits, "crop")[0], emit)
            available, wanted = len(found[each.path].images), reference.split_real(train, test, count).num_used
            if available < reference.MIN_IMAGES:
                contains = f"contains {counted(available, 'image')}"
                raise UsageError(f"{each.path}: {contains}; at least {reference.MIN_IMAGES} are needed")
            if available < wanted:
                raise UsageError(f"-n {wanted}: {each.path} contains {available} images; use -n {available}")
    return found


def _open_splits(
    config: EvaluateConfig, dataset: str, root: Path, entrants: Sequence[Entrant], emit: Emit
) -> tuple[Dataset, Dataset]:
    """Open the training and the test images, in the size of the models; without models in their own size."""
    models = _models(entrants)
    specs = [model.facts.images for model in models]
    if len({(spec.channels, spec.size) for spec in specs}) > 1:
        raise UsageError("CKPT: models of images of different sizes cannot be compared in one table")
    (fit, *others) = {model.facts.fit for model in models} or {"crop"}
    if others:
        raise UsageError("CKPT: models trained with different --fit cannot be compared in one table")
    options = DatasetOptions(
        root, specs[0].size if specs else None, config.download, fit=fit, selection=selection_of(config, entrants)
    )
    emit = without_repeats(emit)
    train = open_dataset(dataset, options, emit)
    test = open_dataset(dataset, dataclasses.replace(options, split="test"), emit)
    if specs and train.spec.channels != specs[0].channels:
        raise UsageError(
            f"--dataset {dataset}: {train.spec.channels} channels, but the model generates {specs[0].channels}"
        )
    return train, test


def _check_labels(each: Entrant, labels: Tensor | None, test: Dataset, dataset: str) -> None:
    if labels is None and each.model is None:
        raise UsageError(f"--gan-train: the images of {each.path} have no labels")
    if labels is None and each.model is not None:
        raise UsageError(f"--gan-train: {each.model.facts.variant} is not conditional: its images have no labels")
    if not test.class_names:
        raise UsageError(f"--gan-train: the test images of {dataset} have no labels")


def _generate(seed: int, device: torch.device, model: Model, count: int, emit: Emit) -> tuple[Tensor, Tensor | None]:
    """Generate `count` images, uint8 `[N, C, H, W]`, of all classes in turn, and return their labels if there are any."""
    variant, pace = model.variant, RateLimiter()
    variant.generator.to(device)
    labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
    wanted = generate.requests(count, seed, labels)
    shape = (variant.images.channels, variant.images.size, variant.images.size)
    pixels = torch.empty(count, *shape, dtype=torch.uint8)
    for done, image in enumerate(generate.generate(variant, variant.generator, wanted, device)):
        pixels[image.index] = image.pixels
        if done == 0 or pace.due():
            emit(Preparing(f"generating images with {model.facts.variant}", done, count, "images"))
    return pixels, torch.tensor([request.label for request in wanted]) if variant.conditional else None


def _write_neighbours(path: Path, pixels: Tensor, training: Tensor) -> None:
    """Write rows of an image followed by its nearest training images, the nearest first."""
    found = nearest(pixels, training, NUM_NEIGHBOURS)
    rows = torch.cat([pixels[:, None], training[found.indices]], 1)
    grid = images.grid(rows.flatten(0, 1), NUM_NEIGHBOURS + 1)
    atomic.write(path, [images.encode(images.to_pil(grid), ".png")])
