"""`gan evaluate`: the quality of the images of one or several models, in one table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.evaluate import EvaluateConfig
from gancli.format import measure
from gancli.text import printable

if TYPE_CHECKING:
    from gancli.api.evaluate import Figures
    from gancli.metrics.compare import Subject

COMPLETERS: Mapping[str, completing.Completer] = {"dataset": completing.dataset, "metrics": completing.metrics}
ARROWS = {True: "↑", False: "↓", None: "="}


def _evaluate(checkpoints: list[str], device: str, as_json: bool, variant: list[str] | None, **values: Any) -> None:
    ckpt.name_variants(variant)
    given = options.given(EvaluateConfig, values)
    config = EvaluateConfig(**given)
    paths.check_working_directory()
    console.check_stdout()
    config.check_places()

    from gancli.api.evaluate import evaluate_and_record
    from gancli.cli.progress import show_progress
    from gancli.machine.device import choose_device
    from gancli.metrics.entrants import open_entrant

    where = choose_device(device)
    entrants = [open_entrant(place) for place in ckpt.resolve_all(checkpoints, trained=True)]
    for each in entrants:
        if each.model is not None:
            ckpt.print_changed(each.path, each.model.facts)
    with show_progress() as emit:
        figures = evaluate_and_record(config, given, entrants, where, emit)
    if as_json:
        console.print_json(figures.document())
    else:
        _show(figures, config)


evaluate = options.with_signature(
    _evaluate,
    [
        options.argument("checkpoints", list[str], metavar="CKPT...", **ckpt.COMPLETION, help=(
            f"A ckpt.safetensors, a run directory or a folder of them, hf:OWNER/NAME, {ckpt.PRETRAINED}, or images of "
            "another program (a folder, zip, tar, Parquet file, .npz or .npy). Several are compared in one table.")),
        *(options.parameter(field, COMPLETERS.get(field.name)) for field in fields_of(EvaluateConfig)),
        options.DEVICE,
        options.annotated("variant", ckpt.Variants),
        options.JSON,
    ],
)  # fmt: skip


def _show(figures: "Figures", config: EvaluateConfig) -> None:
    out = console.out()
    out.print(_table(figures.subjects))
    note = f"dataset {printable(figures.dataset)}; seed {figures.seed}; ± is one standard error"
    out.print(note, markup=False, style="dim")
    if config.neighbours is not None:
        console.print_path(paths.expanded(config.neighbours, "--neighbours"))


def _table(subjects: "Sequence[Subject]") -> Table:
    """One row per metric, one column per model, and one of the reference. The arrow shows which direction is better; `=`: as
    close to the reference as possible."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", no_wrap=True)
    table.add_column("")
    for subject in subjects:
        table.add_column(escape(printable(subject.heading)), justify="right", overflow="fold")
    table.add_column(subjects[0].compared.beside, justify="right", style="dim")
    table.add_column("images", justify="right", style="dim")
    for name in dict.fromkeys(figure.name for subject in subjects for figure in subject.figures):
        row = [{figure.name: figure for figure in subject.figures}.get(name) for subject in subjects]
        some = next(figure for figure in row if figure is not None)
        label = f"{name} [dim]{escape(some.unit)}[/dim]" if some.unit else name
        cells = [measure(figure.model.value, figure.model.error) if figure else "–" for figure in row]
        real = measure(some.real.value, some.real.error) if some.real else "–"
        table.add_row(label, ARROWS[some.higher_is_better], *cells, real, f"{some.count:,}")
    return table
