"""Evaluate a run while it trains (`--eval-every`), to keep the best model: losses do not show which one that is.

Only training images are used, so that the test split stays unseen until `gan evaluate`.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gancli import events, images
from gancli.batches.pairs import PairBatches, upsample_bicubic
from gancli.config.paths import data_root
from gancli.data.photographs import PhotoDataset
from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.events import Emit
from gancli.metrics import reference
from gancli.metrics.metric import Metric, MetricValue, comparison, mean
from gancli.metrics.super_resolution import psnr
from gancli.sampling import generate
from gancli.store.evaluations import higher_is_better
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.variant import Variant

COUNT = 2000  # images generated for each evaluation
PHOTOGRAPHS = 16


class Evaluation:
    """Evaluates the averaged generator every `--eval-every` steps, and knows the best value of `--eval-metric` so far.

    Raises `UsageError` for a metric that the variant does not have.
    """

    def __init__(self, session: Session, emit: Emit) -> None:
        run = session.run
        assert run.eval_every is not None
        self.every = run.eval_every
        self._metrics: _EnlargedMetrics | _GeneratedMetrics
        if isinstance(session.batches, PairBatches):
            self._metrics = _EnlargedMetrics(session.batches, session.variant)
        else:
            self._metrics = _GeneratedMetrics(session, emit)
        names = self._metrics.names
        self._metric = names[0] if run.eval_metric == "auto" else run.eval_metric
        if self._metric not in names:
            raise UsageError(
                f"--eval-metric {self._metric}: {run.variant} on {run.dataset} is measured by {', '.join(names)}"
            )
        self._best = _best_so_far(session, self._metric)

    def __call__(self, session: Session) -> events.Evaluated:
        """Evaluate the session's averaged generator, and return the metrics."""
        found, metrics = self._metrics(session.average.refresh()), self._metrics
        values = {figure.name: figure.model.value for figure in found}
        session.history.add(session.step, values)
        best = self._is_best(values[self._metric])
        session.clock.restart()
        compared = comparison(found, session.run.dataset, metrics.split, metrics.seed, metrics.beside)
        return events.Evaluated(session.step, values, self._metric, best, str(session.directory.best), compared)

    def _is_best(self, value: float) -> bool:
        """Whether a value of the metric is the best so far, which it then becomes."""
        best = self._best
        better = best is None or (value > best if higher_is_better(self._metric) else value < best)
        if better:
            self._best = value
        return better


def _best_so_far(session: Session, metric: str) -> float | None:
    """Return the metric of `best.safetensors`, if this run wrote it before the step that it resumes from."""
    path = session.directory.best
    if not path.exists():
        return None
    facts = from_header(path, read_header(path))
    points = facts.losses.get(metric, ())
    return points[-1][1] if points and facts.step <= session.step else None


class _EnlargedMetrics:
    """Computes the PSNR of the centres of the first training images: a guide, as the model was trained on them.

    `names`: the metrics; `split`: the part of the dataset that a generator is compared with; `seed`: that of the first
    generated image; `beside`: the reference, of which the figures have the score."""

    split, seed, beside, names = "train", None, "bicubic", ("psnr",)

    def __init__(self, batches: PairBatches, variant: Variant) -> None:
        self._batch = batches.preview(PHOTOGRAPHS)
        self._scale = variant.scale
        self._bicubic = self._psnr(lambda low_res: upsample_bicubic(low_res, variant.scale))

    def __call__(self, generator: nn.Module) -> list[Metric]:
        return [Metric("psnr", "dB", True, len(self._batch.images), self._psnr(generator), self._bicubic)]

    @torch.inference_mode()
    def _psnr(self, enlarge: Callable[[Tensor], Tensor]) -> MetricValue:
        found = []
        for truth, low_res in zip(self._batch.images, self._batch.condition, strict=True):
            enlarged = images.to_uint8(enlarge(low_res[None]))[0].cpu()
            found.append(psnr(enlarged, images.to_uint8(truth).cpu(), self._scale))
        return mean(found)


class _GeneratedMetrics:
    """Computes the Fréchet distance, coverage and density against a half of the training images, and the modes of
    stacked-mnist; with the same seeds each time. Attributes: as above."""

    seed, beside = 0, "real images"

    def __init__(self, session: Session, emit: Emit) -> None:
        source, variant = session.source, session.variant
        assert not isinstance(source, PhotoDataset)
        self._variant, self._device = variant, session.machine.device
        metrics = ("frechet", "prdc", "labels", *(("modes",) if source.stacked else ()))
        root = data_root(session.run.data_root).path
        self._yardstick = reference.make_reference(source, source, root, self._device, COUNT, emit, metrics)
        self.split = self._yardstick.split
        self._full_names = {"frechet": "frechet distance", "coverage": "coverage", "density": "density"}
        self._full_names |= {"gan-test": "gan-test"} if variant.conditional else {}
        self._full_names |= {"modes": "modes", "kl": "modes kl"} if source.stacked else {}
        self.names = tuple(self._full_names)
        labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
        self._requests = generate.requests(COUNT, self.seed, labels)
        self._labels = torch.tensor([request.label for request in self._requests]) if variant.conditional else None

    def __call__(self, generator: nn.Module) -> list[Metric]:
        pixels = generate.generate_all(self._variant, generator, self._requests, self._device)
        found = {
            figure.name: figure
            for figure in self._yardstick.compute_metrics(self._yardstick.with_features(pixels, self._labels))
        }
        return [dataclasses.replace(found[full], name=name) for name, full in self._full_names.items() if full in found]
