"""`gan evaluate`: how good the pictures of one or several checkpoints are, in one table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gancli.cli import ckpt, completing, console, options
from gancli.config import fields_of, paths
from gancli.config.evaluate import EvaluateConfig
from gancli.errors import printable

if TYPE_CHECKING:
    from gancli.api.evaluate import Figures

COMPLETERS: Mapping[str, completing.Completer] = {"dataset": completing.dataset, "metrics": completing.metrics}


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
    figures = shown(measured(config, given, entrants, where))
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
    from gancli.cli.evaluate_table import tables

    subjects = figures.subjects
    headings = [subject.heading for subject in subjects]
    out = console.out()
    for number, part in enumerate(tables(headings, [s.figures for s in subjects], subjects[0].compared.beside, out)):
        if number:
            out.print()
        out.print(part)
    words = f"data set {printable(figures.dataset)}; seed {figures.seed}; ± is one standard error"
    out.print(words, markup=False, style="dim")
    if config.neighbours is not None:
        console.print_path(paths.expanded(config.neighbours, "--neighbours"))
