"""The metrics that `gan evaluate` computes of a model that generates images, against one dataset."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.config.evaluate import METRICS
from gancli.data.dataset import Dataset
from gancli.errors import DataError
from gancli.events import Emit, Preparing
from gancli.metrics import distances
from gancli.metrics.classifier import Classifier, evaluation_classifier, fit, training_data
from gancli.metrics.metric import Metric, MetricValue, make_metric, mean
from gancli.metrics.pixel_metrics import nearest, parzen
from gancli.metrics.sliced_wasserstein import sliced_wasserstein

MIN_IMAGES = 10  # to compare with
NUM_VALIDATION = 1000  # images that choose the width of Parzen's windows
MAX_COMPARED = 1024  # images whose patches are compared, or whose nearest neighbours are searched
LARGEST_PARZEN = 64 * 64 * 3  # values per image
OF_CLASSIFIER = frozenset({"frechet", "kernel", "prdc", "labels", "modes", "diversity"})
"""The metrics that need the classifier."""


@dataclass(frozen=True)
class ImageSet:
    """Images, uint8 `[N, C, H, W]`; the classes they were generated for (int64 `[N]`, None without classes); their features,
    float `[N, 128]` (of stacks `[N, 384]`), and classes, int64 `[N]`, by the classifier (both empty without one)."""

    pixels: Tensor
    labels: Tensor | None
    features: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


class RealIndices(NamedTuple):
    """Indices of real images, int64, shuffled: `reference` to compare with (of the test split, if there is one), and `rest`,
    the other training images. The first `num_used` of each are used."""

    has_test_split: bool
    reference: Tensor
    rest: Tensor
    num_used: int


def split_real(train: Dataset, test: Dataset, count: int) -> RealIndices:
    """Choose up to `count` real images to compare with, and as many others. Raises `DataError` if there are too few."""
    rest = _shuffled(len(train.images))
    has_test_split = train is not test and not torch.equal(train.images, test.images)
    half = len(rest) // 2
    reference, rest = (_shuffled(len(test.images)), rest) if has_test_split else (rest[:half], rest[half:])
    count = min(count, len(reference), len(rest) - _num_validation(len(rest)))
    if count < MIN_IMAGES:
        raise DataError(
            f"{train.name}: {len(train.images)} images are too few to measure with; {MIN_IMAGES} must be left to compare"
        )
    return RealIndices(has_test_split, reference, rest, count)


def _num_validation(num_rest: int) -> int:
    return max(1, min(NUM_VALIDATION, num_rest // 5))


class ReferenceStatistics:
    """The real images that generated ones are compared with, and their statistics.

    `reference`: images of the test split, or half of a dataset without one. `floors`: the metrics of as many other real
    images, `others`, by name; the value next to that of a model.
    """

    def __init__(
        self, train: Dataset, test: Dataset, classifier: Classifier | None, count: int,
        metrics: Sequence[str] = METRICS,
    ) -> None:  # fmt: skip
        self.train, self.classifier, self.metrics = train, classifier, tuple(metrics)
        self.has_test_split, reference, rest, self.count = split_real(train, test, count)
        self.validation = train.images[rest[-_num_validation(len(rest)) :]]
        self.reference = self._real(test, reference[: self.count])
        self.others = self._real(train, rest[: self.count])
        floors = [*self._to_reference(self.others), *self._to_training(self.reference)]
        self.floors = {each.name: each.model for each in floors}

    @property
    def split(self) -> str:
        """The split of the reference images, as metrics.jsonl names it."""
        return "test" if self.has_test_split else "half of train"

    @property
    def _labelled(self) -> bool:
        return self.classifier is not None and self.classifier.labelled

    def _real(self, source: Dataset, indices: Tensor) -> ImageSet:
        labels = source.labels[indices] if self._labelled and source.class_names else None
        return self.with_features(source.images[indices], labels)

    def with_features(self, pixels: Tensor, labels: Tensor | None) -> ImageSet:
        """Return images with their features."""
        if self.classifier is None:
            return ImageSet(pixels, labels, torch.empty(0), torch.empty(0, dtype=torch.int64))
        return ImageSet(pixels, labels, *self.classifier.extract(pixels))

    def compute_metrics(self, fake: ImageSet) -> list[Metric]:
        """Return the metrics of a model's images."""
        found = [*self._to_reference(fake), *self._to_training(fake)]
        return [dataclasses.replace(each, real=self.floors.get(each.name)) for each in found]

    def gan_train(self, fake: ImageSet, emit: Emit) -> Metric:
        """Return the GAN-train score: the accuracy in % on real images of a classifier trained on the model's images only
        (Shmelkov et al. 2018)."""
        assert self.classifier is not None
        assert fake.labels is not None
        assert self.reference.labels is not None
        device = self.classifier.head.weight.device
        data = training_data(self.train, fake.pixels, fake.labels)
        _, classes = fit(*data, device, self.train.stacked, emit).extract(self.reference.pixels)
        measure = _percentage(classes == self.reference.labels)
        return make_metric("gan-train", measure, len(fake), self.floors.get("gan-test"))

    def _to_reference(self, images: ImageSet) -> list[Metric]:
        """Return the metrics that compare images with the reference."""
        found, real, n = [], self.reference, len(images)
        if "frechet" in self.metrics:
            found.append(make_metric("frechet distance", distances.frechet(images.features, real.features), n))
        if "kernel" in self.metrics:
            found.append(make_metric("kernel distance", distances.kernel(images.features, real.features), n))
        if "prdc" in self.metrics:
            prdc = distances.neighbourhoods(images.features, real.features)
            found += [make_metric(name, MetricValue(value), n) for name, value in prdc._asdict().items()]
        if "parzen" in self.metrics and images.pixels[0].numel() <= LARGEST_PARZEN:
            found.append(make_metric("parzen log-likelihood", parzen(images.pixels, self.validation, real.pixels), n))
        if "swd" in self.metrics:
            few = min(MAX_COMPARED, n, len(real))
            levels = sliced_wasserstein(images.pixels[:few], real.pixels[:few])
            found += [
                make_metric(f"sliced wasserstein at {px} px", MetricValue(value), few) for px, value in levels.items()
            ]
        if "modes" in self.metrics and self._labelled:
            found += self._modes(images.classes)
        if "diversity" in self.metrics:
            found.append(make_metric("diversity", MetricValue(distances.diversity(images.features)), n))
        return found

    def _modes(self, classes: Tensor) -> list[Metric]:
        """Return how images are distributed over the classes."""
        num_classes, n = self.train.spec.num_classes, len(classes)
        counts = torch.bincount(classes, minlength=num_classes)
        if self.train.stacked:
            num_found, kl = distances.modes(counts)
            return [make_metric("modes", MetricValue(num_found), n), make_metric("modes kl", MetricValue(kl), n)]
        even = n / num_classes
        return [
            make_metric("classes found", MetricValue(int((counts > 0).sum())), n),
            make_metric("rarest class", MetricValue(counts.min().item() / even), n),
            make_metric("commonest class", MetricValue(counts.max().item() / even), n),
        ]

    def _to_training(self, images: ImageSet) -> list[Metric]:
        """Return the metrics that compare images with the training images, or with a classifier of them."""
        found = []
        if "labels" in self.metrics and images.labels is not None and self._labelled:
            found.append(make_metric("gan-test", _percentage(images.classes == images.labels), len(images)))
        if "nearest" in self.metrics and self.has_test_split:
            few = images.pixels[:MAX_COMPARED]
            rms, _ = nearest(few, self.train.images, 1)
            found.append(make_metric("nearest training image", mean(rms[:, 0]), len(few)))
        return found


def make_reference(
    train: Dataset,
    test: Dataset,
    data_root: Path,
    device: torch.device,
    count: int,
    emit: Emit,
    metrics: Sequence[str] = METRICS,
    gan_train: bool = False,
) -> ReferenceStatistics:
    """Return the reference of a dataset. The classifier, if `metrics` or `gan_train` need it, comes from the cache or is
    trained first."""
    split_real(train, test, count)  # raises before the training
    classifier = None
    if gan_train or not OF_CLASSIFIER.isdisjoint(metrics):
        classifier = evaluation_classifier(train, data_root, device, emit)
    emit(Preparing("measuring real images", 0, 0, ""))
    return ReferenceStatistics(train, test, classifier, count, metrics)


def _shuffled(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _percentage(hits: Tensor) -> MetricValue:
    """Return the share of hits in %, and its standard error."""
    p = hits.double().mean().item()
    return MetricValue(100 * p, 100 * (p * (1 - p) / len(hits)) ** 0.5)
