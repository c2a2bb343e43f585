"""`gancli.evaluate`: models measured, beside what real pictures would score."""

import os
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import asdict, dataclass

import torch

from gancli.api import options
from gancli.api.model import Model
from gancli.config.evaluate import EvaluateConfig
from gancli.errors import UsageError
from gancli.events import Event, Telling, Warned
from gancli.machine.device import choose_device
from gancli.metrics import compare
from gancli.metrics.compare import Subject
from gancli.metrics.entrants import Entrant, entrant
from gancli.page import files
from gancli.store import evaluations, names
from gancli.store.rundir import RunDirectory


@dataclass(frozen=True)
class Figures:
    """What was measured on a data set: a `Subject` for each model, in order, each with its `figures`."""

    dataset: str
    seed: int
    subjects: tuple[Subject, ...]

    def __len__(self) -> int:
        return len(self.subjects)

    def __getitem__(self, index: int) -> dict[str, float]:
        """A model's figures by name: `figures[0]["coverage"]`."""
        return {figure.name: figure.model.value for figure in self.subjects[index].figures}

    def document(self) -> dict[str, object]:
        """The document that `gan evaluate --json` prints."""
        rows = [
            {
                "file": str(subject.path),
                "variant": None if subject.model is None else subject.model.facts.variant,
                "step": None if subject.model is None else subject.model.facts.step,
                "compared_with": subject.compared.split,
                "figures": [asdict(figure) for figure in subject.figures],
            }
            for subject in self.subjects
        ]
        return {"dataset": self.dataset, "seed": self.seed, "checkpoints": rows}


def measured(
    config: EvaluateConfig, given: Collection[str], entrants: Sequence[Entrant], device: torch.device
) -> Generator[Event, None, Figures]:
    """Measure models, and pictures of others, as a generator of progress; figures are kept with the runs that models lie in.
    `given`: the names of the options that were. Raises `UsageError` for what cannot be compared."""
    if not entrants:
        raise UsageError("CKPT: no model to measure")
    compare.check(config, entrants, given)
    dataset = compare.dataset_of(config, entrants)
    subjects = yield from compare.measured(config, dataset, device, entrants)
    for subject in subjects:
        if subject.model is None:
            continue
        values = {figure.name: figure.model.value for figure in subject.figures}
        run = RunDirectory(subject.path.parent)
        warning = evaluations.remember(run, subject.path.name, subject.model.facts, values, subject.compared)
        if not warning and run.holds_run and run.page.exists():
            warning = files.beside(run)
        if warning:
            yield Warned(warning)
    return Figures(dataset, config.seed, tuple(subjects))


def evaluate(
    models: Model | str | os.PathLike[str] | Sequence[Model | str | os.PathLike[str]],
    dataset: str | os.PathLike[str] | None = None,
    n: int | None = None,
    *,
    seed: int | None = None,
    metrics: str | Sequence[str] | None = None,
    gan_train: bool | None = None,
    neighbours: str | os.PathLike[str] | None = None,
    inception: str | os.PathLike[str] | None = None,
    low_res: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    download: bool | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Figures:
    """Measure one model or several, or their checkpoints, or pictures that other programs made (a folder, a zip, an `.npz`
    array, …): what `gan evaluate` does, by the same names.

    `on_event` is called with what happens meanwhile. Raises `UsageError`, `DataError` and `CheckpointError`.
    """
    places = options.given(
        dataset=dataset, neighbours=neighbours, inception=inception, low_res=low_res, data_root=data_root
    )
    groups = metrics if metrics is None or isinstance(metrics, str) else ",".join(metrics)
    others = options.given(count=n, seed=seed, metrics=groups, gan_train=gan_train, download=download)
    asked = {name: os.fspath(place) for name, place in places.items()} | others
    config = EvaluateConfig(**(options.from_environment(EvaluateConfig) | asked))
    config.check_places()
    several = [models] if isinstance(models, Model | str | os.PathLike) else list(models)
    entrants = [_entrant(each) for each in several]
    device = next((each.device for each in several if isinstance(each, Model)), None)
    telling = Telling(
        measured(config, asked, entrants, device or choose_device(os.environ.get("GAN_DEVICE") or "auto"))
    )
    for event in telling:
        if on_event:
            on_event(event)
    return telling.result


def _entrant(each: Model | str | os.PathLike[str]) -> Entrant:
    return Entrant(each.path, each.loaded) if isinstance(each, Model) else entrant(names.located(each).path)
