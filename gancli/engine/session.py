"""The state of a run while it trains: networks, data, step and losses."""

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import nn

from gancli import catalogue, events
from gancli.batches.index_stream import IndexStream, seeded_generator, split_held_out
from gancli.catalogue import contract
from gancli.data.dataset import Dataset
from gancli.data.photographs import PhotoDataset
from gancli.engine import memory, monitors, plan
from gancli.engine.clock import Clock
from gancli.engine.monitors import TimeEstimate, TrainingChecks
from gancli.engine.plan import PhaseSchedule, step_execution
from gancli.engine.stop import Stop, next_commands, resume_command
from gancli.errors import DivergedError, UsageError
from gancli.files.open_folder import OpenFolder
from gancli.machine.contention import ContentionMonitor
from gancli.report.history import LossHistory
from gancli.steps.accumulation import is_exact
from gancli.steps.ema import AveragedModel
from gancli.steps.loss_accumulator import DIVERGED_LOSS, LossAccumulator
from gancli.steps.runner import StepRunner
from gancli.steps.training_step import TrainingStep
from gancli.store.checkpoint import another_version
from gancli.store.run_directory import RunDirectory
from gancli.store.state import State, Writer
from gancli.variant import Phase, Variant

AGREE_EVERY = 16  # steps, at most, between two agreements of all processes whether to stop or save
AGREE_S = 1.0  # and seconds, where steps are slow
# Images that a variant is fitted to, and their values: enough for k-means, without much memory.
MIN_FITTED, MAX_FITTED, MAX_FITTED_VALUES = 1_000, 10_000, 40_000_000


class Requests(NamedTuple):
    """What to do before the next step. `stop`: the reason to stop; `save`: whether to save."""

    stop: str | None
    save: bool


NO_REQUESTS = Requests(None, False)


class Session:
    """The networks and their average, the data, the step, the losses so far, and what observes them."""

    def __init__(
        self, planned: plan.Plan, source: Dataset | PhotoDataset, variant_class: type[Variant], directory: RunDirectory
    ) -> None:
        self.plan, self.run, self.machine, self.directory = planned, planned.run, planned.machine, directory
        self.home = OpenFolder(directory.path)
        self.moved_message = ""  # says so if the directory was moved or removed
        self.ranks = planned.machine.ranks
        self.source = source
        self.stream = IndexStream(planned.num_images, planned.batch_size, self.run.seed)
        torch.manual_seed(self.run.seed)
        self.variant = variant_class(planned.own, source.spec)
        layout = torch.channels_last if variant_class.convolutional else torch.contiguous_format
        for network in (self.variant.generator, *self.variant.networks.values()):
            network.to(self.machine.device).to(memory_format=layout)
            network.train()
            self.ranks.broadcast(network.state_dict())
        self.average = AveragedModel(self.variant.generator, self.run.ema)
        self.batches = plan.batches(planned, source, self.variant)
        self.overfitting = monitors.overfitting_monitor(planned, source)
        phases = self.variant.phases(planned.steps)
        if not catalogue.is_own(self.run.variant):
            contract.check_phases(self.variant, phases)
            contract.check_generator(self.variant, self.machine.device)
        self.phases = PhaseSchedule(phases, planned.steps)
        self.losses = LossAccumulator()
        self.history = LossHistory({})
        self.step = 0
        self.start_step = 0
        self.checks = TrainingChecks()
        self.clock = Clock()
        self.time_estimate = TimeEstimate(
            self.run, None if variant_class.condition_type == "low_res" else source.spec.size
        )
        self.writer = Writer()
        self.contention_reported = False
        self._agree_at = 0  # the step of the next agreement

    def enter(self, phase: Phase, resumed: State | None) -> StepRunner:
        """Return the runner of a phase's steps, with the optimizers of the `resumed` state if it was saved in this phase.
        Raises `UsageError` if the step was saved in another phase, and for `--accumulate` if the step cannot be computed in
        parts; and `CheckpointError`."""
        step = TrainingStep(phase, self.variant.networks, self.machine, self._generators())
        start, end = self.phases.span_of(phase)
        if resumed is not None and start < resumed.facts.step < end:
            if resumed.facts.phase != phase.name:
                raise UsageError(
                    f"--steps {self.plan.steps}: step {self.step} is in phase {phase.name}, but was saved in "
                    f"{resumed.facts.phase}; resume with the same number of steps"
                )
            for name, optimizer in step.optimizers.items():
                try:
                    optimizer.restore(resumed.group(f"optimizer.{name}"))
                except (KeyError, ValueError, IndexError) as error:
                    why = f"its optimizer of {name}: {error}"
                    raise another_version(resumed.path, resumed.facts, why) from None
        if self.run.accumulate > 1:
            self._check_accumulate(step)
        self.clock.restart()
        execution = step_execution(self.plan, self.variant.convolutional, end - start, end - max(start, self.step))
        return StepRunner(step, self.batches, self.average, self.losses, execution)

    @torch.no_grad()
    def fit_to_images(self) -> None:
        """Let the variant of a new run compute what depends on the training images."""
        if not isinstance(self.source, Dataset) or type(self.variant).fit_to_images is Variant.fit_to_images:
            return
        rows = split_held_out(self.source.num_images, self.run.held_out or 0)[0]
        values = self.source.images[:1].numel()  # of an image
        count = min(MAX_FITTED, max(MIN_FITTED, MAX_FITTED_VALUES // values))
        rows = rows[torch.randperm(len(rows), generator=seeded_generator("fit"))[:count]]
        images = self.source.images[rows]
        if self.run.mirror:
            images = torch.cat([images[::2], images[1::2].flip(3)])
        self.variant.fit_to_images(images)
        for network in self.variant.networks.values():
            self.ranks.broadcast(network.state_dict())
        self.average.reset()

    def close(self) -> None:
        """Wait for what is being written, and release the run directory."""
        self.writer.close()
        self.home.close()

    def _generators(self) -> list[nn.Module]:
        """Return the networks that are parts of the generator."""
        own = {id(parameter) for parameter in self.variant.generator.parameters()}
        return [each for each in self.variant.networks.values() if {id(p) for p in each.parameters()} <= own]

    def _check_accumulate(self, step: TrainingStep) -> None:
        """Raises `UsageError` if a step in parts would not be the step of the whole batch."""
        batch = self.batches.parts(self.step, self.run.accumulate)[0]
        exact = is_exact(step, batch, self.variant.num_parts(self.plan.own, self.plan.batch_size))
        if max(self.ranks.maximum(not exact)):
            raise UsageError(
                f"--accumulate {self.run.accumulate}: a loss of this {self.run.variant} depends on the batch as a whole, so "
                "it cannot be computed in parts; use --batch-size alone"
            )

    def compile(self, runner: StepRunner) -> Iterator[events.Warned]:
        """Compile the phase's step if that is due; yield a warning if it cannot be compiled."""
        with self._memory_errors():
            reason = runner.compile(self.step)
        if reason:
            yield events.Warned(f"--compile: not available here ({reason}); training continues uncompiled")
        self.clock.restart()

    def advance(self, runner: StepRunner, max_steps: int = 1) -> None:
        """Train for one step, or for as many as can be launched together, up to `max_steps`."""
        with self._memory_errors():
            done = runner.advance(self.step, max_steps)
        self.step += done
        self.clock.count(done)

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory.errors_with_suggestion(self.plan, self.source, type(self.variant))

    def due(self, every: int | None) -> bool:
        """Whether the step is a multiple of `every`; False for None."""
        return every is not None and self.step % every == 0

    def steps_until(self, end: int, intervals: Iterable[int]) -> int:
        """Return the number of steps to `end`, or to the next multiple of one of `intervals`."""
        return min(end - self.step, *(every - self.step % every for every in intervals))

    def requests(self, stop: Stop) -> Requests:
        """Return whether to stop, and whether to save because the last state is too old. Several processes agree on both
        every few steps: each may ask to stop, and the clock of the first one decides when to save."""
        reason = stop.reason or self.moved_message or None
        late = self.ranks.first and self.clock.save_due(self.plan.save_every.seconds) and not self.writer.busy
        if self.ranks.alone:
            return Requests(reason, late)
        if self.step < self._agree_at:
            return NO_REQUESTS
        pause = min(AGREE_EVERY, max(1, int(AGREE_S / self.clock.seconds_per_step()))) if self.ranks.first else 0
        stopping, saving, steps = self.ranks.maximum(reason is not None, late, pause)
        self._agree_at = self.step + steps
        return Requests((reason or "another process") if stopping else None, bool(saving))

    def started(self) -> events.RunStarted:
        """Return the event of the start."""
        spec = self.source.spec
        return events.RunStarted(
            variant=self.run.variant,
            preset=self.run.preset,
            dataset=self.source.name,
            num_images=self.source.num_images,
            image_shape=(spec.channels, spec.size, spec.size),
            device=self.machine.describe(),
            precision=self.machine.precision,
            threads=self.machine.threads,
            batch_size=self.plan.batch_size,
            start_step=self.step,
            steps=self.plan.steps,
            steps_per_epoch=self.stream.steps_per_epoch,
            parameters={
                name: sum(p.numel() for p in network.parameters()) for name, network in self.variant.networks.items()
            },
            out=str(self.directory.path),
        )

    def loss_row(self, phase: Phase) -> Iterator[events.LossRow | events.Warned]:
        """Yield the means of the log interval, and a warning if D is always right. Raises `DivergedError` for a loss that
        diverged."""
        self.check_losses()
        means = self.losses.pop_means()
        self.history.add(self.step, means)
        seconds_per_step = self.clock.lap()
        yield events.LossRow(
            step=self.step,
            steps=self.plan.steps,
            epoch=self.stream.epoch(self.step),
            phase=phase.name,
            terms=means,
            images_per_s=self.plan.batch_size / seconds_per_step,
            elapsed_s=self.clock.elapsed(),
            left_s=self.clock.seconds_for(self.plan.steps - self.step),
            memory_bytes=self.machine.peak_memory_bytes(),
        )
        yield from map(events.Warned, self.checks.check_losses(self.step, means))

    def check_overfitting(self) -> Iterator[events.Warned]:
        """Yield a warning if images are held out, a check is due, and it finds D overfitting."""
        if self.overfitting is None or not self.due(
            plan.interval_steps(self.plan.steps, monitors.OVERFITTING_CHECKS, self.run.log_every)
        ):
            return
        share = self.overfitting.measure(self.variant, self.average.refresh())
        self.clock.restart()
        if self.overfitting.is_overfitting(share):
            yield events.Warned(monitors.overfitting_warning(self.run, self.plan.own, self.step, share))

    def check_contention(self, runner: StepRunner, others: ContentionMonitor) -> Iterator[str]:
        """Yield a note the first time that other processes have competed for the CPUs for a while."""
        if self.contention_reported:
            return
        if note := monitors.contention_note(self.machine, self.plan.batch_size, self.step, runner, others):
            self.contention_reported = True
            self.clock.restart()
            yield note

    def activity(self, what: str) -> events.Progress:
        """Return the progress at the start of an activity that may take long."""
        return self._progress(doing=what)

    def heartbeat(self) -> Iterator[events.Progress | events.Warned]:
        """Yield the progress if it is due, at intervals with the mean losses since the last row, and once a warning if the
        run will take long. The means stay in the accumulator, as what is saved must not depend on the clock. One of several
        processes yields no means."""
        if not self.clock.heartbeat_due():
            return
        if not self.start_step:
            yield from map(events.Warned, self.time_estimate(self.clock, self.plan.steps, self.plan.steps - self.step))
        if self.ranks.alone and self.clock.means_due() and len(self.losses):
            yield self._progress(terms=self.losses.means(), num_means=len(self.losses))
        else:
            yield self._progress()

    def _progress(self, **more: Any) -> events.Progress:
        seconds_per_step = self.clock.seconds_per_step()
        return events.Progress(
            step=self.step,
            steps=self.plan.steps,
            epoch=self.stream.epoch(self.step),
            images_per_s=0.0 if math.isnan(seconds_per_step) else self.plan.batch_size / seconds_per_step,
            left_s=self.clock.seconds_for(self.plan.steps - self.step),
            **more,
        )

    def finished(self, status: events.Status, reason: str = "") -> events.RunFinished:
        """Return the event of the end. `reason`: of an early stop."""
        seconds = self.clock.elapsed()
        return events.RunFinished(
            status=status,
            step=self.step,
            steps=self.plan.steps,
            elapsed_s=seconds,
            images_per_s=(self.step - self.start_step) * self.plan.batch_size / max(seconds, 1e-9),
            out=str(self.directory.path),
            checkpoint=str(self.directory.checkpoint),
            reason=reason,
            resume_command=resume_command(self.directory.path, self.run.dataset, self.code_flag),
            next_commands=next_commands(self.directory.path, self.variant.condition_type, self.code_flag),
        )

    @property
    def code_flag(self) -> str:
        """` -v ./mygan.py` for a variant of a file, with which commands are given its code again."""
        return catalogue.flag_of(self.run.variant)

    def check_losses(self) -> None:
        """Raises `DivergedError` with the first loss since the last row that is NaN or beyond ±1e9, and its step."""
        self.losses.average(self.ranks.average)
        if (bad := self.losses.first_diverged()) is not None:
            value = "NaN" if math.isnan(bad.value) else "infinite" if math.isinf(bad.value) else f"{bad.value:.3g}"
            limit = f" (beyond ±{DIVERGED_LOSS:.0e})" if math.isfinite(bad.value) else ""
            step = self.step - bad.steps_ago
            raise DivergedError(f"{bad.term} became {value} at step {step}{limit}; {self.divergence_hint()}", step)

    def divergence_hint(self) -> str:
        """Return the newest saved state of a run that diverged, and what to try, for an error message."""
        self.writer.flush()
        saved = self.directory.states()
        newest = f"the last finite state is {saved[0]}" if saved else "no state was saved before"
        return f"{newest}; try a lower --lr or --precision fp32"
