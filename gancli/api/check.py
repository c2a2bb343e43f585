"""`gan check`: whether a variant keeps to the contract, by small runs on `digits`."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gancli import catalogue
from gancli.api.train import training
from gancli.catalogue import contract, outside
from gancli.config.resolve import FLAG, Layer, Resolved, environment_layers, preset_layers, resolve
from gancli.data.dataset import Dataset
from gancli.data.photographs import PhotoDataset
from gancli.engine import plan
from gancli.engine.session import Session
from gancli.engine.train import open_data
from gancli.errors import GancliError, UsageError, VariantError
from gancli.events import LossRow, ignore
from gancli.spec import ImageSpec
from gancli.steps.loss_accumulator import DIVERGED_LOSS, has_diverged
from gancli.steps.runner import StepExecution, StepRunner
from gancli.store import run_directory
from gancli.text import few
from gancli.variant import on_meta_device

SIZES = (8, 16, 28, 32, 64)  # pixels, of which the first that the variant takes is used
STEPS, CAPTURED_STEPS, BATCH = 6, 8, 16
LARGEST = 2.0  # absolute pixel value that an untrained generator may have; those outside of [-1, 1] are clipped
CLASSES = tuple("0123456789")


class CheckResult(NamedTuple):
    """One promise of the contract: whether it holds, and what was seen."""

    promise: str
    holds: bool
    seen: str


def check(name: str, image_size: int | None = None) -> Iterator[CheckResult]:
    """Yield the promises of the contract, and whether a variant keeps them, as they are checked. Raises `VariantError` if
    its code cannot be imported, and `UsageError` for a size that it does not take."""
    variant_class = catalogue.load(name)
    size = _size(name, image_size)
    with tempfile.TemporaryDirectory(prefix="gan-check-") as folder:
        checker = _Checker(name, size, Path(folder))
        sizes = f"{size}×{size} digits"
        yield _run_check(f"its networks are built, for {sizes} and by every preset", checker.presets)
        yield _run_check("its generator returns images", checker.images)
        for precision in ("fp32", "bf16"):
            what = f"each update trains its own network alone, with finite terms, in {precision}"
            yield _run_check(what, lambda precision=precision: checker.updates(precision))  # type: ignore[misc]
        yield _run_check("a run stopped after 3 steps resumes exactly", checker.resumes)
        yield _run_check("a captured step is equal to a plain one", checker.captures)
        if variant_class.has_d_logits():
            yield _run_check("d_logits returns a logit for each image", checker.d_logits)


def _run_check(promise: str, work: Callable[[], str]) -> CheckResult:
    """Do the work of a check, which returns what it saw. Any error says that the promise is not kept."""
    try:
        return CheckResult(promise, True, work())
    except GancliError as error:
        return CheckResult(promise, False, str(error))
    except Exception as error:  # of the variant's own code
        notes = [note for note in getattr(error, "__notes__", ()) if outside.is_place(note)]
        where = outside.place(error.__traceback__) or next(iter(notes), "")
        return CheckResult(promise, False, f"{where}: {outside.described(error)}".removeprefix(": "))


def _size(name: str, asked: int | None) -> int:
    """Return the first size of images that a variant takes. Raises `UsageError`."""
    config = _resolved(name, {}).own
    error: UsageError | None = None
    for size in (asked,) if asked else SIZES:
        try:
            plan.check_images(config, catalogue.load(name), ImageSpec(1, size, CLASSES))
        except UsageError as refused:
            error = refused
            continue
        return size
    assert error is not None
    raise error


def _resolved(name: str, values: dict[str, object], preset: str = "default") -> Resolved:
    """Return the options of a run of a variant, with `values` of options."""
    config_class = catalogue.variant_info(name).config_class
    layers = [*environment_layers(but=("progress", "device", "threads")), Layer(FLAG, values)]
    return resolve(name, config_class, [*preset_layers(name, config_class, preset, channels=1), *layers])


class _Checker:
    """Checks one variant for images of one size, in a temporary folder. `dataset` is opened once, for the first session."""

    def __init__(self, name: str, size: int, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.number = itertools.count()
        self.dataset: Dataset | PhotoDataset | None = None
        self.values: dict[str, object] = {
            "dataset": "digits", "image_size": size, "steps": STEPS, "batch_size": BATCH, "device": "cpu", "threads": 1,
            "log_every": 1, "report": False, "compile": "no",
        }  # fmt: skip

    def session(self, **values: object) -> Session:
        """Return a new session; every one begins with the same weights and images."""
        resolved = _resolved(self.name, self.values | values)
        variant_class = catalogue.load(self.name)
        source = self.dataset = self.dataset or open_data(resolved.run, resolved.own, variant_class, ignore)
        planned = plan.resolve_plan(resolved.run, resolved.own, source, variant_class)
        planned.machine.configure(deterministic=True)
        out = run_directory.make_writable(self.folder / f"session-{next(self.number)}")
        session = Session(planned, source, variant_class, out)
        session.fit_to_images()
        return session

    def presets(self) -> str:
        info, variant_class = catalogue.variant_info(self.name), catalogue.load(self.name)
        count: dict[str, int] = {}
        for preset in info.presets:
            resolved = _resolved(self.name, {}, preset)
            size = resolved.run.image_size or int(str(self.values["image_size"]))
            with on_meta_device():
                variant = variant_class(resolved.own, ImageSpec(1, size, CLASSES))
            contract.check_built(variant)
            if preset == "default":
                count = {n: sum(p.numel() for p in net.parameters()) for n, net in variant.networks.items()}
        return ", ".join(f"{name} {number:,}" for name, number in count.items()) + " parameters"

    def images(self) -> str:
        session = self.session()
        variant = session.variant
        contract.check_generator(variant, session.machine.device)
        with torch.no_grad():
            images = variant.generator.eval()(*variant.sample_inputs(session.batches.batch(0).condition))
        contract.check_images(variant, images)
        low, high = float(images.min()), float(images.max())
        if not torch.isfinite(images).all() or max(-low, high) > LARGEST:
            raise VariantError(
                f"its pixels are from {low:.3g} to {high:.3g}; end the generator with a tanh, for [-1, 1]"
            )
        return f"[B, {', '.join(map(str, images.shape[1:]))}] from {low:.2f} to {high:.2f}"

    def updates(self, precision: str) -> str:
        session = self.session(precision=precision)
        order: dict[str, None] = {}
        terms: dict[str, None] = {}
        for phase, start, _ in session.phases.spans:
            session.step = start
            step = session.enter(phase, None).training_step
            pattern = None
            for index in range(3):
                step.prepare()
                updates = contract.called(phase.step, session.batches.batch(index))
                trained, reported = [], dict[str, Tensor]()
                while (update := step.next_update(updates)) is not None:
                    contract.check_update(update, step.optimizers, updates)
                    before = _weights(session)
                    step.minimise(update, updates)
                    _check_changed(before, _weights(session), update.trains, session, contract.yielding(updates))
                    trained.append(update.trains)
                    reported |= update.terms
                now = (tuple(trained), tuple(reported))
                contract.check_pattern(pattern, now, phase)
                pattern = now
                if bad := [name for name, term in reported.items() if has_diverged(term.item())]:
                    raise VariantError(
                        f"{few(bad)} is NaN, infinite or beyond ±{DIVERGED_LOSS:.0e} at step {index + 1}"
                    )
                order |= dict.fromkeys(trained)
                terms |= dict.fromkeys(reported)
        return f"updates {', '.join(order)}; terms {', '.join(terms)}"

    def resumes(self) -> str:
        def trained(out: str, stop_at: int | None, **more: object) -> None:
            options: dict[str, Any] = self.values | {"out": str(self.folder / out), "save_every": STEPS, **more}
            run = training(self.name, **options)
            for event in run:  # leaving the loop saves the state
                if stop_at is not None and isinstance(event, LossRow) and event.step == stop_at:
                    break

        trained("whole", None)
        trained("parts", 3)
        trained("parts", None, resume="auto")
        files = [self.folder / out / "state" / f"step-{STEPS:08}.safetensors" for out in ("whole", "parts")]
        whole, parts = (path.read_bytes() for path in files)
        if whole != parts:
            raise VariantError(
                "the resumed run ends with other weights: state that is neither in a network's parameters or buffers nor a "
                "function of the number of updates is lost"
            )
        return f"{STEPS} steps, the same {len(whole):,} bytes"

    def captures(self) -> str:
        plain, captured = (self._stepped(strides) for strides in ((), (1,)))
        if bad := [name for name, tensor in plain.items() if not torch.equal(tensor, captured[name])]:
            raise VariantError(
                f"{few(bad)} differ: the step depends on something that is not a tensor and changes from step to step"
            )
        return f"{CAPTURED_STEPS} steps, the same {len(plain)} tensors"

    def _stepped(self, strides: tuple[int, ...]) -> dict[str, Tensor]:
        session = self.session(graph=bool(strides), steps=max(STEPS, 2 * CAPTURED_STEPS))
        for phase, start, end in session.phases.spans:
            session.step = start
            entered = session.enter(phase, None)
            ways = StepExecution(strides)
            runner = StepRunner(entered.training_step, session.batches, session.average, session.losses, ways)
            while session.step < min(start + CAPTURED_STEPS, end):
                session.advance(runner, 1)
        return _weights(session)

    def d_logits(self) -> str:
        session = self.session()
        batch = session.batches.batch(0)
        with torch.no_grad():
            logits = session.variant.d_logits(batch.images, batch.condition)
        if tuple(logits.shape) != (BATCH, 1):
            raise VariantError(f"d_logits returns [{', '.join(map(str, logits.shape))}], not [B, 1]")
        return f"[B, 1], mean {float(logits.mean()):.3f}"


def _weights(session: Session) -> dict[str, Tensor]:
    """Return copies of all parameters, by network and name."""
    return {
        f"{network}.{name}": parameter.detach().clone()
        for network, module in session.variant.networks.items()
        for name, parameter in module.named_parameters()
    }


def _check_changed(
    before: dict[str, Tensor], after: dict[str, Tensor], trained: str, session: Session, where: str
) -> None:
    """Raise `VariantError` unless an update changed its own network, and no parameter of another one."""
    networks = session.variant.networks
    own = {id(parameter) for parameter in networks[trained].parameters()}
    parameters = {f"{n}.{name}": p for n, network in networks.items() for name, p in network.named_parameters()}
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    if others := [name for name in changed if id(parameters[name]) not in own]:
        raise VariantError(f"{where}: the update of {trained} also changes {few(others)}")
    if not changed:
        raise VariantError(f"{where}: the update of {trained} changes none of its weights")
