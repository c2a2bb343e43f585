"""`gan sample`: pictures from a checkpoint, into a grid, a folder, an array, an animation or a pipe; or enlarged."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli import ckpt, console, options
from gancli.config import fields_of, paths
from gancli.config.effects import refuse
from gancli.config.sample import EnlargeConfig, SampleConfig
from gancli.errors import GancliError, PartlyFailedError
from gancli.events import Event
from gancli.store.rundir import model_file

if TYPE_CHECKING:
    from gancli.sampling.enlarging import Result
    from gancli.sampling.jobs import Plan
    from gancli.store.checkpoint import Model

QUIET_S = 2.0  # a picture that takes no longer is not worth a word on how far it is


def _sample(checkpoint: str, output: str | None, device: str, as_json: bool, **values: Any) -> None:
    paths.check_standing()
    drawing, enlarging = (options.given(config, values) for config in (SampleConfig, EnlargeConfig))
    drawn, enlarged = SampleConfig(**drawing), EnlargeConfig(**enlarging)
    place = ckpt.located(checkpoint)
    refuse(("--json", as_json and output == "-"), why="stdout takes the picture; give -o a file")
    if enlarged.input is not None:
        refuse(*options.flags(SampleConfig, drawing), why="is for drawing pictures; -i enlarges them")
        _enlarge(place, enlarged, output, device, as_json)
        return
    refuse(*options.flags(EnlargeConfig, enlarging), why="is for enlarging pictures; say which with -i")
    refuse(
        ("--batch-size", drawn.walk and drawing.get("batch_size")),
        why="has no effect on --walk, which draws frame by frame",
    )
    _draw(place, drawn, output, device, as_json)


sample = options.signed(
    _sample,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.ABOUT, help=(
            f"A ckpt.safetensors, a run directory, or {ckpt.COMES_ALONG}.")),
        options.extra("output", str | None, "-o", "--output", metavar="PATH", show_default="samples.png", help=(
            "Where to: .png .jpg .webp is a grid; a directory gets one file per picture, named by seed; .npz an array; "
            ".gif .webp with --walk an animation; - is a PNG on stdout.")),
        options.DEVICE,
        options.extra("as_json", bool, "--json", default=False, help="Print one JSON document about what was written."),
        *(options.parameter(f, f.option.panel) for config in (SampleConfig, EnlargeConfig) for f in fields_of(config)),
    ],
    "Draw pictures from a checkpoint. The picture of a seed is the same whatever else is drawn.",
)  # fmt: skip


def _draw(checkpoint: Path, config: SampleConfig, output: str | None, device: str, as_json: bool) -> None:
    from gancli.sampling import files, order

    if output == "-":
        console.binary_stdout()
        if config.walk is not None:
            files.check_walk(".png", output, config.walk)
    else:
        path = files.place(output, config)
        write = files.writer(path, output, config)
    from gancli.machine.device import choose_device

    where = choose_device(device)
    model = _model(checkpoint, "labels")
    wanted = order.make(model, config, where)
    if output == "-":
        console.write_stdout(files.encoded_grid(wanted, ".png"))
        return
    written = write(wanted, path)
    if as_json:
        facts, count = model.facts, config.count
        about = {"variant": facts.variant, "step": facts.step, "count": count, "seed": config.seed, "files": written}
        console.print_json(about)
    else:
        console.print_path(path)


def _enlarge(checkpoint: Path, wish: EnlargeConfig, output: str | None, device: str, as_json: bool) -> None:
    """Enlarge a file or a folder. Raises `PartlyFailedError` where some of several files failed."""
    from gancli.cli.progress import shown_in_pieces
    from gancli.machine.device import choose_device
    from gancli.sampling import enlarging, jobs

    if output == "-":
        console.binary_stdout()
    model = _model(checkpoint, "low_res")
    where = choose_device(device)
    planned = shown_in_pieces(jobs.plan(wish, output, model.variant.scale), QUIET_S, lambda _: False)
    with contextlib.closing(planned):
        upscaler = enlarging.ready(model.variant, where, wish.tile)
        deliver = None if planned.place else console.write_stdout
        work = enlarging.enlarge_files(upscaler, planned, wish.skip_existing, deliver)
        result = shown_in_pieces(work, QUIET_S, lambda event: _tell(event, alone=planned.alone))
    if result.skipped:
        console.say(f"{len(result.skipped)} of {len(planned.jobs)} left alone: already there")
    if as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "scale": model.variant.scale}
        files = {"skipped": result.skipped, "files": [asdict(one) for one in result.done], "failed": result.failed}
        console.print_json(about | files)
    elif planned.place is not None:
        console.print_path(planned.place)
    _raise_failures(result, planned)


def _tell(event: Event, alone: bool) -> bool:
    """Show what ends a picture. Gives whether it does."""
    from gancli.sampling.enlarging import PictureDone, PictureFailed

    if isinstance(event, PictureFailed):
        console.complain(event.message)
    elif isinstance(event, PictureDone):
        size = f"{event.width}×{event.height}"
        if not alone:
            console.say(f"{event.number}/{event.count}  {event.target}  {size}  {event.seconds:.1f} s")
    else:
        return False
    return True


def _raise_failures(result: "Result", planned: "Plan") -> None:
    if result.end is not None:
        raise GancliError(
            f"{result.end}; {len(result.done)} of {len(planned.jobs)} pictures are done, --skip-existing goes on"
        )
    if result.failed:
        total, first = len(planned.jobs) + len(planned.refused), next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {total} pictures failed; the first: {first}")


def _model(checkpoint: Path, reads: str) -> "Model":
    """The model of a file or run directory, if it reads that."""
    from gancli.sampling.order import check_reads
    from gancli.store.checkpoint import load_model

    model = load_model(model_file(checkpoint))
    check_reads(model, checkpoint, reads)
    return model
