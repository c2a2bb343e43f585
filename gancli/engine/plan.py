"""From what the user asked to what will be done: every `None` and `auto` worked out, by rules."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import nn

from gancli.batches.stream import IndexStream
from gancli.config import RunConfig, VariantConfig, fields_of, interval
from gancli.config.interval import Interval
from gancli.config.option import refuse
from gancli.data.fit import Fit
from gancli.data.names import source_names
from gancli.data.photographs import Photographs, check_scale
from gancli.data.source import Source
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.machine.device import (
    ALONE,
    Machine,
    Precision,
    choose_device,
    choose_graph,
    choose_onednn,
    choose_precision,
    choose_threads,
)
from gancli.machine.ranks import Ranks
from gancli.store.facts import Facts
from gancli.variant import Reads, Variant, on_meta

SAVED_WITHIN_S = 600.0  # nobody loses more who has not asked for something else

TENTHS = 10  # how often in a run samples are drawn and states saved unasked
MIRRORED_BELOW = 10_000  # pictures
HOLDS_OUT_FROM, HOLDS_OUT_TO = 100, 20_000  # fewer are told to be few; of more, none is seen often
HELD_OUT_OF, FEWEST_HELD_OUT, MOST_HELD_OUT = 16, 8, 256


@dataclass(frozen=True)
class Plan:
    """A run with nothing left open. `run` has no None but for what was really not asked (max_time, out). `asked` and
    `asked_own` are as they were before, without what belongs to this machine."""

    run: RunConfig
    own: VariantConfig
    asked: RunConfig
    asked_own: VariantConfig
    machine: Machine
    steps: int
    sample_every: int
    save_every: Interval
    graph: bool  # whether whole steps are captured and replayed
    num_images: int  # that are trained on

    def draws(self, step: int) -> bool:
        """Whether samples are drawn after so many steps: every so often, and where that was not asked for also before, after
        1, 2, 4, 8 … log intervals, when they change most and are waited for."""
        intervals, rest = divmod(step, self.run.log_every)
        early = self.asked.sample_every is None and step < self.sample_every and not rest and intervals.bit_count() == 1
        return early or step % self.sample_every == 0


def make(
    run: RunConfig,
    own: VariantConfig,
    source: Source | Photographs,
    variant_class: type[Variant],
    ranks: Ranks = ALONE,
    saved: Facts | None = None,
    asked: RunConfig | None = None,
) -> Plan:
    """Work everything out for a data set and a variant; where a run goes on, what was left open stays what it came to when
    its state was `saved`. `asked`: what of `run` belongs to the run (by default all). Raises `UsageError` for a machine that
    lacks what is asked."""
    held_out = _held_out(run, source, variant_class, saved)
    stream = IndexStream(source.num_images - (held_out or 0), run.batch_size, run.seed)
    steps = run.steps if run.steps is not None else (run.epochs or 1) * stream.steps_per_epoch
    device = choose_device(run.device, ranks)
    precision = _precision(run.precision, device, variant_class, saved)
    settled = variant_class.settled(_filled(own, saved), steps, source.num_images)
    with on_meta():
        variant = variant_class(settled, source.spec)
    _check_batch(run.batch_size, variant)
    flop = step_flop(variant, run.batch_size // ranks.world)
    threads = choose_threads(run.threads, flop, ranks.local_world)
    every = part(steps, TENTHS, run.log_every)
    sample_every = run.sample_every or every
    save_every = interval.parse(run.save_every) if run.save_every else Interval(every, SAVED_WITHIN_S)
    resolved = dataclasses.replace(
        run,
        device=str(device),
        precision=precision,
        threads=threads,
        image_size=source.spec.size,
        fit=choose_fit(run, variant_class.reads),
        mirror=_mirror(run, source, variant_class),
        held_out=held_out,
        sample_every=sample_every,
        save_every=str(save_every),
    )
    graph = choose_graph(run.graph, device)
    chosen = Machine(device, precision, threads, ranks, choose_onednn(device, ranks))
    return Plan(resolved, settled, asked or run, own, chosen, steps, sample_every, save_every, graph, stream.num_images)


def choose_fit(run: RunConfig, reads: Reads) -> Fit | None:
    """As asked; unasked, the centre; None where there is nothing to fit. Raises `UsageError` where it is asked for then."""
    if reads == "low_res" or run.dataset in source_names():
        why = f"the pictures of {run.dataset} are squares"
        if reads == "low_res":
            why = f"{run.variant} takes crops of pictures as they are"
        refuse(("--fit", run.fit), why=f"has no effect: {why}")
        return None
    return run.fit or "crop"


def _mirror(run: RunConfig, source: Source | Photographs, variant_class: type[Variant]) -> bool | None:
    """As asked; unasked, few pictures of somebody's own, in colour: what is grey is often writing. Raises `UsageError` for a
    variant that turns and mirrors its crops anyway."""
    if variant_class.reads == "low_res":
        if run.mirror is not None:
            raise UsageError(f"--mirror: {run.variant} turns and mirrors its crops anyway; leave it out")
        return None
    own = run.dataset not in source_names()
    few = own and source.spec.channels == 3 and source.num_images < MIRRORED_BELOW
    return few if run.mirror is None else run.mirror


def _held_out(
    run: RunConfig, source: Source | Photographs, variant_class: type[Variant], saved: Facts | None
) -> int | None:
    """As asked; unasked as it was when the state was `saved`, or a few of somebody's own where some can be spared and
    all are few enough to be learnt. None where nothing could be told by them. Raises `UsageError`."""
    count = source.num_images
    if not variant_class.judges():
        refuse(("--held-out", run.held_out), why=f"{run.variant} has no D that could be asked about a picture")
        return None
    if run.held_out is not None:
        if 0 < run.held_out < FEWEST_HELD_OUT or run.held_out >= count:
            raise UsageError(
                f"--held-out {run.held_out}: must be 0, or {FEWEST_HELD_OUT} to {count - 1} of the {count} images"
            )
        return run.held_out
    if saved is not None:
        return saved.held_out
    own = run.dataset not in source_names() and HOLDS_OUT_FROM <= count <= HOLDS_OUT_TO
    return max(FEWEST_HELD_OUT, min(MOST_HELD_OUT, count // HELD_OUT_OF)) if own else 0


def _filled(own: VariantConfig, saved: Facts | None) -> VariantConfig:
    """`own`, with what it leaves open as it was when the state was saved."""
    if saved is None:
        return own
    left_open = [field.name for field in fields_of(type(own)) if getattr(own, field.name) is None]
    return dataclasses.replace(own, **{name: getattr(saved.config, name) for name in left_open})


def _precision(asked: str, device: torch.device, variant_class: type[Variant], saved: Facts | None) -> Precision:
    """As asked; by default as the run was saved, and of a new run by rule."""
    if saved is None or asked != "auto":
        return choose_precision(asked, device, variant_class.convolutional)
    try:
        return choose_precision(saved.precision, device, variant_class.convolutional)
    except UsageError as error:
        raise UsageError(f"{error} (the run was saved in {saved.precision}; it can go on in another)") from None


def part(steps: int, parts: int, log_every: int) -> int:
    """One of so many parts of the run, rounded up to whole log intervals."""
    return math.ceil(steps / parts / log_every) * log_every


def check_images(own: VariantConfig, variant_class: type[Variant], images: ImageSpec) -> None:
    """Raises `UsageError` where the variant cannot be built for such images."""
    with on_meta():
        variant = variant_class(own, images)
    check_scale(images.size, variant.scale)


def _check_batch(batch_size: int, variant: Variant) -> None:
    """Raises `UsageError` for a batch of one image where a layer normalises each unit over the batch alone."""
    modules = (module for network in variant.networks.values() for module in network.modules())
    if batch_size < 2 and any(isinstance(module, nn.BatchNorm1d) for module in modules):
        raise UsageError(
            f"--batch-size {batch_size}: batch normalisation needs at least 2 images per step; give 2, or --norm none"
        )


def step_flop(variant: Variant, batch_size: int) -> float:
    """A rough count of one step's floating-point operations: infinite for convolutions, which always repay threads.

    A fully connected weight costs 2 FLOP per image and pass; a step makes about 3 passes of G and 6 of D.
    """
    if variant.convolutional:
        return math.inf
    weights = {name: sum(p.numel() for p in net.parameters()) for name, net in variant.networks.items()}
    return sum(2.0 * batch_size * count * (3 if name.startswith("G") else 6) for name, count in weights.items())
