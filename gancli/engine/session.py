"""What lives while a run runs."""

from collections.abc import Iterable, Iterator

import torch

import gancli
from gancli import atomic, events, images
from gancli.config import RunConfig, fields_of, toml
from gancli.data.pairs import PairBatches
from gancli.data.photographs import Photographs
from gancli.data.resident import ResidentBatches
from gancli.data.source import Source
from gancli.data.stream import IndexStream
from gancli.engine import checkpoint, plan, state
from gancli.engine.clock import Clock
from gancli.engine.ema import Average
from gancli.engine.evaluate import Evaluation
from gancli.engine.facts import Facts
from gancli.engine.ledger import Ledger, LossHistory
from gancli.engine.rundir import RunDirectory
from gancli.engine.runner import Runner
from gancli.engine.state import State
from gancli.engine.step import Stepper
from gancli.engine.stop import Stop
from gancli.engine.writer import Snapshot, Writer
from gancli.errors import CheckpointError, DivergedError, GancliError, UsageError
from gancli.sampling import preview
from gancli.variant import Phase, Variant

PREVIEW_PHOTOGRAPHS = 6
AGREE_EVERY = 16  # steps between two questions to the other processes whether to stop


class Session:
    """What lives while a run runs: the networks and their average, the data, the step, the losses so far."""

    def __init__(
        self, planned: plan.Plan, source: Source | Photographs, variant_class: type[Variant], directory: RunDirectory
    ) -> None:
        self.plan, self.run, self.machine, self.directory = planned, planned.run, planned.machine, directory
        self.ranks = planned.machine.ranks
        self.source = source
        self.stream = IndexStream(source.num_images, self.run.batch_size, self.run.seed)
        torch.manual_seed(self.run.seed)
        self.variant = variant_class(planned.own, source.spec)
        layout = torch.channels_last if variant_class.convolutional else torch.contiguous_format
        for network in (self.variant.generator, *self.variant.networks.values()):
            network.to(self.machine.device).to(memory_format=layout)
            network.train()
            self.ranks.broadcast(network.state_dict())
        self.average = Average(self.variant.generator, self.run.ema)
        self.batches = self._make_batches()
        self.bounds = self._phase_bounds()
        self.ledger = Ledger()
        self.history = LossHistory({})
        self.step = 0
        self.start_step = 0
        self.clock = Clock()
        self.writer = Writer()

    def _make_batches(self) -> ResidentBatches | PairBatches:
        """What the variant reads: pictures with labels, or with their low-resolution form."""
        device, size, seed = self.machine.device, self.run.batch_size, self.run.seed
        last = self.variant.convolutional
        if isinstance(self.source, Photographs):
            return PairBatches(self.source, device, size, seed, self.variant.scale, last, self.ranks.share)
        return ResidentBatches(self.source, device, size, seed, last, self.ranks.share)

    def _phase_bounds(self) -> list[tuple[Phase, int, int]]:
        bounds, start = [], 0
        for phase in self.variant.phases(self.plan.steps):
            bounds.append((phase, start, start + phase.steps))
            start += phase.steps
        assert start == self.plan.steps, "a variant's phases add up to the run's steps"
        return bounds

    def phases(self) -> Iterator[tuple[int, Phase, int, int]]:
        """The phases that are not over: index, phase, the step to go on from, the step it ends at."""
        for index, (phase, start, end) in enumerate(self.bounds):
            if self.step < end:
                yield index, phase, max(start, self.step), end

    def enter(self, phase: Phase, resumed: State | None) -> Runner:
        """What does the phase's steps, with its optimizers as saved if the run was stopped inside this phase."""
        stepper = Stepper(phase, self.variant.networks, self.machine)
        ((start, end),) = [(start, end) for each, start, end in self.bounds if each is phase]
        if resumed is not None and start < resumed.facts.step < end:
            if resumed.facts.phase != phase.name:
                raise UsageError(
                    f"--steps {self.plan.steps}: step {self.step} would lie in phase {phase.name}, "
                    f"but was saved in {resumed.facts.phase}; resume with the run's own length"
                )
            for name, minimiser in stepper.minimisers.items():
                try:
                    minimiser.restore(resumed.group(f"optimizer.{name}"))
                except (KeyError, ValueError, IndexError) as error:
                    raise CheckpointError(f"{resumed.path}: its optimizer state does not fit ({error})") from None
        self.clock.restart()
        return Runner(stepper, self.batches, self.average, self.ledger, self.plan.strides)

    def advance(self, runner: Runner, room: int = 1) -> None:
        """One step, or as many up to `room` as can be done together."""
        try:
            done = runner.advance(self.step, room)
        except torch.OutOfMemoryError as error:
            size = self.run.batch_size
            raise GancliError(
                f"--batch-size {size}: out of memory on {self.machine.device}; try --batch-size {max(1, size // 2)}"
            ) from error
        self.step += done
        self.clock.count(done)

    def due(self, every: int) -> bool:
        return self.step % every == 0

    def room(self, end: int, intervals: Iterable[int]) -> int:
        """How many steps there are to `end` or to the next multiple of one of `intervals`."""
        return min(end - self.step, *(every - self.step % every for every in intervals))

    def asked_to_stop(self, stop: Stop) -> str | None:
        """Why to stop now, or None. Several processes agree on it, every few steps."""
        if self.ranks.alone:
            return stop.reason
        if self.step % AGREE_EVERY or not self.ranks.any(stop.reason is not None):
            return None
        return stop.reason or "another process"

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

    def loss_row(self, phase: Phase) -> events.LossRow:
        """The interval's means. Raises `DivergedError` if one of them is not finite."""
        self._check_losses()
        means = self.ledger.read()
        self.history.add(self.step, means)
        seconds_per_step = self.clock.lap()
        return events.LossRow(
            step=self.step,
            steps=self.plan.steps,
            epoch=self.stream.epoch(self.step),
            phase=phase.name,
            terms=means,
            images_per_s=self.run.batch_size / seconds_per_step,
            elapsed_s=self.clock.elapsed(),
            left_s=(self.plan.steps - self.step) * seconds_per_step,
            memory_bytes=self.machine.peak_memory_bytes(),
        )

    def draw_samples(self) -> events.SamplesDrawn:
        """The same seeds (and labels), or the same photographs, drawn once more as a grid in `samples/`."""
        generator = self.average.refresh()
        columns: int | None
        if isinstance(self.batches, PairBatches):
            pixels, columns = preview.compared(generator, self.batches.preview(PREVIEW_PHOTOGRAPHS), self.variant.scale)
        else:
            pixels, columns = preview.drawn(self.variant, generator, self.machine.device)
        picture = images.to_pil(images.grid(pixels, columns))
        path = self.directory.samples(self.step)
        atomic.write(path, [images.encode(picture, ".png")])
        self.clock.restart()
        return events.SamplesDrawn(self.step, str(path), *picture.size, picture.convert("RGB").tobytes())

    def evaluate(self, evaluation: Evaluation, phase: Phase) -> events.Evaluated:
        """Measure the averaged generator; keep it as the best if it is."""
        generator = self.average.refresh()
        figures = evaluation.measure(generator)
        self.history.add(self.step, figures)
        best = evaluation.note(figures)
        if best:
            tensors = {checkpoint.GENERATOR + name: tensor for name, tensor in generator.state_dict().items()}
            self._check_weights({"generator": tensors})
            checkpoint.save(self.directory.best, tensors, self._facts("model", phase))
        self.clock.restart()
        return events.Evaluated(self.step, figures, evaluation.metric, best, str(self.directory.best))

    def save(self, phase: Phase, runner: Runner) -> Iterator[events.Event]:
        """Have the state written, then the model; gives the events of files that were written meanwhile. Raises
        `DivergedError` rather than save what is not finite."""
        self._check_losses()
        if not self.ranks.first:
            return
        generator = self.average.refresh().state_dict()
        networks = {f"network.{name}": network.state_dict() for name, network in self.variant.networks.items()}
        self._check_weights({"generator": generator, **networks})
        groups = {
            **networks,
            "average": generator,
            **{f"optimizer.{name}": m.tensors() for name, m in runner.stepper.minimisers.items()},
            "losses": self.ledger.tensors(),
            "random": state.random_states(self.machine.device),
        }
        whole = Snapshot(state.flat(groups))
        step, directory, keep = self.step, self.directory, self.run.keep
        about_state, about_model = self._facts("state", phase), self._facts("model", phase)

        def write() -> list[events.Event]:
            tensors, path = whole.on_host(), directory.state(step)
            checkpoint.save(path, tensors, about_state)
            directory.prune(keep)
            model = {checkpoint.GENERATOR + name: tensors[f"average/{name}"] for name in generator}
            checkpoint.save(directory.checkpoint, model, about_model)
            return [
                events.CheckpointSaved(step, str(path), "state"),
                events.CheckpointSaved(step, str(directory.checkpoint), "model"),
            ]

        yield from self.writer.start(write)
        self.clock.restart()

    def restore(self, saved: State) -> list[str]:
        """Take up a saved state. Gives warnings. Raises `CheckpointError` or `UsageError` if it does not fit."""
        facts = saved.facts
        if (facts.images, facts.num_images) != (self.source.spec, self.source.num_images):
            raise UsageError(
                f"--dataset {self.run.dataset}: not the data that {saved.path} was trained on "
                f"({facts.dataset}: {facts.num_images} images of {facts.images.size} px)"
            )
        for name, network in self.variant.networks.items():
            state.copy_into(saved.path, network.state_dict(), saved.group(f"network.{name}"))
        state.copy_into(saved.path, self.average.module.state_dict(), saved.group("average"))
        self.ledger.restore(saved.group("losses"), self.machine.device)
        self.history = LossHistory(facts.losses)
        self.step = self.start_step = facts.step
        return list(state.restore_random_states(saved.path, saved.group("random"), self.machine.device))

    def write_config(self) -> None:
        """`config.toml`: every option, resolved; `gan train --config` of it repeats the run."""
        if not self.ranks.first:
            return
        values = {f.name: getattr(self.run, f.name) for f in fields_of(RunConfig) if f.name not in ("out", "progress")}
        own = {f.name: getattr(self.plan.own, f.name) for f in fields_of(type(self.plan.own))}
        heading = f"gan {gancli.__version__}: repeat this run with  gan train --config config.toml --out DIR"
        atomic.write(self.directory.config, [toml.dump(values, self.run.variant, own, heading).encode()])

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
            resume_command=f"gan train --resume {self.directory.path}",
        )

    def _facts(self, kind: events.FileKind, phase: Phase) -> Facts:
        return Facts(
            kind=kind,
            variant=self.run.variant,
            preset=self.run.preset,
            config=self.plan.own,
            images=self.source.spec,
            dataset=self.source.name,
            num_images=self.source.num_images,
            seed=self.run.seed,
            batch_size=self.run.batch_size,
            ema=self.run.ema,
            precision=self.machine.precision,
            step=self.step,
            steps=self.plan.steps,
            epoch=self.stream.epoch(self.step),
            phase=phase.name,
            versions={"gancli": gancli.__version__, "torch": str(torch.__version__)},
            losses=self.history.points(),
        )

    def _check_losses(self) -> None:
        self.ledger.average(self.ranks.average)
        if (bad := self.ledger.first_not_finite()) is not None:
            word = "NaN" if bad.value != bad.value else "infinite"
            raise DivergedError(f"{bad.term} became {word} at step {self.step - bad.steps_ago}; {self._way_back()}")

    def _check_weights(self, groups: state.Tree) -> None:
        for group, tensors in groups.items():
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise DivergedError(
                        f"weight {name} of {group.removeprefix('network.')} is no longer finite at step {self.step}; "
                        + self._way_back()
                    )

    def _way_back(self) -> str:
        self.writer.settle()
        saved = self.directory.states()
        kept = f"the last finite state is {saved[0]}" if saved else "no state was saved before"
        return f"{kept}; try a lower --lr or --precision fp32"
