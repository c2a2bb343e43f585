"""Resolve every option that the user left open (`None`, `auto`), by rules; and what follows for data, phases and steps."""

import dataclasses
import logging
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gancli.batches.index_stream import IndexStream, split_held_out
from gancli.batches.labelled import LabelledBatches
from gancli.batches.pairs import PairBatches
from gancli.catalogue import contract
from gancli.config import RunConfig, VariantConfig, fields_of, interval
from gancli.config.interval import Interval
from gancli.config.option import reject_unused_options
from gancli.config.paths import data_root
from gancli.data.cache_entries import COMPILED
from gancli.data.dataset import Dataset
from gancli.data.names import dataset_names
from gancli.data.options import CropMode
from gancli.data.photographs import PhotoDataset, check_scale
from gancli.engine.start_model import choose_start
from gancli.errors import UsageError, VariantError
from gancli.machine.device import (
    SINGLE_PROCESS,
    Machine,
    Precision,
    choose_compile,
    choose_device,
    choose_graph,
    choose_onednn,
    choose_precision,
    choose_strides,
    choose_threads,
)
from gancli.machine.ranks import Ranks
from gancli.nn import penalties
from gancli.spec import ImageSpec
from gancli.steps.capture import no_capture
from gancli.steps.runner import StepExecution
from gancli.store.facts import Facts
from gancli.variant import ConditionType, Phase, Variant, on_meta_device

# Defaults.
SAVE_EVERY_S = 600.0
SAVES_PER_RUN = 10  # of samples and states
HELD_OUT_FROM, HELD_OUT_TO = 100, 20_000  # images: fewer cannot spare any; of more, none is seen often
HELD_OUT_SHARE, MIN_HELD_OUT, MAX_HELD_OUT = 1 / 16, 8, 256
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
COMPILER_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Plan:
    """A run with every option resolved. `run` has None only for options without a value (within, max_time, out). `requested`
    and `requested_own` are the options as given, without those that belong to this machine."""

    run: RunConfig
    own: VariantConfig
    requested: RunConfig
    requested_own: VariantConfig
    machine: Machine
    steps: int
    sample_every: int
    save_every: Interval
    graph: bool  # whether whole steps are captured and replayed
    num_images: int  # of the training, without held-out ones

    @property
    def batch_size(self) -> int:
        """The number of images of a step."""
        return self.run.batch_size * self.run.accumulate

    def samples_due(self, step: int) -> bool:
        """Whether samples are generated after so many steps: after every `sample_every`, and by default also after 1, 2,
        4, 8 … log intervals, when they change most."""
        intervals, rest = divmod(step, self.run.log_every)
        early = (
            self.requested.sample_every is None and step < self.sample_every and not rest and intervals.bit_count() == 1
        )
        return early or step % self.sample_every == 0


def resolve_plan(
    run: RunConfig,
    own: VariantConfig,
    source: Dataset | PhotoDataset,
    variant_class: type[Variant],
    ranks: Ranks = SINGLE_PROCESS,
    saved: Facts | None = None,
    requested: RunConfig | None = None,
) -> Plan:
    """Resolve all options for a dataset and a variant; in a resumed run, open options keep the values of the `saved`
    state. `requested`: the options of `run` that belong to the run and not to this machine (by default all). Raises
    `UsageError` for options that this machine or the data do not allow."""
    held_out = _held_out(run, source, variant_class, saved)
    stream = IndexStream(source.num_images - (held_out or 0), run.batch_size * run.accumulate, run.seed)
    steps = run.steps if run.steps is not None else (run.epochs or 1) * stream.steps_per_epoch
    device = choose_device(run.device, ranks)
    precision = _precision(run.precision, device, variant_class, saved)
    resolved_own = variant_class.resolve_defaults(_as_saved(own, saved), steps, source.num_images)
    with on_meta_device():
        variant = variant_class(resolved_own, source.spec)
    contract.check_built(variant)
    _check_batch(run.batch_size, variant, variant_class.num_parts(resolved_own, run.batch_size))
    _check_accumulate(run, resolved_own, variant, ranks)
    flop = step_flop(variant, run.batch_size // ranks.world)
    threads = choose_threads(run.threads, flop, ranks.local_world)
    every = interval_steps(steps, SAVES_PER_RUN, run.log_every)
    sample_every = run.sample_every or every
    save_every = interval.parse(run.save_every) if run.save_every else Interval(every, SAVE_EVERY_S)
    resolved = dataclasses.replace(
        run,
        device=str(device),
        precision=precision,
        threads=threads,
        init_from=choose_start(run, variant, saved),
        image_size=source.spec.size,
        fit=choose_fit(run, variant_class.condition_type),
        mirror=_mirror(run, source, variant_class),
        held_out=held_out,
        sample_every=sample_every,
        save_every=str(save_every),
    )
    graph = run.accumulate == 1 and choose_graph(run.graph, device)
    chosen = Machine(device, precision, threads, ranks, choose_onednn(device, ranks))
    return Plan(
        resolved, resolved_own, requested or run, own, chosen, steps, sample_every, save_every, graph, stream.num_images
    )


def choose_fit(run: RunConfig, condition: ConditionType) -> CropMode | None:
    """Return how images are made square: `--fit`, by default a centre crop; None if nothing is to be made square, for
    which `--fit` raises `UsageError`."""
    if condition == "low_res" or run.dataset in dataset_names():
        why = f"the images of {run.dataset} are square"
        if condition == "low_res":
            why = f"{run.variant} trains on crops of the original images"
        reject_unused_options(("--fit", run.fit), why=f"has no effect: {why}")
        return None
    return run.fit or "crop"


def _mirror(run: RunConfig, source: Dataset | PhotoDataset, variant_class: type[Variant]) -> bool | None:
    """Whether images are mirrored: `--mirror`, by default those of the user's own that are in colour, as grey ones are
    often text. Raises `UsageError` for a variant that always rotates and mirrors."""
    if variant_class.condition_type == "low_res":
        if run.mirror is not None:
            raise UsageError(f"--mirror: {run.variant} always rotates and mirrors its crops; omit it")
        return None
    own = run.dataset not in dataset_names()
    return own and source.spec.channels == 3 if run.mirror is None else run.mirror


def _held_out(
    run: RunConfig, source: Dataset | PhotoDataset, variant_class: type[Variant], saved: Facts | None
) -> int | None:
    """Return how many images are held out: `--held-out`, else as in the `saved` state, else some of the user's own images
    where they are few enough to be memorised. None for a variant without a D that judges images. Raises `UsageError`."""
    count = source.num_images
    if not variant_class.has_d_logits():
        reject_unused_options(("--held-out", run.held_out), why=f"{run.variant} has no D that judges single images")
        return None
    if run.held_out is not None:
        if 0 < run.held_out < MIN_HELD_OUT or run.held_out >= count:
            raise UsageError(
                f"--held-out {run.held_out}: must be 0, or {MIN_HELD_OUT} to {count - 1} of the {count} images"
            )
        return run.held_out
    if saved is not None:
        return saved.held_out
    if run.dataset in dataset_names() or not HELD_OUT_FROM <= count <= HELD_OUT_TO:
        return 0
    return max(MIN_HELD_OUT, min(MAX_HELD_OUT, int(count * HELD_OUT_SHARE)))


def _as_saved(own: VariantConfig, saved: Facts | None) -> VariantConfig:
    """Return `own` with its open options as they are in the saved state."""
    if saved is None:
        return own
    left_open = [field.name for field in fields_of(type(own)) if getattr(own, field.name) is None]
    return dataclasses.replace(own, **{name: getattr(saved.config, name) for name in left_open})


def _precision(requested: str, device: torch.device, variant_class: type[Variant], saved: Facts | None) -> Precision:
    """Return `--precision`, by default that of the saved state, and for a new run that of `choose_precision`."""
    if saved is None or requested != "auto":
        return choose_precision(requested, device, variant_class.convolutional)
    try:
        return choose_precision(saved.precision, device, variant_class.convolutional)
    except UsageError as error:
        raise UsageError(f"{error} (the state was saved in {saved.precision}; it can be resumed in another)") from None


def interval_steps(steps: int, parts: int, log_every: int) -> int:
    """Return the number of steps in one of so many parts of the run, rounded up to whole log intervals."""
    return math.ceil(steps / parts / log_every) * log_every


def check_images(own: VariantConfig, variant_class: type[Variant], images: ImageSpec) -> None:
    """Raises `UsageError` if the variant cannot be built for such images."""
    with on_meta_device():
        variant = variant_class(own, images)
    check_scale(images.size, variant.scale)


def _check_batch(batch_size: int, variant: Variant, num_parts: int) -> None:
    """Raises `UsageError` for a batch with too few images for its parts: one each, or two if a layer normalises units over
    the batch only."""
    modules = (module for network in variant.networks.values() for module in network.modules())
    if batch_size < 2 * num_parts and any(isinstance(module, nn.BatchNorm1d) for module in modules):
        updates = "step" if num_parts == 1 else f"update, and a step has {num_parts} of D"
        raise UsageError(
            f"--batch-size {batch_size}: batch normalisation needs at least 2 images per {updates}; give "
            f"{2 * num_parts}, or --norm none"
        )
    if batch_size < num_parts:
        raise UsageError(
            f"--batch-size {batch_size}: cannot be divided into {num_parts} parts; give at least {num_parts}"
        )


def _check_accumulate(run: RunConfig, own: VariantConfig, variant: Variant, ranks: Ranks) -> None:
    """Raises `UsageError` if a step cannot be computed in `--accumulate` parts: with batch norm, a capture, or parts that
    the variant would split otherwise than the batch."""
    if run.accumulate == 1:
        return
    asked = f"--accumulate {run.accumulate}"
    normalised = [
        name
        for name, network in variant.networks.items()
        if any(isinstance(module, BATCH_NORMS) for module in network.modules())
    ]
    if normalised:
        raise UsageError(
            f"{asked}: the {' and '.join(normalised)} of this {run.variant} has batch norm, which needs the whole batch at "
            "once; use --batch-size alone, or networks without it (--norm none in vanilla, cgan and lapgan; lapgan also "
            "needs --coarse-layers dense)"
        )
    reject_unused_options(
        ("--graph", run.graph), ("--compile", run.compile in ("yes", "max") and run.compile),
        why=f"steps in the parts of {asked} are neither captured nor compiled; omit one of the two",
    )  # fmt: skip
    modules = [module for network in variant.networks.values() for module in network.modules()]
    drops = any(isinstance(module, nn.Dropout) and module.p for module in modules)
    parts, share = (
        type(variant).num_parts(own, size) for size in (run.batch_size * run.accumulate, run.batch_size // ranks.world)
    )
    # Of an eighth of the batch, on which D is penalised, all parts must have as many images if D draws numbers for them.
    multiple = parts * ranks.world * (penalties.ONE_IN if drops else 1)
    if parts != share or run.batch_size % multiple:
        why = "dropout and penalties" if drops else f"the {parts} updates in a step of {run.variant}"
        raise UsageError(f"--batch-size {run.batch_size}: must be a multiple of {multiple} with {asked}, for {why}")


def step_flop(variant: Variant, batch_size: int) -> float:
    """Return about how many floating-point operations a step takes; infinity for convolutions, which always repay threads.

    A fully connected weight costs 2 FLOP per image and pass; a step makes about 3 passes of G and 6 of D.
    """
    if variant.convolutional:
        return math.inf
    weights = {name: sum(p.numel() for p in net.parameters()) for name, net in variant.networks.items()}
    return sum(2.0 * batch_size * count * (3 if name.startswith("G") else 6) for name, count in weights.items())


def batches(planned: Plan, source: Dataset | PhotoDataset, variant: Variant) -> LabelledBatches | PairBatches:
    """Return the batches that the variant reads: images with labels, or with their low-resolution versions."""
    run, machine = planned.run, planned.machine
    channels_last, share = variant.convolutional, machine.ranks.share
    if isinstance(source, PhotoDataset):
        return PairBatches(source, machine.device, planned.batch_size, run.seed, variant.scale, channels_last, share)
    indices = split_held_out(source.num_images, run.held_out)[0] if run.held_out else None
    return LabelledBatches(
        source, machine.device, planned.batch_size, run.seed, channels_last, share, bool(run.mirror), indices
    )


def step_execution(planned: Plan, convolutional: bool, phase_steps: int, steps_left: int) -> StepExecution:
    """Return how the steps of a phase of `phase_steps` steps, of which `steps_left` are left, are executed."""
    device, compile_ = planned.machine.device, planned.run.compile
    if planned.run.accumulate > 1:
        return StepExecution(parts=planned.run.accumulate)
    captured = choose_strides(device, convolutional, steps_left) if planned.graph else ()
    if not choose_compile(compile_, device, convolutional, phase_steps):
        return StepExecution(captured)
    _set_compiler_cache(data_root(planned.run.data_root).path)
    capture = None if planned.graph else no_capture
    return StepExecution(captured or (1,), capture, compiled=True, thorough=compile_ == "max")


def _set_compiler_cache(root: Path) -> None:
    """Let torch store compiled steps under a data root, where the next run finds them; a user's own
    TORCHINDUCTOR_CACHE_DIR wins. If the folder is not writable, torch uses the system's temporary folder."""
    for name in ("torch._inductor", "torch.utils.cpp_extension"):  # they log warnings about this machine
        logging.getLogger(name).setLevel(logging.ERROR)
    if COMPILER_CACHE in os.environ:
        return
    folder = root / "cache" / COMPILED
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK | os.X_OK):
        os.utime(folder)  # last used now, as `gan cache` shows
        os.environ[COMPILER_CACHE] = str(folder)


class PhaseSchedule:
    """The phases of a run in their order. `spans`: each phase with the step that it starts from, and that it ends at."""

    def __init__(self, phases: Iterable[Phase], steps: int) -> None:
        self.spans: list[tuple[Phase, int, int]] = []
        start = 0
        for phase in phases:
            self.spans.append((phase, start, start + phase.steps))
            start += phase.steps
        if start != steps:
            raise VariantError(
                f"phases: have {start} steps together, and the run has {steps}; the variant must divide them"
            )
        self._steps = steps

    def __len__(self) -> int:
        return len(self.spans)

    def check_empty(self) -> Iterator[str]:
        """Yield a warning for each phase without steps, in a run that has some."""
        for phase, start, end in self.spans:
            if start == end:
                yield (
                    f"--steps {self._steps}: leaves no steps for phase {phase.name}; increase it (or --within), or give the "
                    "other phases fewer"
                )

    def remaining(self, step: int) -> Iterator[tuple[int, Phase, int, int]]:
        """Yield index, phase, first step and end of the phases that do not end before or at `step`; the first of them
        starts from `step`."""
        for index, (phase, start, end) in enumerate(self.spans):
            if step < end:
                yield index, phase, max(start, step), end

    def phase_at(self, step: int) -> Phase:
        """Return the phase of the step that follows `step`."""
        (phase,) = (phase for phase, start, end in self.spans if start <= step < end)
        return phase

    def span_of(self, phase: Phase) -> tuple[int, int]:
        """Return the steps that one of the phases starts from and ends at."""
        ((start, end),) = ((start, end) for each, start, end in self.spans if each is phase)
        return start, end
