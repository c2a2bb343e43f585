"""`gancli.evaluate`: the metrics of models, compared with those of real images."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

import torch
from markupsafe import Markup

from gancli.api import common
from gancli.api.common import PathLike, VariantLike
from gancli.api.model import Model
from gancli.api.option_types import Int
from gancli.config.evaluate import EvaluateConfig
from gancli.config.option import checked, from_environment
from gancli.data.dataset_object import DatasetObject, MapDataset, as_dataset
from gancli.errors import UsageError
from gancli.events import Emit, Event, Warned
from gancli.machine.device import choose_device
from gancli.metrics import compare
from gancli.metrics.compare import Subject
from gancli.metrics.entrants import Entrant, open_entrant
from gancli.metrics.metric import MetricValue
from gancli.page import files
from gancli.page.tables import measure
from gancli.store import evaluations, pretrained
from gancli.store.run_directory import RunDirectory
from gancli.text import few


@dataclass(frozen=True, repr=False)
class Figures:
    """The metrics of models on one dataset. `subjects` has one `Subject` per model, in the order given; `len` and indexing
    work, too. A notebook shows a table."""

    dataset: str
    seed: int
    subjects: tuple[Subject, ...]

    def __len__(self) -> int:
        return len(self.subjects)

    def __getitem__(self, index: int) -> dict[str, float]:
        """The metrics of one model by name, such as `results[0]["coverage"]`."""
        return {figure.name: figure.model.value for figure in self.subjects[index].figures}

    def __repr__(self) -> str:
        values = [f"{figure.name} {measure(figure.model.value, None)}" for figure in self.subjects[0].figures]
        more = f", and of {len(self) - 1} more" if len(self) > 1 else ""
        return f"<figures on {self.dataset} of {self.subjects[0].heading}: {few(values)}{more}>"

    def _repr_html_(self) -> str:
        figures_by_name = [{figure.name: figure for figure in subject.figures} for subject in self.subjects]
        cells = [["", *(subject.heading for subject in self.subjects), self.subjects[0].compared.beside]]
        for name in dict.fromkeys(name for figures in figures_by_name for name in figures):
            found = [figures.get(name) for figures in figures_by_name]
            real = next(figure.real for figure in found if figure)
            cells.append([name, *(_cell(figure.model if figure else None) for figure in found), _cell(real)])
        lines = Markup()
        for row, texts in enumerate(cells):
            line = Markup()
            for column, text in enumerate(texts):
                line += Markup("<{0}>{1}</{0}>").format("td" if row and column else "th", text)
            lines += Markup("<tr>{}</tr>").format(line)
        return Markup("<table>{}</table>").format(lines)

    def document(self) -> dict[str, object]:
        """Return what `gan evaluate --json` prints, as a dictionary."""
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


def _cell(found: MetricValue | None) -> str:
    return measure(None, None) if found is None else measure(found.value, found.error)


def evaluate_and_record(
    config: EvaluateConfig, given: Collection[str], entrants: Sequence[Entrant], device: torch.device, emit: Emit
) -> Figures:
    """Measure models, and images of other programs, and record the metrics in the models' runs. `given`: the names of the
    options that were given. Raises `UsageError` if they cannot be compared."""
    if not entrants:
        raise UsageError("CKPT: no model to evaluate")
    compare.check(config, entrants, given)
    dataset = compare.dataset_of(config, entrants)
    subjects = compare.evaluate_entrants(config, dataset, device, entrants, emit)
    for subject in subjects:
        if subject.model is None:
            continue
        values = {figure.name: figure.model.value for figure in subject.figures}
        run = RunDirectory(subject.path.parent)
        warning = evaluations.record_evaluation(run, subject.path.name, subject.model.facts, values, subject.compared)
        if not warning and run.holds_run and run.page.exists():
            warning = files.write_page(run)
        if warning:
            emit(Warned(warning))
    return Figures(str(dataset), config.seed, tuple(subjects))


@common.errors_in_python()
def evaluate(
    models: PathLike | Iterable[PathLike],
    dataset: PathLike | MapDataset | None = None,
    n: Int | None = None,
    *,
    seed: Int | None = None,
    metrics: str | Iterable[str] | None = None,
    gan_train: bool | None = None,
    neighbours: PathLike | None = None,
    inception: PathLike | None = None,
    low_res: PathLike | None = None,
    data_root: PathLike | None = None,
    download: bool | None = None,
    variant: VariantLike | Iterable[VariantLike] | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Figures:
    """Measure models as `gan evaluate` does, and return their metrics.

    `models`: one or several of: a model, a run, a checkpoint, a run directory, a folder of runs, or images that another
    program made (a folder, a zip, an `.npz` array). `dataset`: what to compare with, also a map-style dataset object
    (which has no splits); by default what the model was trained on. `n`: images per model, at least 10. `variant`: code
    from files, as for `load`. `metrics`: a list of names, or text with commas. `on_event` is called with each event.
    Raises `UsageError`, `VariantError`, `DataError` and `CheckpointError`.
    """
    if variant is not None:
        one_variant = isinstance(variant, str | os.PathLike | type)
        for each in [variant] if one_variant else variant:  # type: ignore[union-attr]
            common.variant(each)
    given = common.given(
        dataset=as_dataset(dataset),
        count=n,
        seed=seed,
        metrics=metrics
        if isinstance(metrics, str) or not isinstance(metrics, Iterable)
        else ",".join(map(str, metrics)),
        gan_train=gan_train,
        neighbours=neighbours,
        inception=inception,
        low_res=low_res,
        data_root=data_root,
        download=download,
    )
    texts = {name: value for name, value in given.items() if not isinstance(value, DatasetObject)}
    config = EvaluateConfig(**{**from_environment(EvaluateConfig), **given, **checked(EvaluateConfig, texts)})
    config.check_places()
    one = isinstance(models, str | os.PathLike) or not isinstance(models, Iterable)
    several: list[object] = [models] if one else list(models)  # type: ignore[arg-type]  # a path may be iterable, too
    entrants = [entrant for each in several for entrant in _entrants(each)]
    device = next((each.device for each in several if isinstance(each, Model)), None)
    device = device or choose_device(os.environ.get("GAN_DEVICE") or "auto")

    def emit(event: Event) -> None:
        if on_event:
            on_event(common.event_in_python(event))

    with common.exclusive_or_between_events():
        return evaluate_and_record(config, given, entrants, device, emit)


def _entrants(each: object) -> list[Entrant]:
    if isinstance(each, Model):
        return [Entrant(each.path, each.loaded)]
    path = common.path(each, "models", "models, runs or paths")
    return [open_entrant(file) for file in pretrained.resolve_checkpoints([path], trained=True)[0]]
