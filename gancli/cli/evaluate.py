"""`gan evaluate`: how good the pictures of one or several checkpoints are, in one table."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import console, evaluations
from gancli.cli.effects import refuse
from gancli.cli.evaluate_work import Job, Subject, measured
from gancli.config import paths, toml
from gancli.config.run import DATA_ROOT
from gancli.errors import UsageError, did_you_mean, printable
from gancli.store.rundir import RunDirectory

if TYPE_CHECKING:
    from gancli.store.checkpoint import Model

DEFAULT_COUNT = 10_000
FEWEST, MAX_COUNT = 10, 1_000_000


def evaluate(
    checkpoints: Annotated[list[Path], typer.Argument(metavar="CKPT...", help=(
        "ckpt.safetensors files, or run directories; several are compared in one table."))],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", metavar="NAME|PATH", help=(
        "What to compare with; for srgan a folder of true pictures."), show_default="what it was trained on")] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", help="How many pictures to draw.", show_default=str(
        DEFAULT_COUNT))] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first picture; the next has the next.",
                                             show_default="0")] = None,
    metrics: Annotated[str | None, typer.Option(metavar="NAMES", show_default="all", help=(
        "Only these, with commas: frechet, kernel, prdc, parzen, swd, labels, modes, diversity, nearest."))] = None,
    gan_train: Annotated[bool, typer.Option("--gan-train", help=(
        "Also train a classifier on the model's pictures and test it on real ones; for conditional models."))] = False,
    neighbours: Annotated[Path | None, typer.Option(metavar="FILE.png", help=(
        "Draw ten pictures, each beside the five training pictures nearest to it."))] = None,
    inception: Annotated[Path | None, typer.Option(metavar="FILE", help=(
        "Also the canonical Inception FID, with torch-fidelity's weights (slow without a GPU)."))] = None,
    low_res: Annotated[Path | None, typer.Option(metavar="DIR", help=(
        "For srgan: the low-resolution pictures, named as the true ones."), show_default="made of the true ones")] = None,
    data_root: Annotated[str, typer.Option(envvar="GAN_DATA", metavar="DIR", help="Where data sets lie.")] = DATA_ROOT,
    download: Annotated[bool, typer.Option("--download/--no-download", help="Fetch a data set not there.")] = True,
    device: Annotated[str, typer.Option(envvar="GAN_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """Measure how good a checkpoint's pictures are, beside what real pictures would score. Needs no download."""
    if count is not None and not FEWEST <= count <= MAX_COUNT:
        raise UsageError(f"-n {count}: must be at least {FEWEST} and at most {MAX_COUNT}")
    if seed is not None and not 0 <= seed < 2**63:
        raise UsageError(f"--seed {seed}: must be at least 0 and at most {2**63 - 1}")
    paths.check_standing()
    console.check_stdout()
    neighbours = _expanded(neighbours, "--neighbours")
    if neighbours is not None:
        paths.check_output(neighbours, "--neighbours")
    if neighbours is not None and (neighbours.suffix.lower() != ".png" or not neighbours.parent.is_dir()):
        raise UsageError(f"--neighbours {neighbours}: must be a .png file in a directory that exists")

    from gancli.cli.progress import shown
    from gancli.machine.device import choose_device
    from gancli.store.checkpoint import load_model

    where = choose_device(device)
    files = [
        path / "ckpt.safetensors" if path.is_dir() else path
        for path in (paths.expanded(p, "CKPT") for p in checkpoints)
    ]
    models = [load_model(file) for file in files]
    if any(model.variant.reads == "low_res" for model in models):
        drawing = (("-n", count), ("--seed", seed), ("--metrics", metrics), ("--gan-train", gan_train),
                   ("--neighbours", neighbours), ("--inception", inception))  # fmt: skip
        refuse(*drawing, why=f"is for models that draw pictures; {models[0].facts.variant} enlarges them")
    name = dataset or _trained_on(files[0], models[0])
    job = Job(
        name,
        data_root,
        download,
        _expanded(low_res, "--low-res"),
        DEFAULT_COUNT if count is None else count,
        seed or 0,
        _wanted(metrics),
        gan_train,
        neighbours,
        _expanded(inception, "--inception"),
        where,
    )
    subjects = shown(measured(job, files, models))
    for subject in subjects:
        values = {figure.name: figure.model.value for figure in subject.figures}
        evaluations.remember(subject.path, subject.model.facts, values, subject.compared)
    if as_json:
        console.print_json(_document(job, subjects))
    else:
        _show(job, subjects)


def _expanded(path: Path | None, flag: str) -> Path | None:
    return None if path is None else paths.expanded(path, flag)


def _wanted(metrics: str | None) -> tuple[str, ...]:
    from gancli.metrics.yardstick import METRICS

    if metrics is None:
        return METRICS
    names = tuple(part.strip() for part in metrics.split(","))
    for name in names:
        if name not in METRICS:
            raise UsageError(
                f"--metrics {name}: no such metric{did_you_mean(name, METRICS)}; there are {', '.join(METRICS)}"
            )
    return names


def _trained_on(file: Path, model: "Model") -> str:
    """The data set of the run that a checkpoint lies in, else the one that it names, if it is one of the named ones."""
    from gancli.data.names import source_names

    recorded = RunDirectory(file.parent).config
    if model.variant.reads == "low_res":
        raise UsageError(
            "--dataset: say which folder of true pictures to enlarge to (it should not be the training set)"
        )
    name = str(toml.read(recorded).get("dataset", "")) if recorded.is_file() else ""
    name = name or model.facts.dataset
    if name in source_names() or (recorded.is_file() and paths.expanded(name, "--dataset").exists()):
        return name
    raise UsageError(f"--dataset: {file} was trained on {name}, which is not there; say with -d where it lies")


def _document(job: Job, subjects: Sequence[Subject]) -> dict[str, object]:
    return {
        "dataset": job.dataset,
        "seed": job.seed,
        "checkpoints": [
            {
                "file": str(subject.path),
                "variant": subject.model.facts.variant,
                "step": subject.model.facts.step,
                "compared_with": subject.compared.split,
                "figures": [asdict(figure) for figure in subject.figures],
            }
            for subject in subjects
        ],
    }


def _show(job: Job, subjects: Sequence[Subject]) -> None:
    from gancli.cli.evaluate_table import table

    headings = [f"{s.model.facts.variant} {s.path.parent.name}".strip() for s in subjects]
    out = console.out()
    out.print(table(headings, [s.figures for s in subjects], subjects[0].compared.beside))
    out.print(f"data set {printable(job.dataset)}; seed {job.seed}; ± is one standard error", markup=False, style="dim")
    if job.neighbours is not None:
        console.print_path(job.neighbours)
