"""`gan sample`: pictures from a checkpoint, into a grid, a folder, an array, an animation or a pipe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import console
from gancli.cli.effects import refuse
from gancli.cli.labels import parse_labels
from gancli.config import paths
from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    import torch

    from gancli.sampling.draw import Paint, Request
    from gancli.store.checkpoint import Model

GRIDS = (".png", ".jpg", ".jpeg", ".webp")
ANIMATIONS = (".gif", ".webp")
FRAMES_PER_LEG = 16
DEFAULT_COUNT, DEFAULT_CHUNK = 64, 1024
MAX_COUNT = 1_000_000


@dataclass(frozen=True)
class Order:
    """What to draw and how to lay it out; `output` None is stdout."""

    model: "Model"
    wanted: list["Request"]
    device: "torch.device"
    output: Path | None
    columns: int | None
    chunk: int
    truncation: float | None
    walk: int | None
    paint: "Paint"
    num_levels: int = 1  # shown side by side


def sample(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="A ckpt.safetensors, or a run directory.")],
    count: Annotated[int | None, typer.Option("-n", "--count", help="How many pictures.", show_default=str(
        DEFAULT_COUNT))] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="PATH", show_default="samples.png", help=(
        "Where to: .png .jpg .webp is a grid; a directory gets one file per picture, named by seed; .npz an array; "
        ".gif .webp with --walk an animation; - is a PNG on stdout."))] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first picture; the next has the next.",
                                             show_default="0")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", "-l", show_default="all, in turn", help=(
        "Which classes, for a conditional model: a name, 7, 0-9, 3,5, all; several times for several."))] = None,
    columns: Annotated[int | None, typer.Option(show_default="square", help="Columns of the grid.")] = None,
    walk: Annotated[int | None, typer.Option(metavar="STOPS", help="Walk through latent space over so many seeds.")] = None,
    levels: Annotated[bool, typer.Option("--levels", help=(
        "Show each picture's levels side by side, coarse to fine, for a variant that works in levels."))] = False,
    source: Annotated[str | None, typer.Option("--input", "-i", metavar="FILE|DIR", help=(
        "Picture or folder to enlarge, for srgan; -o is then a picture or a folder."))] = None,
    tile: Annotated[int | None, typer.Option(help=(
        "With -i: enlarge in tiles of this side, in pixels of the input."), show_default="as memory allows")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="With -i: a folder's subfolders, too.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help=(
        "With -i: leave alone what was enlarged before."))] = False,
    truncation: Annotated[float | None, typer.Option(help="Keep the noise within ±this: likelier, less varied.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures held at a time; the pictures do not depend on it.",
                                                   show_default=str(DEFAULT_CHUNK))] = None,
    device: Annotated[str, typer.Option(envvar="GAN_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document about what was written.")] = False,
) -> None:  # fmt: skip
    """Draw pictures from a checkpoint. The picture of a seed is the same whatever else is drawn."""
    paths.check_standing()
    ranges = (
        ("-n", count, 1, MAX_COUNT),
        ("--seed", seed, 0, 2**63 - 1),
        ("--columns", columns, 1, 10_000),
        ("--walk", walk, 2, 10_000),
        ("--batch-size", batch_size, 1, 2**20),
        ("--tile", tile, 1, 2**20),
    )
    for flag, number, low, high in ranges:
        if number is not None and not low <= number <= high:
            raise UsageError(f"{flag} {number}: must be at least {low} and at most {high}")
    if truncation is not None and not 0 < truncation <= 10:
        raise UsageError(f"--truncation {truncation}: must be above 0 and at most 10")
    checkpoint = paths.expanded(checkpoint, "CKPT")
    refuse(("--json", as_json and output == "-"), why="stdout takes the picture; give -o a file")
    drawing = (("-n", count), ("--seed", seed), ("--label", ",".join(label) if label else None),
               ("--columns", columns), ("--walk", walk),
               ("--levels", levels), ("--truncation", truncation), ("--batch-size", batch_size))  # fmt: skip
    enlarging = (("--tile", tile), ("--recursive", recursive), ("--skip-existing", skip_existing))
    if source is not None:
        refuse(*drawing, why="is for drawing pictures; -i enlarges them")
        from gancli.cli.upscale import upscale
        from gancli.cli.upscale_jobs import Wish

        wish = Wish(paths.expanded(source, "-i"), output, device, tile, recursive, skip_existing, as_json)
        upscale(_model(checkpoint, "low_res"), wish)
        return
    refuse(*enlarging, why="is for enlarging pictures; say which with -i")
    refuse(("--batch-size", walk and batch_size), why="has no effect on --walk, which draws frame by frame")
    count, seed = DEFAULT_COUNT if count is None else count, seed or 0
    path = _output_path(output, walk)
    write = _writer(output, path, walk)
    if write.__name__ in ("folder", "array"):
        refuse(("--columns", columns), why=f"has no effect: -o {path} is no grid")

    from gancli.machine.device import choose_device
    from gancli.sampling.draw import requests

    where = choose_device(device)
    model = _model(checkpoint, "labels")
    labels = _labels(model, label)
    model.variant.generator.to(where)
    if columns is None and 1 < len(labels) <= 32:
        columns = len(labels)
    wanted = requests(count, seed, labels)
    order = Order(model, wanted, where, path, columns, batch_size or DEFAULT_CHUNK, truncation, walk, _paint(model, levels),
                  model.variant.num_levels if levels else 1)  # fmt: skip
    files = write(order)
    if as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "count": count, "seed": seed, "files": files}
        console.print_json(about)
    elif path is not None:
        console.print_path(path)


def _model(checkpoint: Path, reads: str) -> "Model":
    """The model of a file or run directory, if it reads that."""
    from gancli.store.checkpoint import load_model

    model = load_model(checkpoint / "ckpt.safetensors" if checkpoint.is_dir() else checkpoint)
    if model.variant.reads != reads:
        name = model.facts.variant
        if reads == "labels":
            raise UsageError(f"{checkpoint}: {name} enlarges pictures; say which with -i FILE or -i DIR")
        raise UsageError(f"-i: {name} draws pictures from noise and reads none; leave it out")
    return model


def _output_path(output: str | None, walk: int | None) -> Path | None:
    """The path to write to, known to be writable before anything is drawn; None for stdout."""
    if output == "-":
        console.binary_stdout()
        return None
    path = paths.expanded(output, "-o") if output is not None else _free("samples", ".gif" if walk else ".png")
    paths.check_output(path, "-o")
    if path.suffix.lower() in (*GRIDS, *ANIMATIONS, ".npz") and not path.is_dir():
        if not path.parent.is_dir():
            raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")
    elif path.suffix and not path.exists() and not str(output).endswith("/"):
        raise UsageError(
            f"-o {path}: must end in {' '.join((*GRIDS, '.gif', '.npz'))}, or be a directory (end it with /)"
        )
    return path


def _free(stem: str, suffix: str) -> Path:
    """`samples.png`, or `samples-2.png`, …: a name asked for by nobody overwrites nothing."""
    path, number = Path(stem + suffix), 1
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}{suffix}")
    return path


def _writer(output: str | None, path: Path | None, walk: int | None) -> Callable[[Order], list[str]]:
    """The way to write what was asked for, by the path's suffix."""
    from gancli.cli import sample_files as files

    suffix = ".png" if path is None else path.suffix.lower()
    if walk is not None:
        if suffix not in ANIMATIONS:
            raise UsageError(f"--walk {walk}: needs -o with {' or '.join(ANIMATIONS)}, not {output}")
        return files.animation
    if suffix == ".gif":
        raise UsageError(f"-o {output}: .gif is for an animation; add --walk N, or take .png")
    if suffix == ".npz":
        return files.array
    return files.grid if suffix in GRIDS and (path is None or not path.is_dir()) else files.folder


def _labels(model: "Model", label: list[str] | None) -> tuple[int, ...]:
    names = model.variant.images.class_names
    if not model.variant.conditional:
        if label:
            raise UsageError(
                f"--label {','.join(label)}: {model.facts.variant} is not conditional: its pictures cannot be chosen"
            )
        return (0,)
    return parse_labels(label, names) if label else tuple(range(len(names)))


def _paint(model: "Model", levels: bool) -> "Paint":
    """What makes the pictures: the generator, or all levels side by side."""
    from gancli.sampling.draw import side_by_side

    if levels and model.variant.num_levels == 1:
        raise UsageError(f"--levels: {model.facts.variant} makes its pictures in one go; leave it out")
    return side_by_side(model.variant) if levels else model.variant.generator
