"""Warn once about a run: too few images or steps, a D that is always right, samples that are all alike, overfitting of D,
hours of training, and other processes that slow it down."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gancli import catalogue, images
from gancli.batches.index_stream import split_held_out
from gancli.config import RunConfig, VariantConfig
from gancli.data.dataset import Dataset
from gancli.data.names import dataset_names
from gancli.data.photographs import PhotoDataset
from gancli.engine.clock import Clock
from gancli.engine.plan import Plan
from gancli.format import count
from gancli.machine.contention import ContentionMonitor
from gancli.machine.device import Machine
from gancli.process import CPUS
from gancli.sampling import generate
from gancli.steps.runner import StepRunner
from gancli.text import Note, counted
from gancli.variant import LearningRateOptions, Variant

FEW_IMAGES, FEW_STEPS = 100, 2_000

PERFECT_D_LOSS = 0.05  # nats: D is right about nearly every image (by chance its loss is 2 ln 2 = 1.39)
PERFECT_INTERVALS = 5  # in a row
EARLIEST_STEP = 200  # before it, losses and samples say little: G has hardly begun to learn
MIN_SPREAD = 2.0  # of 255 levels: mean distance of samples of one class from their mean

LONG_S = 2 * 3600.0
WARM_UP_S = 15.0  # the first steps take longer: kernels are chosen, a step is captured
TIMED_S, TIMED_STEPS = 30.0, 3  # to measure the pace, after the warm-up
LARGE = 32  # pixels
QUICK = "quick"  # the preset with a limited time
EVALUATIONS = 10  # of a run that takes hours

MAX_IMAGES = 256  # of training, held-out and generated images each
CHUNK = 64
OVERFITTING_CHECKS = 50  # in a run
CHECKS_IN_A_ROW = 3  # that find D overfitting, before the warning
OVERFIT_SHARE = 0.5
STANDARD_ERRORS = 3.0  # of the difference of means

CONTENDED_S = 10.0  # for which other processes must compete for the CPUs
MIN_SPEEDUP = 1.1  # that is worth another number of threads


def data_messages(planned: Plan, variant_class: type[Variant], num_images: int, step: int) -> Iterator[str]:
    """Yield warnings for too few images of the user's own, too few steps on them, and a warmup longer than the run; and at
    step 0 a note if images are held out by default."""
    run, low_res = planned.run, variant_class.condition_type == "low_res"
    own = run.dataset not in dataset_names() and not low_res
    if own and num_images < FEW_IMAGES:
        yield (
            f"--dataset {run.dataset}: only {counted(num_images, 'image')}: the model will memorise them; "
            "use a few hundred or more"
        )
    if own and planned.steps < FEW_STEPS:
        shortened = run.within is not None
        cause = f"--within {run.within}: {counted(planned.steps, 'step')}" if shortened else f"--steps {planned.steps}"
        remedy = "give a longer time" if shortened else "omit --steps and --epochs to use the default length"
        yield f"{cause}: training on your own images takes a few thousand steps; {remedy}"
    if isinstance(planned.own, LearningRateOptions) and planned.own.warmup > planned.steps:
        length = counted(planned.steps, "step")
        yield f"--warmup {planned.own.warmup}: the run has {length}, so --lr is not reached; give less"
    if run.held_out and planned.requested.held_out is None and step == 0:
        yield Note(
            f"--dataset {run.dataset}: {run.held_out} of its {num_images} images are held out of training to detect "
            "overfitting of D (--held-out 0: none)"
        )


class TrainingChecks:
    """Warns of a D that is always right, and of samples that are all alike."""

    def __init__(self) -> None:
        self._perfect_intervals: dict[str, int] = {}
        self._warned: set[str] = set()

    def check_losses(self, step: int, means: Mapping[str, float]) -> Iterator[str]:
        """Yield a warning for a D whose loss stays near 0, from which G learns nothing (Arjovsky & Bottou 2017, section
        2). `means`: of the losses of an interval, by name."""
        for name, mean in means.items():
            if not name.startswith("d_loss"):
                continue
            intervals = self._perfect_intervals.get(name, 0) + 1 if mean < PERFECT_D_LOSS else 0
            self._perfect_intervals[name] = intervals
            if step >= EARLIEST_STEP and intervals >= PERFECT_INTERVALS and self._is_first(name):
                yield (
                    f"{name} has been below {PERFECT_D_LOSS} up to step {step}: D recognises every generated image, "
                    "and G may not learn any more; try a larger --r1, a lower --lr or a narrower D"
                )

    def check_samples(self, step: int, pixels: Tensor, num_classes: int) -> Iterator[str]:
        """Yield a warning for samples that are all alike: G has collapsed (Goodfellow 2016, section 5.1.1). `pixels`:
        uint8 `[N, C, H, W]`, of `num_classes` classes in turn, or 1."""
        if step < EARLIEST_STEP:
            return
        groups = [pixels[label::num_classes].float() for label in range(num_classes)]
        spreads = [float((group - group.mean(0)).abs().mean()) for group in groups if len(group) > 1]
        if spreads and max(spreads) < MIN_SPREAD and self._is_first("samples"):
            yield (
                f"the samples of step {step} are all alike (they differ from their mean by {max(spreads):.1f} of 255): "
                "G may have collapsed; try a larger --batch-size, a lower --lr or an earlier state"
            )

    def _is_first(self, warning: str) -> bool:
        if warning in self._warned:
            return False
        self._warned.add(warning)
        return True


class TimeEstimate:
    """Notes once that a run will take hours, unless `--max-time` or `--within` limits it. `image_size`: None for crops."""

    def __init__(self, run: RunConfig, image_size: int | None) -> None:
        self._done = run.max_time is not None or run.within is not None
        self._start: tuple[float, int] | None = None  # seconds and steps at the end of the warm-up
        self._evaluates = run.eval_every is not None
        self._smaller = (
            f"; smaller images train faster (--image-size {LARGE})" if image_size and image_size > LARGE else ""
        )
        presets = catalogue.variant_info(run.variant).config_class.presets
        within = presets.get(QUICK, {}).get("within") if run.preset != QUICK else None
        self._shorter = f"; a new run with --preset {QUICK} takes about {within}" if within else ""

    def __call__(self, clock: Clock, steps: int, steps_left: int) -> Iterator[str]:
        """Yield the note when enough of the run's `steps` were timed."""
        if self._done or clock.trained_s < WARM_UP_S:
            return
        if self._start is None:
            self._start = clock.trained_s, clock.steps
        seconds, timed = clock.trained_s - self._start[0], clock.steps - self._start[1]
        if seconds < TIMED_S or timed < TIMED_STEPS:
            return
        self._done = True
        if (seconds_left := seconds / timed * steps_left) <= LONG_S:
            return
        # Not done by default: whether it pays depends on the pace, on which results must not depend.
        every = max(1, steps // EVALUATIONS)
        best = "" if self._evaluates else f"; --eval-every {every} (also with --resume) keeps the best model so far"
        yield Note(
            f"at this pace the {steps} steps take about {seconds_left / 3600:.0f} h; you can stop earlier (Ctrl-C, or "
            f"--max-time 1h), which saves the model, and resume later with --resume{best}{self._shorter}{self._smaller}"
        )


class OverfittingMonitor:
    """Compares D's outputs for training images (`train`, int64 indices) with those for `held_out` images.

    It changes nothing in a run: it draws no random numbers, and networks are in eval mode.
    """

    def __init__(self, source: Dataset, train: Tensor, held_out: Tensor, device: torch.device) -> None:
        chosen = train[torch.linspace(0, len(train) - 1, min(MAX_IMAGES, len(train))).long()]
        self._train, self._held_out = ((source.images[part], source.labels[part]) for part in (chosen, held_out))
        self._device = device
        self._in_a_row = self._most_in_a_row = 0

    def measure(self, variant: Variant, generator: nn.Module) -> float:
        """Return how far D tells training from held-out images, relative to how far it tells training from generated
        ones: 0 is not at all (r_v of Karras et al. 2020, arXiv:2006.06676, equation 1)."""
        fake, _ = generate.preview_samples(variant, generator, self._device)
        labels = torch.arange(len(fake)) % max(1, variant.images.num_classes if variant.conditional else 1)
        with _eval_mode(tuple(variant.networks.values())):
            train, held_out, generated = (
                self._logits(variant, *each) for each in (self._train, self._held_out, (fake, labels))
            )
        return overfitting(train, held_out, generated)

    def is_overfitting(self, share: float) -> bool:
        """Whether this check is the first time that `measure` was large in several checks in a row."""
        self._in_a_row = self._in_a_row + 1 if share > OVERFIT_SHARE else 0
        first = self._in_a_row == CHECKS_IN_A_ROW > self._most_in_a_row
        self._most_in_a_row = max(self._most_in_a_row, self._in_a_row)
        return first

    @torch.no_grad()
    def _logits(self, variant: Variant, pixels: Tensor, labels: Tensor) -> Tensor:
        """Return D's logits for uint8 images: float `[N]`, on the CPU."""
        chunks = zip(torch.split(pixels, CHUNK), torch.split(labels, CHUNK), strict=True)
        logits = [
            variant.d_logits(images.to_float(some.to(self._device)), which.to(self._device)) for some, which in chunks
        ]
        return torch.cat([each.float().flatten().cpu() for each in logits])


def overfitting_monitor(planned: Plan, source: Dataset | PhotoDataset) -> OverfittingMonitor | None:
    """Return the monitor of overfitting, in the first process, if images are held out."""
    if not planned.run.held_out or isinstance(source, PhotoDataset) or not planned.machine.ranks.first:
        return None
    train, held_out = split_held_out(source.num_images, planned.run.held_out)
    return OverfittingMonitor(source, train, held_out, planned.machine.device)


def overfitting(train: Tensor, held_out: Tensor, generated: Tensor) -> float:
    """Return the distance of D's mean logits for training and held-out images, relative to that for training and generated
    images: 0 to 2. 0 if the distance may be due to chance. Logits: float `[N]`."""
    gap, whole = float(train.mean() - held_out.mean()), float(train.mean() - generated.mean())
    error = float((train.var() / len(train) + held_out.var() / len(held_out)).sqrt())
    return gap / max(whole, gap / 2) if gap > max(STANDARD_ERRORS * error, 0.0) else 0.0


def overfitting_warning(run: RunConfig, own: VariantConfig, step: int, share: float) -> str:
    """Return the warning of overfitting, with what may help."""
    remedies = ["more images", "fewer --steps (earlier states and samples are kept)"]
    if not run.mirror:
        remedies.append("--mirror, unless they contain text")
    if getattr(own, "augment", "") in (None, "none"):
        remedies.append("--augment colour,translation,cutout")
    return (
        f"D is overfitting: at step {step} its outputs for training and for {run.held_out} held-out images are "
        f"{share:.1f} times as far apart as those for training and generated images, so G will copy training images; try "
        f"{', '.join(remedies)}"
    )


@contextmanager
def _eval_mode(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Set the networks to eval mode, and back: no dropout, and no updates of running statistics."""
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for network in networks:
            network.train()


def contention_note(
    machine: Machine, batch_size: int, step: int, runner: StepRunner, others: ContentionMonitor
) -> Note | None:
    """Return a note with the speed, and the speed with fewer threads in a trial, if other processes have competed for the
    CPUs for a while; else None. The trial does not change the run."""
    if others.duration_s() < CONTENDED_S or not others.steps_per_s:
        return None
    fewer = max(1, min(machine.threads - 1, len(CPUS) - math.ceil(others.other_cpus - 0.5)))
    now, with_fewer = (batch_size * rate for rate in (others.steps_per_s, runner.steps_per_second_with(step, fewer)))
    cause = f"other processes use {others.other_cpus:.1f} of the {len(CPUS)} CPUs"
    if with_fewer > MIN_SPEEDUP * now:
        return Note(
            f"{cause}: training runs at {count(now)} images/s with {machine.threads} threads, and at {count(with_fewer)} "
            f"in a trial with --threads {fewer}; to change it, stop and resume with that option (results differ by "
            "rounding)"
        )
    return Note(f"{cause}, which slows down training; fewer threads do not help (tried --threads {fewer})")
