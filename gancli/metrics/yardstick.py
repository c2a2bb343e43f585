"""Everything `gan evaluate` measures about a model that draws pictures, against one data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.config.evaluate import METRICS
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import Emit, Preparing
from gancli.metrics import distances
from gancli.metrics.classifier import Judge, fit, judge_of, taught
from gancli.metrics.figure import Figure, Measure
from gancli.metrics.inception import InceptionFid
from gancli.metrics.neighbours import nearest
from gancli.metrics.parzen import parzen
from gancli.metrics.sliced_wasserstein import sliced_wasserstein
from gancli.store.evaluations import KINDS, full_name

FEWEST = 10  # pictures to compare with
NUM_VALIDATION = 1000  # pictures that choose the width of Parzen's windows
NUM_WIDE = 1024  # pictures whose patches are compared, or whose nearest neighbours are looked for
LARGEST_PARZEN = 64 * 64 * 3  # values in a picture
OF_CLASSIFIER = frozenset(
    {"frechet", "kernel", "prdc", "labels", "modes", "diversity"}
)  # metrics that need the classifier


class Row(NamedTuple):
    name: str  # key into KINDS, and perhaps " at …"
    measure: Measure
    num_pictures: int


@dataclass(frozen=True)
class Pictures:
    """uint8 `[N, C, H, W]`, the classes they should be (int64 `[N]`, None if none was asked for), and what the judge saw:
    features float `[N, 128]` (of stacks `[N, 384]`), classes int64 `[N]`; both empty where no metric needs it."""

    pixels: Tensor
    labels: Tensor | None
    features: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


class Parts(NamedTuple):
    """Indices, int64, in random order: of pictures to compare with (of the test split, if there is one), and of the other
    training pictures; `num_used` of each are taken."""

    has_test_split: bool
    chosen: Tensor
    rest: Tensor
    num_used: int


def parted(train: Source, test: Source, count: int) -> Parts:
    """Which real pictures are for what, where `count` are asked for. Raises `DataError` where there are too few."""
    rest = _shuffled(len(train.images))
    has_test_split = not _same(train, test)
    half = len(rest) // 2
    chosen, rest = (_shuffled(len(test.images)), rest) if has_test_split else (rest[:half], rest[half:])
    count = min(count, len(chosen), len(rest) - _num_validation(len(rest)))
    if count < FEWEST:
        raise DataError(
            f"{train.name}: {len(train.images)} pictures are too few to measure with; {FEWEST} must be left to compare"
        )
    return Parts(has_test_split, chosen, rest, count)


def _num_validation(num_rest: int) -> int:
    return max(1, min(NUM_VALIDATION, num_rest // 5))


class Yardstick:
    """The real side of every figure, worked out once.

    A model's pictures are compared with `reference`: pictures of the test split, or half of a data set that has none.
    `others` are as many real ones from the rest; what they give stands beside each figure as its floor.
    """

    def __init__(
        self, train: Source, test: Source, judge: Judge | None, count: int, metrics: Sequence[str] = METRICS
    ) -> None:  # fmt: skip
        self.train, self.judge, self.metrics = train, judge, tuple(metrics)
        self.has_test_split, chosen, rest, self.count = parted(train, test, count)
        self.validation = train.images[rest[-_num_validation(len(rest)) :]]
        self.reference = self._real(test, chosen[: self.count])
        self.others = others = self._real(train, rest[: self.count])
        self.floors = {row.name: row.measure for row in [*self._compared(others), *self._of_training(self.reference)]}

    @property
    def split(self) -> str:
        """What pictures are compared with."""
        return "test" if self.has_test_split else "half of train"

    def _real(self, source: Source, chosen: Tensor) -> Pictures:
        labels = source.labels[chosen] if self._labelled and source.class_names else None
        return self.seen(source.images[chosen], labels)

    def seen(self, pixels: Tensor, labels: Tensor | None) -> Pictures:
        if self.judge is None:
            return Pictures(pixels, labels, torch.empty(0), torch.empty(0, dtype=torch.int64))
        return Pictures(pixels, labels, *self.judge.look(pixels))

    @property
    def _labelled(self) -> bool:
        return self.judge is not None and self.judge.labelled

    def figures(self, fake: Pictures) -> list[Figure]:
        """All figures of a model's pictures."""
        rows = [*self._compared(fake), *self._of_training(fake)]
        return [self.figure(row, self.floors.get(row.name)) for row in rows]

    def figure(self, row: Row, floor: Measure | None) -> Figure:
        kind = KINDS[full_name(row.name)]
        return Figure(row.name, kind.unit, kind.higher_is_better, row.num_pictures, row.measure, floor)

    def inception_floor(self, fid: InceptionFid, emit: Emit) -> None:
        """Show the real pictures to `fid`, and note the distance between the two sets of them."""
        fid.compare_with(self.reference.pixels, emit)
        self.floors["inception fid"] = fid.distance(self.others.pixels, emit)

    def inception(self, fid: InceptionFid, fake: Pictures, emit: Emit) -> Figure:
        measure = fid.distance(fake.pixels, emit)
        return self.figure(Row("inception fid", measure, len(fake)), self.floors["inception fid"])

    def gan_train(self, fake: Pictures, emit: Emit) -> Figure:
        """Accuracy on real pictures of a classifier that learnt from the model's alone, %: Shmelkov et al. 2018."""
        assert fake.labels is not None, "only a conditional model has a GAN-train score"
        assert self.judge is not None, "`make` was told of it"
        lesson = taught(self.train, fake.pixels, fake.labels)
        learnt = fit(*lesson, self.judge.device, self.train.stacked, emit)
        _, classes = learnt.look(self.reference.pixels)
        assert self.reference.labels is not None
        measure = _share(classes == self.reference.labels)
        return self.figure(Row("gan-train", measure, len(fake)), self.floors.get("gan-test"))

    def _compared(self, pictures: Pictures) -> list[Row]:
        """What compares a set of pictures with the reference."""
        rows, real, n = [], self.reference, len(pictures)
        if "frechet" in self.metrics:
            rows.append(Row("frechet distance", distances.frechet(pictures.features, real.features), n))
        if "kernel" in self.metrics:
            rows.append(Row("kernel distance", distances.kernel(pictures.features, real.features), n))
        if "prdc" in self.metrics:
            found = distances.neighbourhoods(pictures.features, real.features)
            rows += [Row(name, Measure(value), n) for name, value in found._asdict().items()]
        if "parzen" in self.metrics and pictures.pixels[0].numel() <= LARGEST_PARZEN:
            rows.append(Row("parzen log-likelihood", parzen(pictures.pixels, self.validation, real.pixels), n))
        if "swd" in self.metrics:
            few = min(NUM_WIDE, n, len(real))
            levels = sliced_wasserstein(pictures.pixels[:few], real.pixels[:few])
            rows += [Row(f"sliced wasserstein at {size} px", Measure(value), few) for size, value in levels.items()]
        if "modes" in self.metrics and self._labelled:
            rows += self._modes(pictures.classes)
        if "diversity" in self.metrics:
            rows.append(Row("diversity", Measure(distances.spread(pictures.features)), n))
        return rows

    def _modes(self, classes: Tensor) -> list[Row]:
        """How the classes that the judge sees are spread; of stacks as the papers tell it."""
        num_classes, n = self.train.spec.num_classes, len(classes)
        counts = torch.bincount(classes, minlength=num_classes)
        if self.train.stacked:
            num_found, kl = distances.modes(counts)
            return [Row("modes", Measure(num_found), n), Row("modes kl", Measure(kl), n)]
        even = n / num_classes
        return [
            Row("classes found", Measure(int((counts > 0).sum())), n),
            Row("rarest class", Measure(counts.min().item() / even), n),
            Row("commonest class", Measure(counts.max().item() / even), n),
        ]

    def _of_training(self, pictures: Pictures) -> list[Row]:
        """What compares with all training pictures, or with what was learnt from them; the floor is of unseen ones."""
        rows = []
        if "labels" in self.metrics and pictures.labels is not None and self._labelled:
            rows.append(Row("gan-test", _share(pictures.classes == pictures.labels), len(pictures)))
        if "nearest" in self.metrics and self.has_test_split:
            few = pictures.pixels[:NUM_WIDE]
            found, _ = nearest(few, self.train.images, 1)
            rows.append(Row("nearest training image", _mean(found[:, 0]), len(few)))
        return rows


def make(
    train: Source,
    test: Source,
    data_root: Path,
    device: torch.device,
    count: int,
    emit: Emit,
    metrics: Sequence[str] = METRICS,
    gan_train: bool = False,
) -> Yardstick:
    """The yardstick of a data set. The classifier comes from the cache, or is trained first; where neither `metrics` nor
    `gan_train` needs it there is none."""
    parted(train, test, count)
    judge = None
    if gan_train or not OF_CLASSIFIER.isdisjoint(metrics):
        judge = judge_of(train, data_root, device, emit)
    emit(Preparing("measuring real pictures", 0, 0, ""))
    return Yardstick(train, test, judge, count, metrics)


def _shuffled(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _same(a: Source, b: Source) -> bool:
    return a is b or (a.images.shape == b.images.shape and torch.equal(a.images, b.images))


def _share(hits: Tensor) -> Measure:
    """A share in percent, and its standard error."""
    p = hits.double().mean().item()
    return Measure(100 * p, 100 * (p * (1 - p) / len(hits)) ** 0.5)


def _mean(values: Tensor) -> Measure:
    return Measure(values.mean().item(), values.std().item() / len(values) ** 0.5)
