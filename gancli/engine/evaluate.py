"""Measuring a run while it trains, so that the best model is kept: losses do not tell which one that is.

Only training pictures are measured with, so that the test split stays unseen until `gan evaluate`.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gancli import images
from gancli.batches.pairs import PairBatches, upsample_bicubic
from gancli.config import RunConfig
from gancli.config.paths import data_root
from gancli.data.photographs import Photographs
from gancli.engine.evaluation import Evaluation
from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.events import Emit
from gancli.metrics import reference
from gancli.metrics.metric import Figure, Measure, mean
from gancli.metrics.reference import Yardstick
from gancli.metrics.super_resolution import psnr
from gancli.sampling import generate
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.variant import Variant

COUNT = 2000  # pictures drawn each time
PHOTOGRAPHS = 16


def prepare(run: RunConfig, session: Session, emit: Emit) -> Evaluation:
    """What `--eval-every` asks for. Raises `UsageError` for a metric that the variant does not have, and `GancliError`
    where the extra `metrics` is missing."""
    assert run.eval_every is not None
    measure: _Enlarged | _Drawn
    if isinstance(session.batches, PairBatches):
        measure = _Enlarged(session.batches, session.variant)
    else:
        measure = _drawn(run, session, emit)
    names = list(measure.names)
    metric = names[0] if run.eval_metric == "auto" else run.eval_metric
    if metric not in names:
        raise UsageError(f"--eval-metric {metric}: {run.variant} on {run.dataset} is measured by {', '.join(names)}")
    return Evaluation(measure, metric, run.eval_every, _best_so_far(session, metric))


def _best_so_far(session: Session, metric: str) -> float | None:
    """What `best.safetensors` measured, if this run wrote it before the step it goes on from."""
    path = session.directory.best
    if not path.exists():
        return None
    facts = from_header(path, read_header(path))
    points = facts.losses.get(metric, ())
    return points[-1][1] if points and facts.step <= session.step else None


class _Enlarged:
    """PSNR of the centres of the first training photographs: they were learnt from, so it is a guide, not a result."""

    split, seed, beside, names = "train", None, "bicubic", ("psnr",)

    def __init__(self, batches: PairBatches, variant: Variant) -> None:
        self._batch = batches.preview(PHOTOGRAPHS)
        self._scale = variant.scale
        self._bicubic = self._psnr(lambda low_res: upsample_bicubic(low_res, variant.scale))

    def __call__(self, generator: nn.Module) -> list[Figure]:
        return [Figure("psnr", "dB", True, len(self._batch.images), self._psnr(generator), self._bicubic)]

    @torch.inference_mode()
    def _psnr(self, enlarging: Callable[[Tensor], Tensor]) -> Measure:
        found = []
        for truth, low_res in zip(self._batch.images, self._batch.condition, strict=True):
            sharp = images.to_uint8(enlarging(low_res[None]))[0].cpu()
            found.append(psnr(sharp, images.to_uint8(truth).cpu(), self._scale))
        return mean(found)


def _drawn(run: RunConfig, session: Session, emit: Emit) -> "_Drawn":
    source = session.source
    assert not isinstance(source, Photographs)
    root = data_root(run.data_root).path
    metrics = ("frechet", "prdc", "labels", *(("modes",) if source.stacked else ()))
    stick = reference.make(source, source, root, session.machine.device, COUNT, emit, metrics)
    return _Drawn(stick, session.variant, session.machine.device)


class _Drawn:
    """Fréchet distance, coverage and density against a half of the training pictures, and the modes of stacks; the same
    seeds each time. `names`: of what is measured, and what `metrics` calls it."""

    seed, beside = 0, "real pictures"

    def __init__(self, stick: Yardstick, variant: Variant, device: torch.device) -> None:
        self._stick, self._variant, self._device = stick, variant, device
        self.split = stick.split
        self.names = {"frechet": "frechet distance", "coverage": "coverage", "density": "density"}
        self.names |= {"gan-test": "gan-test"} if variant.conditional else {}
        self.names |= {"modes": "modes", "kl": "modes kl"} if stick.train.stacked else {}
        labels = tuple(range(variant.images.num_classes)) if variant.conditional else (0,)
        self._wanted = generate.requests(COUNT, self.seed, labels)
        self._labels = torch.tensor([request.label for request in self._wanted]) if variant.conditional else None

    def __call__(self, generator: nn.Module) -> list[Figure]:
        pixels = generate.draw_all(self._variant, generator, self._wanted, self._device)
        found = {figure.name: figure for figure in self._stick.figures(self._stick.seen(pixels, self._labels))}
        return [dataclasses.replace(found[name], name=short) for short, name in self.names.items() if name in found]
