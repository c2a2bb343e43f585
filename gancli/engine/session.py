"""What lives while a run runs."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from gancli import catalogue, contract, events, images
from gancli.batches.index_stream import IndexStream
from gancli.batches.pairs import PairBatches
from gancli.data.photographs import Photographs
from gancli.data.source import Source
from gancli.engine import memory, monitors, plan
from gancli.engine.clock import Clock
from gancli.engine.evaluation import Evaluation
from gancli.engine.monitors import TimeEstimate, TrainingChecks
from gancli.engine.plan import PhaseSchedule, step_execution
from gancli.engine.stop import Stop, next_commands, resume_command
from gancli.errors import DivergedError, GancliError, UsageError
from gancli.files import atomic
from gancli.files.open_folder import OpenFolder
from gancli.metrics.figure import comparison
from gancli.report.history import LossHistory
from gancli.sampling import preview
from gancli.steps.ema import AveragedModel
from gancli.steps.loss_accumulator import LossAccumulator
from gancli.steps.runner import StepRunner
from gancli.steps.training_step import TrainingStep
from gancli.store.checkpoint import another_version
from gancli.store.run_directory import RunDirectory
from gancli.store.state import State, Writer
from gancli.variant import Phase, Variant

PREVIEW_PHOTOGRAPHS = 6
AGREE_EVERY = 16  # at most so many steps between two questions to the other processes whether to stop or save
AGREE_S = 1.0  # and about so many seconds where steps are slow


class Requests(NamedTuple):
    """What is to be done before the next step: stop (why), save."""

    stop: str | None
    save: bool


NO_REQUESTS = Requests(None, False)


class Session:
    """What lives while a run runs: the networks and their average, the data, the step, the losses so far."""

    def __init__(
        self, planned: plan.Plan, source: Source | Photographs, variant_class: type[Variant], directory: RunDirectory
    ) -> None:
        self.plan, self.run, self.machine, self.directory = planned, planned.run, planned.machine, directory
        self.home = OpenFolder(directory.path)
        self.moved_message = ""  # what became of the directory, where it was moved or removed
        self.ranks = planned.machine.ranks
        self.source = source
        self.stream = IndexStream(planned.num_images, self.run.batch_size, self.run.seed)
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
        self._agree_at = 0  # the step of the next question to the other processes

    def enter(self, phase: Phase, resumed: State | None) -> StepRunner:
        """What does the phase's steps, with its optimizers as saved if the run was stopped inside this phase."""
        stepper = TrainingStep(phase, self.variant.networks, self.machine)
        start, end = self.phases.span_of(phase)
        if resumed is not None and start < resumed.facts.step < end:
            if resumed.facts.phase != phase.name:
                raise UsageError(
                    f"--steps {self.plan.steps}: step {self.step} would lie in phase {phase.name}, "
                    f"but was saved in {resumed.facts.phase}; resume with the run's own length"
                )
            for name, optimizer in stepper.optimizers.items():
                try:
                    optimizer.restore(resumed.group(f"optimizer.{name}"))
                except (KeyError, ValueError, IndexError) as error:
                    why = f"its optimizer of {name}: {error}"
                    raise another_version(resumed.path, resumed.facts, why) from None
        self.clock.restart()
        how = step_execution(self.plan, self.variant.convolutional, end - start, end - max(start, self.step))
        return StepRunner(stepper, self.batches, self.average, self.losses, how)

    def compile(self, runner: StepRunner) -> Iterator[events.Warned]:
        """Make the phase's step ready, if it is to be compiled and is not yet; a word if it cannot be."""
        with self._memory():
            reason = runner.compile(self.step)
        if reason:
            yield events.Warned(f"--compile: not available here ({reason}); training continues uncompiled")
        self.clock.restart()

    def advance(self, runner: StepRunner, room: int = 1) -> None:
        """One step, or as many up to `steps_until` as can be done together."""
        with self._memory():
            done = runner.advance(self.step, room)
        self.step += done
        self.clock.count(done)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Memory that runs out within is told with what helps."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise self._out_of_memory() from error
        except RuntimeError as error:  # what torch's allocator of CPU memory raises
            if "DefaultCPUAllocator" not in str(error):
                raise
            raise self._out_of_memory() from error

    def due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def steps_until(self, end: int, intervals: Iterable[int]) -> int:
        """How many steps there are to `end` or to the next multiple of one of `intervals`."""
        return min(end - self.step, *(every - self.step % every for every in intervals))

    def requests(self, stop: Stop) -> Requests:
        """Whether to stop now, and whether to save because the last state is too old. Of several processes all say whether
        to stop, and the first one, by its clock, whether to save; they agree every few steps."""
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
            batch_size=self.run.batch_size,
            start_step=self.step,
            steps=self.plan.steps,
            steps_per_epoch=self.stream.steps_per_epoch,
            parameters={
                name: sum(p.numel() for p in network.parameters()) for name, network in self.variant.networks.items()
            },
            out=str(self.directory.path),
        )

    def loss_row(self, phase: Phase) -> Iterator[events.LossRow | events.Warned]:
        """The interval's means, and what is odd about them. Raises `DivergedError` if one of them is not finite."""
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
            images_per_s=self.run.batch_size / seconds_per_step,
            elapsed_s=self.clock.elapsed(),
            left_s=self.clock.seconds_for(self.plan.steps - self.step),
            memory_bytes=self.machine.peak_memory_bytes(),
        )
        yield from map(events.Warned, self.checks.check_losses(self.step, means))

    def check_overfitting(self) -> Iterator[events.Warned]:
        """Warn if D is overfitting, where images are held out and it is time to check."""
        if self.overfitting is None or not self.due(
            plan.interval_steps(self.plan.steps, monitors.OVERFITTING_CHECKS, self.run.log_every)
        ):
            return
        share = self.overfitting.measure(self.variant, self.average.refresh())
        self.clock.restart()
        if self.overfitting.is_overfitting(share):
            yield events.Warned(monitors.overfitting_warning(self.run, self.plan.own, self.step, share))

    def activity(self, what: str) -> events.Progress:
        """What begins here may take long."""
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
            images_per_s=0.0 if math.isnan(seconds_per_step) else self.run.batch_size / seconds_per_step,
            left_s=self.clock.seconds_for(self.plan.steps - self.step),
            **more,
        )

    def save_samples(self) -> Iterator[events.SamplesDrawn | events.Warned]:
        """The same seeds (and labels), or the same photographs, drawn once more as a grid in `samples/`."""
        generator = self.average.refresh()
        columns: int | None
        odd: Iterator[str] = iter(())
        if isinstance(self.batches, PairBatches):
            pixels, columns = preview.compared(generator, self.batches.preview(PREVIEW_PHOTOGRAPHS), self.variant.scale)
        else:
            pixels, columns = preview.drawn(self.variant, generator, self.machine.device)
            if self.step >= min(self.plan.sample_every, self.plan.steps):  # those before have hardly begun to differ
                classes = self.variant.images.num_classes if self.variant.conditional else 1
                odd = self.checks.check_samples(self.step, pixels, classes)
        picture = images.to_pil(images.grid(pixels, columns))
        path = self.directory.samples(self.step)
        atomic.write(path, [images.encode(picture, ".png")])
        self.clock.restart()
        yield events.SamplesDrawn(self.step, str(path), *picture.size, picture.convert("RGB").tobytes())
        yield from map(events.Warned, odd)

    def evaluate(self, evaluation: Evaluation) -> events.Evaluated:
        """Measure the averaged generator."""
        found, how = evaluation.measure(self.average.refresh()), evaluation.measure
        figures = {figure.name: figure.model.value for figure in found}
        self.history.add(self.step, figures)
        best = evaluation.note(found)
        self.clock.restart()
        compared = comparison(found, self.run.dataset, how.split, how.seed, how.beside)
        return events.Evaluated(self.step, figures, evaluation.metric, best, str(self.directory.best), compared)

    def finished(self, status: events.Status, reason: str = "") -> events.RunFinished:
        seconds = self.clock.elapsed()
        return events.RunFinished(
            status=status,
            step=self.step,
            steps=self.plan.steps,
            elapsed_s=seconds,
            images_per_s=(self.step - self.start_step) * self.run.batch_size / max(seconds, 1e-9),
            out=str(self.directory.path),
            checkpoint=str(self.directory.checkpoint),
            reason=reason,
            resume_command=resume_command(self.directory.path, self.code_flag),
            next_commands=next_commands(self.directory.path, self.variant.condition_type, self.code_flag),
        )

    @property
    def code_flag(self) -> str:
        """` -v ./mygan.py` for a variant of a file, with which commands are given its code again."""
        return catalogue.flag_of(self.run.variant)

    def check_losses(self) -> None:
        """Raises `DivergedError` naming the first loss since the last row that is not finite, and its step."""
        self.losses.average(self.ranks.average)
        if (bad := self.losses.first_non_finite()) is not None:
            word = "NaN" if bad.value != bad.value else "infinite"
            step = self.step - bad.steps_ago
            raise DivergedError(f"{bad.term} became {word} at step {step}; {self.divergence_hint()}", step)

    def _out_of_memory(self) -> GancliError:
        hint = memory.suggestion(self.plan, self.source, type(self.variant))
        return GancliError(f"--batch-size {self.run.batch_size}: out of memory on {self.machine.device}; {hint}")

    def divergence_hint(self) -> str:
        """What is left of a run that diverged, and what to try."""
        self.writer.flush()
        saved = self.directory.states()
        kept = f"the last finite state is {saved[0]}" if saved else "no state was saved before"
        return f"{kept}; try a lower --lr or --precision fp32"
