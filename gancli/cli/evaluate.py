"""`gan evaluate`: how good the pictures of one or several checkpoints are, in one table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.evaluate import EvaluateConfig
from gancli.errors import printable
from gancli.format import measure
from gancli.metrics.figure import Figure, Measure

if TYPE_CHECKING:
    from gancli.api.evaluate import Figures

COMPLETERS: Mapping[str, completing.Completer] = {"dataset": completing.dataset, "metrics": completing.metrics}
ARROWS = {True: "↑", False: "↓", None: "="}


def _evaluate(checkpoints: list[str], device: str, as_json: bool, **values: Any) -> None:
    given = options.given(EvaluateConfig, values)
    config = EvaluateConfig(**given)
    paths.check_standing()
    console.check_stdout()
    config.check_places()

    from gancli.api.evaluate import measured
    from gancli.cli.progress import shown
    from gancli.machine.device import choose_device
    from gancli.metrics.entrants import entrant

    where = choose_device(device)
    entrants = [entrant(place) for place in ckpt.all_located(checkpoints, trained=True)]
    with shown() as emit:
        figures = measured(config, given, entrants, where, emit)
    if as_json:
        console.print_json(figures.document())
    else:
        _show(figures, config)


evaluate = options.signed(
    _evaluate,
    [
        options.argument("checkpoints", list[str], metavar="CKPT...", **ckpt.ABOUT, help=(
            f"A ckpt.safetensors, a run directory or a folder of them, {ckpt.COMES_ALONG}, or images that another program "
            "made (a folder, zip, tar, Parquet file, .npz or .npy). Several are compared in one table.")),
        *(options.parameter(field, field.option.panel, COMPLETERS.get(field.name)) for field in fields_of(EvaluateConfig)),
        options.DEVICE,
        options.JSON,
    ],
    "Measure how good a checkpoint's pictures are, or anyone's, beside what real pictures would score. Needs no download.",
)  # fmt: skip


def _show(figures: "Figures", config: EvaluateConfig) -> None:
    subjects = figures.subjects
    headings = [subject.heading for subject in subjects]
    out = console.out()
    for number, part in enumerate(_tables(headings, [s.figures for s in subjects], subjects[0].compared.beside, out)):
        if number:
            out.print()
        out.print(part)
    words = f"data set {printable(figures.dataset)}; seed {figures.seed}; ± is one standard error"
    out.print(words, markup=False, style="dim")
    if config.neighbours is not None:
        console.print_path(paths.expanded(config.neighbours, "--neighbours"))


def _table(headings: Sequence[str], columns: Sequence[Sequence[Figure]], beside: str) -> Table:
    """One row per figure, one column per checkpoint, and what stands `beside` them. The arrow tells which way is better;
    `=`: the nearer to the column beside, the better."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("figure", no_wrap=True)
    shown.add_column("")
    for heading in headings:
        shown.add_column(escape(printable(heading)), justify="right", overflow="fold")
    shown.add_column(beside, justify="right", style="dim")
    shown.add_column("pictures", justify="right", style="dim")
    names = list(dict.fromkeys(figure.name for figures in columns for figure in figures))
    for name in names:
        row = [{figure.name: figure for figure in figures}.get(name) for figures in columns]
        some = next(figure for figure in row if figure is not None)
        label = f"{name} [dim]{escape(some.unit)}[/dim]" if some.unit else name
        cells = [_measure(figure.model) if figure else "–" for figure in row]
        real = _measure(some.real) if some.real else "–"
        shown.add_row(label, ARROWS[some.higher_is_better], *cells, real, f"{some.count:,}")
    return shown


def _tables(headings: Sequence[str], columns: Sequence[Sequence[Figure]], beside: str, shown: Console) -> list[Table]:
    """The same as one table, or where `shown` is too narrow for that, as several: some of the checkpoints in each."""
    found: list[Table] = []
    start = 0
    while start < len(headings):
        stop = len(headings)
        while (part := _table(headings[start:stop], columns[start:stop], beside)) and stop > start + 1:
            if console.fits(part, shown):
                break
            stop -= 1
        found.append(part)
        start = stop
    return found


def _measure(measured: Measure) -> str:
    return measure(measured.value, measured.error)
